"""Eight trials of real training, killed in the middle and started again: eight trials, no repeats, nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from tests.journeys.conftest import Hilum, parts, read_csv, read_json, read_log

SWEEP = """\
sweep:
  trials: 8
  startup: 3
  space:
    optimizer.lr: {low: 1e-3, high: 1e-1, log: true}
    network.channels: [[4, 8], [4, 6]]
"""


@pytest.fixture
def config(write_config: Callable[..., Path], alarm: Path, tmp_path: Path) -> Path:
    """The tiny experiment with a sweep of its own, and an alarm among the augmentations."""
    text = SWEEP + f"plugins: [{alarm.name}]\n"
    file = write_config(tmp_path, more=text)
    alarmed = f"augment: [{{kind: affine, probability: 0.7}}, {{kind: alarm, trigger: {tmp_path / 'trigger'}}}]"
    file.write_text(file.read_text().replace("augment: [{kind: affine, probability: 0.7}, noise]", alarmed))
    return file


@pytest.mark.slow
def test_killed_in_the_middle_and_started_again(hilum: Hilum, command: Hilum, config: Path, tmp_path: Path) -> None:
    folder, trigger = tmp_path / "runs" / "tiny-sweep", tmp_path / "trigger"
    trigger.write_text("sample 23 SIGKILL")  # in the second epoch of the third trial
    assert command("sweep", config).code == -9
    begun = {run: read_json(run / "provenance.json") for run in (folder / "trials").glob("0*")}
    finished = [run for run, facts in begun.items() if "finished" in facts]
    (killed,) = begun.keys() - set(finished)
    assert finished
    assert len(read_log(killed)) == 1, "not killed in its second epoch"

    again = hilum("sweep", config)
    assert again.code == 0, again.text
    rows = read_csv(folder / "trials.csv")
    assert_eight_trials(folder, rows)
    for run in finished:
        assert read_json(run / "provenance.json") == begun[run], "a finished trial was touched"
    assert len(read_json(killed / "provenance.json")["lineage"]) == 1

    # The killed trial ended as an uninterrupted training of its settings does, and so does the best one again.
    row = next(row for row in rows if Path(row["run"]).name == killed.name)
    words = [f"optimizer.lr={row['optimizer.lr']}", f"network.channels={row['network.channels']}", "name=alone"]
    assert hilum("train", config, *words).code == 0
    assert weights(killed) == weights(tmp_path / "runs" / "alone")
    best = max((row for row in rows if row["state"] == "complete"), key=lambda row: float(row["value"]))
    assert hilum("train", folder / "best.yaml").code == 0
    assert weights(folder / best["run"]) == weights(tmp_path / "runs" / "tiny-best")


def assert_eight_trials(folder: Path, rows: list[dict[str, str]]) -> None:
    """The table holds eight trials with settings of their own, all scored on the same patients, and is true."""
    assert [int(row["trial"]) for row in rows] == list(range(8))
    assert len({(row["optimizer.lr"], row["network.channels"]) for row in rows}) == 8
    assert {row["state"] for row in rows} <= {"complete", "pruned"}
    assert sorted(run.name for run in (folder / "trials").glob("0*")) == sorted(Path(row["run"]).name for row in rows)
    for row in rows:
        log = read_log(folder / row["run"])
        assert [line["epoch"] for line in log] == list(range(int(row["epochs"])))
        assert float(row["value"]) == max(line["val_dice"] for line in log)
        assert parts(folder / row["run"]) == parts(folder / rows[0]["run"])
        assert not (folder / row["run"] / "test_ledger.jsonl").exists()
    with Image.open(folder / "sweep.png") as picture:
        assert min(picture.size) > 400


def weights(run: Path) -> str:
    """The hash of a run's weights."""
    return str(read_json(run / "provenance.json")["weights_sha256"])


def test_a_diverging_trial_is_a_row_and_ctrl_c_is_resumable(hilum: Hilum, config: Path, tmp_path: Path) -> None:
    folder, trigger = tmp_path / "runs" / "tiny-sweep", tmp_path / "trigger"
    trigger.write_text("sample 3 SIGINT")
    stopped = hilum("sweep", config, "sweep.trials=2")
    assert stopped.code == 130, stopped.text
    assert "goes on when the same command is given again" in stopped.out
    assert "Traceback" not in stopped.text
    trigger.write_text("sample 10 nan")  # the first trial has six samples left at most, the second one eight
    some_failed = hilum("sweep", config, "sweep.trials=2")
    assert some_failed.code == 3, some_failed.text
    states = [(row["state"], row["reason"][:16]) for row in read_csv(folder / "trials.csv")]
    assert sorted(states) == [("complete", ""), ("failed", "the loss became ")]


def test_mistakes_are_named_before_any_compute(hilum: Hilum, config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text().replace("optimizer.lr:", "optimizer.lrr:"))
    line = config.read_text().splitlines().index("    optimizer.lrr: {low: 1e-3, high: 1e-1, log: true}") + 1
    hilum("sweep", config).refuses(f"{config}:{line}: sweep.space.optimizer.lrr: unknown key 'lrr'; did you mean 'lr'?")
    assert not (tmp_path / "runs").exists()
