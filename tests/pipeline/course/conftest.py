"""A desk for every rung: a folder of its own, and data and prepared cases that all tests share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hilum.pipeline.course.desk import Desk

MakeDesk = Callable[..., Desk]


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> MakeDesk:
    """Makes a desk for a rung, with settings that a user might give."""
    root: Path = tmp_path_factory.mktemp("course")

    def make(rung: str, *overrides: str) -> Desk:
        return Desk(rung, root, overrides, lambda text: None)

    return make
