"""The three stages that a case passes: read and prepare its images, ask the network, write the output."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from hilum.case import Case
from hilum.data.hashes import file_sha256
from hilum.data.modalities import MODALITIES, modalities
from hilum.errors import DataError
from hilum.evaluation.decision import Points, told
from hilum.formats.images import image_suffix, write_image_like
from hilum.formats.writing import mask_suffix, write_mask_like
from hilum.hardware import out_of_memory
from hilum.inference.ensemble import Ensemble
from hilum.inference.predictor import Predictor
from hilum.inference.review.flags import DISAGREEMENT
from hilum.inference.review.numbers import Numbers, label_numbers
from hilum.pipeline.predicting.answering import Answer, Prepared, answer
from hilum.pipeline.predicting.budget import Budget
from hilum.pipeline.predicting.extras import Extras, Labelled
from hilum.pipeline.predicting.folder import OutputFolder, cannot_write
from hilum.pipeline.predicting.ledger import HASH, INPUT, OUTPUT, SETUP, Input, input_of
from hilum.pipeline.predicting.refusing import refuse_collapsed, refuse_headers
from hilum.pipeline.predicting.review import Review
from hilum.pipeline.predicting.tables import Row
from hilum.volume import Grid

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
    """A case whose images are read and prepared, and for review the numbers of its image."""

    case: Case
    made_from: Input
    grid: Grid
    prepared: Prepared
    seconds: float
    numbers: Numbers = field(default_factory=dict)


@dataclass(frozen=True)
class Answered:
    """What the network says of a case."""

    ready: Ready
    answer: Answer
    seconds: float

    @property
    def case(self) -> Case:
        """The case."""
        return self.ready.case


@dataclass(frozen=True)
class Written:
    """A finished case: its row, what it was made from, and the forms in which it was written besides its labels."""

    case: Case
    made_from: Input
    row: Row
    forms: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """What is done to each case of a batch, by networks with their settings, whose hash is `setup`, into a folder.

    `point` decides the class of a case; without one, the most likely class is told. `extras` are what is written
    besides labels, `review` says what is measured for flags, `budget` what a case is estimated to take of a limit of
    memory.
    """

    predictor: Predictor | Ensemble
    output: OutputFolder
    setup: str
    point: Points | None = None
    extras: Extras | None = None
    review: Review | None = None
    budget: Budget | None = None

    def read(self, case: Case) -> Ready | Failure:
        """The images of a case, prepared; a failure where they cannot be read, or are no images of this kind."""
        return _tried(self._read, case, case, stage="reading")

    def ask(self, ready: Ready) -> Answered | Failure:
        """What the network says; a failure where it cannot take the image, or memory runs out.

        Raises OutputError where probabilities are to be written and the folder has no room for them.
        """
        keeps = self.extras is not None and self.extras.keeps  # probabilities, in the folder
        return _tried(self._ask, ready, ready.case, stage="predicting", output=self.output if keeps else None)

    def write(self, answered: Answered) -> Written | Failure:
        """The row of a case whose output lies under its name. Raises OutputError where the folder cannot be written."""
        return _tried(self._write, answered, answered.case, stage="writing", output=self.output)

    def _read(self, case: Case) -> Ready:
        start = perf_counter()
        if not case.files:
            raise DataError("has no image at all")
        made_from = input_of(case)
        refuse_headers(case)
        if self.extras is not None:
            self.extras.refuse_unsuited(case)
        if self.budget is not None:
            self.budget.foretell(case)
        grid, prepared = self._prepared(case)
        numbers = {} if self.review is None else self.review.of_image(grid, prepared)
        if made_from.changed(case):
            raise DataError("its files changed while they were read: try again once they are whole")
        return Ready(case, made_from, grid, prepared, perf_counter() - start, numbers)

    def _prepared(self, case: Case) -> tuple[Grid, Prepared]:
        """The grid of a case's image, and the image as the network takes it."""
        held = [self.predictor.read(case.images)]
        grid = held[0].grid
        if self.predictor.problem.dims == 3 and grid.shape[2] == 1:
            raise DataError("is a single slice, this network takes volumes")
        if self.predictor.problem.kind == "restoration":
            return grid, held.pop()  # a restoration goes back to the intensities of the image, which it therefore keeps
        prepared = self.predictor.prepared(held.pop())  # which alone has the image now, and lets go of it
        for volume in prepared if isinstance(prepared, tuple) else (prepared,):
            refuse_collapsed(grid, volume)
        return grid, prepared

    def _ask(self, ready: Ready) -> Answered:
        start = perf_counter()
        store = None if self.extras is None else self.extras.store(ready.grid, self.output)
        spread = None if self.extras is None else self.extras.spread(ready.grid, self.output)
        said = answer(self.predictor, ready.prepared, ready.grid, review=self.review, store=store, spread=spread)
        bare = replace(ready, prepared=())  # the image is not needed any more
        return Answered(bare, said, ready.seconds + perf_counter() - start)

    def _write(self, answered: Answered) -> Written:
        start = perf_counter()
        case, problem, said = answered.case, self.predictor.problem, answered.answer
        made: dict[str, str] = {}
        row: Row = {"case_id": case.id, "patient_id": case.patient, "status": "done"}
        if self.predictor.may_lack_channels:
            row[MODALITIES] = modalities(case, problem.channels)
        if not problem.dense:
            row |= told(said.values.double().numpy(), self.point, problem)
        elif problem.kind == "restoration":
            made = self._write_image(case, said.values.numpy())
            row["output"] = made["output"]
        else:
            labels = said.values.numpy()
            sizes = label_numbers(labels, answered.ready.grid, problem)
            extras = self._write_extras(answered, sizes)  # before the labels, by which people know a case
            made = self._write_labels(case, labels) | extras
            row |= {name: made[name] for name in HASH if name in made} | sizes
            row |= {} if self.review is None else self.review.of_labels(labels)
        row |= said.numbers | answered.ready.numbers
        if said.disagreement is not None:
            row[DISAGREEMENT] = said.disagreement
        made_from = answered.ready.made_from
        row |= {"seconds": round(answered.seconds + perf_counter() - start, 3), INPUT: made_from.sha256}
        forms = {} if self.extras is None else self.extras.wanted(case)
        return Written(case, made_from, row | made | {SETUP: self.setup}, forms)

    def _write_extras(self, answered: Answered, sizes: Row) -> dict[str, str]:
        """The names and the hashes of the files that a case now has besides its labels."""
        if self.extras is None:
            return {}
        said, grid = answered.answer, answered.ready.grid
        made = Labelled(answered.case, grid, said.values.numpy(), sizes, said.probabilities, said.spread)
        return self.extras.write(made, self.output)

    def _write_image(self, case: Case, values: npt.NDArray[np.float32]) -> dict[str, str]:
        """The name and the hash of the file that now holds the restored image of a case."""
        like = case.files[0]
        out = self.output.path / f"{case.id}{image_suffix(like)}"
        write_image_like(values, like, out)
        return {"output": out.name, OUTPUT: file_sha256(out)}

    def _write_labels(self, case: Case, values: npt.NDArray[np.integer]) -> dict[str, str]:
        """The name and the hash of the file that now holds the labels of a case."""
        like = case.files[0]
        out = self.output.path / f"{case.id}{mask_suffix(like)}"
        write_mask_like(values, like, out)
        return {"output": out.name, OUTPUT: file_sha256(out)}


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
