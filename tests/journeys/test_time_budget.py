"""A time budget, early stopping and freezing from YAML: kept in the checkpoint, and exact over stops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.journeys.conftest import Hilum, read_json, read_log

from hilum.pipeline import timing
from hilum.training.budget import Costs

COSTS = Costs(step_s=0.5, epoch_s=0.25, validation_s=1.0, measuring_s=3.0)
MINUTES = "train={minutes: 0.25, ema: 0.9, clip_norm: 1.0, validate_every: 2}"


def not_again(*_: object) -> Costs:
    raise AssertionError("measured again")


def test_a_budget_is_measured_once_and_ends_within_an_epoch(
    hilum: Hilum,
    write_config: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    alarm: Path,
) -> None:
    trigger = tmp_path / "trigger"
    config = write_config(tmp_path, more=f"plugins: [{alarm.name}]\n")
    augment = f"data.augment=[{{kind: affine, probability: 0.7}}, noise, {{kind: alarm, trigger: {trigger}}}]"
    words = [MINUTES, augment, "data.patch.samples_per_case=2"]
    real = timing._measured

    def measured(session: object, budget_s: float, stop: object) -> Costs:
        found = real(session, budget_s, stop)  # type: ignore[arg-type]
        assert min(found.step_s, found.epoch_s, found.validation_s, found.measuring_s) > 0
        trigger.write_text("sample 7 SIGTERM")
        return COSTS  # of a slow machine, so that the test is quick

    monkeypatch.setattr(timing, "_measured", measured)
    stopped = hilum("train", config, *words)
    run = tmp_path / "runs" / "tiny"
    assert stopped.code == 143, stopped.text
    budget = read_json(run / "provenance.json")["time_budget"]
    said = f"train.minutes: 0.25 min are {budget['steps']} steps"
    monkeypatch.setattr(timing, "_measured", not_again)
    resumed = hilum("train", "--resume", run)
    assert resumed.code == 0, resumed.text
    assert said in stopped.out
    assert said in resumed.out
    assert read_log(run)[-1]["step"] == budget["steps"]
    assert "val_dice" in read_log(run)[-1]

    # The oracle runs through, with steps, validation and all measured by nobody.
    monkeypatch.setattr(timing, "_measured", lambda *_: Costs(**budget["costs"]))
    through = hilum("train", config, *words, "name=through")
    assert through.code == 0, through.text
    assert read_log(run.with_name("through")) == read_log(run)
    assert weights(run.with_name("through")) == weights(run)


def test_a_longer_time_is_told_at_the_speed_that_was_measured(
    hilum: Hilum, write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "tiny"
    monkeypatch.setattr(timing, "_measured", lambda *_: COSTS)
    assert hilum("train", write_config(tmp_path), MINUTES).code == 0
    first = read_json(run / "provenance.json")["time_budget"]["steps"]
    monkeypatch.setattr(timing, "_measured", not_again)
    longer = hilum("train", "--resume", run, "train.minutes=0.5")
    assert longer.code == 0, longer.text
    assert read_log(run)[-1]["step"] == read_json(run / "provenance.json")["time_budget"]["steps"] > first
    hilum("train", "--resume", run, "train.epochs=5").refuses("either epochs or minutes")


def weights(run: Path) -> str:
    return str(read_json(run / "provenance.json")["weights_sha256"])


def test_measuring_leaves_no_trace(
    hilum: Hilum, write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same number of steps, once after real measurements and once without any."""
    config = write_config(tmp_path)
    real = timing._measured

    def measured(session: object, budget_s: float, stop: object) -> Costs:
        real(session, budget_s, stop)  # type: ignore[arg-type]
        return COSTS

    for name, way in (("measured", measured), ("not", lambda *_: COSTS)):
        monkeypatch.setattr(timing, "_measured", way)
        done = hilum("train", config, MINUTES, f"name={name}", "optimizer=adamw")
        assert done.code == 0, done.text
    first, second = tmp_path / "runs" / "measured", tmp_path / "runs" / "not"
    assert read_log(first) == read_log(second)
    assert weights(first) == weights(second)


@pytest.mark.slow
def test_early_stopping_ends_the_run_and_stays_so(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    config, patience = write_config(tmp_path), "train.early_stopping={patience: 2, min_delta: 0.9}"
    done = hilum("train", config, "train.epochs=9", patience)
    run = tmp_path / "runs" / "tiny"
    assert done.code == 0, done.text
    assert "early stopping: no better for 2 validations" in done.out
    assert [line["epoch"] for line in read_log(run)] == [0, 1, 2]  # the first is the best, no later one by 0.9
    before = weights(run)
    assert hilum("train", "--resume", run).code == 0
    assert (len(read_log(run)), weights(run)) == (3, before)
    longer = hilum("train", "--resume", run, "train.early_stopping.patience=4")
    assert longer.code == 0, longer.text
    through = hilum("train", config, "train.epochs=9", patience.replace("2,", "4,"), "name=through")
    assert through.code == 0, through.text
    assert read_log(run) == read_log(tmp_path / "runs" / "through")
    assert weights(run) == weights(tmp_path / "runs" / "through")


def test_what_is_frozen_is_as_it_was_drawn_and_some_cases_are_validated(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    config = write_config(tmp_path)
    for epochs in (1, 2):
        words = ["train.freeze=[encoder.0, head]", "train.validate_cases=1", "network.norm=batch"]
        done = hilum("train", config, f"name=e{epochs}", f"train.epochs={epochs}", *words)
        assert done.code == 0, done.text
        assert "validating on 1 of" in done.out
    states = [
        torch.load(tmp_path / "runs" / name / "checkpoints" / "last.pt", weights_only=True)["tensors"]["model"]
        for name in ("e1", "e2")
    ]
    same = {name for name in states[0] if torch.equal(states[0][name], states[1][name])}
    assert same == {name for name in states[0] if name.startswith(("encoder.0.", "head."))}


def test_what_training_cannot_have_is_refused_before_it_starts(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    config = write_config(tmp_path)
    words = ["train.freeze=[encodr]", "train.validate_cases=99"]
    hilum("train", config, *words).refuses("train.freeze.0", "did you mean 'encoder", "validate_cases: received 99")
    hilum("train", config, "data.split=all", "train.early_stopping={patience: 1}").refuses("needs a validation part")
    hilum("train", config, "train.minutes=3").refuses("either epochs or minutes")
    hilum("train", config, MINUTES.replace("0.25", "0.001")).refuses("train.minutes: received 0.001", "give more time")
    assert not (tmp_path / "runs" / "tiny" / "log.jsonl").exists()
