"""The trials of a sweep in an Optuna storage: who works on which, what came of it, and none of them twice.

A sweep of N trials has N slots, enqueued as waiting trials when it begins. A worker takes a slot by changing its state
from waiting to running, which a storage lets only one of them do (SQLite with a lock of ours). Two workers that enqueue
the same slot do no harm: the trial of the lower number is the slot, for all of them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.errors import ConfigError, TrainingError
from hilum.formats.atomic import write_whole
from hilum.pipeline.sweeping.locks import taken, waiting_for
from hilum.pipeline.sweeping.proposals import propose
from hilum.pipeline.sweeping.space import Setting, Space, space_of
from hilum.training.sweep_section import SweepConfig

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, Trial

WAIT_S = 60
"""How long a process waits for another one that writes into the same SQLite file."""


@dataclass(frozen=True)
class Claim:
    """A slot that this process alone works on: its trial in the storage, its setting, and the time spent on it."""

    slot: int
    number: int
    trial: Trial
    setting: Setting
    seconds: float


@dataclass(frozen=True)
class Ledger:
    """The trials of one sweep, as this folder sees them."""

    folder: Path
    study: Study
    storage: RDBStorage
    sweep: SweepConfig
    space: Space
    better: str
    home: str

    def slots(self) -> list[FrozenTrial]:
        """The trial of each slot, in order."""
        found: dict[int, FrozenTrial] = {}
        for trial in self.study.get_trials(deepcopy=False):
            found.setdefault(int(trial.user_attrs.get("slot", -1)), trial)
        return [found[slot] for slot in sorted(found) if slot >= 0]

    def enqueue(self, count: int) -> None:
        """Make sure that there are `count` slots."""
        there = {int(trial.user_attrs["slot"]) for trial in self.slots()}
        for slot in sorted(set(range(count)) - there):
            self.study.enqueue_trial({}, user_attrs={"slot": slot})

    @contextmanager
    def next(self, count: int) -> Iterator[Claim | None]:
        """The first of `count` slots that nobody works on, taken within the `with` statement; None where none is left.

        One that a process of this folder left unfinished comes first, with the setting that it had.
        """
        for slot, seen in enumerate(self.slots()[:count]):
            if not self._open(seen):
                continue
            with taken(self.folder / "trials" / f".{slot:04d}.lock") as free:
                if free and self._takes_alone(slot):
                    yield self._claim(slot)
                    return
        yield None

    def frozen(self, claim: Claim) -> FrozenTrial:
        """What the storage knows of a trial by now."""
        return self.storage.get_trial(claim.number)

    def reported(self, claim: Claim) -> list[int]:
        """The epochs whose score is known already."""
        return list(self.frozen(claim).intermediate_values)

    def lags(self, claim: Claim) -> bool:
        """Whether a trial's best score so far is worse than the median of complete trials after as many epochs."""
        from optuna.pruners import MedianPruner

        if self.sweep.pruner == "none":
            return False
        pruner = MedianPruner(n_startup_trials=self.sweep.startup, n_warmup_steps=self.sweep.warmup_epochs or 0)
        return pruner.prune(self.study, self.frozen(claim))

    def tell(self, claim: Claim, state: str, *, facts: Mapping[str, Any]) -> None:
        """Write down how a trial ended: complete with facts["score"], pruned or failed."""
        from optuna.trial import TrialState

        claim.trial.set_user_attr("outcome", dict(facts))  # one entry, since each is waited for until it is on the disk
        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        self.study.tell(claim.trial, facts["score"] if state == "complete" else None, state=states[state])

    def working(self) -> list[FrozenTrial]:
        """The trials that were begun and are not finished."""
        from optuna.trial import TrialState

        return [trial for trial in self.slots() if trial.state == TrialState.RUNNING]

    def _open(self, trial: FrozenTrial) -> bool:
        """Whether a trial waits, or was begun in this folder."""
        from optuna.trial import TrialState

        begun_here = trial.state == TrialState.RUNNING and bool(trial.user_attrs.get(self._mark))
        return trial.state == TrialState.WAITING or begun_here

    @property
    def _mark(self) -> str:
        return f"begun in {self.home}"

    def _takes_alone(self, slot: int) -> bool:
        """`_takes`, one worker at a time where the storage is SQLite, which does not lock what it reads."""
        place = self.storage.engine.url
        if not place.drivername.startswith("sqlite") or not place.database:
            return self._takes(slot)
        file = Path(place.database)
        with waiting_for(file.with_name(f".{file.name}.claims.lock")):
            return self._takes(slot)

    def _takes(self, slot: int) -> bool:
        """Whether the slot is ours: nobody of this folder holds it, and no other folder was faster."""
        from optuna.trial import TrialState

        trial = self.slots()[slot]
        if trial.state != TrialState.WAITING:
            return self._open(trial)
        number = self._id(trial)
        try:
            # Before the state: a process that dies in between must leave a trial that its folder can take up again.
            self.storage.set_trial_user_attr(number, self._mark, True)
            if self.storage.set_trial_state_values(number, state=TrialState.RUNNING):
                return True
            self.storage.set_trial_user_attr(number, self._mark, False)
        except RuntimeError:  # Optuna's word for a trial that another folder has even finished by now
            return False
        return False

    def _claim(self, slot: int) -> Claim:
        from optuna.trial import Trial, TrialState

        trial = self.slots()[slot]
        number = self._id(trial)
        with waiting_for(self.folder / "trials" / ".proposal.lock"):  # so that two do not choose the same setting
            missing = [axis for axis in self.space.axes if axis.key not in trial.params]
            if missing:
                others = [one for one in self.slots() if one.number != trial.number and set(one.params)]
                known = [one for one in others if one.state != TrialState.WAITING]
                drawn = propose(self.sweep, self.space, slot=slot, known=known, better=self.better)
                for axis in missing:
                    distribution = axis.distribution
                    inner = distribution.to_internal_repr(drawn[axis.key])
                    self.storage.set_trial_param(number, axis.key, inner, distribution)
        own = Trial(self.study, number)
        seconds = float(trial.user_attrs.get("seconds", 0.0))
        return Claim(slot, number, own, self.space.setting(own.params), seconds)

    def _id(self, trial: FrozenTrial) -> int:
        study = self.storage.get_study_id_from_name(self.study.study_name)
        return self.storage.get_trial_id_from_study_id_trial_number(study, trial.number)


