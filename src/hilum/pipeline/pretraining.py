"""Starts a network from weights that were learnt before, and says which; a run that is resumed has its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hilum.config import read
from hilum.data.hashes import file_sha256
from hilum.data.splits.base import Split
from hilum.errors import CheckpointError, ConfigError, Fault, Finding, HilumError, number_of
from hilum.experiment import Experiment
from hilum.pipeline.auditing import seen_by_others
from hilum.pipeline.study import Study
from hilum.problem import Problem
from hilum.run import Run, open_run
from hilum.runtime import Runtime
from hilum.training.freezing import freeze, frozen_patterns
from hilum.training.imagenet import imagenet_file
from hilum.training.pretrained import Match, Roles, any_kernel, changed_by, load, loaded_weights, match
from hilum.training.pretrained_section import IMAGENET, PretrainedConfig
from hilum.training.weights_file import read_weights

NAMED = 6
"""How many entries of a network a note names."""
ANOTHER = "another"


@dataclass(frozen=True)
class Start:
    """What a network starts from: the weights that fit, and the same in words and as JSON."""

    match: Match
    facts: dict[str, Any]
    note: str


def load_pretrained(run: Run, study: Study, runtime: Runtime, model: nn.Module) -> tuple[str, ...]:
    """Put the weights that the experiment starts from into `model`, and write down whose they are; gives notes on that.

    Nothing where there are none, or where the run has a checkpoint to go on from. Raises CheckpointError where the
    weights are not those that the run was started with.
    """
    if study.experiment.pretrained is None or run.checkpoint("last").exists():
        return ()
    start = find_start(study.experiment, study.problem, model)
    known = run.read_json(run.provenance)
    if known.get("pretrained", start.facts)["sha256"] != start.facts["sha256"]:
        raise CheckpointError(f"{start.facts['file']} changed since {run.folder} was started: start a new run instead")
    load(model, start.match)
    if runtime.is_main:
        run.write_json(run.provenance, known | {"pretrained": start.facts})
    return (start.note,)


def refuse_unfit(study: Study) -> None:
    """Raise ConfigError where a network cannot start from what the experiment names, before anything is computed."""
    if study.experiment.pretrained is None:
        return
    try:
        _refuse_own_folder(study.experiment)
        with torch.device("meta"):
            model = study.experiment.build_network(study.problem)
        start = find_start(study.experiment, study.problem, model)
    except HilumError as error:
        raise ConfigError([Fault("configuration", "pretrained", str(error))]) from error
    _refuse_frozen_anew(study.experiment, model, start)


def _refuse_frozen_anew(experiment: Experiment, model: nn.Module, start: Start) -> None:
    """Raise ConfigError for weights that start from random ones and stay so, since they are frozen; freezes `model`."""
    train = experiment.train
    freeze(model, frozen_patterns(model, train.freeze, train.freeze_to))
    still = [name for name, weights in model.named_parameters() if not weights.requires_grad]
    anew = [f"{name} ({start.match.anew[name]})" for name in still if name in start.match.anew]
    if anew:
        more = f" and {len(anew) - 1} more" if len(anew) > 1 else ""
        message = f"{anew[0]}{more} would stay as drawn at random: freeze what is taken only, or make the network alike"
        raise ConfigError([Fault("configuration", "train.freeze_to" if train.freeze_to else "train.freeze", message)])


def _refuse_own_folder(experiment: Experiment) -> None:
    """Raise ConfigError for weights in the folder of the run itself: they would be gone once it is replaced."""
    section, folder = experiment.pretrained, experiment.runs / experiment.name
    if section is None or section.weights == IMAGENET:
        return
    if Path(section.weights).resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{section.weights} lies in the folder of this run, which replaces it: take another name")


def refuse_other_start(run: Run, wanted: Experiment, begun: Experiment) -> None:
    """Raise ConfigError where a run that has weights of its own by now is told to start from others."""
    if run.checkpoint("last").exists() and wanted.pretrained != begun.pretrained:
        message = f"{run.folder} has learnt its own weights by now, these would be ignored: start a new run instead"
        raise ConfigError([Fault("command line", "pretrained", message)])


def find_start(experiment: Experiment, problem: Problem, model: nn.Module) -> Start:
    """What the experiment's network `model` starts from.

    Raises ConfigError where there are no such weights or none of them fits, CheckpointError where they cannot be read.
    """
    section = experiment.pretrained
    assert section is not None
    file = _file(section, experiment, problem)
    given, facts = read_weights(file)
    state = model.state_dict()
    roles = Roles(
        inputs=_changed(experiment, replace(problem, channels=(*problem.channels, ANOTHER)), state),
        heads=_changed(experiment, _with_another_class(problem), state),
        new_heads=_why_new_heads(section, problem, facts.get("problem", {})),
        num_channels=problem.num_channels,
    )
    found = match(given, state, roles)
    taken, total = loaded_weights(model, found)
    if not any_kernel(model, found, heads=roles.heads):
        raise ConfigError(_nothing_fits(section, file, given, state))
    told = {
        "weights": section.weights,
        "file": str(file),
        "sha256": file_sha256(file),
        "taken": len(found.taken),
        "taken_weights": taken,
        "of_weights": total,
        "summed": found.summed,
        "anew": found.anew,
        "unused": list(found.unused),
    }
    return Start(found, told, _told(section, found, taken=taken, total=total))


def seen_in_pretraining(experiment: Experiment, split: Split) -> Iterator[Finding]:
    """An error for each case of val and test that the weights have learnt from, in any run of their history.

    Equal ids of cases and patients are errors where that run learnt from the same source, and a warning elsewhere: two
    data sets may number their patients alike. A warning too where the history cannot be known.
    """
    section = experiment.pretrained
    if section is None or section.weights == IMAGENET:
        return
    wanted: str | None = section.weights
    while wanted is not None:
        folder = _run_of(Path(wanted))
        if folder is None:
            fix = "make sure that no patient of val or test is among those that it was trained on"
            yield Finding("warning", "weights of unknown history", file=wanted, fix=fix)
            return
        run = Run(folder)
        yield from _seen_by(run, experiment, split)
        before = run.read_json(run.provenance).get("pretrained", {}).get("weights")
        wanted = None if before == IMAGENET else before


def _seen_by(run: Run, experiment: Experiment, split: Split) -> Iterator[Finding]:
    """The cases of val and test that one run was trained or chosen on."""
    source = read(run.config).data.get("data", {}).get("source")
    same = source == experiment.data.source.model_dump(mode="json")
    by_name = 0
    for finding in seen_by_others(experiment, split, [run.folder]):
        if same or finding.severity == "warning" or finding.received.startswith("the voxels"):
            yield finding
        else:
            by_name += 1
    if by_name:
        yield Finding(
            "warning",
            "ids that another run knows",
            file=str(run.folder),
            received=f"{number_of(by_name, 'case')} of val and test with ids that its own data have too",
            fix="their images are others; if the people are the same, keep them out of val and test",
        )


def _run_of(path: Path) -> Path | None:
    """The run folder that a path is, or whose checkpoint it is."""
    folder = path.parent.parent if path.parent.name == "checkpoints" else path
    return folder if (folder / "config.yaml").is_file() else None


def _file(section: PretrainedConfig, experiment: Experiment, problem: Problem) -> Path:
    """The file that holds the weights."""
    if section.weights == IMAGENET:
        return imagenet_file(experiment.network, problem, download=section.download)
    path = Path(section.weights)
    return open_run(path).scored_checkpoint if path.is_dir() else path


def _changed(experiment: Experiment, other: Problem, state: Mapping[str, Tensor]) -> frozenset[str]:
    """The entries of the network's state that another problem changes; none where the network cannot answer that."""
    try:
        with torch.device("meta"):
            return changed_by(experiment.build_network(other), state)
    except ConfigError:
        return frozenset()


