"""What is written of a segmented case besides its labels, where it is asked for, and what stands in the way of it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.orientations import apply_orientation, io_orientation

from hilum.case import Case
from hilum.data.hashes import file_sha256
from hilum.errors import ConfigError, DataError
from hilum.formats import dicom
from hilum.formats.dicom_seg import PACKAGE, Algorithm, Segment, refuse_unsuited, write_seg
from hilum.formats.reading import format_of, read_image
from hilum.inference.section import PredictConfig
from hilum.pipeline.predicting.disagreement import Spread
from hilum.pipeline.predicting.folder import DICOM_SEG, OVERLAY, PROBABILITIES, SPREAD, OutputFolder
from hilum.pipeline.predicting.ledger import HASH
from hilum.pipeline.predicting.probabilities import Store
from hilum.pipeline.predicting.tables import Row
from hilum.problem import Problem
from hilum.report.figures import colours
from hilum.report.overlay import Overlay, write_overlay
from hilum.volume import Grid

SUFFIXES = {PROBABILITIES: ".nii.gz", SPREAD: ".nii.gz", DICOM_SEG: ".dcm", OVERLAY: ".png"}


@dataclass(frozen=True)
class Labelled:
    """A case with the labels (I, J, K) on the grid of its image, its sizes, and what is kept for writing."""

    case: Case
    grid: Grid
    values: npt.NDArray[np.integer]
    sizes: Row
    probabilities: Store | None = None
    spread: Spread | None = None


@dataclass(frozen=True)
class Extras:
    """What is asked for, of which problem, and by which trained network."""

    settings: PredictConfig
    problem: Problem
    algorithm: Algorithm
    shares: tuple[float, ...] = (1.0,)
    """Those of the networks that answer as one."""

    @property
    def keeps(self) -> bool:
        """Whether something of each voxel is kept in the folder while a case is predicted."""
        return self.settings.stored is not None or self.settings.disagreement

    def wanted(self, case: Case) -> dict[str, str]:
        """What is written of a case, and in which form: a case that has it in another form is not finished."""
        found: dict[str, str] = {}
        if self.settings.stored is not None:
            found[PROBABILITIES] = self.settings.stored
        if self.settings.disagreement:
            found[SPREAD] = "uint8"
        if self.settings.dicom_seg and _is_dicom(case):
            found[DICOM_SEG] = "binary"
        if self.settings.overlays:
            found[OVERLAY] = "png"
        return found

    def refuse_unsuited(self, case: Case) -> None:
        """Raise DataError for a case of which something cannot be written, before it is predicted."""
        if DICOM_SEG in self.wanted(case):
            refuse_unsuited(case.files[0])

    def store(self, grid: Grid, output: OutputFolder) -> Store | None:
        """Where the probabilities of an image are kept until they are written. Raises OSError without room for them."""
        stored = self.settings.stored
        if stored is None:
            return None
        return Store(self.problem, grid.shape, stored=stored, folder=output.extra(PROBABILITIES))

    def spread(self, grid: Grid, output: OutputFolder) -> Spread | None:
        """Where the disagreement at each voxel is kept until it is written. Raises OSError without room for it."""
        if not self.settings.disagreement:
            return None
        return Spread(self.problem, grid.shape, shares=self.shares, folder=output.extra(SPREAD))

    def write(self, made: Labelled, output: OutputFolder) -> dict[str, str]:
        """The names of the files that now lie there, relative to the folder, and their hashes.

        Raises OSError where the folder cannot be written, DataError where the image cannot be read once more.
        """
        row: dict[str, str] = {}
        for name in self.wanted(made.case):
            out = output.extra(name) / f"{made.case.id}{SUFFIXES[name]}"
            if name == PROBABILITIES:
                assert made.probabilities is not None
                made.probabilities.write(made.case.files[0], out)
            elif name == SPREAD:
                assert made.spread is not None
                made.spread.write(made.case.files[0], out)
            elif name == DICOM_SEG:
                self._write_seg(made, out)
            else:
                write_overlay(_overlay(made), self.problem, out)
            row |= {name: str(out.relative_to(output.path)), HASH[name]: file_sha256(out)}
        return row

    def _write_seg(self, made: Labelled, out: Path) -> None:
        names = self.problem.foreground
        segments = [Segment(name, colour) for name, colour in zip(names, colours(len(names)), strict=True)]
        masks = self._masks(made.values)
        write_seg(masks, made.case.files[0], out, segments=segments, algorithm=self.algorithm)

    def _masks(self, values: npt.NDArray[np.integer]) -> npt.NDArray[Any]:
        """The number of the structure at each voxel (I, J, K); of regions, which voxels are in each (R, I, J, K)."""
        problem = self.problem
        if not problem.exclusive:
            return problem.membership(values)
        masks = np.empty(values.shape, np.min_scalar_type(len(problem.foreground)))
        for plane in range(values.shape[2]):  # finding out numbers takes eight bytes a voxel
            masks[..., plane] = problem.encode(values[..., plane])[0]
        return masks


def extras_of(
    settings: PredictConfig, problem: Problem, cases: Sequence[Case], *, algorithm: Algorithm, shares: tuple[float, ...]
) -> tuple[Extras, tuple[str, ...]]:
    """What is asked for, and what to say about it before the first case.

    Raises ConfigError where a package is not installed, or no case is one that an output is for.
    """
    extras = Extras(settings, problem, algorithm, shares)
    if settings.disagreement and len(shares) == 1:
        raise ConfigError(
            "predict.disagreement: one network has none to disagree with; name several runs, or set it to false"
        )
    if not settings.dicom_seg:
        return extras, ()
    if importlib.util.find_spec(PACKAGE) is None:
        raise ConfigError(f"predict.dicom_seg needs {PACKAGE}: pip install 'hilum[dicom-seg]'")
    count = sum(map(_is_dicom, cases))
    if count == 0:
        raise ConfigError(
            f"predict.dicom_seg: none of the {len(cases)} cases is DICOM, and a segmentation object refers to the "
            "files of a DICOM series: leave it away, their labels are written as always"
        )
    if count == len(cases):
        return extras, ()
    return extras, (f"DICOM segmentation objects are for {count} of {len(cases)} cases: the others are no DICOM",)


def _is_dicom(case: Case) -> bool:
    try:
        return bool(case.files) and format_of(case.files[0].path) is dicom.FORMAT
    except DataError:
        return False


def _overlay(made: Labelled) -> Overlay:
    """The image, read once more, with its labels; axes pointing right, anterior and superior where it has a place."""
    tensor = read_image(made.case.files).tensor
    anatomical = made.grid.unit == "mm"
    coloured = len(tensor) == 3 and not anatomical
    image = (tensor.mean(0) if coloured else tensor[0]).numpy()
    labels, spacing = made.values, made.grid.spacing
    if image.shape != labels.shape:
        raise DataError(f"{made.case.files[0]}: is {image.shape} now, and was {labels.shape} when it was predicted")
    if anatomical:
        turned = io_orientation(made.grid.affine)
        image, labels = apply_orientation(image, turned), apply_orientation(labels, turned)
        spacing = made.grid.canonical().spacing
    sizes = {}
    for name, size in made.sizes.items():
        structure, _, unit = name.rpartition("_")
        shown = f"{float(size):.3g}" if float(size) < 1000 else f"{float(size):.0f}"
        sizes[structure] = f"{shown} {unit}"
    return Overlay(made.case.id, image, labels, spacing, anatomical, sizes)
