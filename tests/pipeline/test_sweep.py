"""A sweep with a network that is only a formula: what is tried, pruned, failed, continued, shared and refused."""

from __future__ import annotations

import csv
import json
import math
import os
import statistics
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hilum.errors import ConfigError, TrainingError
from hilum.experiment import load
from hilum.pipeline.sweeping import outcome as outcome_module
from hilum.pipeline.sweeping import sweep, trial
from hilum.pipeline.sweeping.outcome import Sweep
from hilum.run import RESOLVED, Run
from hilum.tracking import jsonl

CONFIG = """\
name: x
task: {{kind: classification, classes: [a, b]}}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, patient: patient}}
  split: {{kind: holdout, val: 0.3, test: 0.2, seed: 1}}
network: resnet
loss: cross_entropy
metrics: [auroc, accuracy]
train: {{epochs: 4}}
runs: {folder}/runs
sweep:
  trials: 6
  startup: 3
  warmup_epochs: 1
  space:
    optimizer.lr: {{low: 1e-4, high: 1.0, log: true}}
    train.accumulate: [1, 2, 4]
"""
EPOCHS = 4
Row = dict[str, str]


class Killed(BaseException):
    """What `kill -9` does: nothing is written after it."""


class Formula:
    """Stands in for training: logs epochs whose score is a formula of the settings, and does what a test asks."""

    def __init__(self) -> None:
        self.trained: list[str] = []
        self.epochs: list[tuple[str, int]] = []
        self.at: dict[tuple[int, int], BaseException] = {}
        self.lock = threading.Lock()

    def score(self, lr: float, accumulate: int, epoch: int) -> float:
        return math.exp(-((math.log10(lr) + 2) ** 2)) / accumulate * (epoch + 1) / EPOCHS

    def train(self, config: Path, overrides: list[str], **calls: Any) -> Run:
        experiment = load(config, overrides)
        run = Run(experiment.runs / experiment.name)
        run.folder.mkdir(parents=True)
        run.write_config(json.loads(experiment.model_dump_json()))
        run.write_json(run.provenance, {"started": "now"})
        with self.lock:
            self.trained.append(experiment.name)
        return self.resume(run.folder, **calls)

    def resume(self, folder: Path, *, on_epoch: Callable[[dict[str, Any]], None], **_: Any) -> Run:
        run, number = Run(folder), int(folder.name[:4])
        experiment = load(run.config)
        for epoch in range(len(jsonl.read(run.log)), experiment.train.epochs or 0):
            stop = self.at.pop((number, epoch), None)
            if stop is not None:
                raise stop
            lr = experiment.optimizer.lr
            score = self.score(lr, experiment.train.accumulate, epoch)
            entry = {"epoch": epoch, "val_auroc": score, "val_loss": 1 - score}
            run.record(entry)
            with self.lock:
                self.epochs.append((folder.name, epoch))
            on_epoch(entry)
        run.write_json(run.provenance, {"started": "now", "finished": "later"})
        return run


@pytest.fixture
def formula(monkeypatch: pytest.MonkeyPatch) -> Iterator[Formula]:
    """In place of training; nothing waits for the disk or draws, which would take most of the time."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def hurry(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", hurry)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(outcome_module, "draw_sweep", lambda *words, **options: None)
    monkeypatch.setattr(outcome_module, "_importance", lambda ledger: {})
    stands_in = Formula()
    monkeypatch.setattr(trial, "train", stands_in.train)
    monkeypatch.setattr(trial, "resume", stands_in.resume)
    yield stands_in
    event.remove(Engine, "connect", hurry)


def config_in(folder: Path, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    lines = ["case_id,patient,image,label", *(f"c{n},p{n},{n}.png,{'ab'[n % 2]}" for n in range(20))]
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    for number in range(20):  # nobody looks into them
        Image.new("L", (4, 4)).save(folder / f"{number}.png")
    (folder / "x.yaml").write_text(CONFIG.format(folder=folder) + more)
    return folder / "x.yaml"


def swept(config: Path, *words: str, **options: Any) -> Sweep:
    said = options.setdefault("say", [].append)
    return sweep(config, words, **{**options, "say": said})


def table(folder: Path, *, clock: bool = False) -> list[Row]:
    """The rows of trials.csv, without what a clock says."""
    with (folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return rows if clock else [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images and the table of cases of all sweeps whose tables are compared."""
    return config_in(tmp_path_factory.mktemp("shared") / "data").parent


@pytest.fixture(scope="module")
def remembered() -> list[Row]:
    return []