def _with_another_class(problem: Problem) -> Problem:
    value = 1 + max((value for group in problem.values for value in group if isinstance(value, int)), default=0)
    return replace(problem, classes=(*problem.classes, ANOTHER), values=(*problem.values, (value,)))


def _why_new_heads(section: PretrainedConfig, problem: Problem, theirs: Mapping[str, Any]) -> str:
    """Why the answering layers start anew; nothing where they are taken if they fit."""
    if section.head == "new":
        return "asked for by pretrained.head"
    if section.weights == IMAGENET:
        return "answers with ImageNet's classes"
    classes = tuple(theirs.get("classes", problem.classes))
    return "" if classes == problem.classes else f"answers with other classes: {', '.join(classes)}"


def _nothing_fits(
    section: PretrainedConfig, file: Path, given: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> str:
    """The message for weights of another network."""

    def beginning(named: Mapping[str, Tensor]) -> str:
        shown = [f"{name} {tuple(tensor.shape)}" for name, tensor in list(named.items())[:3]]
        return ", ".join(shown)

    mend = "take the network that they are of, with its widths"
    if section.weights == IMAGENET:
        mend = "ImageNet's networks are as wide as published: leave network.width and network.hidden out"
    return (
        f"nothing in {file} fits the network by name and shape: it begins with {beginning(given)}, the network with "
        f"{beginning(state)}; {mend}"
    )


def _told(section: PretrainedConfig, found: Match, *, taken: int, total: int) -> str:
    """What was taken and what was not, in one line."""
    parts = [f"starts from {section.weights}: {taken:,} of the network's {total:,} weights"]
    parts += [f"{name} has its {how}" for name, how in found.summed.items()]
    if found.anew:
        named = [f"{name} ({why})" for name, why in list(found.anew.items())[:NAMED]]
        parts.append("anew: " + ", ".join(named) + _others(len(found.anew)))
    if found.unused:
        parts.append(f"not used: {', '.join(found.unused[:NAMED])}{_others(len(found.unused))}")
    return "; ".join(parts)


def _others(count: int) -> str:
    return f" and {number_of(count - NAMED, 'other')}, see provenance.json" if count > NAMED else ""
