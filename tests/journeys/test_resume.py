"""Stopping and going on: a run that was killed, interrupted or broken ends with the very bits of one that was not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.journeys.conftest import Hilum, Result, parts, read_csv, read_json, read_log


@pytest.fixture
def start(
    hilum: Hilum, command: Hilum, write_config: Callable[..., Path], alarm: Path, tmp_path: Path
) -> Callable[..., Result]:
    """Trains the tiny experiment until the alarm rings at `moment`."""
    trigger = tmp_path / "trigger"
    config = write_config(tmp_path, more=f"plugins: [{alarm.name}]\n")
    words = [
        f"data.augment=[{{kind: affine, probability: 0.7}}, noise, {{kind: alarm, trigger: {trigger}}}]",
        f"metrics=[dice, {{kind: alarm, trigger: {trigger}}}]",
    ]

    def run(moment: str, *, in_process: bool = True) -> Result:
        trigger.write_text(moment)
        done = (hilum if in_process else command)("train", config, *words)
        assert not trigger.exists(), f"the alarm never rang: {done.text}"
        return done

    return run


def assert_as_uninterrupted(run: Path, trained: Path) -> None:
    """The alarm changes neither weights nor other scores: a run without it is the oracle."""
    facts, expected = read_json(run / "provenance.json"), read_json(trained / "provenance.json")
    assert facts["weights_sha256"] == expected["weights_sha256"]
    assert len(facts["lineage"]) == 1
    log = [{key: value for key, value in line.items() if key != "val_alarm"} for line in read_log(run)]
    assert log == read_log(trained)
    scores = [row["dice"] for row in read_csv(run / "cases.csv")]
    assert scores == [row["dice"] for row in read_csv(trained / "cases.csv")]


def first_sample_of_second_epoch(trained: Path) -> int:
    """The number of training samples in an epoch, and one more, for batches of two that are filled up."""
    return 2 * -(-len(parts(trained)["train"]) // 2) + 1


def test_killed_in_the_second_epoch(hilum: Hilum, start: Callable[..., Result], trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "tiny"
    late = first_sample_of_second_epoch(trained) + 2  # the second batch of the second epoch
    assert start(f"sample {late} SIGKILL", in_process=False).code == -9
    assert len(read_log(run)) == 1
    with (run / "log.jsonl").open("a") as log:  # what a kill between log and checkpoint leaves
        log.write('{"epoch": 1, "step": 99, "train_loss": 0.0, "seconds": 1.0, "waiting": 0.0}\n')
    resumed = hilum("train", "--resume", run)
    assert resumed.code == 0, resumed.text
    assert_as_uninterrupted(run, trained)


def test_killed_before_the_first_checkpoint(
    hilum: Hilum, start: Callable[..., Result], trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "tiny"
    assert start("sample 3 SIGKILL", in_process=False).code == -9
    assert not list((run / "checkpoints").glob("*.pt"))
    hilum("evaluate", run).refuses("before its first")
    resumed = hilum("train", "--resume", run)
    assert resumed.code == 0, resumed.text
    assert_as_uninterrupted(run, trained)


def test_ctrl_c_on_the_installed_command_names_the_way_on(
    command: Hilum, start: Callable[..., Result], trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "tiny"
    stopped = start("sample 3 SIGINT", in_process=False)
    assert stopped.code == 130, stopped.text
    assert f"hilum train --resume {run}" in stopped.out
    assert "Traceback" not in stopped.text
    resumed = command("train", "--resume", run)
    assert resumed.code == 0, resumed.text
    assert_as_uninterrupted(run, trained)


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        ("sample 4 SIGTERM", 143),
        ("structure 1 SIGINT", 130),  # in the first validation
        ("structure 5 SIGTERM", 143),  # in the second
        ("sample 1 nan", 4),
    ],
)
def test_stopped_and_resumed(
    hilum: Hilum, start: Callable[..., Result], trained: Path, tmp_path: Path, moment: str, code: int
) -> None:
    run = tmp_path / "runs" / "tiny"
    stopped = start(moment)
    assert stopped.code == code, stopped.text
    assert "Traceback" not in stopped.text
    assert "resume" in stopped.text
    resumed = hilum("train", "--resume", run)
    assert resumed.code == 0, resumed.text
    assert_as_uninterrupted(run, trained)


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(
    hilum: Hilum, start: Callable[..., Result], trained: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "tiny"
    stopped = start(f"sample {first_sample_of_second_epoch(trained)} nan")
    stopped.refuses("the loss became nan in epoch 1", "optimizer.lr", code=4)
    resumed = hilum("train", "--resume", run)
    assert resumed.code == 0, resumed.text
    assert_as_uninterrupted(run, trained)


def test_a_finished_run_can_be_continued_to_more_epochs(hilum: Hilum, own_run: Path) -> None:
    before = read_json(own_run / "provenance.json")["weights_sha256"]
    assert hilum("train", "--resume", own_run).code == 0
    assert read_json(own_run / "provenance.json")["weights_sha256"] == before
    longer = hilum("train", "--resume", own_run, "train.epochs=3")
    assert longer.code == 0, longer.text
    assert [line["epoch"] for line in read_log(own_run)] == [0, 1, 2]
    lineage = read_json(own_run / "provenance.json")["lineage"]
    assert [entry["overrides"] for entry in lineage] == [[], ["train.epochs=3"]]


def test_resuming_on_other_data_is_refused(
    hilum: Hilum, write_config: Callable[..., Path], phantoms: Path, tmp_path: Path
) -> None:
    shutil.copytree(phantoms, tmp_path / "cohort")
    source = f"{{kind: csv_table, file: {tmp_path}/cohort/cases.csv, patient: patient_id, id: case_id}}"
    assert hilum("train", write_config(tmp_path, source=source), "train.epochs=1").code == 0
    run = tmp_path / "runs" / "tiny"
    shutil.copy(tmp_path / "cohort/labels/phantom-000-0.nii.gz", tmp_path / "kept.nii.gz")
    image = (tmp_path / "cohort/images/phantom-000-0.nii.gz").read_bytes()
    (tmp_path / "cohort/labels/phantom-000-0.nii.gz").write_bytes(image)
    hilum("train", "--resume", run, "train.epochs=2").refuses("data", "changed")
    shutil.copy(tmp_path / "kept.nii.gz", tmp_path / "cohort/labels/phantom-000-0.nii.gz")
    assert hilum("train", "--resume", run, "train.epochs=2").code == 0


def test_resume_says_what_it_cannot_do(hilum: Hilum, own_run: Path, tmp_path: Path) -> None:
    hilum("train", "--resume", tmp_path / "nothing").refuses("is not a run folder")
    hilum("train", "--resume", own_run.with_name("tinny")).refuses("is not a run folder", "tiny")
    hilum("train", "--resume", own_run, "--overwrite").refuses("--resume and --overwrite")
    hilum("train", own_run / "config.yaml", "--resume", own_run).refuses("config.yaml")
    hilum("train", "--resume", own_run, "network.channels=[4, 6]").refuses("another network")
    hilum("train", "--resume", own_run, "optimizer.lr=high").refuses("optimizer.lr")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("network.channels=[8, 8]", "another network"),
        ("task.classes={background: 0, lesion: 2, organ: 1}", "other classes"),
    ],
)
def test_a_refused_resume_leaves_the_run_as_it_was(hilum: Hilum, own_run: Path, word: str, reason: str) -> None:
    before = {file: file.read_bytes() for file in own_run.rglob("*") if file.is_file()}
    hilum("train", "--resume", own_run, "train.epochs=9", word).refuses(reason)
    assert {file: file.read_bytes() for file in own_run.rglob("*") if file.is_file()} == before


def test_another_monitor_looks_for_its_own_best(hilum: Hilum, own_run: Path) -> None:
    from hilum.training.checkpoint import load

    epochs = len(read_log(own_run))
    resumed = hilum("train", "--resume", own_run, f"train.epochs={epochs + 1}", "metrics=[iou]")
    assert resumed.code == 0, resumed.text
    best = load(own_run / "checkpoints" / "last.pt")[1]["best"]
    assert (best["monitor"], best["epoch"]) == ("iou", epochs)
    assert best["score"] == read_log(own_run)[-1]["val_iou"]
