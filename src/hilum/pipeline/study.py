"""What an experiment becomes once its data have been looked at: cohort, split, prepared cases, problem and frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from hilum.augment.augmenter import faults_of
from hilum.augment.base import FlipAugment, Frame
from hilum.case import Case, Cohort
from hilum.data.balance import ClassBalance, class_balance
from hilum.data.dataset import Dataset, Sampling
from hilum.data.fit import Fit, Progress, silently
from hilum.data.hashes import Hashes
from hilum.data.loader import Batches
from hilum.data.modalities import missing_faults, unseen_faults
from hilum.data.prepared import Prepared
from hilum.data.splits.base import Split
from hilum.data.store import Store
from hilum.errors import ConfigError, DataError, Fault
from hilum.experiment import Experiment, section_faults
from hilum.inference.axes import coarsest_axis, mirrorings
from hilum.inference.restoration_faults import pair_faults
from hilum.pipeline.decision_faults import decision_faults
from hilum.pipeline.training_faults import refuse_lone_values, refuse_long_warmup, training_faults
from hilum.problem import Problem
from hilum.runtime import Runtime
from hilum.targets import nowhere_known, numbers, scales_of
from hilum.yaml_text import Location


@dataclass(frozen=True)
class Study:
    """An experiment and its data."""

    experiment: Experiment
    cohort: Cohort
    split: Split
    store: Store
    problem: Problem
    frame: Frame
    slice_axis: int | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What every report has to say about these data."""
        return (*self.cohort.notes, *self.split.notes)

    @property
    def learnt_from(self) -> tuple[Case, ...]:
        """The cases that training looks at: those of the parts train and val."""
        return (*self.split.part("train"), *self.split.part("val"))

    @property
    def sampling(self) -> Sampling:
        """What of a case becomes a sample."""
        patch = self.experiment.data.patch
        return Sampling(
            patch=patch.size if patch else None,
            foreground=patch.foreground if patch else 0.0,
            slice_axis=self.slice_axis,
        )

    def dataset(self, cases: Sequence[Case]) -> Dataset:
        """Samples of cases, drawn as the data section says."""
        # One limit for all: the training part and the validation part each have their share of it.
        share = min(1.0, len(cases) / len([*self.split.part("train"), *self.split.part("val")]))
        return Dataset(
            cases,
            self.store,
            sampling=self.sampling,
            seed=self.experiment.runtime.seed,
            memory_bytes=int(share * self.experiment.data.memory_gb * 2**30),
            case_faults=self._case_faults,
        )

    def _case_faults(self, prepared: Prepared) -> list[str]:
        """Why a case does not fit: a size that the network cannot take, or axes that mean something else."""
        whole = self.sampling.size(prepared.image.shape[1:])
        size = tuple(length for axis, length in enumerate(whole) if axis != self.slice_axis)
        axes = Frame.of(prepared.grid, size, slice_axis=2 if self.slice_axis is None else self.slice_axis).axes
        flips = any(isinstance(step, FlipAugment) for step in self.experiment.data.augment)
        faults = self._size_faults(size)
        if len(prepared.image) != self.problem.num_channels:
            faults.append(f"has {len(prepared.image)} channels, the first training case {self.problem.num_channels}")
        if size != self.frame.shape and self.experiment.data.samples_per_step > 1:
            faults.append(
                f"is {size} after preparation, the first training case {self.frame.shape}: cases of different sizes "
                f"cannot share a batch; {self._patch_or}add a resize step, or set data.batch_size=1"
            )
        if axes != self.frame.axes and (flips or self.experiment.predict.flips):
            faults.append(
                f"has the axes {', '.join(axes)}, the first training case {', '.join(self.frame.axes)}; mirroring "
                "needs the same for all: begin data.prepare with {kind: canonical}"
            )
        return faults

    def _size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Why the network cannot take a sample of this size; only whole cases may have one of their own."""
        network, mend = self.experiment.network, f"; {self._patch_or}end data.prepare with a resize step"
        if network.needs_size and size != self.problem.size:
            return [f"is {size} after preparation, this network takes {self.problem.size} only{mend}"]
        return [f"{fault}{mend}" for fault in network.size_faults(size)]

    @property
    def _patch_or(self) -> str:
        """The first advice on sizes; only a task with an answer for every voxel has patches."""
        return "give data.patch.size, or " if self.problem.dense else ""

    def batches(self, dataset: Dataset, runtime: Runtime) -> Batches:
        """Training batches.

        Raises ConfigError where the processes cannot share a batch evenly, where a norm would have a single value to
        normalise, or where the warm-up outlasts the run.
        """
        data = self.experiment.data
        if data.samples_per_step % runtime.world:
            raise ConfigError(
                f"data.batch_size: received {data.samples_per_step}, "
                f"expected a multiple of the {runtime.world} processes that share a batch"
            )
        refuse_lone_values(self.experiment, self.problem, (data.samples_per_step // runtime.world, *self.frame.shape))
        batches = Batches(
            dataset,
            batch_size=data.samples_per_step,
            seed=self.experiment.runtime.seed,
            samples_per_case=data.patch.samples_per_case if data.patch else 1,
            steps=self.experiment.train.steps_per_epoch,
            dropout=data.missing.dropout if data.missing else 0.0,
            balance=self._balance(dataset),
            workers=data.workers,
            rank=runtime.rank,
            world=runtime.world,
        )
        if self.experiment.train.epochs is not None:
            total = self.experiment.train.epochs * self.experiment.train.updates(batches.steps_per_epoch)
            refuse_long_warmup(self.experiment, total)
        return batches

    def _balance(self, dataset: Dataset) -> ClassBalance | None:
        """How structures share the patches, where not each case's own do."""
        patch = self.experiment.data.patch
        if patch is None or patch.classes == "in_case":
            return None
        return class_balance(dataset, None if patch.classes == "balanced" else patch.classes, patch.foreground)