@contextmanager
def storage_errors(sweep: SweepConfig) -> Iterator[None]:
    """Say in our words that the storage failed; trials that were begun go on when the command is given again."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (OptunaError, SQLAlchemyError) as error:
        where = sweep.storage or "study.db in the sweep's folder"
        said = str(error.__cause__ or error).splitlines()[0]
        raise TrainingError(
            f"the sweep's storage ({where}) failed: {said}. Mend it and give the command again"
        ) from error


@contextmanager
def open_ledger(folder: Path, sweep: SweepConfig, *, better: str, facts: Mapping[str, Any]) -> Iterator[Ledger]:
    """The ledger of the sweep in a folder, begun where it does not exist yet.

    `facts` are what must stay the same: ConfigError where the sweep was begun with others.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with _storage(folder, sweep) as storage:
        with waiting_for(folder / ".begin.lock"):
            study = optuna.create_study(
                storage=storage,
                study_name=folder.name,
                direction="maximize" if better == "higher" else "minimize",
                load_if_exists=True,
            )
            if "facts" not in study.user_attrs:
                study.set_user_attr("facts", json.dumps(facts, ensure_ascii=False))
            home = folder / ".home"
            if not home.exists():
                write_whole(home, uuid.uuid4().hex.encode())
        refuse_changes(json.loads(study.user_attrs["facts"]), json.loads(json.dumps(facts)), folder)
        yield Ledger(folder, study, storage, sweep, space_of(sweep), better, home.read_text())


def forget(folder: Path, sweep: SweepConfig) -> None:
    """Remove the study of a sweep from a storage that does not lie in its folder."""
    import optuna

    if sweep.storage is None:
        return
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with _storage(folder, sweep) as storage:
        if folder.name in optuna.get_all_study_names(storage):
            optuna.delete_study(study_name=folder.name, storage=storage)


def refuse_changes(before: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Raise ConfigError with the keys whose values are not those that the sweep was begun with."""
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if changed:
        said = "; ".join(f"{key}: was {_short(before.get(key))}, is {_short(now.get(key))}" for key in changed[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise ConfigError(
            f"the sweep in {folder} was begun with other settings ({said}{more}): take them back, "
            "take another name (name=...), or begin again with --overwrite, which removes its trials"
        )


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


@contextmanager
def _storage(folder: Path, sweep: SweepConfig) -> Iterator[RDBStorage]:
    """The storage within a `with` statement. Raises ConfigError where it cannot be reached."""
    from optuna.exceptions import OptunaError
    from optuna.storages import RDBStorage
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import SQLAlchemyError

    own = URL.create("sqlite", database=str((folder / "study.db").resolve())).render_as_string()
    url = sweep.storage or own.replace("{", "{{").replace("}", "}}")  # Optuna fills in what stands in braces
    options = {"connect_args": {"timeout": WAIT_S}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    try:
        with waiting_for(folder / ".begin.lock"):  # two that make the tables at once get in each other's way
            storage = RDBStorage(url, engine_kwargs=options)
    except (OptunaError, SQLAlchemyError, ImportError) as error:
        said = str(error).splitlines()[0]
        raise ConfigError(
            f"sweep.storage: received {url}, expected the URL of a database such as postgresql://user@host/name: {said}"
        ) from error
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()