@pytest.fixture
def uninterrupted(formula: Formula, shared: Path, remembered: list[Row], tmp_path: Path) -> list[Row]:
    """The table of the sweep that nobody stopped."""
    if not remembered:
        remembered += table(swept(config_in(tmp_path / "whole"), *at(shared)).folder)
        formula.trained.clear()
        formula.epochs.clear()
    return remembered


def at(shared: Path) -> tuple[str, ...]:
    return (f"data.source.file={shared / 'cases.csv'}",)


def test_the_best_is_that_of_brute_force_over_the_table(formula: Formula, tmp_path: Path) -> None:
    said: list[str] = []
    outcome = swept(config_in(tmp_path), say=said.append)
    rows = table(outcome.folder, clock=True)
    assert [int(row["trial"]) for row in rows] == list(range(6))
    assert outcome.folder == tmp_path / "runs" / "x-sweep"
    for row in rows:
        run = Run(outcome.folder / row["run"])
        scores = [entry["val_auroc"] for entry in jsonl.read(run.log)]
        assert float(row["value"]) == max(scores)
        assert int(row["best_epoch"]) == scores.index(max(scores))
        assert int(row["epochs"]) == len(scores)
        experiment = load(run.config)
        assert experiment.model_dump()["optimizer"]["lr"] == float(row["optimizer.lr"])
        assert experiment.sweep is None
    complete = [row for row in rows if row["state"] == "complete"]
    best = max(complete, key=lambda row: float(row["value"]))
    assert outcome.best is not None
    assert outcome.best.trial == int(best["trial"])
    ready, trained = load(outcome.folder / "best.yaml"), load(outcome.folder / best["run"] / "config.yaml")
    assert ready.name == "x-best"
    same = {"name": "", "runs": "", "sweep": None}
    assert ready.model_dump(mode="json") | same == trained.model_dump(mode="json") | same
    assert any(f"auroc {float(best['value']):.4f}" in line for line in said)
    assert any(line.endswith("best.yaml") for line in said)


def test_trials_below_the_median_are_pruned(formula: Formula, tmp_path: Path) -> None:
    outcome = swept(config_in(tmp_path), "sweep.trials=9")
    logs = [[entry["val_auroc"] for entry in jsonl.read(Run(outcome.folder / row.run).log)] for row in outcome.rows]
    complete: list[list[float]] = []
    for row, log in zip(outcome.rows, logs, strict=True):
        whole = [formula.score(row.setting["optimizer.lr"], row.setting["train.accumulate"], e) for e in range(EPOCHS)]
        ends = next(
            (
                epoch
                for epoch in range(1, EPOCHS - 1)  # not in the warm-up, and not after the last one
                if len(complete) >= 3 and max(whole[: epoch + 1]) < statistics.median(one[epoch] for one in complete)
            ),
            None,
        )
        assert log == (whole if ends is None else whole[: ends + 1])
        assert row.state == ("complete" if ends is None else "pruned")
        if ends is None:
            complete.append(whole)
    assert {row.state for row in outcome.rows} == {"complete", "pruned"}
    without = swept(config_in(tmp_path), "name=y", "sweep.pruner=none", "sweep.trials=5")
    assert {row.state for row in without.rows} == {"complete"}


@pytest.mark.parametrize("moments", [[(0, 0)], [(1, 1), (1, 2), (4, 3)]])
def test_killed_and_called_again(
    formula: Formula, uninterrupted: list[Row], shared: Path, tmp_path: Path, moments: list[tuple[int, int]]
) -> None:
    config = config_in(tmp_path / "killed")
    formula.at = {moment: Killed() for moment in moments}
    for _ in moments:
        with pytest.raises(Killed):
            swept(config, *at(shared))
    outcome = swept(config, *at(shared))
    assert table(outcome.folder) == uninterrupted
    assert len(formula.trained) == len(set(formula.trained)) == 6
    assert len(formula.epochs) == len(set(formula.epochs)) == sum(int(row["epochs"]) for row in uninterrupted)
    calls = len(formula.epochs)
    assert table(swept(config, *at(shared)).folder) == uninterrupted  # and once more, for nothing
    assert len(formula.epochs) == calls


@pytest.mark.parametrize("place", ["claim", "settings", "report", "end"])
def test_killed_between_two_writes(
    formula: Formula,
    uninterrupted: list[Row],
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    place: str,
) -> None:
    import optuna
    from optuna.storages import RDBStorage

    methods: dict[str, tuple[Any, str, int]] = {
        "claim": (RDBStorage, "set_trial_state_values", 3),
        "settings": (RDBStorage, "set_trial_param", 6),
        "report": (optuna.trial.Trial, "report", 7),
        "end": (optuna.Study, "tell", 5),
    }
    owner, name, count = methods[place]
    original, calls = getattr(owner, name), list[int]()

    def dies(*words: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == count:
            raise Killed
        return original(*words, **options)

    config = config_in(tmp_path / "killed")
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies)
        with pytest.raises(Killed):
            swept(config, *at(shared))
    assert table(swept(config, *at(shared)).folder) == uninterrupted
    assert len(formula.epochs) == len(set(formula.epochs))