def make_study(
    experiment: Experiment,
    *,
    split_of: Callable[[Cohort], Split] | None = None,
    cohort: Cohort | None = None,
    rehash: bool = False,
    progress: Progress = silently,
) -> Study:
    """Look at the data: list the cases, split the patients, prepare one case, and fix what depends on it.

    Settings that the experiment leaves to be found are found in the training part, and written into the study's
    experiment. `rehash` reads all files again instead of trusting their times, `progress` is told of longer work.
    Raises ConfigError, DataError or SplitError for everything that does not fit.
    """
    cohort = cohort or experiment.data.source.cohort(experiment.provisional_problem().kind)
    _refuse_missing(missing_faults(cohort, experiment.data.missing))
    split = split_of(cohort) if split_of else drawn_split(experiment, cohort)
    _refuse_missing(unseen_faults(split.part("train"), cohort.channels))
    train, channels = split.part("train"), cohort.channels
    store = _fitted_store(experiment, train, channels, rehash=rehash, progress=progress)
    prepared = store.get(train[0])
    shape = prepared.image.shape[1:]
    if experiment.predict.postprocess == "auto" and not split.part("val"):
        fault = "received auto, which needs validation patients, and the split has none: name the steps instead"
        raise ConfigError([Fault("configuration", "predict.postprocess", fault)])
    slice_axis = _slice_axis(experiment, shape, coarsest_axis(prepared.grid))
    problem = _scaled(experiment.problem(channels, shape, slice_axis), experiment, train)
    frame = Frame.of(
        prepared.grid,
        problem.size or tuple(n for axis, n in enumerate(shape) if axis != slice_axis),
        channels=len(channels),
        slice_axis=2 if slice_axis is None else slice_axis,
    )
    faults = [
        Fault("configuration", ".".join(map(str, where)), message)
        for where, message in (
            *section_faults(experiment, problem),
            *_size_faults(experiment, problem, frame.shape),
            *training_faults(experiment, problem, num_val=len(split.part("val"))),
            *decision_faults(experiment.decide, problem, split),
            *((("data", where), message) for where, message in pair_faults(cohort, experiment.data, problem)),
        )
    ]
    faults += faults_of(experiment.data.augment, frame)
    try:
        mirrorings(experiment.predict.flips, frame.axes)
    except ConfigError as error:
        faults.append(Fault("configuration", "predict.flips", str(error)))
    if faults:
        raise ConfigError(faults)
    store = store.with_problem(problem)
    # Written out, so that every later use takes what was found here and not what it would find elsewhere.
    found = {"dims": problem.dims, "slice_axis": slice_axis, "prepare": store.steps}
    found["batch_size"] = experiment.data.for_cases(len(train))
    loss = Fit.of(store, train, progress).loss(experiment.loss)
    data = experiment.data.model_copy(update=found)
    experiment = experiment.model_copy(update={"data": data, "loss": loss})
    return Study(experiment, cohort, split, store, problem, frame, slice_axis)


