"""The whole configuration as one object, and the checks that span its sections."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from torch import nn

from hilum.case import Cohort
from hilum.config import Reading, inspect, validate
from hilum.data.balance import unknown_structures
from hilum.data.labels import label_faults
from hilum.data.modalities import missing_faults
from hilum.data.section import DataConfig
from hilum.errors import ConfigError, DataError, HilumError, nearest
from hilum.evaluation.decide_section import DecideConfig
from hilum.evaluation.section import EvaluateConfig
from hilum.inference.restoration_faults import pair_faults, restoration_faults
from hilum.inference.section import PredictConfig
from hilum.layers.presence import PresenceInput
from hilum.losses.deep_supervision import DeepSupervision
from hilum.losses.total import Loss, loss_faults
from hilum.metrics.base import MetricConfig
from hilum.networks.base import NetworkConfig
from hilum.optim.optimizers import OptimizerConfig
from hilum.optim.schedules import ScheduleConfig
from hilum.problem import Problem
from hilum.registry import DEFAULT_KINDS, kinds, load_plugins
from hilum.runtime import RuntimeConfig
from hilum.settings import Settings
from hilum.sources.base import cohort_for
from hilum.tasks.base import TaskConfig
from hilum.training.pretrained_section import Pretrained
from hilum.training.settings import TrainConfig
from hilum.training.sweep_section import SweepConfig
from hilum.yaml_text import Location


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
    pretrained: Pretrained = None
    """Weights that it starts from: a run folder, a file, or imagenet; by default random ones."""
    loss: Loss
    """What training makes small: a loss, or a list of several with their weights."""
    metrics: Annotated[
        tuple[MetricConfig, ...],
        Field(min_length=1),
        BeforeValidator(_as_list, json_schema_input_type=MetricConfig | tuple[MetricConfig, ...]),
    ]
    """The scores; the first one chooses the best checkpoint."""
    optimizer: OptimizerConfig = Field(default=DEFAULT_KINDS["optimizers"], validate_default=True)
    """How gradients change the weights."""
    schedule: ScheduleConfig = Field(default=DEFAULT_KINDS["schedules"], validate_default=True)
    """How the learning rate changes over the run."""
    train: TrainConfig = TrainConfig()
    """How long and how carefully to optimize."""
    runtime: RuntimeConfig = RuntimeConfig()
    """Device, precision and seed."""
    predict: PredictConfig = PredictConfig()
    """How whole images are predicted."""
    decide: DecideConfig = DecideConfig()
    """How probabilities become decisions, of a case and of a patient."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """How sure scores are said to be, and which groups are scored apart."""
    sweep: SweepConfig | None = None
    """The settings that `hilum sweep` tries."""
    plugins: tuple[Path, ...] = ()
    """Python files with components of your own, relative to this YAML file."""
    runs: Path = Path("runs")
    """Folder that run folders are made in."""

    @property
    def monitor(self) -> str:
        """The column of the score that chooses the best checkpoint."""
        return self.train.monitor or self.metrics[0].column

    @property
    def monitored(self) -> MetricConfig:
        """The metric that `monitor` names."""
        return next(metric for metric in self.metrics if metric.column == self.monitor)

    def provisional_problem(self) -> Problem:
        """The problem as the configuration alone tells it: one channel, dimensions guessed from patch and resize."""
        size = self._fixed_size()
        dims = self.data.dims or (len(size) if size else 2)
        return self.task.problem(channels=("image",), dims=dims, size=size if size and len(size) == dims else None)

    def problem(self, channels: tuple[str, ...], shape: tuple[int, ...], slice_axis: int | None) -> Problem:
        """The problem for prepared images of this `shape`, sliced along an axis where it is two-dimensional."""
        size, dims = self._fixed_size(), 3 if slice_axis is None else 2
        if size is not None and len(size) > dims:
            size = tuple(n for axis, n in enumerate(size) if axis != slice_axis)
        if size is not None and len(size) < dims:
            size = (*size, shape[2])
        if size is None and self.network.needs_size:
            # All images have to be like the first.
            size = tuple(n for axis, n in enumerate(shape) if axis != slice_axis)
        return self.task.problem(channels=channels, dims=dims, size=size)

    def dims(self, shape: tuple[int, ...]) -> int:
        """2 or 3: as given, as the patch has dimensions, or as images of this `shape` have."""
        if self.data.dims is not None:
            return self.data.dims
        return len(self.data.patch.size) if self.data.patch else (2 if shape[2] == 1 else 3)

    def build_network(self, problem: Problem) -> nn.Module:
        """A new network for `problem`, which takes images that lack channels where the data section allows them."""
        missing = self.data.missing
        if missing is None:
            return self.task.finished(self.network.build(problem))
        planes = tuple(f"{name} is there" for name in problem.channels) if missing.presence else ()
        inner = self.network.build(replace(problem, channels=(*problem.channels, *planes)))
        return PresenceInput(inner, presence=missing.presence)

    def build_loss(self, problem: Problem) -> nn.Module:
        """The loss of what the network gives in training: logits of one resolution, or of several."""
        loss = self.loss.build(problem)
        return DeepSupervision(loss) if self.network.gives_several else loss

    def _fixed_size(self) -> tuple[int, ...] | None:
        if self.data.patch is not None:
            return self.data.patch.size
        size: tuple[int, ...] | None = None
        for step in self.data.prepare:
            size = step.size_after(size)
        return size


def load(file: Path | str, overrides: Sequence[str] = ()) -> Experiment:
    """The experiment of a YAML file. Raises ConfigError with every fault that the file alone shows."""
    reading = diagnose(file, overrides)
    if reading.faults or reading.model is None:
        raise ConfigError(reading.faults)
    return reading.model


def diagnose(file: Path | str, overrides: Sequence[str] = ()) -> Reading[Experiment]:
    """The experiment as far as it can be understood, and every fault of the configuration.

    Raises ConfigError where the file is no YAML with sections.
    """
    document = inspect(file, overrides)
    plugin_faults = load_plugins(document)
    reading = validate(document, Experiment)
    reading.faults[:0] = [*document.faults, *plugin_faults]
    experiment = reading.model
    if experiment is None:
        return reading
    reading.faults += [
        document.fault(reading.original(location), message) for location, message in _checked(experiment, reading)
    ]
    found = tuple(document.file.parent / plugin for plugin in experiment.plugins)
    reading.model = experiment.model_copy(update={"plugins": found})
    return reading


def section_faults(experiment: Experiment, problem: Problem) -> list[tuple[Location, str]]:
    """What does not fit together between the sections of a whole experiment, each with the key to mend."""
    return [
        *_patch_faults(experiment, problem),
        *restoration_faults(experiment.data, experiment.predict, problem),
        *_network_faults(experiment, problem),
        *_loss_faults(experiment, problem),
        *_metric_faults(experiment, problem),
        *_monitor_faults(experiment, problem),
        *_own_faults("predict", experiment, problem),
        *_own_faults("decide", experiment, problem),
    ]


def cohort_faults(experiment: Experiment, *, divide: bool = True) -> tuple[Cohort | None, list[tuple[Location, str]]]:
    """The cohort of the data section, and why there is none, or why its labels or (`divide`) its patients do not fit.

    Needs nothing but the sections task, data.source and data.split. Raises DataError with findings about the cases
    where the source made some.
    """
    problem = experiment.provisional_problem()
    try:
        cohort = cohort_for(experiment.data.source, problem)
    except HilumError as error:
        if isinstance(error, DataError) and error.findings:
            raise
        return None, [(("data", "source"), line) for line in str(error).splitlines()]
    lacking = missing_faults(cohort, experiment.data.missing)
    faults: list[tuple[Location, str]] = [(("data", "missing"), message) for message in lacking]
    faults += [(("data", where), message) for where, message in pair_faults(cohort, experiment.data, problem)]
    faults += [(("task", where), message) for where, message in label_faults(cohort, problem)]
    faults += experiment.evaluate.faults(cohort)
    try:
        if divide and not faults:
            experiment.data.split.assign(cohort.cases, labels=experiment.task.strata(cohort))
    except HilumError as error:
        faults.append((("data", "split"), str(error)))
    return cohort, faults


Found = Iterator[tuple[Location, str]]


def _checked(experiment: Experiment, reading: Reading[Experiment]) -> Found:
    """What does not fit together between those sections that are known."""
    if not reading.knows(("task",)):
        return
    problem = experiment.provisional_problem()
    frame_known = reading.knows(("data", "dims"), ("data", "patch"))
    if frame_known:
        yield from _patch_faults(experiment, problem)
    if reading.knows(("data", "degrade"), ("data", "prepare"), ("predict",)):
        yield from restoration_faults(experiment.data, experiment.predict, problem)
    if reading.knows(("network",)) and frame_known and (experiment.data.patch or reading.knows(("data", "prepare"))):
        yield from _network_faults(experiment, problem)
    if reading.knows(("loss",)):
        yield from _loss_faults(experiment, problem)
    if experiment.metrics:
        yield from _metric_faults(experiment, problem)
    if reading.knows(("metrics",), ("train", "monitor")):
        yield from _monitor_faults(experiment, problem)
    for name in ("predict", "decide"):
        if reading.knows((name,)):
            yield from _own_faults(name, experiment, problem)


def _patch_faults(experiment: Experiment, problem: Problem) -> Found:
    patch, dims = experiment.data.patch, experiment.data.dims
    if patch is not None and not problem.dense:
        yield ("data", "patch"), "a classifier looks at whole images: use {kind: resize, size: [...]} in data.prepare"
    if patch is not None and problem.kind == "segmentation" and isinstance(patch.classes, dict):
        yield from ((("data", "patch", "classes"), fault) for fault in unknown_structures(patch.classes, problem))
    if patch is not None and dims not in (None, len(patch.size)):
        message = f"received {len(patch.size)} numbers, expected {dims}, since data.dims is {dims}"
        yield ("data", "patch", "size"), message


def _network_faults(experiment: Experiment, problem: Problem) -> Found:
    network = experiment.network
    if (network.task == "segmentation") != problem.dense:
        yield ("network",), network.faults(problem)[0]
    elif problem.size is not None or not network.needs_size:  # else the images will tell the size
        own = network.faults(replace(problem, size=None)) if experiment.data.patch else network.faults(problem)
        yield from ((("network",) if one in own else ("data", "patch", "size"), one) for one in network.faults(problem))


def _loss_faults(experiment: Experiment, problem: Problem) -> Found:
    yield from ((("loss",), message) for message in loss_faults(experiment.loss, problem))


def _metric_faults(experiment: Experiment, problem: Problem) -> Found:
    columns: list[str] = []
    for index, metric in enumerate(experiment.metrics):
        if problem.kind not in metric.tasks:
            fitting = [kind for kind, other in kinds("metrics").items() if problem.kind in getattr(other, "tasks", ())]
            message = f"metric '{metric.kind}' is for {metric.tasks[0]}, the task is {problem.kind}: expected one of "
            yield ("metrics", index), message + ", ".join(fitting)
        else:
            yield from ((("metrics", index), fault) for fault in metric.faults(problem))
        if metric.column in columns:
            yield ("metrics", index), f"a second metric with the column '{metric.column}': remove one of them"
        columns.append(metric.column)


def _monitor_faults(experiment: Experiment, problem: Problem) -> Found:
    columns = [metric.column for metric in experiment.metrics]
    if experiment.monitor not in columns:
        close = nearest(experiment.monitor, columns)
        hint = f"; did you mean '{close}'?" if close else ""
        message = f"received '{experiment.monitor}', expected one of the metrics {', '.join(columns)}{hint}"
        yield ("train", "monitor"), message
    elif reason := experiment.monitored.why_no_monitor(problem):
        able = [metric.column for metric in experiment.metrics if not metric.why_no_monitor(problem)]
        message = f"'{experiment.monitor}' cannot choose a checkpoint: {reason}"
        where: Location = ("train", "monitor") if experiment.train.monitor else ("metrics", 0)
        yield where, f"{message}; expected train.monitor to be {', '.join(able) or 'a metric that can, add one'}"


def _own_faults(name: str, experiment: Experiment, problem: Problem) -> Found:
    """What a section itself finds that does not suit the problem."""
    return (((name, *where), message) for where, message in getattr(experiment, name).faults(problem))
