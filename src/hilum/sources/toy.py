"""Toy data: points and small pictures drawn from a seed, on which one idea at a time can be seen."""

import io
import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt

from hilum.case import Case, Cohort, ImageRef
from hilum.errors import DataError
from hilum.formats.atomic import write_whole
from hilum.random import generator
from hilum.sources.base import SourceConfig, make_cohort
from hilum.sources.generated import write_once
from hilum.sources.toy_sets import SETS

VERSION = 1
"""Raised when the same settings draw other data."""

ARRAYS, SETTINGS = "toy.npz", "toy.json"
NOTE = "toy data: drawn from a seed, not measured"


class ToyConfig(SourceConfig, kind="toy"):
    """Points or pictures drawn from a seed, for the course; a point is an image of one row, a pixel a coordinate."""

    of: Literal["line", "blobs", "xor", "moons", "cells"]
    """line: a number x and y = 0.3 x + 0.7 (regression). blobs: points around two centres (classes 0 and 1). xor:
    points around the corners of a square, class 1 where one coordinate is 1 and the other 0. moons: two interleaved
    half circles. cells: pictures of cells with the mask of their membranes (segmentation, values 0 and 1)."""
    folder: Path = Path("toy")
    """Where the data are written, unless they are there already, relative to the current folder."""
    cases: Annotated[int, Field(ge=2)] = 200
    """How many points or pictures there are."""
    noise: NonNegativeFloat | None = None
    """Standard deviation: of y, of the points around where they belong, or of grey values; by default as suits the
    data set (line 0.1, blobs 0.6, xor 0.12, moons 0.25, cells 0.12)."""
    seed: NonNegativeInt = 17
    """Another seed gives other data."""

    @property
    def makes_files(self) -> bool:
        """Whether the data have to be drawn first."""
        return not (self.folder / SETTINGS).is_file()

    def cohort(self, task_kind: str) -> Cohort:
        """A case a point or picture. Raises DataError for another task, or where the folder holds something else."""
        made_for = SETS[self.of].task
        if task_kind != made_for:
            raise DataError(f"the toy data '{self.of}' are for {made_for}, received the task {task_kind}")
        write_once(self.folder, self._settings, record=SETTINGS, what="toy data", write=self._write)
        file = self.folder / ARRAYS
        with np.load(file, allow_pickle=False) as arrays:
            labels = arrays["labels"].tolist() if "labels" in arrays else None
        cases = []
        for row in range(self.cases):
            name = f"{self.of}-{row:04d}"
            label = labels[row] if labels else ImageRef(file, "masks", row)
            cases.append(Case(id=name, patient=name, images=(ImageRef(file, "images", row),), label=label))
        return make_cohort(cases, channels=("image",), notes=(NOTE,), origin=file)

    @property
    def _settings(self) -> str:
        return json.dumps({"version": VERSION, **self.model_dump(mode="json", exclude={"folder"})}, indent=1)

    def _write(self, folder: Path) -> None:
        chosen = SETS[self.of]
        noise = chosen.noise if self.noise is None else self.noise
        drawn = chosen.draw(generator(self.seed, 0, 0, f"toy.{self.of}"), self.cases, noise)
        answers = {"labels": np.array(drawn.labels)} if drawn.masks is None else {"masks": drawn.masks}
        content = io.BytesIO()
        np.savez_compressed(content, images=drawn.images, **answers)
        write_whole(folder / ARRAYS, content.getvalue())
