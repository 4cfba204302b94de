"""One trial of a sweep: a usual run, trained or resumed, reported epoch by epoch, ended early where it lags behind."""

from __future__ import annotations

import gc
import math
import re
import shutil
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from hilum.errors import HilumError, TrainingError
from hilum.experiment import load
from hilum.pipeline.sweeping.ledger import Claim, Ledger
from hilum.pipeline.sweeping.space import overrides_of, text_of
from hilum.pipeline.training import resume, train
from hilum.run import Run, lock
from hilum.tracking import jsonl
from hilum.training.interrupt import Interrupted

LONGEST_NAME = 60
"""Characters of the name of a trial's folder."""


class Pruned(Exception):  # noqa: N818 (an event, not an error)
    """The trial scores below the median of the others, and ends here."""


@dataclass(frozen=True)
class Best:
    """The best epoch of a run so far, as the run itself chooses its best checkpoint."""

    epoch: int
    score: float
    loss: float


@dataclass(frozen=True)
class Plan:
    """What all trials of a sweep have in common."""

    config: Path
    overrides: tuple[str, ...]
    folder: Path
    monitor: str
    better: str

    def trial_overrides(self, claim: Claim) -> list[str]:
        """What makes the user's configuration that of a trial."""
        places = {"name": trial_name(claim), "runs": str(self.folder / "trials"), "sweep": None}
        return [*self.overrides, *overrides_of({**claim.setting, **places})]

    def best(self, log: Sequence[Mapping[str, Any]]) -> Best | None:
        """The best validated epoch of a log; of equal scores the one of lower loss; None where no score is a number."""
        sign = 1.0 if self.better == "higher" else -1.0
        scored = [
            Best(int(entry["epoch"]), float(entry[f"val_{self.monitor}"]), _loss(entry))
            for entry in log
            if _is_number(entry.get(f"val_{self.monitor}"))
        ]
        return max(scored, key=lambda best: (sign * best.score, -best.loss, -best.epoch), default=None)


def trial_name(claim: Claim) -> str:
    """The name of a trial's run folder: its number and its settings, such as 0007_lr-0.003_depth-4."""
    words = [f"{key.rpartition('.')[2]}-{_short(value)}" for key, value in claim.setting.items()]
    plain = [re.sub(r"[^A-Za-z0-9._]+", "-", word).strip("-") for word in words]
    return "_".join([f"{claim.slot:04d}", *plain])[:LONGEST_NAME].rstrip("-_.")


def run_trial(plan: Plan, ledger: Ledger, claim: Claim, *, say: Callable[[str], None]) -> None:
    """Train a trial to its end, or resume it, and write down what came of it.

    A trial that cannot be trained is written down as failed. Raises Interrupted where the process was asked to stop,
    and what is wrong with the disk, the data or the storage: the trial can then be resumed.
    """
    watch = _Watch(plan, ledger, claim, load(plan.config, plan.trial_overrides(claim)).train.epochs)
    run = Run(plan.folder / "trials" / trial_name(claim))
    claim.trial.set_user_attr("where", [socket.gethostname(), str(run.folder)])
    with lock(run.folder):
        begun = run.provenance.exists()
        if not begun and run.folder.exists():  # killed before anything was trained
            shutil.rmtree(run.folder)
    try:
        if not begun:
            train(plan.config, plan.trial_overrides(claim), say=say, on_epoch=watch)
        elif "finished" not in run.read_json(run.provenance):
            watch.catch_up(jsonl.read(run.log))
            resume(run.folder, say=say, on_epoch=watch)
        watch.finish(run)
    except Pruned:
        watch.finish(run, pruned=True)
    except Exception as error:
        if not _is_the_trials_own(error, begun=begun):
            raise
        if not isinstance(error, HilumError):
            traceback.print_exception(error, file=sys.stderr)  # a defect: the sweep goes on, but nobody is left unaware
        reason = " ".join(str(error).split()) or type(error).__name__
        watch.finish(run, failed=reason)
        error.__traceback__ = None  # it holds the weights and the batch that did not fit into the memory
        gc.collect()


class _Watch:
    """Reports each validated epoch to the ledger, and raises Pruned where the pruner says so."""

    def __init__(self, plan: Plan, ledger: Ledger, claim: Claim, epochs: int | None) -> None:
        self.plan, self.ledger, self.claim, self.epochs = plan, ledger, claim, epochs
        self.column = f"val_{plan.monitor}"
        self.reported = set(ledger.reported(claim))
        self.started = perf_counter()

    @property
    def seconds(self) -> float:
        """Time spent on the trial, in this process and in those before."""
        return round(self.claim.seconds + perf_counter() - self.started, 1)

    def catch_up(self, log: Sequence[dict[str, Any]]) -> None:
        """Report the epochs that a killed process wrote into the log but did not report any more."""
        for entry in log:
            self(entry)

    def __call__(self, entry: dict[str, Any]) -> None:
        if self.column not in entry:  # not every epoch is validated
            return
        epoch, score = int(entry["epoch"]), entry[self.column]
        if epoch not in self.reported:
            self.reported.add(epoch)
            self.claim.trial.set_user_attr("seconds", self.seconds)
            self.claim.trial.report(float(score) if _is_number(score) else math.nan, epoch)
        is_last = self.epochs is not None and epoch + 1 >= self.epochs
        if not is_last and self.ledger.lags(self.claim):
            raise Pruned

    def finish(self, run: Run, *, pruned: bool = False, failed: str = "") -> None:
        """Write down how the trial ended; what it scored comes from the log of its run."""
        log = jsonl.read(run.log)
        best = self.plan.best(log)
        if best is None and not failed:
            failed = f"{self.plan.monitor} was never a number"
        facts: dict[str, Any] = {"seconds": self.seconds, "epochs": len(log), "reason": failed}
        if best is not None:
            facts |= {"score": best.score, "best_epoch": best.epoch}
        self.ledger.tell(self.claim, "failed" if failed else "pruned" if pruned else "complete", facts=facts)


def _is_the_trials_own(error: Exception, *, begun: bool) -> bool:
    """Whether an error is due to the settings of a trial, so that the others can go on."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, Interrupted | OSError | OptunaError | SQLAlchemyError):
        return False
    if isinstance(error, TrainingError):
        return not isinstance(error.__cause__, OSError)  # a full disk is nobody's setting
    return not (begun and isinstance(error, HilumError))  # other data than when it was begun


def _loss(entry: Mapping[str, Any]) -> float:
    return float(entry["val_loss"]) if _is_number(entry.get("val_loss")) else math.inf


def _is_number(score: Any) -> bool:
    return isinstance(score, int | float) and math.isfinite(score)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else text_of(value)
