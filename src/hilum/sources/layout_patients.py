"""Guesses about patients: a table beside the data, numbered slices of one stack, or nobody knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hilum.errors import DataError
from hilum.formats.reading import read, read_header
from hilum.sources.layout_record import Guess
from hilum.sources.tables import SUFFIXES, read_table

if TYPE_CHECKING:
    import numpy.typing as npt

    from hilum.case import ImageRef

LOOKED_AT = 12
"""Neighbouring pictures that are compared."""

ALIKE = 0.15
"""By how much more the slices of a stack correlate with their neighbours than with others, at least."""

GRID = 48
"""Points along each side at which pictures are compared."""

UNKNOWN = (
    "who the patients are: nothing names them, so every case counts as a patient of its own; where one patient has "
    "several, say so (`patients: {regex: ...}` or `{table: ...}`), or training and test will share patients"
)


def guess_patients(root: Path, ids: Sequence[str], images: Sequence[ImageRef] = ()) -> Guess:
    """The `patients` section for these cases: a table in `root` that names all of them, one stack, or each case."""
    for file in sorted(path for path in root.iterdir() if path.name.lower().endswith(SUFFIXES)):
        try:
            table = read_table(file)
        except DataError:
            continue
        if {"case_id", "patient_id"} <= {*table.columns} and {*ids} <= {row["case_id"] for row in table.rows}:
            return Guess({"table": file.name})
    if _numbered(ids) and _one_stack(images):
        doubt = "whether all images are slices of one stack: they are numbered, and neighbours resemble each other"
        return Guess({"one": root.resolve().name}, (doubt,))
    return Guess({"each_case": True}, (UNKNOWN,))


def _numbered(ids: Sequence[str]) -> bool:
    """Whether the ids differ by one number only, and the numbers follow each other without a gap."""
    found = [re.fullmatch(r"(.*?)(\d+)", one) for one in ids]
    if len(ids) < 4 or not all(found) or len({match[1] for match in found if match}) != 1:
        return False
    numbers = sorted(int(match[2]) for match in found if match)
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _one_stack(images: Sequence[ImageRef]) -> bool:
    """Whether pictures of one size resemble their neighbours more than those further away."""
    looked = list(images)[:LOOKED_AT]
    try:
        shapes = {read_header(image).grid.shape for image in images}
        if len(shapes) != 1 or next(iter(shapes))[2] != 1 or len(looked) < 4:
            return False
        likeness = np.asarray(np.corrcoef(np.stack([_thumbnail(image) for image in looked])))
    except DataError:
        return False
    apart = np.abs(np.subtract.outer(np.arange(len(looked)), np.arange(len(looked))))
    near, far = likeness[apart == 1], likeness[apart >= max(2, len(looked) // 3)]
    return bool(np.isfinite(likeness).all() and near.mean() - far.mean() > ALIKE)


def _thumbnail(image: ImageRef) -> npt.NDArray[np.float64]:
    pixels = read(image).tensor.mean(0)[:, :, 0].numpy()
    rows, columns = (np.linspace(0, size - 1, min(size, GRID)).astype(int) for size in pixels.shape)
    smooth = (pixels + np.roll(pixels, 1, 0) + np.roll(pixels, 1, 1)) / 3.0
    return np.asarray(smooth[np.ix_(rows, columns)], dtype=np.float64).ravel()
