"""Reads the headers of all files of a cohort, several at a time, and puts together what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter, thread_time

from hilum.case import Case, Cohort, ImageRef
from hilum.data.findings import arranged, of_case
from hilum.data.hashes import refs
from hilum.data.index.files import shared_files, unusable_file
from hilum.data.index.headers import case_findings
from hilum.data.index.uniform import cohort_findings
from hilum.errors import DataError, Finding
from hilum.formats.base import Header
from hilum.formats.reading import read_header

ALONE = 32
"""Files read one after the other to learn whether this machine waits for its disk."""
WAITING_SHARE = 0.3
"""Where more than this share of the time goes by waiting, threads read side by side; else they only get in each
other's way (measured: 0.45 ms a file alone, 0.7 with two threads, where the files are in memory)."""
THREADS = 16

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Index:
    """The headers of the files of a cohort that can be read, and what is wrong or odd with all of them.

    `complete` is False where there was no time to look at every case.
    """

    headers: Mapping[ImageRef, Header]
    findings: tuple[Finding, ...]
    complete: bool = True

    def readable(self, cases: Sequence[Case]) -> tuple[Case, ...]:
        """Those of the cases all of whose headers could be read."""
        return tuple(case for case in cases if all(ref in self.headers for ref in refs(case)))


def scan(
    cohort: Cohort, *, progress: Progress | None = None, seconds: float = float("inf"), sliced: bool = False
) -> Index:
    """The headers of every image and mask of a cohort; no voxel is read, nothing is raised for what is wrong.

    `progress` is told how many of how many cases are done, and may raise. After `seconds` the cases looked at so far
    have to do. `sliced` says that a network looks at single slices, so that images and volumes may stand side by side.
    """
    headers: dict[ImageRef, Header] = {}
    findings = [*cohort.findings, *shared_files(cohort.cases)]
    looked: list[Case] = []
    end = perf_counter() + seconds
    for case, (found, wrong) in _read_all(cohort.cases):
        looked.append(case)
        headers |= found
        findings += [*wrong, *case_findings(case, found)]
        if progress is not None:
            progress(len(looked), len(cohort.cases))
        if perf_counter() > end:
            break
    findings += cohort_findings(looked, headers, channels=cohort.channels, sliced=sliced)
    return Index(headers, tuple(arranged(findings)), complete=len(looked) == len(cohort.cases))


Looked = tuple[dict[ImageRef, Header], list[Finding]]


def _read_all(cases: Sequence[Case]) -> Iterator[tuple[Case, Looked]]:
    """What the headers of each case say, in order: alone at first, then by threads where the disk is waited for."""
    start, busy = perf_counter(), thread_time()
    for case in cases[:ALONE]:
        yield case, _read(case)
    took, busy = perf_counter() - start, thread_time() - busy
    threads = THREADS if took > 0 and 1 - busy / took > WAITING_SHARE else 1
    pool = ThreadPoolExecutor(max_workers=threads)
    try:
        yield from zip(cases[ALONE:], pool.map(_read, cases[ALONE:]), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _read(case: Case) -> Looked:
    """The headers of a case that can be read, and what is wrong with the others."""
    headers: dict[ImageRef, Header] = {}
    findings: list[Finding] = []
    for ref in dict.fromkeys(refs(case)):
        unusable = unusable_file(ref, case.id)
        if unusable is not None:
            findings.append(unusable)
            continue
        try:
            headers[ref] = read_header(ref)
        except DataError as error:
            findings += of_case(error, case)
    return headers, findings
