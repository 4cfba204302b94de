"""Keeps with a run what its training part was like, and what its network is like on validation: what flags need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from hilum.case import Case, ImageRef
from hilum.data.fit import Fit
from hilum.data.store import Store, surroundings
from hilum.errors import DataError
from hilum.formats.reading import read_header, read_mask
from hilum.inference.air import AirMeasure, air_measure, fitted_air
from hilum.inference.predictor import Predictor
from hilum.inference.review.fingerprint import Fingerprint, spreads_of
from hilum.inference.review.flags import Flagging, flag_counts, told_flags
from hilum.inference.review.numbers import (
    Numbers,
    confidence_numbers,
    has_confidence,
    image_numbers,
    label_numbers,
    part_numbers,
    reviewed,
)
from hilum.inference.review.sureness import Sureness
from hilum.pipeline.restore import restore
from hilum.pipeline.session import Session
from hilum.pipeline.study import Study
from hilum.problem import IGNORE
from hilum.random import generator
from hilum.tracking.console import bar
from hilum.training.interrupt import StopRequest
from hilum.volume import Volume

Say = Callable[[str], None]

MOST_MEASURED = 2000
"""Training cases that are measured where the answer is about whole images: drawn evenly with the run's seed where there
are more. Of a segmentation all are, as none of their structures may lie in a window that is passed over."""
MOST_VALIDATED = 200
"""Validation cases that tell how sure the network usually is, drawn likewise."""
CODE = ("inference/review", "inference/air.py", "geometry")
"""What of hilum decides what is measured of a training case."""


def keep_fingerprint(session: Session) -> None:
    """Write into the run what its training part is like, where flags or a test for air are wanted; the main rank does.

    What was measured is remembered in the cache folder, for other runs and folds of the same cases.
    """
    run, runtime, predict = session.run, session.runtime, session.study.experiment.predict
    if runtime.is_main:
        run.fingerprint.unlink(missing_ok=True)  # of other data or settings
    if (predict.review is None and not predict.skip_air) or not reviewed(session.study.problem):
        return
    runtime.main_first(lambda: run.write_json(run.fingerprint, _fingerprint(session.study, session.validation.stop)))


def keep_validation(session: Session, *, say: Say) -> None:
    """Write into the run how sure its network is of the validation cases, and how many of them would be flagged.

    Every rank predicts its share of them with the weights that are scored, as they are finally used.
    """
    run, runtime, study = session.run, session.runtime, session.study
    settings, seed = study.experiment.predict.review, study.experiment.runtime.seed
    if settings is None or not reviewed(study.problem) or not study.split.part("val"):
        return
    runtime.barrier()
    restored = restore(run)
    flagging = Flagging(Fingerprint.from_record(run.read_json(run.fingerprint)), settings, study.problem)
    cases = _drawn(study.split.part("val"), MOST_VALIDATED, seed=seed, purpose="review validation")
    own = cases[runtime.rank :: runtime.world]
    numbers = runtime.gather(list(_predicted(session, own, restored.predictor(runtime), flagging)))
    if not runtime.is_main:
        return
    sure = [{name: value for name, value in row.items() if name.endswith("confidence")} for row in numbers]
    flagging = replace(flagging, fingerprint=replace(flagging.fingerprint, surest=spreads_of(sure)))
    found = [{flag.name for flag in flagging.flags(row)} for row in numbers]
    flagged, counts = sum(map(bool, found)), flag_counts(found)
    share = {"cases": len(numbers), "flagged": flagged, "flags": counts}
    kept = run.read_json(run.fingerprint) | flagging.fingerprint.record
    run.write_json(run.fingerprint, kept | {"weights_sha256": restored.weights_sha256, "validation": share})
    say(f"review flags: {told_flags(len(numbers), flagged, counts, of='validation case')}")


@dataclass(frozen=True)
class _Measuring:
    """Measures training cases of a study."""

    study: Study

    def __call__(self, case: Case, store: Store) -> dict[str, Any]:
        """Numbers of a training case, and of a segmentation by windows what it tells of air; as JSON."""
        problem, prepared = self.study.problem, store.get(case)
        volume = Volume(torch.from_numpy(prepared.image), prepared.grid)
        numbers = image_numbers(read_header(case.files[0]).grid, volume, problem.channels)
        if not problem.dense:
            return {"numbers": numbers}
        if not isinstance(case.label, ImageRef):
            raise DataError("has no mask")
        mask = read_mask(case.label)
        labels = mask.tensor[0].numpy()
        numbers |= label_numbers(labels, mask.grid, problem) | part_numbers(labels, problem, problem.foreground)
        if self.study.experiment.data.patch is None:
            return {"numbers": numbers}
        window = self.study.sampling.size(prepared.image.shape[1:])
        target = np.asarray(prepared.target)
        measure = air_measure(prepared.image, (target > 0).any(0) & (target != IGNORE).all(0), window)
        return {"numbers": numbers, "air": [measure.dark, measure.least]}


def _fingerprint(study: Study, stop: StopRequest) -> dict[str, Any]:
    """What the training part is like, as JSON."""
    experiment, problem, train = study.experiment, study.problem, study.split.part("train")
    most = len(train) if problem.dense else MOST_MEASURED
    cases = _drawn(train, most, seed=experiment.runtime.seed, purpose="review training")

    @contextmanager
    def progress(doing: str) -> Iterator[Callable[[int, int], None]]:
        with bar(doing) as show:

            def shown(done: int, total: int) -> None:
                stop.check()
                show(done, total)

            yield shown

    settings = [problem.channels, experiment.data.patch, study.slice_axis, surroundings(CODE)]
    fit = Fit.of(study.store, cases, progress)
    found = fit.of_each("looking at the training part", _Measuring(study), settings=repr(settings))
    fingerprint = Fingerprint.of([case["numbers"] for case in found])
    air = [AirMeasure(tuple(case["air"][0]), tuple(case["air"][1])) for case in found if "air" in case]
    return {**fingerprint.record, "of": len(train), "air": list(fitted_air(air)) if air else []}


def _predicted(session: Session, cases: Sequence[Case], predictor: Predictor, flagging: Flagging) -> Iterator[Numbers]:
    """The numbers of some validation cases, as prediction has them."""
    problem, dataset = session.study.problem, session.study.dataset(cases)
    for index, case in enumerate(cases):
        if session.runtime.world == 1:
            session.validation.stop.check()
        prepared, source = dataset.prepared(index), read_header(case.files[0]).grid
        volume = Volume(torch.from_numpy(prepared.image), prepared.grid)
        numbers = image_numbers(source, volume, problem.channels)
        if not problem.dense:
            sure = {None: float(predictor.classify_prepared([volume])[0].max())} if has_confidence(problem) else {}
            yield numbers | confidence_numbers(sure)
            continue
        sureness = Sureness(problem)
        labels = predictor.labels(volume, source, sureness=sureness).tensor[0].numpy()
        numbers |= label_numbers(labels, source, problem) | part_numbers(labels, problem, flagging.singles)
        yield numbers | confidence_numbers(sureness.of_structures)


def _drawn(cases: Sequence[Case], most: int, *, seed: int, purpose: str) -> tuple[Case, ...]:
    """At most so many cases, in their order."""
    if len(cases) <= most:
        return tuple(cases)
    chosen = generator(seed, 0, 0, purpose).permutation(len(cases))[:most]
    return tuple(cases[index] for index in sorted(chosen))
