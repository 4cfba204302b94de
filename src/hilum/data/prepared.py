"""One case made ready for training: read, encoded and prepared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from hilum.case import Case
from hilum.data.findings import of_case
from hilum.data.hashes import refs
from hilum.data.modalities import with_missing
from hilum.data.patches import structure_voxels
from hilum.data.voxels import RawCase, read_case
from hilum.errors import DataError, Finding
from hilum.prepare.base import PrepareConfig
from hilum.prepare.scaled import prepared_with_intensities
from hilum.problem import Problem
from hilum.targets import Vector
from hilum.volume import Grid, Volume, resample


@dataclass(frozen=True)
class Prepared:
    """A prepared case: image (C, I, J, K) float32 on its grid, its target (1 or R, I, J, K) int8 or int16, or its
    label: a class index, findings (L,) or numbers (T,) in their own unit. For a restoration the image that is wanted
    (C, I, J, K) float32, with the intensities of the prepared one; None where it is that one.

    A channel that is NaN throughout stands for a modality that the case lacks; no other voxel is NaN.
    `structures` are voxels (n, 3) of each structure that the target shows, `findings` warnings about its files.
    """

    case: Case
    image: npt.NDArray[np.float32]
    target: npt.NDArray[np.int8 | np.int16 | np.float32] | int | Vector | None
    structures: dict[int, npt.NDArray[np.int32]]
    grid: Grid
    findings: tuple[Finding, ...] = ()

    @property
    def num_bytes(self) -> int:
        """Memory that the arrays take."""
        target = self.target.nbytes if isinstance(self.target, np.ndarray) else 0
        return self.image.nbytes + target + sum(spots.nbytes for spots in self.structures.values())


def prepare_case(case: Case, problem: Problem, steps: Sequence[PrepareConfig]) -> Prepared:
    """The prepared case. Raises DataError with every finding about a case whose files or values cannot be used."""
    raw = read_case(case, problem)
    if problem.kind == "restoration":
        return _prepared_pair(case, raw, steps)
    image, mask = raw.image, raw.target if isinstance(raw.target, Volume) else None
    try:
        for step in steps:
            image, mask = (step.for_channels(case.there) if case.missing else step).apply(image, mask)
        if not np.isfinite(image.tensor.numpy()).all():  # torch takes ten times as long
            raise DataError("the prepared image holds NaN or infinite values")
        whole = with_missing(image.tensor.float(), case.there, len(case.images))
    except DataError as error:
        raise DataError(of_case(error, case)) from error
    pixels = np.ascontiguousarray(whole.numpy(), dtype=np.float32)
    if not isinstance(raw.target, Volume):
        return Prepared(case, pixels, raw.target, {}, image.grid, raw.findings)
    if mask is None:
        raise AssertionError("a preparation step dropped the mask")
    labels = np.ascontiguousarray(mask.tensor.numpy(), dtype=np.int16)
    return Prepared(case, pixels, labels, structures_of(labels, problem), image.grid, raw.findings)


def _prepared_pair(case: Case, raw: RawCase, steps: Sequence[PrepareConfig]) -> Prepared:
    """A case of a restoration; what is wanted is brought onto the grid and to the intensities of the prepared image."""
    try:
        image, own = prepared_with_intensities(raw.image, steps)
        wanted = None
        if isinstance(raw.target, Volume):
            if len(raw.target.tensor) != len(image.tensor):
                channels = f"{len(image.tensor)}, as the image has"
                raise DataError(f"{case.label}: received {len(raw.target.tensor)} channels, expected {channels}")
            moved = resample(raw.target, image.grid, "linear").tensor
            wanted = np.ascontiguousarray(own.prepared(moved).numpy(), dtype=np.float32)
        pixels = np.ascontiguousarray(image.tensor.numpy(), dtype=np.float32)
        if not all(np.isfinite(part).all() for part in (pixels, wanted) if part is not None):
            raise DataError("the prepared image holds NaN or infinite values")
    except DataError as error:
        raise DataError(of_case(error, case)) from error
    return Prepared(case, pixels, wanted, {}, image.grid, raw.findings)


def structures_of(target: npt.NDArray[np.int8 | np.int16], problem: Problem) -> dict[int, npt.NDArray[np.int32]]:
    """Voxels of each structure that a target shows."""
    first = problem.num_outputs - len(problem.foreground)
    return structure_voxels(target, range(first, problem.num_outputs), exclusive=problem.exclusive)


def stored_findings(prepared: Prepared) -> str:
    """The findings as JSON, without the names of case and files: other cases may have the same content."""
    files = [str(ref) for ref in refs(prepared.case)]
    kept = [
        [files.index(found.file) if found.file in files else -1, asdict(replace(found, case="", file=""))]
        for found in prepared.findings
    ]
    return json.dumps(kept)


def restored_findings(text: str, case: Case) -> tuple[Finding, ...]:
    """The findings that `stored_findings` wrote, about this case."""
    files = [*(str(ref) for ref in refs(case)), ""]
    return tuple(Finding(**{**kept, "case": case.id, "file": files[number]}) for number, kept in json.loads(text))