def test_a_trial_that_cannot_be_trained_is_a_row(
    formula: Formula, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    formula.at = {
        (1, 2): TrainingError("the loss became nan\nin epoch 2"),
        (2, 0): ConfigError("data.patch: too large"),
        (4, 1): RuntimeError("shapes differ"),
    }
    outcome = swept(config_in(tmp_path))
    assert [row.trial for row in outcome.failed] == [1, 2, 4]
    reasons = {row.trial: row.reason for row in outcome.failed}
    assert reasons == {1: "the loss became nan in epoch 2", 2: "data.patch: too large", 4: "shapes differ"}
    assert "RuntimeError: shapes differ" in capsys.readouterr().err  # a defect shows where it is
    assert outcome.best is not None
    assert outcome.best.state == "complete"
    assert len(outcome.rows) == 6
    trained = len(formula.trained)
    assert [row.trial for row in swept(config_in(tmp_path)).failed] == [1, 2, 4]
    assert len(formula.trained) == trained


def test_a_full_disk_stops_the_sweep_and_fails_no_trial(formula: Formula, tmp_path: Path) -> None:
    full = TrainingError("the run folder cannot be written")
    full.__cause__ = OSError(28, "No space left on device")
    formula.at = {(1, 1): full}
    config = config_in(tmp_path)
    with pytest.raises(TrainingError, match="cannot be written"):
        swept(config, "sweep.trials=3")
    assert not swept(config, "sweep.trials=3").failed
    assert len(formula.trained) == len(set(formula.trained)) == 3


def test_scores_that_are_no_numbers_are_no_best(formula: Formula, tmp_path: Path) -> None:
    formula.score = lambda lr, accumulate, epoch: math.nan if accumulate == 1 else lr  # type: ignore[method-assign]
    outcome = swept(config_in(tmp_path), "sweep.sampler=random", "sweep.trials=4")
    states = {(row.setting["train.accumulate"] == 1, row.state) for row in outcome.rows}
    assert (True, "complete") not in states
    assert {row.reason for row in outcome.failed} <= {"auroc was never a number"}


def _in_threads(calls: list[Callable[[], Any]]) -> None:
    """Run calls at once, and raise what one of them raised."""
    raised: list[BaseException] = []

    def guarded(call: Callable[[], Any]) -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def test_workers_on_one_folder_do_no_trial_twice(formula: Formula, tmp_path: Path) -> None:
    config = config_in(tmp_path)
    _in_threads([lambda: swept(config)] * 3)
    assert len(formula.trained) == len(set(formula.trained)) == 6
    rows = table(tmp_path / "runs" / "x-sweep")
    assert [int(row["trial"]) for row in rows] == list(range(6))
    assert {row["state"] for row in rows} <= {"complete", "pruned"}


def test_workers_with_folders_of_their_own_share_a_storage(formula: Formula, tmp_path: Path) -> None:
    config = config_in(tmp_path)
    words = [(f"runs={tmp_path / name}", f"sweep.storage=sqlite:///{tmp_path}/shared.db") for name in ("one", "two")]
    swept(config, *words[0], "sweep.trials=2")
    _in_threads([lambda given=given: swept(config, *given) for given in words])  # type: ignore[misc]
    names = {folder.name for place in ("one", "two") for folder in (tmp_path / place / "x-sweep" / "trials").iterdir()}
    trained = [name for name in formula.trained if name in names]
    assert len(trained) == len(set(trained)) == 6
    rows = swept(config, *words[1]).rows
    assert [row.trial for row in rows] == list(range(6))
    elsewhere = [row for row in rows if not row.run.startswith("trials/")]
    assert len(elsewhere) >= 2  # the first two were trained in the other folder
    assert all(str(tmp_path / "one") in row.run for row in elsewhere)


def test_a_trial_stopped_elsewhere_is_left_to_its_folder(formula: Formula, tmp_path: Path) -> None:
    config, storage = config_in(tmp_path), ("sweep.trials=3", f"sweep.storage=sqlite:///{tmp_path}/shared.db")
    formula.at = {(0, 1): Killed()}
    with pytest.raises(Killed):
        swept(config, *storage, f"runs={tmp_path / 'one'}")
    said: list[str] = []
    rows = swept(config, *storage, f"runs={tmp_path / 'two'}", say=said.append).rows
    assert [row.state == "unfinished" for row in rows] == [True, False, False]
    assert any("1 of them" in line and "another folder" in line for line in said)
    rows = swept(config, *storage, f"runs={tmp_path / 'one'}").rows
    assert "unfinished" not in {row.state for row in rows}
    assert len(formula.trained) == len(set(formula.trained)) == 3


def test_more_trials_go_on_from_those_that_are_there(formula: Formula, tmp_path: Path) -> None:
    config = config_in(tmp_path)
    first = swept(config, "sweep.trials=2").rows
    rows = swept(config, "sweep.trials=4").rows
    assert len(rows) == 4
    assert [row.setting for row in rows[:2]] == [row.setting for row in first]
    assert len(formula.trained) == 4


def test_a_grid_tries_each_combination_once(formula: Formula, tmp_path: Path) -> None:
    grid = "sweep.space={optimizer.lr: [1e-3, 1e-2], train.accumulate: {low: 1, high: 3}}"
    rows = swept(config_in(tmp_path), grid, "sweep.sampler=grid", "sweep.trials=6").rows
    tried = [(row.setting["optimizer.lr"], row.setting["train.accumulate"]) for row in rows]
    assert tried == [(lr, accumulate) for lr in (1e-3, 1e-2) for accumulate in (1, 2, 3)]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("train.epochs=5", "train.epochs: was 4, is 5"),
        ("sweep.space.train.accumulate=[1, 2]", "sweep.space.train.accumulate: was [1, 2, 4], is [1, 2]"),
    ],
)
def test_a_changed_sweep_is_refused_and_replaced(formula: Formula, tmp_path: Path, word: str, said: str) -> None:
    config = config_in(tmp_path)
    swept(config, "sweep.trials=1")
    with pytest.raises(ConfigError, match="--overwrite") as refused:
        swept(config, "sweep.trials=2", word)
    assert said in str(refused.value)
    assert len(formula.trained) == 1
    assert len(swept(config, "sweep.trials=2", "data.workers=1").rows) == 2  # no score depends on it
    assert len(swept(config, "sweep.trials=1", word, overwrite=True).rows) == 1


