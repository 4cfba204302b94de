"""DICOM: a series of slices in a folder, a multi-frame file, or a lone image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hilum.case import ImageRef
from hilum.errors import DataError, nearest
from hilum.formats.base import Format, Header, Opened, chosen_frame, reason
from hilum.formats.dicom_geometry import Frame, Stack, stacked
from hilum.formats.dicom_headers import Instance, has_magic, read_instance
from hilum.formats.dicom_pixels import measured

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hilum.formats.base import Array

SUFFIXES = (".dcm", ".dicom", ".ima")


@dataclass(frozen=True)
class SeriesInfo:
    """One series of a folder: what tells it from others, its files, and `ref`, by which it is read.

    `shape` is (columns, rows, planes). A series of one file is read by the file, others by the folder and their uid.
    """

    uid: str
    description: str
    modality: str
    patient_id: str
    files: tuple[Path, ...]
    shape: tuple[int, int, int]
    ref: ImageRef

    def __str__(self) -> str:
        return f"{self.uid} ({self.description or 'no description'}, {self.modality}, {self.shape[2]} slices)"


def series_in(folder: Path) -> list[SeriesInfo]:
    """The series whose files lie in the folder itself (not in folders below it), in the order of their first files.

    Raises DataError where a DICOM file of the folder is broken.
    """
    return _grouped(folder, _instances(folder))


def readable_series(folder: Path) -> tuple[list[SeriesInfo], tuple[Path, ...]]:
    """What `series_in` gives, from the files that can be read, and the DICOM files that cannot."""
    instances, broken = _scan(folder)
    return _grouped(folder, instances), tuple(broken)


def holds_series(folder: Path) -> bool:
    """Whether a DICOM file lies in the folder itself."""
    return any(is_dicom(path) for path in _files(folder))


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its suffix or, where it has none that hilum knows, by its first bytes."""
    return path.name.lower().endswith(SUFFIXES) or has_magic(path)


def open_dicom(ref: ImageRef) -> Opened:
    """A series (folder, and its identifier where there are several), a multi-frame file or a lone image.

    A multi-frame file whose frames have no place of their own is a series of frames. The order of the files, their
    names and their numbers mean nothing: planes are sorted along their normal. Raises DataError for broken files, for
    several series without a choice, and for slices that make no volume.
    """
    instances = _chosen(ref)
    first = instances[0]
    _check_layout(ref, instances)
    frames = [Frame(instance, number, p) for instance in instances for number, p in enumerate(instance.planes)]
    times = len(frames) if len(instances) == 1 and all(frame.plane.position is None for frame in frames) else 1
    stack = stacked(ref.path, frames[:1] if times > 1 else frames)
    header = Header(
        stack.grid, first.samples, chosen_frame(ref, times), first.stored, _facts(first, stack, len(instances))
    )
    return Opened(header, lambda: _voxels(ref, frames if times > 1 else stack.frames, stack, times))


def frames_of(ref: ImageRef) -> tuple[Frame, ...]:
    """The planes of a volume in the order of K, each with its file and its place in the patient.

    Raises DataError as `open_dicom` does, and for an image that does not say where it lies.
    """
    frames = [Frame(instance, number, p) for instance in _chosen(ref) for number, p in enumerate(instance.planes)]
    if any(frame.plane.position is None for frame in frames):
        raise DataError(f"{ref}: does not say where in the patient it lies (no ImagePositionPatient)")
    return stacked(ref.path, frames).frames


def files_of_series(ref: ImageRef) -> tuple[Path, ...]:
    """The file, or all files of the series in a folder."""
    return (ref.path,) if not ref.path.is_dir() else tuple(sorted(instance.path for instance in _chosen(ref)))


def _grouped(folder: Path, instances: Sequence[Instance]) -> list[SeriesInfo]:
    found: dict[str, list[Instance]] = {}
    for instance in instances:
        found.setdefault(instance.series, []).append(instance)
    return [_info(folder, uid, files, alone=len(found) == 1) for uid, files in found.items()]


def _info(folder: Path, uid: str, instances: Sequence[Instance], *, alone: bool) -> SeriesInfo:
    facts, first = instances[0].facts, instances[0]
    ref = ImageRef(first.path) if len(instances) == 1 else ImageRef(folder, key=None if alone else uid)
    return SeriesInfo(
        uid=uid,
        description=facts.get("series_description", ""),
        modality=facts.get("modality", ""),
        patient_id=facts.get("patient_id", ""),
        files=tuple(instance.path for instance in instances),
        shape=(first.columns, first.rows, sum(len(instance.planes) for instance in instances)),
        ref=ref,
    )


