"""What the headers of all cases say together: those that are unlike the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from hilum.case import Case, ImageRef
from hilum.errors import Finding
from hilum.formats.base import Header

UNUSUAL_FACTOR = 3.0
"""A voxel this many times longer or shorter than in the middle case is told of."""
ENOUGH = 5
"""With fewer cases nobody knows what is usual."""

Severity = Literal["error", "warning"]


def cohort_findings(
    cases: Iterable[Case], headers: Mapping[ImageRef, Header], *, channels: Sequence[str], sliced: bool
) -> Iterator[Finding]:
    """Cases with other channels, another unit of length, other dimensions or other voxels than most of the cohort."""
    whole = [case for case in cases if case.files and all(ref in headers for ref in case.files)]
    first = {case.id: headers[case.files[0]] for case in whole}
    complete = [case for case in whole if not case.missing]

    def count(case: Case) -> str:
        return str(sum(headers[ref].channels for ref in case.files))

    fix = f"the channels of this cohort are {', '.join(channels)}: convert the file, or leave the case out"
    yield from _unlike(complete, count, kind="channels differ", unit=" channels", fix=fix)
    fix = "store all of them in one format: a length in pixels cannot be compared with one in mm"
    yield from _unlike(whole, lambda case: first[case.id].grid.unit, kind="unit differs in the cohort", fix=fix)
    fix = "one network learns from images or from volumes: leave the case out, or set data.dims=2 to learn from slices"
    yield from _unlike(
        whole,
        lambda case: "one slice" if first[case.id].grid.shape[2] == 1 else "a volume",
        kind="images and volumes mixed",
        fix=fix,
        severity="warning" if sliced else "error",
    )
    yield from _unusual_spacing(whole, first)


def _unlike(
    cases: Sequence[Case],
    trait: Callable[[Case], str],
    *,
    kind: str,
    fix: str,
    unit: str = "",
    severity: Severity = "error",
) -> Iterator[Finding]:
    """The cases whose trait is not that of most."""
    found = {case.id: trait(case) for case in cases}
    if len(set(found.values())) < 2:
        return
    usual, number = Counter(found.values()).most_common(1)[0]
    for case in cases:
        if found[case.id] != usual:
            yield Finding(
                severity,
                kind,
                case.id,
                str(case.files[0]),
                received=f"{found[case.id]}{unit}",
                expected=f"{usual}{unit} as {number} of {len(cases)} cases have",
                fix=fix,
            )


def _unusual_spacing(cases: Sequence[Case], first: Mapping[str, Header]) -> Iterator[Finding]:
    """Volumes whose voxels, shortest side first, are far from those of the middle case: often a wrong unit."""
    volumes = [case for case in cases if first[case.id].grid.unit == "mm" and first[case.id].grid.shape[2] > 1]
    if len(volumes) < ENOUGH:
        return
    spacings = np.array([sorted(first[case.id].grid.spacing) for case in volumes])
    usual = np.median(spacings, axis=0)
    for case, off in zip(volumes, np.abs(np.log(spacings / usual)).max(axis=1), strict=True):
        if off > np.log(UNUSUAL_FACTOR):
            yield Finding(
                "warning",
                "unusual spacing",
                case.id,
                str(case.files[0]),
                received=_shown(sorted(first[case.id].grid.spacing)),
                expected=f"about {_shown(usual.tolist())} as the middle case has",
                fix="see whether the header has the right unit of length",
            )


def _shown(spacing: Iterable[float]) -> str:
    return " x ".join(f"{step:.4g}" for step in spacing) + " mm"
