"""The whole configuration as one object, and the checks that span its sections."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt

from hilum.case import Cohort
from hilum.config import Document, Location, dotted, read, validate
from hilum.data.section import DataConfig
from hilum.errors import ConfigError, DataError, Fault, HilumError, nearest
from hilum.losses.base import LossConfig
from hilum.metrics.base import MetricConfig
from hilum.networks.base import NetworkConfig
from hilum.optim.optimizers import OptimizerConfig
from hilum.optim.schedules import ScheduleConfig
from hilum.problem import Problem
from hilum.registry import Settings, load_plugin
from hilum.runtime import RuntimeConfig
from hilum.tasks.base import TaskConfig
from hilum.training.trainer import TrainConfig


class PredictConfig(Settings):
    """How whole images are predicted."""

    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of a window that its neighbour covers too."""
    flips: tuple[str | int, ...] = ()
    """Axes along which mirrored views are predicted and averaged in, such as [left_right]; only where mirroring makes sense."""
    batch_size: PositiveInt = 4
    """Windows, or slices, of one case predicted together."""


def _plain_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError("a name of letters, digits, '.', '_' and '-', since it names a folder")
    return name


def _as_list(received: Any) -> Any:
    return [received] if isinstance(received, str | dict) else received


class Experiment(Settings):
    """Everything that one YAML file says."""

    name: Annotated[str, AfterValidator(_plain_name)]
    """Name of the run's folder."""
    task: TaskConfig
    """What the network is asked, and the classes."""
    data: DataConfig
    """Where cases come from, and how they become batches."""
    network: NetworkConfig
    """The architecture."""
    loss: LossConfig
    """What training makes small."""
    metrics: Annotated[tuple[MetricConfig, ...], Field(min_length=1), BeforeValidator(_as_list)]
    """The scores; the first one chooses the best checkpoint."""
    optimizer: OptimizerConfig = Field(default="adamw", validate_default=True)
    """How gradients change the weights."""
    schedule: ScheduleConfig = Field(default="cosine", validate_default=True)
    """How the learning rate changes over the run."""
    train: TrainConfig = TrainConfig()
    """How long and how carefully to optimize."""
    runtime: RuntimeConfig = RuntimeConfig()
    """Device, precision and seed."""
    predict: PredictConfig = PredictConfig()
    """How whole images are predicted."""
    plugins: tuple[Path, ...] = ()
    """Python files with components of your own, relative to this YAML file."""
    runs: Path = Path("runs")
    """Folder that run folders are made in."""

    @property
    def monitor(self) -> str:
        """The column of the score that chooses the best checkpoint."""
        return self.train.monitor or self.metrics[0].column

    def provisional_problem(self) -> Problem:
        """The problem as far as the configuration alone tells it: one channel, dimensions guessed from patch and resize."""
        size = self._fixed_size()
        dims = self.data.dims or (len(size) if size else 2)
        fits = size is not None and len(size) == dims
        return self.task.problem(channels=("image",), dims=dims, size=size if fits else None)

    def problem(self, channels: tuple[str, ...], shape: tuple[int, ...], slice_axis: int | None) -> Problem:
        """The problem for prepared images of (at first) this `shape`, sliced along an axis where it is two-dimensional."""
        size = self._fixed_size()
        dims = 3 if slice_axis is None else 2
        if size is not None and len(size) > dims:
            size = tuple(n for axis, n in enumerate(size) if axis != slice_axis)
        if size is not None and len(size) < dims:
            size = (*size, shape[2])
        return self.task.problem(channels=channels, dims=dims, size=size)

    def dims(self, shape: tuple[int, ...]) -> int:
        """2 or 3: as given, as the patch has dimensions, or as images of this `shape` have."""
        if self.data.dims is not None:
            return self.data.dims
        return len(self.data.patch.size) if self.data.patch else (2 if shape[2] == 1 else 3)

    def _fixed_size(self) -> tuple[int, ...] | None:
        if self.data.patch is not None:
            return self.data.patch.size
        sizes = [step.fixed_size for step in self.data.prepare if step.fixed_size is not None]
        return sizes[-1] if sizes else None


