"""A trained network back from its run folder, ready to predict."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from hilum.errors import CheckpointError, ConfigError
from hilum.evaluation.decision import Decision
from hilum.experiment import Experiment, load
from hilum.hardware import resident_bytes
from hilum.inference.air import Air
from hilum.inference.axes import mirrorings
from hilum.inference.memory import process_bytes
from hilum.inference.predictor import Predictor
from hilum.inference.section import PredictConfig
from hilum.layers.compiled import Compiled
from hilum.pipeline.deciding import decision_of
from hilum.problem import Problem
from hilum.run import Run
from hilum.runtime import Runtime
from hilum.training import checkpoint

ADJUSTABLE = ("runtime.", "predict.", "decide.", "evaluate.", "metrics", "data.source.", "data.cache", "data.memory_gb")
"""Keys that may be given another value when a trained network is used."""


@dataclass(frozen=True)
class Restored:
    """What a run folder gives back: its experiment, its problem, its network and where they come from."""

    experiment: Experiment
    problem: Problem
    axes: tuple[str, ...]
    model: nn.Module
    facts: dict[str, Any]
    weights_sha256: str
    notes: tuple[str, ...] = ()
    decision: Decision = field(default_factory=Decision)
    air: Air | None = None

    def predictor(self, runtime: Runtime) -> Predictor:
        """The network with its preparation, windows and precision."""
        model = runtime.place(self.model)
        made = make_predictor(self.experiment, self.problem, axes=self.axes, model=model, runtime=runtime)
        forward = Compiled(model, setting="predict.compile") if self.experiment.predict.compile else None
        needed = process_bytes(resident_bytes())
        return replace(made, temperature=self.decision.temperature, air=self.air, forward=forward, process_bytes=needed)


def restore(run: Run, overrides: Sequence[str] = ()) -> Restored:
    """The best network of a run.

    Raises ConfigError for overrides of what the network was trained with, CheckpointError where the folder holds no
    weights that fit its configuration.
    """
    fixed = [text for text in overrides if not text.startswith(ADJUSTABLE)]
    if fixed:
        raise ConfigError(
            f"{fixed[0]}: the network was trained with another setting, which cannot be changed afterwards; "
            f"here only keys that start with {', '.join(ADJUSTABLE)} can"
        )
    experiment = load(run.config, list(overrides))
    tensors, facts = checkpoint.load(run.scored_checkpoint)
    if facts["best"] and not run.checkpoint("best").exists():
        raise CheckpointError(
            f"{run.checkpoint('best')} is missing: epoch {facts['best']['epoch']} was the best on validation, "
            f"and {run.scored_checkpoint.name} holds other weights; bring it back, or train again"
        )
    problem = problem_from(facts["problem"])
    model = experiment.build_network(problem)
    weights = tensors.get("average") or tensors["model"]
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{run.scored_checkpoint} does not fit the network of {run.config}: {error}") from error
    weights_sha256 = checkpoint.weights_sha256(weights)
    experiment, notes = _with_postprocess(experiment, run, weights_sha256)
    decision = decision_of(run, experiment, weights_sha256)
    notes = (*notes, *decision.notes)
    air = _air_of(run, experiment) if experiment.predict.skip_air else None
    axes = tuple(facts["axes"])
    return Restored(experiment, problem, axes, model.eval(), facts, weights_sha256, notes, decision, air)


def _air_of(run: Run, experiment: Experiment) -> Air:
    """The test for air that was found in the training part. Raises ConfigError where there is none."""
    thresholds = run.read_json(run.fingerprint).get("air") or ()
    if any(limit is not None for limit in thresholds):
        return Air(tuple(thresholds))
    if thresholds:
        why = "windows with a structure may be as dark as air in its training part"
    elif experiment.data.patch is None:
        why = "it was trained without data.patch, and has no windows"
    else:
        why = f"{run.fingerprint} has no test for air (hilum train --resume {run.folder} makes it)"
    raise ConfigError(f"predict.skip_air: {run.folder} cannot pass over windows: {why}; set predict.skip_air=false")


def _with_postprocess(experiment: Experiment, run: Run, weights_sha256: str) -> tuple[Experiment, tuple[str, ...]]:
    """The experiment with the post-processing that was chosen for these weights, and what to say about it."""
    note = ""
    if experiment.predict.postprocess == "auto":
        chosen = run.read_json(run.postprocess)
        if chosen.get("weights_sha256") != weights_sha256:
            note = ": not chosen for these weights, since the training has not ended with them"
            chosen = {}
        predict = {**experiment.predict.model_dump(mode="json"), "postprocess": chosen.get("steps", [])}
        experiment = experiment.model_copy(update={"predict": PredictConfig.model_validate(predict)})
        note = note or ", chosen on the validation patients"
    steps = experiment.predict.steps
    if not steps and not note:
        return experiment, ()
    return experiment, (f"post-processing{note}: {'; '.join(step.described for step in steps) or 'none'}",)


def problem_from(facts: dict[str, Any]) -> Problem:
    """The problem that a checkpoint's JSON holds."""
    size = facts["size"]
    return Problem(
        kind=facts["kind"],
        dims=facts["dims"],
        channels=tuple(facts["channels"]),
        classes=tuple(facts["classes"]),
        values=tuple(tuple(group) for group in facts["values"]),
        exclusive=facts["exclusive"],
        ignore=facts["ignore"],
        size=None if size is None else tuple(size),
        units=tuple(facts.get("units", ())),
        scales=tuple((mean, std) for mean, std in facts.get("scales", ())),
        separator=facts.get("separator", "|"),
        nothing=tuple(facts.get("nothing", ())),
        others=facts.get("others", False),
    )


def make_predictor(
    experiment: Experiment, problem: Problem, *, axes: Sequence[str], model: nn.Module, runtime: Runtime
) -> Predictor:
    """A network with all that surrounds it in prediction, as the experiment says."""
    factor = getattr(experiment.network, "pool_factor", None)
    return Predictor(
        model,
        problem,
        experiment.data.prepare,
        window=experiment.data.patch.size if experiment.data.patch else None,
        overlap=experiment.predict.overlap,
        flips=mirrorings(experiment.predict.flips, axes),
        postprocess=experiment.predict.steps,
        batch_size=experiment.predict.batch_size,
        multiple=max(factor(problem.dims)) if factor else 1,
        slice_axis=experiment.data.slice_axis,
        may_lack_channels=experiment.data.missing is not None,
        fixed_size=problem.size if experiment.network.needs_size else None,
        slice_pool=experiment.decide.slice_pool(problem),
        device=runtime.device,
        autocast=runtime.autocast,
        memory_bytes=None if experiment.predict.memory_gb is None else round(experiment.predict.memory_gb * 2**30),
    )


def config_sha256(run: Run, overrides: Sequence[str] = ()) -> str:
    """The hash of the resolved configuration and of what overrides it."""
    return hashlib.sha256(run.config.read_bytes() + "\n".join(overrides).encode()).hexdigest()