def test_other_patients_are_refused(formula: Formula, tmp_path: Path) -> None:
    config = config_in(tmp_path)
    swept(config, "sweep.trials=1")
    cases = tmp_path / "cases.csv"
    cases.write_text("".join(cases.read_text().splitlines(keepends=True)[:-1]))  # one patient less
    with pytest.raises(ConfigError, match="split_sha256"):
        swept(config, "sweep.trials=2")


def test_what_is_no_sweep_is_left_alone(formula: Formula, tmp_path: Path) -> None:
    config, folder = config_in(tmp_path), tmp_path / "runs" / "x-sweep"
    (folder / "letters").mkdir(parents=True)
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="not the folder of a sweep"):
            swept(config, overwrite=overwrite)
    assert (folder / "letters").is_dir()


def test_a_folder_at_work_is_not_replaced(formula: Formula, tmp_path: Path) -> None:
    config = config_in(tmp_path)
    refused: list[str] = []

    def watching(line: str) -> None:
        if line.startswith("trial 0,"):
            with pytest.raises(ConfigError) as error:
                swept(config, overwrite=True)
            refused.append(str(error.value))

    swept(config, "sweep.trials=1", say=watching)
    assert "another process works on" in refused[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sweep=null"], "is required and missing: what to try"),
        (["data.split={kind: holdout, val: 0.0, test: 0.2}"], "never on the test part"),
        (["sweep.storage=oracel://nowhere/x"], "expected the URL of a database"),
        (["data.source.file=nowhere.csv"], "nowhere.csv"),
        (["sweep.trials=0"], "greater than 0"),
        (
            ["train.epochs=null", "train.minutes=1", "sweep.warmup_epochs=null"],
            "is required where train.minutes leaves",
        ),
    ],
)
def test_refused_before_any_compute(formula: Formula, tmp_path: Path, words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        swept(config_in(tmp_path), *words)
    assert said in str(refused.value)
    assert formula.trained == []


def test_other_cases_for_each_trial_are_told(formula: Formula, tmp_path: Path) -> None:
    said: list[str] = []
    config = config_in(tmp_path)
    swept(config, "sweep.space={data.split.seed: [1, 2]}", "sweep.trials=2", say=said.append)
    assert "note: data.split.seed differ between trials" in said[0]


def test_the_run_is_a_usual_one(formula: Formula, tmp_path: Path) -> None:
    outcome = swept(config_in(tmp_path), "sweep.trials=1")
    run = Run(outcome.folder / outcome.rows[0].run)
    assert run.config.read_text().startswith(RESOLVED)
    assert run.folder.name.startswith("0000_lr-")
    assert "accumulate-" in run.folder.name
