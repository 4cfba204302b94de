"""What MetaImage and NRRD have in common: SimpleITK reads them, in LPS+ millimetres, which become RAS+ here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import DataError, nearest
from hilum.formats.base import Header, Opened, chosen_frame, place, reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from hilum.case import ImageRef
    from hilum.formats.base import Array

HEADER_BYTES = 65536
"""A text header is looked for in so much of a file that holds its voxels too."""

HEADERS_ALONE = (".mhd", ".nhdr")
"""Files that are headers throughout; a list of data files may make them long."""


def open_itk(ref: ImageRef, *, unit_mm: float | None, facts: Mapping[str, str]) -> Opened:
    """An image that SimpleITK reads, with its header read: components are channels, a fourth dimension is frames.

    `unit_mm` is the length of the header's unit; None: the file has no spacing, and its axes become those of pictures
    (rows, columns, slices) in pixels. Direction cosines are kept as they are, orthonormal or not. Raises DataError for
    a broken file.
    """
    reader = _reader(ref.path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise DataError(f"{ref.path}: the header cannot be read ({_cause(error)})") from error
    sizes, channels, stored = reader.GetSize(), reader.GetNumberOfComponents(), _stored(ref.path, reader)
    if not 2 <= len(sizes) <= 4 or (channels > 1 and len(sizes) == 4 and sizes[3] > 1):
        found = f"{len(sizes)} dimensions {sizes} and {channels} values a voxel"
        raise DataError(f"{ref.path}: {found} are neither an image, a volume, a series of volumes nor a vector volume")
    columns, rows, slices = (*sizes, 1)[:3]
    if unit_mm is None:
        grid = place(ref.path, shape=(rows, columns, slices), affine=np.eye(4), unit="pixel")
    else:
        grid = place(ref.path, shape=(columns, rows, slices), affine=_affine(reader, unit_mm), unit="mm")
    frames = chosen_frame(ref, (*sizes, 1, 1)[3])
    header = Header(grid, channels, frames, stored, facts)
    return Opened(header, lambda: _voxels(ref, channels, turned=unit_mm is None))


def text_header(path: Path) -> str:
    """The text at the beginning of a file. Raises DataError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            alone = path.name.lower().endswith(HEADERS_ALONE)
            return stream.read(None if alone else HEADER_BYTES).decode("latin-1")
    except OSError as error:
        raise DataError(f"{path}: {reason(error)}") from error


def numbered_files(path: Path, words: list[str]) -> tuple[Path, ...]:
    """The files of a pattern: a name such as `slice_%03d.raw`, the first number, the last, and the step (1).

    Raises DataError where that is not what the words say.
    """
    try:
        first, last, step = (int(word) for word in [*words[1:4], "1"][:3])
        return tuple(path.parent / (words[0] % number) for number in range(first, last + 1, step))
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{path}: its data files are given as '{' '.join(words)}', expected a pattern and two numbers"
        ) from error


def require_files(path: Path, files: tuple[Path, ...], *, need_bytes: int) -> None:
    """Raise DataError where data files that a header names do not exist, or together are smaller than they must be.

    ITK finds that out too, but only when it reads the voxels, and says it beside the exception.
    """
    for file in files:
        if not file.is_file():
            names = [sibling.name for sibling in file.parent.iterdir()] if file.parent.is_dir() else []
            close = nearest(file.name, names)
            hint = f"; did you mean '{close}'?" if close else ""
            raise DataError(f"{path}: its voxels are in {file}, and there is no such file{hint}")
    held = sum(file.stat().st_size for file in files)
    if held < need_bytes:
        raise DataError(f"{path}: truncated: by its header {need_bytes} bytes are needed, {held} are there")


def _reader(path: Path) -> Any:
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # what is wrong is said by DataError, with the file's name
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    return reader


def _cause(error: RuntimeError) -> str:
    """What ITK says, first and last line, without the places in its source code and the addresses in memory."""
    lines = [line.split("ERROR: ", 1)[-1] for line in str(error).splitlines() if line.strip()]
    text = " ".join(dict.fromkeys([*(line for line in lines[1:2]), *lines[-1:]]))
    return re.sub(r"\s*\(0x[0-9a-f]+\)", "", text).strip() or type(error).__name__


def _stored(path: Path, reader: Any) -> str:
    """The type of a component in numpy's words: "vector of 16-bit unsigned integer" is uint16."""
    import SimpleITK

    words = SimpleITK.GetPixelIDValueAsString(reader.GetPixelID())
    found = re.search(r"(\d+)-bit (signed integer|unsigned integer|float)", words)
    if found is None or "complex" in words:
        raise DataError(f"{path}: voxels are {words}, expected real numbers")
    return {"s": "int", "u": "uint", "f": "float"}[found[2][0]] + found[1]


def _affine(reader: Any, unit_mm: float) -> npt.NDArray[np.float64]:
    """ITK's spacing, direction and origin (LPS) as an affine in RAS+ millimetres."""
    dimensions = len(reader.GetSize())
    used = min(dimensions, 3)
    directions = np.reshape(reader.GetDirection(), (dimensions, dimensions))[:used, :used]
    affine = np.eye(4)
    affine[:used, :used] = directions * reader.GetSpacing()[:used] * unit_mm
    affine[:used, 3] = np.asarray(reader.GetOrigin()[:used]) * unit_mm
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _voxels(ref: ImageRef, channels: int, *, turned: bool) -> Array:
    """Values (channels * frames, I, J, K)."""
    import SimpleITK

    try:
        image = _reader(ref.path).Execute()
    except RuntimeError as error:
        raise DataError(f"{ref.path}: voxels cannot be read ({_cause(error)})") from error
    array = SimpleITK.GetArrayFromImage(image).T  # (I, J, K, frames), or (channels, I, J, K); the last may be absent
    if channels == 1:
        array = np.moveaxis(array.reshape((*array.shape, 1, 1)[:4]), -1, 0)
        array = array if ref.index is None else array[ref.index : ref.index + 1]
    array = array.reshape((*array.shape, 1)[:4])
    return array.swapaxes(1, 2) if turned else array
