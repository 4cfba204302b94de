"""What a network of a configuration, or one named on the command line, consists of; costs nothing at any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import nn

from hilum.case import Cohort
from hilum.config import validate
from hilum.errors import ConfigError, Fault, HilumError, nearest, number_of
from hilum.experiment import Experiment, load
from hilum.formats.reading import read_header
from hilum.inference.axes import coarsest_axis
from hilum.inspection.description import Description, border_remarks, describe_network, times
from hilum.inspection.trace import trace
from hilum.layers.presence import PresenceInput
from hilum.networks.base import NetworkConfig
from hilum.pipeline.study import Study
from hilum.problem import Problem
from hilum.registry import kinds
from hilum.volume import Grid
from hilum.yaml_text import Document, plain

SUFFIXES = (".yaml", ".yml")
SIZE = (224, 224)
CHANNELS = 1
CLASSES = 2
LONGEST = 1_000_000
"""Voxels along an axis that still can be counted with, three axes and their channels together."""


@dataclass(frozen=True)
class DescribeOptions:
    """What a network is described for where nothing else says it: the size of an image, its channels, the classes."""

    size: tuple[int, ...] | None = None
    channels: int | None = None
    classes: int | None = None

    def __post_init__(self) -> None:
        """Raise ConfigError for what cannot be."""
        if self.size is not None and (
            len(self.size) not in (2, 3) or not 1 <= min(self.size) <= max(self.size) <= LONGEST
        ):
            expected = f"two or three lengths of 1 to {LONGEST}, such as 224x224"
            raise ConfigError(f"--size: received {times(self.size)}, expected {expected}")
        for name, count in (("--channels", self.channels), ("--classes", self.classes)):
            if count is not None and count < 1:
                raise ConfigError(f"{name}: received {count}, expected at least 1")


def describe(
    target: Path | str, overrides: Sequence[str] = (), *, options: DescribeOptions = DescribeOptions()
) -> Description:
    """The layers of the network of a YAML file, or of a kind of network with the settings in `overrides`.

    Builds and runs it on tensors without content. Raises ConfigError for what is wrong with either, and for an image
    of which a layer, which is named, leaves nothing.
    """
    if Path(target).suffix in SUFFIXES or Path(target).is_file():
        return _of_configuration(load(target, overrides), options)
    return _of_kind(str(target), overrides, options)


def dropped_borders(study: Study) -> list[str]:
    """The layers of a study's network that drop voxels at the border of what they are given, a sentence each."""
    with torch.device("meta"):
        model = _inner(study.experiment.build_network(study.problem))
    return border_remarks(trace(model, (_channels(study.experiment, study.problem), *study.frame.shape)))


def _of_kind(kind: str, overrides: Sequence[str], options: DescribeOptions) -> Description:
    known = kinds("networks")
    if kind not in known:
        if (Path(kind) / "config.yaml").is_file():
            raise ConfigError(f"received the folder '{kind}': name its configuration, {Path(kind) / 'config.yaml'}")
        close = nearest(kind, known)
        hint = f"; did you mean '{close}'?" if close else ""
        raise ConfigError(f"received '{kind}', expected a YAML file or a network: {', '.join(known)}{hint}")
    config = _configured(kind, overrides)
    size = options.size or SIZE
    classes = tuple(f"class {number}" for number in range(options.classes or CLASSES))
    problem = Problem(
        config.task,
        len(size),
        channels=tuple(f"channel {number}" for number in range(options.channels or CHANNELS)),
        classes=classes,
        values=tuple((number,) for number in range(len(classes))),
        size=size,
    )
    return _described(_built(lambda: config.build(problem)), config, problem, size=size)


def _built(build: Callable[[], nn.Module]) -> nn.Module:
    """A network on the meta device. Raises ConfigError for one that is too large to be counted, or too deep."""
    try:
        with torch.device("meta"):
            return build()
    except (RuntimeError, OverflowError) as error:
        raise ConfigError(f"this network cannot be built: {str(error).splitlines()[0]}") from error


