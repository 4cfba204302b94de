"""The trained networks of a batch: one, or the members of an ensemble, which have to answer the same question."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hilum import __version__
from hilum.case import Case
from hilum.data.store import CODE, surroundings
from hilum.errors import ConfigError
from hilum.evaluation.decision import Points
from hilum.formats.dicom_seg import Algorithm
from hilum.hardware import usable_cores
from hilum.inference.ensemble import Ensemble
from hilum.inference.predictor import Predictor
from hilum.inference.section import NOT_DECIDING, ON_REQUEST
from hilum.inference.together import Together, one_thread
from hilum.pipeline.by_patient import patients_of
from hilum.pipeline.predicting.extras import Extras, extras_of
from hilum.pipeline.predicting.review import Review, review_of
from hilum.pipeline.restore import Restored, restore
from hilum.run import Run, open_run
from hilum.runtime import Runtime

DECIDING = (
    *(*CODE, "inference", "layers", "networks", "evaluation/decision.py"),
    *("pipeline/restore.py", "pipeline/predicting/case.py"),
)
"""Files and folders of hilum whose code decides what a prediction is."""
CORES_FOR_TWO = 4
"""With fewer cores, two threads that read would take from the network what they give it."""
FOLDS = "fold-*"
"""What the runs of a cross-validation are called in its folder."""


@dataclass(frozen=True)
class Networks:
    """The runs of a batch with what they give back, and how much each counts."""

    runs: tuple[Run, ...]
    restored: tuple[Restored, ...]
    weights: tuple[float, ...]

    @property
    def first(self) -> Restored:
        """The only network, or the one whose classes and channels all others share."""
        return self.restored[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said before the first case."""
        notes = tuple(dict.fromkeys(note for one in self.restored for note in one.notes))
        if len(self.runs) == 1:
            return notes
        if any(one.decision.of_cases or one.decision.of_patients for one in self.restored):
            notes = (
                *notes,
                "operating points hold for the networks alone: of their mean, what is most likely is told",
            )
        shares = ", ".join(
            f"{run.folder.name} {weight:.3g}" for run, weight in zip(self.runs, self.weights, strict=True)
        )
        return (f"an ensemble of {len(self.runs)} networks: {shares}", *notes)

    @property
    def of_cases(self) -> Points | None:
        """What decides the class of a case; None: it is the most likely one, as always for an ensemble."""
        return self.first.decision.of_cases if len(self.runs) == 1 else None

    @cached_property
    def review(self) -> tuple[Review | None, tuple[str, ...]]:
        """The review flags of the batch, and what is to be said of them."""
        return review_of(self.runs, self.restored)

    def patient_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """A row a patient from the rows of cases, where the experiment asks for patients, else none."""
        if len(self.runs) == 1:
            return patients_of(rows, self.first)
        alone = replace(self.first.decision, of_patients=None)
        return patients_of(rows, replace(self.first, decision=alone))

    def extras(self, cases: Sequence[Case]) -> tuple[Extras | None, tuple[str, ...]]:
        """What is written of the cases besides labels, as the first run or the command says, and notes about it."""
        settings = self.first.experiment.predict
        if not any(getattr(settings, name) for name in ON_REQUEST):
            return None, ()
        names = "+".join(run.folder.name for run in self.runs)
        weights = [one.weights_sha256 for one in self.restored]
        digest = weights[0] if len(weights) == 1 else hashlib.sha256(" ".join(weights).encode()).hexdigest()
        algorithm = Algorithm(__version__, names, digest)
        return extras_of(settings, self.first.problem, cases, algorithm=algorithm, shares=self.weights)

    @property
    def counts_memory(self) -> bool:
        """Whether a budget of memory has to be kept."""
        return any(one.experiment.predict.memory_gb is not None for one in self.restored)

    @property
    def ahead(self) -> int:
        """Cases to read before the network is asked for them: none where memory is counted, since they take it too."""
        if self.counts_memory:
            return 0
        return 2 if usable_cores() >= CORES_FOR_TWO else 1

    @property
    def together(self) -> int:
        """Cases of which the network is asked at a time, as the first run or the command says."""
        return self.first.experiment.predict.cases_at_once

    def predictor(self, runtime: Runtime) -> Predictor | Ensemble:
        """The network, or all of them, with their preparation, windows and precision."""
        members = [one.predictor(runtime) for one in self.restored]
        if self.together > 1:
            thread = one_thread()
            members = [_asked_together(member, thread) for member in members]
        return members[0] if len(members) == 1 else Ensemble.of(members, self.weights)

    def setup(self, runtime: Runtime) -> dict[str, Any]:
        """All that decides what becomes of an image, as JSON: weights, settings, precision, and the code of hilum."""
        members = [
            _member(run, one) | ({"weight": weight} if len(self.runs) > 1 else {})
            for run, one, weight in zip(self.runs, self.restored, self.weights, strict=True)
        ]
        code = surroundings(DECIDING)
        found = {"hilum": __version__, "code_sha256": code, "precision": runtime.precision, "networks": members}
        return found if self.review[0] is None else {**found, "measured_for_review": sorted(self.review[0].singles)}


