"""Cohorts of cases without files: a split looks at ids, patients and labels only."""

from collections.abc import Callable

import pytest

from hilum.case import Case

MakeCases = Callable[..., list[Case]]


@pytest.fixture
def make_cases() -> MakeCases:
    """Cases `{patient}-{scan}` of `patients` patients with `scans` scans each."""

    def make(patients: int, scans: int = 1) -> list[Case]:
        return [Case(f"p{p:03d}-{s}", f"p{p:03d}", ()) for p in range(patients) for s in range(scans)]

    return make