def _chosen(ref: ImageRef) -> Sequence[Instance]:
    """The files of the one series that is meant. Raises DataError where that is not clear."""
    if not ref.path.is_dir():
        instance = read_instance(ref.path)
        if instance is None:
            raise DataError(f"{ref.path}: a DICOM file without an image")
        return (instance,)
    instances = _instances(ref.path)
    names = dict.fromkeys(instance.series for instance in instances)
    if not names:
        raise DataError(f"{ref.path}: is a folder without DICOM images, expected a file or a DICOM series")
    if ref.key is None and len(names) > 1:
        listed = "; ".join(str(info) for info in series_in(ref.path))
        raise DataError(f"{ref.path}: holds {len(names)} series, name the one that is meant: {listed}")
    if ref.key is not None and ref.key not in names:
        close = nearest(ref.key, names)
        hint = f"; did you mean {close}?" if close else ""
        raise DataError(f"{ref.path}: no series {ref.key} among {', '.join(names)}{hint}")
    return [instance for instance in instances if ref.key in (None, instance.series)]


def _check_layout(ref: ImageRef, instances: Sequence[Instance]) -> None:
    """Raise DataError where files cannot be the slices of one volume."""
    first = instances[0]
    for instance in instances[1:]:
        if len(instance.planes) > 1 or len(first.planes) > 1:
            raise DataError(f"{ref}: holds several files with many frames each: name one of them, not the folder")
        if instance.layout != first.layout:
            raise DataError(
                f"{ref}: slices of one series differ: {first.path.name} has {first.layout}, {instance.path.name} has"
                f" {instance.layout}; keep only those of one volume in the folder"
            )


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: {reason(error)}") from error


def _instances(folder: Path) -> tuple[Instance, ...]:
    """The headers of all images in the folder. Raises DataError where one is broken: it may belong to any series."""
    instances, broken = _scan(folder)
    for error in broken.values():
        raise error
    return instances


def _scan(folder: Path) -> tuple[tuple[Instance, ...], Mapping[Path, DataError]]:
    """The headers of all images in the folder, and what is wrong with the others; read again only after a change."""
    files = _files(folder)
    stats = [path.stat() for path in files]
    return _scanned(tuple(files), tuple((stat.st_mtime_ns, stat.st_size) for stat in stats))


@lru_cache(maxsize=16)
def _scanned(
    files: tuple[Path, ...], versions: tuple[tuple[int, int], ...]
) -> tuple[tuple[Instance, ...], Mapping[Path, DataError]]:
    """`versions` tells files that were replaced from those that were read."""
    instances, broken = [], {}
    for path in files:
        try:
            instance = read_instance(path) if is_dicom(path) else None
        except DataError as error:
            broken[path] = error
        else:
            instances += [] if instance is None else [instance]
    return tuple(instances), broken


def _facts(first: Instance, stack: Stack, files: int) -> Mapping[str, str]:
    """The facts of the first file, the number of files, and tilt, gap and scaling where there are any."""
    facts = {**first.facts, "files": str(files)}
    if stack.tilt_degrees:
        facts["tilt_degrees"] = f"{stack.tilt_degrees:.2f}"
    scalings = {(frame.plane.slope, frame.plane.intercept) for frame in stack.frames}
    if scalings != {(1.0, 0.0)}:
        facts["rescale"] = "; ".join(f"x {slope:g} + {inter:g}" for slope, inter in sorted(scalings)[:3])
    if stack.gap:
        facts["slice_gap"] = stack.gap
    if first.inverted:
        facts["inverted"] = "yes"
    return facts


def _voxels(ref: ImageRef, frames: Sequence[Frame], stack: Stack, times: int) -> Array:
    """Values (channels * frames, I, J, K)."""
    if len(frames[0].instance.planes) > 1:
        planes = measured(frames[0].instance)[[frame.number for frame in frames]]
    else:
        planes = np.concatenate([measured(frame.instance) for frame in frames])
    turned = stack.grid.unit == "mm"  # (columns, rows), as the affine has it; pictures are (rows, columns)
    arranged = np.moveaxis(planes.swapaxes(1, 2) if turned else planes, -1, 1)  # (planes, C, I, J)
    if times > 1:
        arranged = arranged if ref.index is None else arranged[ref.index : ref.index + 1]
        return arranged.reshape(-1, *stack.grid.shape)
    return np.moveaxis(arranged, 0, -1)


FORMAT = Format(SUFFIXES, open_dicom, mask_by_grid=True, files=files_of_series)
