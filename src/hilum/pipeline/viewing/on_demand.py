"""Predictions that are made when somebody looks at a case, one at a time and in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from hilum.case import Case
from hilum.inference.predictor import Predictor
from hilum.pipeline.pictures import painted
from hilum.volume import Grid

Say = Callable[[str], None]
Labels = npt.NDArray[np.uint8]


class OnDemand:
    """Predicts the case that was asked for last; what is finished is kept in a folder until the end.

    The page asks again and again for the case that it shows, so that nobody waits for cases that were only passed by.
    """

    def __init__(self, network: Callable[[], Predictor], cases: Sequence[Case], *, folder: Path, say: Say) -> None:
        self._network, self._cases, self._folder, self._say = network, cases, folder, say
        self._lock = threading.Lock()
        self._predictor: Predictor | None = None
        self._grids: dict[int, Grid] = {}
        self._failed: dict[int, str] = {}
        self._wanted: int | None = None
        self._at: tuple[int, float] | None = None

    def progress(self, index: int) -> Mapping[str, str]:
        """ready, failed, or predicting, and a sentence for whoever waits; asking is what begins it."""
        name = self._cases[index].id
        with self._lock:
            if index in self._grids:
                return {"state": "ready", "message": ""}
            if index in self._failed:
                return {"state": "failed", "message": f"{name} could not be predicted: {self._failed[index]}"}
            self._wanted = index
            if self._at is None:
                self._at = (index, perf_counter())
                threading.Thread(target=self._work, daemon=True).start()
            at, start = self._at
        seconds = f"{perf_counter() - start:.0f} s"
        said = (
            f"Predicting {name} \u2026 {seconds}" if at == index else f"Waiting: {self._cases[at].id} first, {seconds}"
        )
        return {"state": "predicting", "message": said}

    def labels(self, index: int) -> tuple[Labels, Grid]:
        """The number of the structure at each voxel (I, J, K), and where they lie. Raises LookupError before that."""
        with self._lock:
            grid = self._grids[index]
        found: Labels = np.load(self._file(index))
        return found, grid

    def _work(self) -> None:
        """Predict what is wanted until nothing is."""
        while (index := self._next()) is not None:
            start = perf_counter()
            try:
                grid, failure = self._predicted(index), ""
            except Exception as error:  # whatever it is, the page says it, and other cases can still be looked at
                grid, failure = None, str(error) or type(error).__name__
            with self._lock:
                if grid is None:
                    self._failed[index] = failure
                else:
                    self._grids[index] = grid
            name = self._cases[index].id
            self._say(f"{name} not predicted: {failure}" if failure else f"{name} in {perf_counter() - start:.1f} s")

    def _next(self) -> int | None:
        with self._lock:
            wanted, self._wanted = self._wanted, None
            if wanted is None or wanted in self._grids or wanted in self._failed:
                self._at = None
                return None
            self._at = (wanted, perf_counter())
            return wanted

    def _predicted(self, index: int) -> Grid:
        """The grid of a case whose labels now lie in the folder."""
        if self._predictor is None:
            self._predictor = self._network()
        image = self._predictor.read(self._cases[index].images)
        labels = self._predictor.segment(image)
        np.save(self._file(index), painted(labels.tensor[0].numpy(), self._predictor.problem))
        return labels.grid

    def _file(self, index: int) -> Path:
        return self._folder / f"{index}.npy"
