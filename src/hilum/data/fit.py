"""Settings found in the data: in the training part alone, so that nothing of val and test reaches the network."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from hilum.case import Case
from hilum.data.cache import make_folder, touch
from hilum.data.findings import of_case
from hilum.data.hashes import file_sha256
from hilum.data.parallel import side_by_side
from hilum.data.store import Store
from hilum.data.voxels import read_case
from hilum.errors import DataError, Finding
from hilum.formats.atomic import write_whole
from hilum.formats.reading import read_header
from hilum.losses.base import LossConfig
from hilum.prepare.base import PrepareConfig
from hilum.problem import IGNORE, Problem
from hilum.random import generator
from hilum.registry import parse
from hilum.volume import Grid, Volume

SEED = 0
"""Of the voxels that are sampled: it is not the run's, so that runs that differ in their seed share what is fitted."""
VOXELS_A_CASE, VOXELS_IN_ALL = 10_000, 20_000_000
"""Most voxels of a channel that are kept to find percentiles: of a case, and of all cases together."""

Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Told what is being done, it gives, within a `with` statement, a function that shows how many of how many are done."""
Found = TypeVar("Found")


@contextlib.contextmanager
def silently(doing: str) -> Iterator[Callable[[int, int], None]]:
    """Progress that shows nothing."""
    yield lambda done, total: None


@dataclass(frozen=True)
class Fit:
    """Finds settings in training cases, and remembers them in the cache folder under a hash of all they depend on."""

    store: Store
    cases: tuple[Case, ...]
    progress: Progress

    @classmethod
    def of(cls, store: Store, cases: Sequence[Case], progress: Progress = silently) -> Fit:
        """A fit to these training cases, in whatever order they come."""
        return cls(store, tuple(sorted(cases, key=lambda case: case.id)), progress)

    def steps(self) -> tuple[PrepareConfig, ...]:
        """The steps of the store with every setting found. Raises DataError where a case cannot be read."""
        steps = self.store.steps
        while any(step.needs_fit for step in steps):
            index = next(index for index, step in enumerate(steps) if step.needs_fit)
            fitted = self._fitted_step(steps[:index], steps[index])
            steps = (*steps[:index], fitted, *steps[index + 1 :])
        return steps

    def loss(self, loss: LossConfig) -> LossConfig:
        """The loss with its weights found: the steps of the store have to be fitted by now."""
        if not loss.needs_fit:
            return loss
        problem = self.store.problem
        counts = self._remembered(self.store, "targets", lambda: self._all("counting targets", self._counted))
        inside, seen = np.array(counts, dtype=np.int64).sum(axis=0)
        return loss.fitted_to(inside, seen, problem)

    def of_each(self, doing: str, work: Callable[[Case, Store], Found], *, settings: str) -> list[Found]:
        """What `work` makes of each case with the store, in the order of their ids; it has to be what JSON can hold.

        `settings` names all that it depends on besides the cases and their preparation, its code too.
        """
        return self._remembered(
            self.store, f"{doing} {settings}", lambda: self._all(doing, lambda case: work(case, self.store))
        )

    def _fitted_step(self, before: Sequence[PrepareConfig], step: PrepareConfig) -> PrepareConfig:
        """The step fitted to cases that have passed the steps before it."""
        store = Store(self.store.folder, self.store.problem, (*before, step), hashes=self.store.hashes)

        def fitted() -> dict[str, Any]:
            if step.fits_on == "grids":
                measured = self._all(f"looking at grids for '{step.kind}'", lambda case: self._grid(case, before))
            else:
                measured = self._all(f"measuring for '{step.kind}'", lambda case: self._measured(case, before, step))
            num_channels = max((len(case.images) for case in self.cases if case.missing), default=1)
            return step.fitted_to(measured, num_channels=num_channels).model_dump(mode="json")

        found = parse("prepare", self._remembered(store, "step", fitted))
        assert isinstance(found, PrepareConfig)
        return found

    def _grid(self, case: Case, before: Sequence[PrepareConfig]) -> Grid:
        """The grid of a case after some steps, from its header alone where that is enough."""
        grid: Grid | None = read_header(case.files[0]).grid
        for step in before:
            grid = None if grid is None else step.grid_after(grid)
        return self._after(case, before)[0].grid if grid is None else grid

    def _measured(self, case: Case, before: Sequence[PrepareConfig], step: PrepareConfig) -> Any:
        image, label = self._after(case, before)
        most = max(1, min(VOXELS_A_CASE, VOXELS_IN_ALL // len(self.cases)))
        rng = generator(SEED, 0, 0, f"fit {case.id}")
        there = case.there if case.missing else range(len(image.tensor))
        return step.measure(image, label, channels=there, most=most, rng=rng)

    def _after(self, case: Case, before: Sequence[PrepareConfig]) -> tuple[Volume, Volume | None]:
        """Image and encoded mask of a case after some steps."""
        raw = read_case(case, self.store.problem)
        image, label = raw.image, raw.target if isinstance(raw.target, Volume) else None
        label = label if self.store.problem.kind == "segmentation" else None
        for step in before:
            image, label = (step.for_channels(case.there) if case.missing else step).apply(image, label)
        return image, label

    def _counted(self, case: Case) -> list[list[int]]:
        """How many targets of a case are of each class or inside each region, and how many are seen, by class."""
        target, problem = self.store.get(case).target, self.store.problem
        if isinstance(target, int):
            inside = np.bincount([target], minlength=problem.num_outputs)
            return [inside.tolist(), [1] * problem.num_outputs]
        inside, seen = counted(np.asarray(target), problem)
        return [inside.tolist(), seen.tolist()]

    def _all(self, doing: str, work: Callable[[Case], Found]) -> list[Found]:
        """What comes of each case, in the order of their ids. Raises DataError with every case that cannot be used."""

        def tried(case: Case) -> tuple[Found | None, list[Finding]]:
            try:
                return work(case), []
            except DataError as error:
                return None, of_case(error, case)

        results: list[Found] = []
        findings: list[Finding] = []
        with self.progress(doing) as show:
            for done, (result, found) in enumerate(side_by_side(tried, self.cases), start=1):
                results += [] if result is None else [result]
                findings += found
                show(done, len(self.cases))
        if findings:
            raise DataError(findings)
        return results

    def _key(self, store: Store, purpose: str) -> str:
        """A hash of everything that is fitted depends on: settings, code, and the cases with their content."""
        with contextlib.suppress(OSError):
            make_folder(store.folder)  # where hashes are remembered, too
        digest = hashlib.sha256(f"{purpose} {file_sha256(Path(__file__))}\n{store.settings}".encode())
        for case in self.cases:
            digest.update(f"{case.id}\0{store.key(case)}\n".encode())
        return digest.hexdigest()

    def _remembered(self, store: Store, purpose: str, find: Callable[[], Found]) -> Found:
        """What was found before in the same data, else what `find` gives, remembered where that is possible."""
        key = self._key(store, purpose)
        file = self.store.folder / f"fit-{key}.json"
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # none, or damaged
            known: Found = json.loads(file.read_text(encoding="utf-8"))["found"]
            touch(file)
            return known
        found = find()
        if self._key(store, purpose) != key:
            raise DataError("files of training cases changed while they were measured: start again once they are whole")
        with contextlib.suppress(OSError):
            write_whole(file, json.dumps({"found": found}).encode())
        return found


def counted(target: npt.NDArray[Any], problem: Problem) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Voxels of each class or region of a target (1 or R, I, J, K), and those that are not ignored, by class.

    Or images of each finding of a target (L,).
    """
    if not problem.exclusive:
        flat = target.reshape(len(target), -1)
        return (flat == 1).sum(axis=1, dtype=np.int64), (flat != IGNORE).sum(axis=1, dtype=np.int64)
    shifted = np.bincount(target.ravel().astype(np.intp) - IGNORE, minlength=problem.num_outputs + 1)
    inside = shifted[1 : problem.num_outputs + 1].astype(np.int64)
    return inside, np.full(problem.num_outputs, inside.sum())