def load(file: Path, overrides: tuple[str, ...] | list[str] = ()) -> Experiment:
    """The experiment of a YAML file. Raises ConfigError with every fault that the file alone shows."""
    experiment, faults, _ = diagnose(file, overrides)
    if faults or experiment is None:
        raise ConfigError(faults)
    return experiment


def diagnose(
    file: Path, overrides: tuple[str, ...] | list[str] = ()
) -> tuple[Experiment | None, list[Fault], Document]:
    """The experiment as far as it can be understood, and every fault of the configuration."""
    document = read(file, overrides)
    faults = _load_plugins(document)
    experiment, found, removed = validate(document, Experiment)
    faults += found
    if experiment is None:
        return None, faults, document
    faults += [
        Fault(document.where(location), dotted(location), message)
        for location, message in section_faults(experiment, experiment.provisional_problem())
        if not _touches(location, removed)
    ]
    experiment = experiment.model_copy(update={"plugins": tuple(file.parent / plugin for plugin in experiment.plugins)})
    return experiment, faults, document


def section_faults(experiment: Experiment, problem: Problem) -> list[tuple[Location, str]]:
    """What does not fit together between sections, each with the key to mend."""
    faults: list[tuple[Location, str]] = []
    patch = experiment.data.patch
    if patch is not None and problem.kind == "classification":
        faults.append(
            (("data", "patch"), "a classifier looks at whole images: use {kind: resize, size: [...]} in data.prepare")
        )
    if patch is not None and experiment.data.dims not in (None, len(patch.size)):
        faults.append(
            (("data", "patch", "size"), f"received {len(patch.size)} numbers, data.dims is {experiment.data.dims}")
        )
    where_size: Location = ("data", "patch", "size") if patch is not None else ("network",)
    if experiment.network.task != problem.kind:
        faults.append((("network",), experiment.network.faults(problem)[0]))
    else:
        sized = replace(problem, size=problem.size)
        faults += [(where_size, message) for message in experiment.network.faults(sized)]
    faults += [(("loss",), message) for message in experiment.loss.faults(problem)]
    columns: list[str] = []
    for index, metric in enumerate(experiment.metrics):
        if metric.task != problem.kind:
            faults.append(
                (("metrics", index), f"metric '{metric.kind}' is for {metric.task}, the task is {problem.kind}")
            )
        if metric.column in columns:
            faults.append((("metrics", index), f"a second metric with the column '{metric.column}'"))
        columns.append(metric.column)
    if experiment.monitor not in columns:
        close = nearest(experiment.monitor, columns)
        hint = f"; did you mean '{close}'?" if close else ""
        faults.append(
            (
                ("train", "monitor"),
                f"received '{experiment.monitor}', expected one of the metrics {', '.join(columns)}{hint}",
            )
        )
    return faults


def cohort_faults(experiment: Experiment) -> tuple[Cohort | None, list[tuple[Location, str]]]:
    """The cohort of the data section, or why there is none."""
    try:
        cohort = experiment.data.source.cohort(experiment.provisional_problem().kind)
    except DataError as error:
        return None, [(("data", "source"), line) for line in str(error).splitlines()]
    try:
        problem = experiment.provisional_problem()
        labels = {case.id: case.label for case in cohort.cases if isinstance(case.label, str)}
        if problem.kind == "classification":
            for label in sorted(set(labels.values())):
                problem.encode_class(label)
        experiment.data.split.assign(cohort.cases, labels=labels)
    except DataError as error:
        return cohort, [(("task", "classes"), str(error))]
    except HilumError as error:
        return cohort, [(("data", "split"), str(error))]
    return cohort, []


def _load_plugins(document: Document) -> list[Fault]:
    listed = document.data.get("plugins") or []
    faults: list[Fault] = []
    for index, plugin in enumerate(listed if isinstance(listed, list) else []):
        try:
            load_plugin(document.file.parent / str(plugin))
        except HilumError as error:
            faults.append(Fault(document.where(("plugins", index)), f"plugins.{index}", str(error)))
    return faults


def _touches(location: Location, removed: list[Location]) -> bool:
    """Whether a key at fault stands within a location, so that what was checked there was only a default."""
    return any(spot[: len(location)] == location or location[: len(spot)] == spot for spot in removed)
