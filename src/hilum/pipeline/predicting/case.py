"""The three stages that a case passes: read and prepare its images, ask the network, write the output."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from hilum.case import Case
from hilum.data.hashes import file_sha256
from hilum.data.index.grids import odd
from hilum.data.index.headers import frames_finding
from hilum.data.modalities import MODALITIES, modalities
from hilum.errors import DataError
from hilum.evaluation.decision import OperatingPoint, decided
from hilum.evaluation.rows import PROBABILITY_PREFIX
from hilum.formats.reading import read_header
from hilum.formats.writing import mask_suffix, write_mask_like
from hilum.hardware import out_of_memory
from hilum.inference.ensemble import Ensemble
from hilum.inference.predictor import Predictor
from hilum.pipeline.predicting.folder import OutputFolder, cannot_write
from hilum.pipeline.predicting.ledger import INPUT, OUTPUT, SETUP, Input, input_of
from hilum.pipeline.predicting.tables import Row
from hilum.volume import Grid, Volume

DISAGREEMENT = "disagreement"
"""The column that says how much the networks of an ensemble differ."""
COLLAPSED_VOXELS, WHOLE_VOXELS = 2, 16
"""An image of more than 16 voxels along an axis of which at most 2 are left along each has a wrong voxel size."""
OF_THE_NAME = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)
"""Errors of writing that lie in the name of one file: any other is met by every file."""

Given = TypeVar("Given")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """A case that could not go on, at which stage and why."""

    case: Case
    stage: str
    reason: str

    @property
    def row(self) -> Row:
        """The row of the table of failures."""
        file = str(next(iter(self.case.files), ""))
        return {"case_id": self.case.id, "file": file, "stage": self.stage, "reason": self.reason}


@dataclass(frozen=True)
class Ready:
    """A case whose images are read and prepared; `prepared` is what the network, or each of several, takes."""

    case: Case
    made_from: Input
    grid: Grid
    prepared: Any
    seconds: float


@dataclass(frozen=True)
class Answered:
    """What the network says of a case: label values (I, J, K) on the grid of its image, or probabilities (classes,)."""

    case: Case
    made_from: Input
    grid: Grid
    answer: Tensor
    disagreement: float | None
    seconds: float


@dataclass(frozen=True)
class Written:
    """A finished case: its row, and what it was made from."""

    case: Case
    made_from: Input
    row: Row


@dataclass(frozen=True)
class Work:
    """What is done to each case of a batch, by networks with their settings, whose hash is `setup`, into a folder.

    `point` decides the class of a case; without one, the most likely class is told.
    """

    predictor: Predictor | Ensemble
    output: OutputFolder
    setup: str
    point: OperatingPoint | None = None

    def read(self, case: Case) -> Ready | Failure:
        """The images of a case, prepared; a failure where they cannot be read, or are no images of this kind."""
        return _tried(self._read, case, case, stage="reading")

    def ask(self, ready: Ready) -> Answered | Failure:
        """What the network says; a failure where it cannot take the image, or memory runs out."""
        return _tried(self._ask, ready, ready.case, stage="predicting")

    def write(self, answered: Answered) -> Written | Failure:
        """The row of a case whose output lies under its name. Raises OutputError where the folder cannot be written."""
        return _tried(self._write, answered, answered.case, stage="writing", output=self.output)

    def _read(self, case: Case) -> Ready:
        start = perf_counter()
        if not case.files:
            raise DataError("has no image at all")
        made_from = input_of(case)
        _refuse_headers(case)
        image = self.predictor.read(case.images)
        if self.predictor.problem.dims == 3 and image.grid.shape[2] == 1:
            raise DataError("is a single slice, this network takes volumes")
        prepared = self.predictor.prepared(image)
        for volume in prepared if isinstance(prepared, tuple) else (prepared,):
            _refuse_collapsed(image.grid, volume)
        if made_from.changed(case):
            raise DataError("its files changed while they were read: try again once they are whole")
        return Ready(case, made_from, image.grid, prepared, perf_counter() - start)

    def _ask(self, ready: Ready) -> Answered:
        start = perf_counter()
        answer, disagreement = self._answer(ready)
        seconds = ready.seconds + perf_counter() - start
        return Answered(ready.case, ready.made_from, ready.grid, answer, disagreement, seconds)

    def _write(self, answered: Answered) -> Written:
        start = perf_counter()
        case, made = answered.case, {}
        row: Row = {"case_id": case.id, "patient_id": case.patient, "status": "done"}
        if self.predictor.may_lack_channels:
            row[MODALITIES] = modalities(case, self.predictor.problem.channels)
        if self.predictor.problem.kind == "classification":
            row |= self._classes(answered.answer)
        else:
            made = self._write_labels(case, answered.answer.numpy())
            row |= {"output": made["output"]} | self._sizes(answered)
        if answered.disagreement is not None:
            row[DISAGREEMENT] = answered.disagreement
        row |= {"seconds": round(answered.seconds + perf_counter() - start, 3), INPUT: answered.made_from.sha256}
        return Written(case, answered.made_from, row | made | {SETUP: self.setup})

    def _answer(self, ready: Ready) -> tuple[Tensor, float | None]:
        segments = self.predictor.problem.kind == "segmentation"
        if isinstance(self.predictor, Ensemble):
            if segments:
                labels, disagreement = self.predictor.labels_and_disagreement(ready.prepared, ready.grid)
                return labels.tensor[0], disagreement
            return self.predictor.classes_and_disagreement(ready.prepared)
        if segments:
            return self.predictor.labels(ready.prepared, ready.grid).tensor[0], None
        return self.predictor.classify_prepared([ready.prepared])[0], None

    def _write_labels(self, case: Case, values: npt.NDArray[np.integer]) -> dict[str, str]:
        """The name and the hash of the file that now holds the labels of a case."""
        like = case.files[0]
        out = self.output.path / f"{case.id}{mask_suffix(like)}"
        write_mask_like(values, like, out)
        return {"output": out.name, OUTPUT: file_sha256(out)}

    def _classes(self, probabilities: Tensor) -> Row:
        """The class that is decided on, the threshold where one decides, and the probability of each."""
        classes = self.predictor.problem.classes
        row = {f"{PROBABILITY_PREFIX}{name}": float(p) for name, p in zip(classes, probabilities, strict=True)}
        return decided(row, self.point, classes)

    def _sizes(self, answered: Answered) -> Row:
        """The size of each structure, in ml where the image has voxel sizes."""
        problem = self.predictor.problem
        inside = problem.sizes(answered.answer.numpy())
        voxel_ml = abs(float(np.linalg.det(answered.grid.affine[:3, :3]))) / 1000
        unit, size = ("ml", voxel_ml) if answered.grid.unit == "mm" else ("pixels", 1.0)
        return {f"{name}_{unit}": float(count * size) for name, count in zip(problem.foreground, inside, strict=True)}


def _tried(
    work: Callable[[Given], Result], given: Given, case: Case, *, stage: str, output: OutputFolder | None = None
) -> Result | Failure:
    """What comes of one stage; a failure for whatever a file makes of a library, since the batch goes on.

    No exception is kept: it would keep the arrays of its case. While a case is written into `output`, raises
    OutputError where that folder is what fails.
    """
    try:
        return work(given)
    except Exception as error:
        if output is not None and isinstance(error, OSError) and _meets_all(error, output):
            raise cannot_write(output, error) from error
        if isinstance(error, DataError):
            return Failure(case, stage, str(error))
        said = "out of memory: " if out_of_memory(error) else f"{type(error).__name__}: "
        return Failure(case, stage, f"{said}{error}")


def _meets_all(error: OSError, output: OutputFolder) -> bool:
    """Whether an error lies in the folder, not in the name of one file, nor in an input that is read once more."""
    if error.errno in OF_THE_NAME:
        return False
    return error.filename is None or str(error.filename).startswith(str(output.path))


def _refuse_headers(case: Case) -> None:
    """Raise DataError for what the headers tell: other frames than the network takes, impossible voxels."""
    findings = [frames_finding(case)] if len(case.images) > 1 else []
    for ref in case.files:
        findings += [finding for finding in odd(ref, read_header(ref).grid) if finding.severity == "error"]
    wrong = [finding for finding in findings if finding is not None]
    if wrong:
        raise DataError(wrong[:1])


def _refuse_collapsed(grid: Grid, prepared: Volume) -> None:
    """Raise DataError where next to nothing is left of a volume, whose voxels the header makes too small."""
    if max(prepared.grid.shape) <= COLLAPSED_VOXELS and max(grid.shape) > WHOLE_VOXELS:
        sizes = " x ".join(f"{step:g}" for step in grid.spacing)
        raise DataError(
            f"impossible spacing: with voxels of {sizes} {grid.unit} all of it is {prepared.grid.shape} voxels "
            "after preparation: correct the voxel size or the unit of length in the header"
        )
