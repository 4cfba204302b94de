"""Everything that is known of cases beside their voxels and labels, as columns of text: tables, headers, file names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from math import isfinite, prod

from hilum.case import Case, ImageRef
from hilum.errors import DataError
from hilum.formats.base import Header
from hilum.formats.reading import read_header, stem

NOTHING = "(empty)"
"""Shown for an empty cell: that a value is missing may go together with the label, too."""
FEW_VALUES = 20
"""A column of numbers with more different values is a measurement; one of words names, or many groups."""
MANY_VALUES = 200
"""A column with up to this many values names groups where they stand for ten patients each, such as sites."""
PATIENTS_OF_MANY = 10
MEASURED = 0.9
"""The share of a column's different values that are numbers or days from which it is a measurement."""
NOT_GROUPS = ("patient_id", "patient_name", "forms_differ_mm", "series_uid", "study_uid", "sop_uid")
"""Facts of headers that name somebody or something, or that are checked elsewhere."""

MEASURED_AS = {"image size": "image size: voxels", "spacing": "spacing: voxel volume"}
"""Facts of headers that are text, such as 1 x 1 x 3 mm: where they are no groups, the numbers within are compared."""

Column = dict[str, str]
"""A value for each case id."""


def headers_of(cases: Iterable[Case]) -> dict[ImageRef, Header]:
    """The header of the first image of each case that can be read."""
    headers = {}
    for case in cases:
        for ref in case.files[:1]:
            try:
                headers[ref] = read_header(ref)
            except DataError:  # the index says so
                continue
    return headers


def columns_of(cases: Sequence[Case], headers: Mapping[ImageRef, Header]) -> dict[str, Column]:
    """By name, every column of the table and every fact of the first image's header that differs between cases."""
    columns: dict[str, Column] = defaultdict(dict)
    for case in cases:
        known = dict(case.metadata) | _acquisition(case, headers)
        for name, value in known.items():
            columns[name][case.id] = value or NOTHING
    for column in columns.values():
        for case in cases:
            column.setdefault(case.id, NOTHING)
    for text in MEASURED_AS:  # either the text or its numbers, which say the same
        grouped = is_group(columns.get(text, {}), cases)
        for name in [name for name in columns if family(name) == text and (name == text) != grouped]:
            del columns[name]
    return {name: column for name, column in columns.items() if len(set(column.values())) > 1}


def family(name: str) -> str:
    """The text that a column holds a number of, such as spacing for spacing: axis 1; any other column is its own."""
    text = name.partition(": ")[0]
    return text if text in MEASURED_AS else name


def is_number(column: Column, cases: Sequence[Case]) -> bool:
    """Whether its values are numbers (or days), too many different ones to be groups; a few may be words."""
    values = set(column.values()) - {NOTHING}
    if len(values) < 2 or (len(values) <= FEW_VALUES and is_group(column, cases)):
        return False
    return sum(_number(value) is not None for value in values) >= MEASURED * len(values)


def numbers(column: Column) -> dict[str, float]:
    """The numbers of a column, by case id; a day (2020-07-01) as years (2020.5)."""
    found = {case_id: _number(value) for case_id, value in column.items()}
    return {case_id: value for case_id, value in found.items() if value is not None}


def is_group(column: Column, cases: Sequence[Case]) -> bool:
    """Whether its few values each stand for several patients on average: no names, no numbers."""
    values, patients = len(set(column.values())), len({case.patient for case in cases})
    return 1 < values <= max(min(FEW_VALUES, patients // 2), min(MANY_VALUES, patients // PATIENTS_OF_MANY))


def restates(column: Column, labels: Mapping[str, str]) -> bool:
    """Whether a column says the label in other words: each value belongs to one class, and names it.

    "Edema|Pneumonia" restates the class pneumonia, "No Finding" the class no_finding. Values met once prove nothing.
    """
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    for case_id, label in labels.items():
        classes[column[case_id]][label] += 1
    repeated = {value: counts for value, counts in classes.items() if counts.total() > 1}
    covered = sum(counts.total() for counts in repeated.values())
    if covered < len(labels) / 2 or len({next(iter(counts)) for counts in repeated.values()}) < 2:
        return False
    pure = all(len(counts) == 1 for counts in repeated.values())
    named = sum(_plain(label) in _plain(value) for value, counts in repeated.items() for label in counts)
    return pure and named >= len(repeated) / 2


def _acquisition(case: Case, headers: Mapping[ImageRef, Header]) -> Column:
    if not case.files or case.files[0] not in headers:
        return {}
    ref, header = case.files[0], headers[case.files[0]]
    grid = header.grid
    sizes = [size for size in grid.shape if size > 1] or [1]
    known = {
        "image size": " x ".join(map(str, sizes)),
        MEASURED_AS["image size"]: str(prod(sizes)),
        **{f"image size: axis {axis}": str(size) for axis, size in enumerate(sizes, start=1)},
        "type of voxels": header.stored,
        "channels of the file": str(header.channels),
        "kind of file": ref.path.name[len(stem(ref.path)) :],
        "channels present": ", ".join(str(index) for index, image in enumerate(case.images) if image is not None),
    }
    if grid.unit == "mm":
        known["spacing"] = " x ".join(f"{step:.3g}" for step in grid.spacing) + " mm"
        known[MEASURED_AS["spacing"]] = f"{prod(grid.spacing):.4g}"
        known |= {f"spacing: axis {axis}": f"{step:.3g}" for axis, step in enumerate(grid.spacing, start=1)}
        known["orientation"] = "".join(grid.orientation)
    facts = {name.replace("_", " "): text for name, text in header.facts.items() if name not in NOT_GROUPS}
    return known | {name: text for name, text in facts.items() if name not in case.metadata}


def _plain(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return _years(text)
    return value if isfinite(value) else None


def _years(text: str) -> float | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day.year + (day.timetuple().tm_yday - 1) / 365.25