def _asked_together(member: Predictor, thread: Executor) -> Predictor:
    """The predictor for several threads at once."""
    called = Together(
        member.forward or member.model, batch_size=member.batch_size, autocast=member.autocast, thread=thread
    )
    return replace(member, forward=called)


def setup_sha256(setup: Mapping[str, Any]) -> str:
    """The hash of a setup: equal only where the same image becomes the same labels. Names of runs do not count."""
    members = [{key: value for key, value in one.items() if key != "run"} for one in setup["networks"]]
    return hashlib.sha256(json.dumps({**setup, "networks": members}, sort_keys=True).encode()).hexdigest()


def open_networks(
    folders: Path | str | Sequence[Path | str], overrides: Sequence[str], weights: Sequence[float] | None
) -> Networks:
    """The networks of run folders, and of folders that hold the folds of a cross-validation.

    Raises CheckpointError for what is no run, and ConfigError for networks that do not answer the same question.
    """
    given = [folders] if isinstance(folders, Path | str) else list(folders)
    runs = tuple(open_run(folder) for one in given for folder in _members_of(Path(one)))
    repeated = [str(run.folder) for number, run in enumerate(runs) if run.folder.resolve() in _resolved(runs[:number])]
    if repeated:
        raise ConfigError(f"{repeated[0]}: named twice; give it more weight with --weights instead")
    restored = tuple(restore(run, overrides) for run in runs)
    shares = _shares(weights, runs)
    for run, one in zip(runs[1:], restored[1:], strict=True):
        _refuse_misfit(runs[0], restored[0], other=run, one=one)
    return Networks(runs, restored, shares)


def _members_of(folder: Path) -> list[Path]:
    """The folder itself, or the folds in it where it is no run."""
    if (folder / "config.yaml").is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"{FOLDS}/config.yaml")) or [folder]


def _resolved(runs: Sequence[Run]) -> set[Path]:
    return {run.folder.resolve() for run in runs}


def _shares(weights: Sequence[float] | None, runs: Sequence[Run]) -> tuple[float, ...]:
    """How much each run counts, summing up to 1. Raises ConfigError for other numbers of weights, and for odd ones."""
    if weights is None:
        return (1 / len(runs),) * len(runs)
    if len(runs) == 1:
        raise ConfigError("weights are for several runs, received one run: leave them away")
    if len(weights) != len(runs):
        names = ", ".join(run.folder.name for run in runs)
        raise ConfigError(f"received {len(weights)} weights for {len(runs)} runs ({names}): expected one for each")
    if not all(0 < weight < float("inf") for weight in weights):
        raise ConfigError(f"weights must be positive numbers, received {', '.join(f'{w:g}' for w in weights)}")
    return tuple(weight / sum(weights) for weight in weights)


def _refuse_misfit(run: Run, first: Restored, *, other: Run, one: Restored) -> None:
    """Raise ConfigError where a network answers another question than the first one, or is finished differently."""
    ours, theirs = first.problem, one.problem
    alike = {
        "the task": (ours.kind, theirs.kind),
        "the channels": (", ".join(ours.channels), ", ".join(theirs.channels)),
        "the classes": (ours.described(), theirs.described()),
        "overlapping regions": (not ours.exclusive, not theirs.exclusive),
        "how images lie in files": (first.facts["frames"], one.facts["frames"]),
    }
    for what, (wanted, found) in alike.items():
        if wanted != found:
            raise ConfigError(
                f"{other.folder}: {what} of a network of an ensemble must be those of the others: "
                f"received {found}, expected {wanted} as in {run.folder}"
            )
    ours_by_patient, theirs_by_patient = first.experiment.decide.patient, one.experiment.decide.patient
    if ours_by_patient != theirs_by_patient:
        raise ConfigError(
            f"{other.folder}: decide.patient of a network of an ensemble must be that of the others: received "
            f"{theirs_by_patient or 'none'}, expected {ours_by_patient or 'none'} as in {run.folder}; "
            "say how with decide.patient=..."
        )
    steps = [[step.described for step in restored.experiment.predict.steps] for restored in (first, one)]
    if steps[0] != steps[1]:
        raise ConfigError(
            f"{other.folder} has the post-processing {steps[1] or 'none'}, {run.folder} {steps[0] or 'none'}: "
            "an ensemble is post-processed once, say how with predict.postprocess=... ([] for not at all)"
        )


def _member(run: Run, one: Restored) -> dict[str, Any]:
    """What of one network decides about its answer."""
    data, point = one.experiment.data, one.decision.of_cases
    return {
        "run": str(run.folder),
        "weights_sha256": one.weights_sha256,
        "network": one.experiment.network.model_dump(mode="json"),
        "prepare": [step.model_dump(mode="json") for step in data.prepare],
        "patch": list(data.patch.size) if data.patch else None,
        "slice_axis": data.slice_axis,
        "missing": data.missing is not None,
        "slices": one.experiment.decide.slices.model_dump(mode="json"),
        "temperature": one.decision.temperature,
        "scales": [list(scale) for scale in one.problem.scales],
        "operating_point": None if point is None else point.told,
        "predict": one.experiment.predict.model_dump(mode="json", exclude=set(NOT_DECIDING)),
    }