def _configured(kind: str, overrides: Sequence[str]) -> NetworkConfig:
    """A network with settings as they are written behind its name."""
    document = Document(Path("command line"), {}, {(): f"command line: {kind}"})
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError([Fault(f"command line: {text}", "", "expected key=value, such as depth=50")])
        document.data[key] = plain(value)
        document.places[(key,)] = f"command line: {text}"
    reading = validate(document, kinds("networks")[kind])
    if reading.faults or reading.model is None:
        raise ConfigError(reading.faults)
    return cast("NetworkConfig", reading.model)


def _of_configuration(experiment: Experiment, options: DescribeOptions) -> Description:
    if options.classes is not None:
        raise ConfigError("--classes: the configuration has its own, in task.classes")
    problem, size, notes = _asked(experiment, options)
    model = _inner(_built(lambda: experiment.build_network(problem)))
    channels = _channels(experiment, problem)
    return _described(model, experiment.network, replace(problem, channels=("",) * channels), size=size, notes=notes)


def _described(
    model: nn.Module, config: NetworkConfig, problem: Problem, *, size: tuple[int, ...], notes: Sequence[str] = ()
) -> Description:
    shape = (problem.num_channels, *size)
    words = f"{number_of(problem.num_channels, 'channel')} of {times(size)}"
    title = f"{config.kind}: {words}, {number_of(problem.num_outputs, 'output')}"
    return describe_network(model, shape, title=title, outputs=problem.num_outputs, notes=notes)


def _asked(experiment: Experiment, options: DescribeOptions) -> tuple[Problem, tuple[int, ...], list[str]]:
    """The problem and the size of what the network is given: as asked for, else by the configuration and its data."""
    notes: list[str] = []
    cohort = _cohort(experiment) if options.channels is None or options.size is None else None
    channels: tuple[str, ...] = ("",) * (options.channels or CHANNELS)
    if options.channels is None and cohort is not None:
        channels = cohort.channels
    elif options.channels is None:
        notes.append("the data are not there: one channel is assumed (--channels)")
    problem = replace(experiment.provisional_problem(), channels=channels)
    if options.size is not None:
        problem = problem.resized(len(options.size), options.size)
    elif problem.size is None and cohort is not None:
        problem = _as_scanned(experiment, cohort, channels)
    if problem.size is None:
        silent = "neither the configuration nor the data say" if cohort is not None else "the data are not there to say"
        raise ConfigError(f"{silent} how large the images are: add --size, as 224x224")
    experiment.network.refuse_faults(problem)
    return problem, problem.size, notes


def _cohort(experiment: Experiment) -> Cohort | None:
    source = experiment.data.source
    if source.makes_files:
        return None
    try:
        return source.cohort(experiment.provisional_problem().kind)
    except (HilumError, OSError):
        return None  # whoever wants to know why asks `hilum check`


def _as_scanned(experiment: Experiment, cohort: Cohort, channels: tuple[str, ...]) -> Problem:
    """The problem for images like the first one, as far as headers tell what preparation makes of it."""
    grid: Grid | None = read_header(cohort.cases[0].files[0]).grid
    for step in experiment.data.prepare:
        grid = step.grid_after(grid) if grid is not None and not step.needs_fit else None
    if grid is None:
        return replace(experiment.provisional_problem(), channels=channels)
    slice_axis = None
    if experiment.dims(grid.shape) == 2:
        wanted = experiment.data.slice_axis
        slice_axis = coarsest_axis(grid) if wanted is None else wanted
    problem = experiment.problem(channels, grid.shape, slice_axis)
    size = tuple(length for axis, length in enumerate(grid.shape) if axis != slice_axis)
    return problem if problem.size is not None else replace(problem, size=size)


def _channels(experiment: Experiment, problem: Problem) -> int:
    """What the network itself is given: the channels, and a plane for each where it is told which are there."""
    missing = experiment.data.missing
    return problem.num_channels * (2 if missing is not None and missing.presence else 1)


def _inner(model: nn.Module) -> nn.Module:
    """The network without what fills in missing channels."""
    return model.network if isinstance(model, PresenceInput) else model
