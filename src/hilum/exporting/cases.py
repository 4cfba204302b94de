"""The cases that an export is proved on: given ones, validation cases of the run, or a drawn volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from hilum.case import Case, ImageRef
from hilum.errors import DataError, HilumError
from hilum.formats.nifti import FORMAT as NIFTI
from hilum.formats.nifti import write_volume
from hilum.inference.inputs import find_inputs
from hilum.random import generator

if TYPE_CHECKING:
    import numpy.typing as npt

    from hilum.inference.inputs import Frames
    from hilum.inference.predictor import Predictor

DEFAULT_CASES = 3
"""Validation cases that an export is proved on where none are given."""
SMALLEST_DRAWN = 24
"""Fewest voxels along an axis of a drawn volume."""
DRAWN_RANGE = (0.0, 1000.0)
"""Intensities of a drawn volume, where no step of the preparation names a range."""


@dataclass(frozen=True)
class Proof:
    """The cases that an export is proved on, all of them NIfTI files, and what they are."""

    cases: tuple[Case, ...]
    said: str


def given_cases(sources: Sequence[Path], predictor: Predictor, *, frames: Frames, folder: Path) -> Proof:
    """The cases of files, folders or manifests; `folder` takes copies of those that are no NIfTI files.

    Raises DataError where there are none, or where two have one id.
    """
    found = [case for source in sources for case in find_inputs(source, predictor.problem.channels, frames=frames)]
    if len({case.id for case in found}) < len(found):
        raise DataError("--cases: received two images of one name: rename them, or give a manifest with case_id")
    return Proof(tuple(_as_nifti(case, predictor, folder) for case in found), "the given cases")


def validation_cases(cases: Sequence[Case], predictor: Predictor, *, folder: Path) -> Proof | None:
    """The first of a run's validation cases, copied where they are no NIfTI files; None where one cannot be read."""
    try:
        chosen = tuple(_as_nifti(case, predictor, folder) for case in cases[:DEFAULT_CASES])
        for case in chosen:
            predictor.read(case.images)
    except HilumError:
        return None
    return Proof(chosen, "validation cases of the run") if chosen else None


def drawn_case(predictor: Predictor, *, folder: Path) -> Proof:
    """A volume of smooth shapes and noise that passes the preparation of the run, written into `folder`."""
    problem, rng = predictor.problem, generator(0, 0, 0, "export proof")
    inner = predictor.window or predictor.fixed_size or problem.size or (SMALLEST_DRAWN,) * problem.dims
    sizes = list(inner) if predictor.fixed_size else [max(SMALLEST_DRAWN, size + size // 3) for size in inner]
    if problem.dims == 2:
        sizes.insert(2 if predictor.slice_axis is None else predictor.slice_axis, 1 if predictor.fixed_size else 3)
    low, high = _intensities(predictor)
    affine = np.diag([*_spacing_mm(predictor), 1.0])
    files = [folder / f"drawn-{index}.nii.gz" for index in range(problem.num_channels)]
    for file in files:
        noise = rng.standard_normal(sizes)
        smooth = gaussian_filter(noise, [min(4.0, size / 8) for size in sizes])
        mixed = smooth / max(float(np.abs(smooth).max()), 1e-6) + 0.05 * noise
        write_volume(file, _between(mixed, low, high), affine)
    return Proof((Case("drawn", "drawn", tuple(map(ImageRef, files))),), "a drawn volume: the data are not here")


def _between(values: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float32]:
    least, most = float(values.min()), float(values.max())
    return (low + (values - least) / (most - least) * (high - low)).astype(np.float32)


def _intensities(predictor: Predictor) -> tuple[float, float]:
    """The range of the first step that names one."""
    for step in predictor.prepare:
        facts = step.model_dump()
        found = (facts.get("fitted") or [facts])[0]
        if step.kind in ("window", "dataset_zscore"):
            return float(found["low"]), float(found["high"])
    return DRAWN_RANGE


def _spacing_mm(predictor: Predictor) -> list[float]:
    """The voxel size that the run prepares to, else 1 mm; slices are thicker."""
    sizes = [1.0, 1.0, 1.0]
    for step in predictor.prepare:
        if step.kind == "spacing":
            sizes = [mm or size for mm, size in zip(step.model_dump()["mm"], sizes, strict=True)]
    return sizes


def _is_plain(path: Path) -> bool:
    """Whether a file is one that the runner takes as it is; commas stand between files."""
    return path.is_file() and path.name.lower().endswith(NIFTI.suffixes) and "," not in str(path)


def _as_nifti(case: Case, predictor: Predictor, folder: Path) -> Case:
    """The case with its images as NIfTI files: as it is, or a copy of its voxels in `folder`."""
    paths = {ref.path for ref in case.files}
    all_frames = len(case.images) > 1 and len(paths) == 1  # a series whose frames are the channels
    whole = all_frames or all(ref.index is None for ref in case.files)
    if whole and all(_is_plain(path) for path in paths):
        return case
    image = predictor.read(case.images)
    refs: list[ImageRef | None] = []
    for index, channel in enumerate(image.tensor.numpy()):
        file = folder / f"{case.id}-{index}.nii.gz"
        missing = bool(np.isnan(channel).all())
        if not missing:
            write_volume(file, channel, image.grid.affine)
        refs.append(None if missing else ImageRef(file))
    return replace(case, images=tuple(refs))