def _fitted_store(
    experiment: Experiment,
    train: Sequence[Case],
    channels: tuple[str, ...],
    *,
    rehash: bool,
    progress: Progress,
) -> Store:
    """The store of prepared cases, whose steps have all their settings."""
    data = experiment.data
    problem = experiment.task.problem(channels=channels, dims=3, size=None)
    hashes, bound_bytes = Hashes(data.cache, rehash=rehash), int(data.cache_gb * 2**30)
    unfitted = Store(data.cache, problem, data.prepare, hashes=hashes, bound_bytes=bound_bytes)
    steps = Fit.of(unfitted, train, progress).steps()
    return Store(data.cache, problem, steps, hashes=hashes, bound_bytes=bound_bytes)


def drawn_split(experiment: Experiment, cohort: Cohort) -> Split:
    """The split of a cohort as the experiment says, with each part its share of what the task has strata for."""
    return experiment.data.split.assign(cohort.cases, labels=experiment.task.strata(cohort))


def _size_faults(experiment: Experiment, problem: Problem, size: tuple[int, ...]) -> Iterator[tuple[Location, str]]:
    """Why the network cannot take the first training case, where it takes cases whole: told once, not of each case."""
    if problem.size is not None:
        return
    mend = "give data.patch.size, or end" if problem.dense else "end"
    first = f"the first training case is {size} after preparation"
    for fault in experiment.network.size_faults(size):
        yield ("network",), f"{fault}; {first}; {mend} data.prepare with a resize step"


def _refuse_unknown(problem: Problem, train: Sequence[Case]) -> None:
    """Raise DataError where no training case tells a finding or a number: its outputs would stay as they were drawn."""
    labels = [case.label for case in train if isinstance(case.label, str | tuple)]
    unknown = list[str]()
    with suppress(DataError):  # a label that means nothing is told with its case when that is prepared
        unknown = nowhere_known(labels, problem)
    if unknown:
        names = ", ".join(f"'{name}'" for name in unknown)
        raise DataError(f"{names}: unknown in every case of the training part, so that there is nothing to learn from")


def _scaled(problem: Problem, experiment: Experiment, train: Sequence[Case]) -> Problem:
    """The problem with mean and standard deviation of each number in the training part, where the task wants them."""
    _refuse_unknown(problem, train)
    if not experiment.task.standardises:
        return problem
    labels = [(case, case.label) for case in train]
    values = [numbers(label, problem) for _, label in labels if isinstance(label, str | tuple)]
    if len(values) < len(train):
        lacking = next(case.id for case, label in labels if not isinstance(label, str | tuple))
        raise DataError(f"case {lacking}: has no number, and training needs {problem.described()}")
    return replace(problem, scales=scales_of(values, problem))


def _refuse_missing(messages: list[str]) -> None:
    """Raise ConfigError with what is wrong about channels that cases lack."""
    if messages:
        raise ConfigError([Fault("configuration", "data.missing", message) for message in messages])


def _slice_axis(experiment: Experiment, shape: tuple[int, ...], coarsest: int) -> int | None:
    """The axis that slices are taken along, or None for a 3D network."""
    wanted = experiment.data.slice_axis
    if experiment.dims(shape) == 3:
        if wanted is not None:
            raise ConfigError(
                "data.slice_axis: received an axis, but the network is three-dimensional: remove it or set data.dims=2"
            )
        if shape[2] == 1:
            raise ConfigError("data.dims: received 3, but the images have one slice: expected 2")
        return None
    return coarsest if wanted is None else wanted
