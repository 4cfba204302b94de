"""Looks at the data of an experiment: at the headers of all files, and at the voxels of all or some cases."""

from __future__ import annotations

from time import perf_counter

from hilum.case import Case, Cohort
from hilum.data.findings import of_case
from hilum.data.index import Index, scan
from hilum.data.parallel import side_by_side
from hilum.data.voxels import read_case
from hilum.errors import DataError, Finding
from hilum.experiment import Experiment
from hilum.tracking.console import bar


def look_at_headers(experiment: Experiment, cohort: Cohort, *, seconds: float = float("inf")) -> Index:
    """The index of a cohort, with a progress bar."""
    data = experiment.data
    sliced = data.dims == 2 or (data.dims is None and data.patch is not None and len(data.patch.size) == 2)
    with bar("headers") as progress:
        return scan(cohort, progress=progress, seconds=seconds, sliced=sliced)


def look_at_voxels(experiment: Experiment, cases: tuple[Case, ...], *, seconds: float = float("inf")) -> list[Finding]:
    """What is wrong or odd with these cases, read anew and not from the cache, as far as there is time."""
    problem = experiment.provisional_problem()
    findings: list[Finding] = []
    done, end = 0, perf_counter() + seconds

    def look(case: Case) -> list[Finding]:
        try:
            return list(read_case(case, problem).findings)
        except DataError as error:
            return of_case(error, case)

    with bar("voxels") as progress:
        for found in side_by_side(look, cases):
            findings += found
            done += 1
            progress(done, len(cases))
            if perf_counter() > end:
                break
    return findings
