"""What was found in a data set, in a few lines for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from hilum.errors import number_of
from hilum.pipeline.proposal.recipe import by
from hilum.pipeline.proposal.survey import Head, Survey

SHOWN = 5
"""How many of many faults are named."""


def listing(survey: Survey) -> tuple[str, ...]:
    """Cases, patients, channels, classes or label values, sizes, types of values, parts, and what is missing."""
    return tuple(line for line in _lines(survey) if line)


def _lines(survey: Survey) -> Iterator[str]:
    cohort, heads = survey.cohort, survey.heads
    channels = number_of(len(cohort.channels), "channel")
    yield (
        f"{number_of(len(cohort.cases), 'case')} of {number_of(survey.patients, 'patient')}, "
        f"{channels} ({', '.join(cohort.channels)})"
    )
    yield f"images: {_sizes(heads, survey)}"
    stored = Counter(head.header.stored for head in heads if head.header.stored)
    values = f"values {survey.low:.4g} to {survey.high:.4g} in {number_of(len(survey.contents), 'training image')}"
    yield f"stored as {', '.join(f'{name} ({count})' for name, count in stored.most_common())}; {values}"
    yield _labels(survey)
    parts = [(part, cases) for part, cases in survey.split.parts.items() if cases]
    yield "parts: " + ", ".join(f"{part} {len(cases)}" for part, cases in parts)
    yield from (f"note: {note}" for note in (*cohort.notes, *survey.split.notes))
    yield from (f"note: {finding}" for finding in cohort.findings[:SHOWN])
    lacking = sum(bool(case.missing) for case in cohort.cases)
    yield f"{number_of(lacking, 'case')} without some of the channels" if lacking else ""
    if survey.faults:
        yield f"cannot be used: {number_of(len(survey.faults), 'file')}; mend or remove them before training"
        yield from (f"  {' '.join(fault.split())}" for fault in survey.faults[:SHOWN])
        yield f"  and {len(survey.faults) - SHOWN} more" if len(survey.faults) > SHOWN else ""


def _sizes(heads: Sequence[Head], survey: Survey) -> str:
    shapes = np.array([head.shape for head in heads], dtype=float)
    if survey.flat:
        shapes = shapes[:, :2]
    text = _range(shapes, "voxels" if shapes.shape[1] == 3 else "pixels")
    if len(heads) < len(survey.cohort.cases):
        text = f"{len(heads)} of {len(survey.cohort.cases)} looked at; {text}"
    if survey.unit == "pixel":
        return f"{text}, without a size in mm"
    return f"{text}; {_range(np.array([head.spacing for head in heads]), 'mm')}"


def _range(values: npt.NDArray[np.floating], unit: str) -> str:
    low, high, middle = values.min(axis=0), values.max(axis=0), np.median(values, axis=0)
    if np.allclose(low, high, rtol=1e-3):
        return f"{by(low)} {unit}"
    return f"{by(low)} to {by(high)} {unit}, typically {by(middle)}"


def _labels(survey: Survey) -> str:
    if survey.task == "classification":
        counts = Counter(survey.cohort.labels.values())
        shown = ", ".join(f"{text} {count}" for text, count in counts.most_common(12))
        return f"classes: {shown}" + (f" and {len(counts) - 12} more" if len(counts) > 12 else "")
    masks = survey.masks
    looked = f"{masks.total} masks" if masks.complete else f"{masks.looked} of {masks.total} masks looked at"
    return f"{looked}: label values " + ", ".join(f"{value} (in {count})" for value, count in masks.cases.items())
