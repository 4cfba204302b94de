"""What a sweep leaves in its folder: the table of trials, the best configuration and a picture."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.experiment import Experiment, load
from hilum.pipeline.sweeping.ledger import Ledger
from hilum.pipeline.sweeping.locks import waiting_for
from hilum.pipeline.sweeping.space import Axis, overrides_of, text_of
from hilum.pipeline.sweeping.trial import Plan
from hilum.report.sweep import Drawn, TrialRow, best_of, draw_sweep, write_trials
from hilum.run import write_text
from hilum.training.sweep_section import RangeConfig
from hilum.yaml_text import dump

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ENOUGH = 6
"""Complete trials before the importance of the keys is worth telling."""
SHOWN = 5
"""Trials that the summary on the terminal lists."""


@dataclass(frozen=True)
class Sweep:
    """The folder of a sweep and a row for each trial that was begun."""

    folder: Path
    rows: tuple[TrialRow, ...]
    better: str

    @property
    def best(self) -> TrialRow | None:
        """The best complete trial, the earliest of equal ones."""
        return best_of(self.rows, higher=self.better == "higher")

    @property
    def failed(self) -> tuple[TrialRow, ...]:
        """The trials that could not be trained."""
        return tuple(row for row in self.rows if row.state == "failed")


def write_outcome(plan: Plan, ledger: Ledger, *, picture: bool) -> Sweep:
    """Write trials.csv and best.yaml, and where asked for sweep.png, from what the ledger knows by now."""
    with waiting_for(plan.folder / ".outcome.lock"):
        trials = [trial for trial in ledger.slots() if set(ledger.space.keys) <= set(trial.params)]
        sweep = Sweep(plan.folder, tuple(_row(trial, plan, ledger) for trial in trials), plan.better)
        write_trials(sweep.rows, ledger.space.keys, plan.folder / "trials.csv", text=text_of)
        if sweep.best is not None:
            _write_best(plan, sweep.best)
        if picture and sweep.rows:
            draw_sweep(
                sweep.rows,
                [_drawn(axis) for axis in ledger.space.axes],
                plan.folder / "sweep.png",
                score=plan.monitor,
                higher=plan.better == "higher",
                importance=_importance(ledger),
            )
    return sweep


def tell_outcome(sweep: Sweep, *, monitor: str, left: int, working: int, say: Callable[[str], None]) -> None:
    """Say how many trials there are, which are the best, and where everything lies."""
    counts = {state: sum(row.state == state for row in sweep.rows) for state in ("complete", "pruned", "failed")}
    said = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none finished"
    say(f"{len(sweep.rows)} trials: {said}" + (f"; {left} left" if left else ""))
    if working:
        say(f"{working} of them are at work in other processes, or were stopped in another folder: go on there")
    sign = -1 if sweep.better == "higher" else 1
    ranked = sorted(
        (row for row in sweep.rows if row.state == "complete"), key=lambda row: (sign * (row.value or 0), row.trial)
    )
    for row in ranked[:SHOWN]:
        settings = "  ".join(f"{key}={shown(value)}" for key, value in row.setting.items())
        say(f"  trial {row.trial:>3}  {monitor} {row.value:.4f} at epoch {row.best_epoch}  {settings}")
    for row in sweep.failed:
        say(f"  trial {row.trial:>3}  failed: {row.reason}")
    say(f"{sweep.folder / 'trials.csv'}: all trials; {sweep.folder / 'sweep.png'}: how the score depends on each key")
    if sweep.best is not None:
        say(f"the best trained network: {sweep.best.run if _elsewhere(sweep.best) else sweep.folder / sweep.best.run}")
        say(f"its settings, to train again or longer: hilum train {sweep.folder / 'best.yaml'}")


def shown(value: Any) -> str:
    """A setting for a person: four digits are enough."""
    return f"{value:.4g}" if isinstance(value, float) else text_of(value)


def _elsewhere(row: TrialRow) -> bool:
    return not row.run.startswith("trials/")


def _row(trial: FrozenTrial, plan: Plan, ledger: Ledger) -> TrialRow:
    from optuna.trial import TrialState

    states = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
    facts = trial.user_attrs.get("outcome", {})
    host, folder = trial.user_attrs.get("where", ["", ""])
    name = Path(folder).name
    here = host == socket.gethostname() and Path(folder).parent.resolve() == (plan.folder / "trials").resolve()
    return TrialRow(
        trial=int(trial.user_attrs["slot"]),
        state=states.get(trial.state, "unfinished"),
        value=facts.get("score"),
        best_epoch=facts.get("best_epoch"),
        epochs=facts.get("epochs"),
        seconds=facts.get("seconds", trial.user_attrs.get("seconds")),
        setting=ledger.space.setting(trial.params),
        run=f"trials/{name}"
        if here or (plan.folder / "trials" / name / "config.yaml").exists()
        else f"{host}:{folder}",
        reason=str(facts.get("reason", "")),
    )


def _write_best(plan: Plan, best: TrialRow) -> None:
    """The configuration of the best trial, free of the sweep, with its plugins beside it."""
    base = load(plan.config, plan.overrides)
    changes = overrides_of({**best.setting, "name": f"{base.name}-best", "sweep": None})
    experiment = load(plan.config, [*plan.overrides, *changes])
    data = experiment.model_dump(mode="json") | {"plugins": _copied(experiment, plan.folder)}
    settings = ", ".join(f"{key}={text_of(value)}" for key, value in best.setting.items())
    head = f"# The best of a sweep: trial {best.trial}, {plan.monitor} {best.value} at epoch {best.best_epoch}.\n"
    write_text(plan.folder / "best.yaml", f"{head}# {settings}\n{dump(data)}")


def _copied(experiment: Experiment, folder: Path) -> Sequence[str]:
    copies = []
    for plugin in experiment.plugins:
        write_text(folder / "plugins" / plugin.name, plugin.read_text(encoding="utf-8"))
        copies.append(f"plugins/{plugin.name}")
    return copies


def _importance(ledger: Ledger) -> dict[str, float]:
    """The share of each key in how the scores differ (fANOVA, Hutter et al. 2014); empty where nobody could tell."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    complete = [trial for trial in ledger.slots() if trial.state == TrialState.COMPLETE]
    several = len({trial.value for trial in complete}) > 1
    if len(complete) < ENOUGH or not several or len(ledger.space.keys) == 1:
        return {}
    return dict(get_param_importances(ledger.study, evaluator=FanovaImportanceEvaluator(seed=ledger.sweep.seed)))


def _drawn(axis: Axis) -> Drawn:
    """A key as an axis: numbers on their scale, everything else by name, in the order of the list."""
    if isinstance(axis.given, RangeConfig):
        return Drawn(axis.key, log=axis.given.log)
    names = tuple(text_of(value) for value in axis.given)
    return Drawn(axis.key, names=names, place=lambda value: float(names.index(text_of(value))))
