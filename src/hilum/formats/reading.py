"""Images and masks of any known format as volumes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hilum.case import ImageRef
from hilum.errors import DataError, Finding, HilumError, nearest
from hilum.formats import dicom, metaimage, nifti, npy, npz, nrrd, png, tiff
from hilum.formats.base import described, reason
from hilum.formats.dicom_headers import has_magic
from hilum.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from hilum.formats.base import Format, Header, Opened

FORMATS: tuple[Format, ...] = (
    *(nifti.FORMAT, metaimage.FORMAT, nrrd.FORMAT, dicom.FORMAT, png.FORMAT, tiff.FORMAT, npy.FORMAT, npz.FORMAT),
)

PART_VOXELS = 2**22
"""Voxels that are looked at together, so that it takes no memory of the size of a large volume."""
ROUNDING = 1e-3
"""Masks stored as floats may miss a whole number by this much (0.99999997 has been met)."""


def read_header(ref: ImageRef) -> Header:
    """Grid, channels and frames of an image, its voxels unread. Raises DataError naming the file and what is wrong."""
    return _open(ref).header


def read(ref: ImageRef, *, frames_as_channels: bool = False) -> Volume:
    """An image as float32 (C, I, J, K) on its grid.

    Raises DataError naming the file: missing, broken, not finite, or a series (4-D) without `frames_as_channels`.
    """
    opened = _open(ref)
    header = opened.header
    if header.frames > 1 and not frames_as_channels:
        raise DataError([several_frames(ref, header)])
    with _all_errors_named(ref), np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite: refused below
        array = opened.voxels().astype(np.float32, order="C")
    finite = sum(int(np.isfinite(part).sum()) for part in np.array_split(array.ravel(), array.size // PART_VOXELS + 1))
    if finite < array.size:
        count = array.size - finite
        found = f"{count} of {array.size} voxels NaN or infinite"
        raise DataError([Finding("error", "not finite", file=str(ref), received=found, fix="replace them first")])
    return Volume(torch.from_numpy(array), header.grid)


def read_image(refs: Sequence[ImageRef], *, frames_as_channels: bool = False) -> Volume:
    """Several images of one scan (its modalities) stacked as channels, float32 (C, I, J, K).

    Raises DataError where their grids differ, or as `read` does.
    """
    if _are_all_frames(refs):
        whole = read(ImageRef(refs[0].path), frames_as_channels=True)  # decompressed once, not once a frame
        order = [ref.index for ref in refs]
        return whole if order == [*range(len(whole.tensor))] else Volume(whole.tensor[order], whole.grid)
    volumes = [read(ref, frames_as_channels=frames_as_channels) for ref in refs]
    first = volumes[0]
    for ref, volume in zip(refs[1:], volumes[1:], strict=True):
        if not first.grid.matches(volume.grid):
            raise DataError(
                f"{ref} and {refs[0]} lie on different grids: {described(volume.grid)} against {described(first.grid)};"
                " channels of one scan must share a grid: resample them first"
            )
    return first if len(volumes) == 1 else Volume(torch.cat([volume.tensor for volume in volumes]), first.grid)


def _are_all_frames(refs: Sequence[ImageRef]) -> bool:
    """Whether the images are all frames of one file."""
    if len(refs) == 1 or len({ref.path for ref in refs}) > 1 or any(ref.key is not None for ref in refs):
        return False
    indices = {ref.index for ref in refs}
    header = None if None in indices else read_header(ImageRef(refs[0].path))
    return header is not None and header.channels == 1 and indices == set(range(header.frames))


def read_mask(ref: ImageRef) -> Volume:
    """Label values as int32 (1, I, J, K) on the mask's grid; raises DataError as `read_labels` does."""
    return read_labels(ref)[0]


def read_labels(ref: ImageRef) -> tuple[Volume, int]:
    """Label values as int32 (1, I, J, K) on the mask's grid, and how many of them had to be rounded.

    Floats within ROUNDING of a whole number are rounded. Raises DataError for others, for several channels, and as
    `read` does.
    """
    opened = _open(ref)
    with _all_errors_named(ref):
        array = (opened.labels or opened.voxels)()
    if len(array) != 1:
        raise DataError(f"{ref}: a mask needs one value a voxel, received {len(array)}")
    whole = _rounded(ref, array) if array.dtype.kind == "f" else array
    limits = np.iinfo(np.int32)
    if whole.min() < limits.min or whole.max() > limits.max:
        raise DataError(f"{ref}: label values from {whole.min()} to {whole.max()} exceed 32 bits")
    changed = int((whole != array).sum()) if array.dtype.kind == "f" else 0
    return Volume(torch.from_numpy(whole.astype(np.int32, order="C")), opened.header.grid), changed


