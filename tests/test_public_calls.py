"""The plain Python calls that `import hilum` offers, imported only when one is used."""

from pathlib import Path

import pytest

import hilum
from hilum import pipeline

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", hilum.__all__)
def test_every_call_is_there(name: str) -> None:
    assert callable(getattr(hilum, name))
    assert name == "read" or getattr(hilum, name) is getattr(pipeline, name)


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = hilum.trian


def test_paths_may_be_text() -> None:
    file = str(ROOT / "configs" / "demo.yaml")
    assert hilum.load(file, ["train.epochs=2"]).train.epochs == 2
    assert hilum.read(file).data["name"] == "demo"
