"""What the text of a label means: a class, findings that may come together, or numbers in their own unit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hilum.case import Cells
from hilum.errors import DataError, nearest
from hilum.problem import IGNORE, Problem

PRESENT = frozenset({"1", "1.0", "true", "yes"})
ABSENT = frozenset({"0", "0.0", "false", "no"})
"""What a column of one finding may hold, in capitals or not."""
UNKNOWN_CELL = ""
"""A cell that says nothing: neither a loss nor a score sees it."""

Vector = npt.NDArray[np.float64] | npt.NDArray[np.int8]
"""Numbers (T,), NaN where unknown; or findings (L,) as 0 and 1, IGNORE where unknown."""


def encoded_label(label: str | Cells, problem: Problem) -> int | Vector:
    """The class index of a classification, the findings of a multilabel task, or the numbers of a regression.

    Raises DataError with what was received and what was expected.
    """
    if problem.kind == "regression":
        return numbers(label, problem)
    if problem.kind == "multilabel":
        return findings(label, problem)
    if not isinstance(label, str):
        raise DataError(f"has the columns {_names(label)}, a classification needs one: give data.source.label one")
    return problem.encode_class(label)


def numbers(label: str | Cells, problem: Problem) -> npt.NDArray[np.float64]:
    """The numbers (T,) of a label, NaN where a cell is empty. Raises DataError for texts that are no finite number."""
    cells = _cells(label, problem)
    values = np.array([_number(name, cells[name]) for name in problem.classes], dtype=np.float64)
    if np.isnan(values).all():
        raise DataError(f"has no number at all, expected {problem.described()}")
    return values


def findings(label: str | Cells, problem: Problem) -> npt.NDArray[np.int8]:
    """The findings (L,) of a label: 1 present, 0 absent, IGNORE unknown.

    From one text, the names (or values) of those that are present with the problem's separator between them; or from a
    column of 1 and 0 for each. Raises DataError for names that nobody declared, and for other cells.
    """
    if isinstance(label, str):
        named = [part.strip() for part in label.split(problem.separator)]
        present = {index for part in named if part and (index := _finding(part, problem)) is not None}
        return np.array([index in present for index in range(len(problem.classes))], dtype=np.int8)
    cells = _cells(label, problem)
    found = np.array([_present(name, cells[name]) for name in problem.classes], dtype=np.int8)
    if (found == IGNORE).all():
        raise DataError("says nothing of any finding: every column is empty")
    return found


def nowhere_known(labels: Sequence[str | Cells], problem: Problem) -> list[str]:
    """The findings or numbers that none of the labels tells. Raises DataError as `encoded_label` does."""
    if problem.kind not in ("multilabel", "regression") or not labels:
        return []
    values = np.stack([np.asarray(encoded_label(label, problem)) for label in labels])
    known = ~np.isnan(values) if problem.continuous else values != IGNORE
    return [name for name, there in zip(problem.classes, known.any(axis=0), strict=True) if not there]


def scales_of(values: Sequence[npt.NDArray[np.float64]], problem: Problem) -> tuple[tuple[float, float], ...]:
    """Mean and standard deviation (that of the population) of each number of the training part, from labels (T,).

    Raises DataError for a number that is unknown or the same everywhere: there is nothing to learn then.
    """
    table, scales = np.stack(values), []
    for name, column in zip(problem.classes, table.T, strict=True):
        known = column[~np.isnan(column)]
        if not known.size:
            raise DataError(f"'{name}' is unknown in every case of the training part: there is nothing to learn from")
        mean, std = float(known.mean()), float(known.std())
        if known.min() == known.max() or not std > 0:  # rounding gives equal numbers a spread of 1e-17, too
            raise DataError(
                f"'{name}' is {known[0]:g} in all {known.size} cases of the training part: there is nothing to learn"
            )
        scales.append((mean, std))
    return tuple(scales)


def _cells(label: str | Cells, problem: Problem) -> dict[str, str]:
    """What each name of the problem has in the table. Raises DataError for names that do not fit, with the nearest."""
    if isinstance(label, str):
        if len(problem.classes) > 1:
            raise DataError(
                f"has one label, '{label}', expected {len(problem.classes)}: give data.source.label a column for each "
                f"of {', '.join(problem.classes)}"
            )
        return {problem.classes[0]: label}
    cells = dict(label)
    for name in cells:
        if name not in problem.classes:
            close = nearest(name, problem.classes)
            hint = f"; did you mean '{close}'?" if close else ""
            raise DataError(f"has a label '{name}', expected {', '.join(problem.classes)}{hint}")
    lacking = [name for name in problem.classes if name not in cells]
    if lacking:
        raise DataError(f"has no column for {', '.join(lacking)}: name one in data.source.label")
    return cells


def _number(name: str, text: str) -> float:
    if text == UNKNOWN_CELL:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{name}: received '{text}', expected a number")
    return value


def _present(name: str, text: str) -> int:
    if text == UNKNOWN_CELL:
        return IGNORE
    if text.casefold() in PRESENT | ABSENT:
        return int(text.casefold() in PRESENT)
    raise DataError(f"{name}: received '{text}', expected 1 or 0 (or true, false, yes, no), or nothing where unknown")


def _finding(text: str, problem: Problem) -> int | None:
    """The index of a finding by its name or value; None for a text that stands for no finding, or for another one."""
    for index, (name, values) in enumerate(zip(problem.classes, problem.values, strict=True)):
        if text == name or text in map(str, values):
            return index
    if text in problem.nothing or problem.others:
        return None
    close = nearest(text, [*problem.classes, *problem.nothing])
    hint = f"; did you mean '{close}'?" if close else ""
    raise DataError(
        f"received the finding '{text}', expected some of {problem.described()} or, for none of them, "
        f"{', '.join(problem.nothing) or 'nothing'}{hint}; others: ignore passes over those that are not asked for"
    )


def _names(label: Cells) -> str:
    return ", ".join(name for name, _ in label)