def several_frames(ref: ImageRef, header: Header) -> Finding:
    """That an image is a series of volumes where one is expected."""
    return Finding(
        "error",
        "4-D series",
        file=str(ref),
        received=f"{header.frames} frames of {header.grid.shape} voxels",
        expected="one volume",
        fix="extract one frame, or a mean over them",
    )


def _rounded(ref: ImageRef, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    whole = np.rint(array)
    with np.errstate(invalid="ignore"):
        off = ~(np.abs(whole - array) <= ROUNDING)  # NaN, also from infinity, counts as off
    if off.any():
        shown = ", ".join(f"{value:g}" for value in np.unique(array[off])[:5])
        raise DataError(
            [
                Finding(
                    "error",
                    "not whole numbers",
                    file=str(ref),
                    received=f"{shown} ({int(off.sum())} such voxels)",
                    expected=f"the whole numbers that a mask needs (within {ROUNDING:g})",
                    fix="store labels, not probabilities or interpolated values",
                )
            ]
        )
    return whole


def files_of(ref: ImageRef) -> tuple[Path, ...]:
    """Every file that an image is read from: the file itself, and those that it or its folder stands for."""
    return format_of(ref.path).files(ref)


def format_of(path: Path) -> Format:
    """The format that a file's name stands for; folders, and files that say so in their first bytes, are DICOM.

    Raises DataError for an unknown suffix.
    """
    if path.is_dir():
        return dicom.FORMAT
    name = path.name.lower()
    for option in FORMATS:
        if name.endswith(option.suffixes):
            return option
    if has_magic(path):
        return dicom.FORMAT
    suffixes = [suffix for option in FORMATS for suffix in option.suffixes]
    close = nearest("".join(path.suffixes[-2:]).lower(), suffixes) or nearest(path.suffix.lower(), suffixes)
    hint = f"; did you mean {close}?" if close else ""
    raise DataError(f"{path}: unknown kind of file; hilum reads {', '.join(suffixes)} and folders of DICOM{hint}")


def stem(path: Path) -> str:
    """The file's name without the suffix of its format (`.nii.gz` is one); a folder's name as it is.

    Raises DataError for an unknown suffix.
    """
    ends = [end for end in format_of(path).suffixes if path.name.lower().endswith(end)]
    return path.name if path.is_dir() or not ends else path.name[: -len(max(ends, key=len))]


def is_image(path: Path) -> bool:
    """Whether a path is that of an image which stands alone (an .npz file needs a key and a row).

    A file is one by its name, or by its first bytes where it is DICOM; a folder where DICOM files lie in it.
    """
    if path.is_dir():
        return dicom.holds_series(path)
    try:
        return format_of(path).alone
    except DataError:
        return False


def _open(ref: ImageRef) -> Opened:
    if not ref.path.exists():
        siblings = [path.name for path in ref.path.parent.iterdir()] if ref.path.parent.is_dir() else []
        close = nearest(ref.path.name, siblings)
        if close is None and ref.path.suffix:
            format_of(ref.path)
        raise DataError(f"{ref.path}: no such file" + (f"; did you mean '{close}'?" if close else ""))
    if not (ref.path.is_file() or ref.path.is_dir()):  # opening a pipe would wait for whoever writes into it
        raise DataError(f"{ref.path}: neither a file nor a folder, expected an image")
    with _all_errors_named(ref):
        return format_of(ref.path).open(ref)


@contextmanager
def _all_errors_named(ref: ImageRef) -> Iterator[None]:
    """Raise DataError naming the image for whatever surprises a library in it: none says all that it may raise."""
    try:
        yield
    except HilumError:
        raise
    except MemoryError as error:
        raise DataError(f"{ref}: the image does not fit into memory") from error
    except Exception as error:
        raise DataError(f"{ref.path}: not a readable image ({reason(error)})") from error
