"""A regression from table to table: a line is recovered exactly, numbers keep their units, a stopped run goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
from tests.journeys.conftest import Hilum, parts, read_csv, read_json, write_csv

CONFIG = """\
name: line
task: {{kind: regression, targets: {{y: mm}}, standardise: false}}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, image: x, label: y, patient: person}}
  split: {{kind: holdout, val: 0.25, test: 0.25, seed: 1}}
  batch_size: all
  cache: {folder}/cache
network: {{kind: linear, initialisation: zeros}}
loss: mse
metrics: [mae, rmse, r2, pearson, bland_altman]
optimizer: {{kind: sgd, lr: 0.2}}
schedule: constant
train: {{epochs: 2, steps_per_epoch: 150, report: false}}
runtime: {{device: cpu, precision: float32, threads: 1}}
runs: {folder}/runs
"""
PATIENTS = 24


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of one pixel x with y = 0.3 x + 0.7, and z, which is unknown at times and in another unit."""
    folder = tmp_path_factory.mktemp("line")
    rows = []
    for number, x in enumerate(np.random.default_rng(0).permutation(np.linspace(0, 2, PATIENTS))):
        np.save(folder / f"i{number}.npy", np.array([[x]], np.float32))
        y, z = 0.3 * x + 0.7, 1000 - 200 * x
        rows.append({"x": f"i{number}.npy", "person": f"p{number}", "y": y, "z": z if number % 5 else ""})
    write_csv(folder / "cases.csv", rows)
    (folder / "line.yaml").write_text(CONFIG.format(folder=folder))
    return folder


@pytest.fixture(scope="module")
def fitted(hilum: Hilum, line: Path) -> Path:
    done = hilum("train", line / "line.yaml")
    assert done.code == 0, done.text
    return line / "runs" / "line"


def weights_of(run: Path) -> dict[str, float]:
    from hilum.training import checkpoint

    tensors, _ = checkpoint.load(run / "checkpoints" / "best.pt")
    return {name.rpartition(".")[2]: float(value) for name, value in tensors["model"].items()}


def test_the_line_is_recovered(fitted: Path) -> None:
    assert weights_of(fitted) == pytest.approx({"weight": 0.3, "bias": 0.7}, abs=1e-5)


def test_scores_and_rows(hilum: Hilum, fitted: Path) -> None:
    done = hilum("evaluate", fitted, "--part", "test")
    assert done.code == 0, done.text
    assert "y (mm)" in done.out
    rows = [row for row in read_csv(fitted / "cases.csv") if row["part"] == "test"]
    assert {row["case_id"] for row in rows} == parts(fitted)["test"]
    assert {row["unit_y"] for row in rows} == {"mm"}
    truth, predicted = (np.array([float(row[f"{name}_y"]) for row in rows]) for name in ("truth", "predicted"))
    scores = read_json(fitted / "summary.json")["test"]["overall"]
    assert scores["mae"]["value"] == pytest.approx(sklearn_metrics.mean_absolute_error(truth, predicted))
    assert scores["r2"]["value"] == pytest.approx(1.0)
    assert scores["bland_altman"]["value"] == pytest.approx((predicted - truth).mean())
    assert (fitted / "scores_test.png").stat().st_size > 0


def test_predictions_are_in_the_unit(hilum: Hilum, fitted: Path, line: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "new.npy", np.array([[5.0]], np.float32))
    done = hilum("predict", fitted, tmp_path / "new.npy", tmp_path / "out")
    assert done.code == 0, done.text
    (row,) = read_csv(tmp_path / "out" / "results.csv")
    assert float(row["predicted_y"]) == pytest.approx(0.3 * 5 + 0.7, abs=1e-4)
    assert row["unit_y"] == "mm"


def test_several_numbers_are_standardised_and_given_back(hilum: Hilum, line: Path, tmp_path: Path) -> None:
    """Mean and standard deviation of the training part are kept with the weights; unknown numbers are left out."""
    words = ["task={kind: regression, targets: {y: mm, z: ms}}", "data.source.label=[y, z]", "metrics=[r2, mae]"]
    done = hilum("train", line / "line.yaml", *words, f"runs={tmp_path}/runs", "name=two")
    assert done.code == 0, done.text
    run = tmp_path / "runs" / "two"
    from hilum.training import checkpoint

    _, facts = checkpoint.load(run / "checkpoints" / "best.pt")
    rows = {row["person"]: row for row in read_csv(line / "cases.csv")}
    train = [row for row in read_csv(run / "split.csv") if row["part"] == "train"]
    for name, (mean, std) in zip(("y", "z"), facts["problem"]["scales"], strict=True):
        values = np.array([float(rows[row["patient_id"]][name]) for row in train if rows[row["patient_id"]][name]])
        assert (mean, std) == pytest.approx((values.mean(), values.std()))
    for row in read_csv(run / "cases.csv"):
        if row["truth_z"]:
            assert float(row["predicted_z"]) == pytest.approx(float(row["truth_z"]), abs=1.0)
    overall = read_json(run / "summary.json")["val"]["overall"]
    assert overall["r2"]["value"] > 0.999
    assert overall["mae"]["value"] is None
    np.save(tmp_path / "new.npy", np.array([[1.0]], np.float32))
    assert hilum("predict", run, tmp_path / "new.npy", tmp_path / "out").code == 0
    (row,) = read_csv(tmp_path / "out" / "results.csv")
    assert float(row["predicted_z"]) == pytest.approx(800, abs=1.0)


def test_stopped_and_resumed_is_as_uninterrupted(hilum: Hilum, line: Path, alarm: Path, tmp_path: Path) -> None:
    trigger = tmp_path / "trigger"
    text = (
        (line / "line.yaml")
        .read_text()
        .replace("batch_size: all", "batch_size: 4")
        .replace(str(line / "runs"), str(tmp_path))
    )
    (tmp_path / "line.yaml").write_text(f"{text}plugins: [{alarm.name}]\n")
    words = [f"data.augment=[{{kind: alarm, trigger: {trigger}}}]", "train.steps_per_epoch=6"]
    assert hilum("train", tmp_path / "line.yaml", *words, "name=whole").code == 0
    trigger.write_text("sample 31 SIGTERM")
    stopped = hilum("train", tmp_path / "line.yaml", *words, "name=stopped")
    assert stopped.code == 143, stopped.text
    resumed = hilum("train", "--resume", tmp_path / "stopped")
    assert resumed.code == 0, resumed.text
    hashes = [read_json(tmp_path / name / "provenance.json")["weights_sha256"] for name in ("whole", "stopped")]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["task.targets={w: mm}", "data.source.label=[w]"], ["w"]),
        (["task={kind: regression, targts: {y: mm}}"], ["targts", "targets"]),
        (["loss=cross_entropy"], ["cross_entropy", "regression"]),
        (["metrics=[dice]"], ["dice", "regression", "mae"]),
        (["metrics=[bland_altman]"], ["bland_altman", "cannot choose a checkpoint"]),
        (["task.targets={y: mm, z: ms}", "data.source.label=[y, z]"], ["not in one unit", "r2"]),
        (["network=unet"], ["unet", "segmentation and restoration"]),
        (["data.source.label=person"], ["received 'p0', expected a number"]),
        (["data.degrade=[noise]"], ["data.degrade", "is for restoration"]),
        (["decide.calibrate=true"], ["decide.calibrate", "remove it"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_mistakes_are_told_before_any_compute(hilum: Hilum, line: Path, words: list[str], told: list[str]) -> None:
    hilum("check", line / "line.yaml", *words).refuses(*told)


def test_folds_are_pooled_into_one_picture_which_the_page_names(hilum: Hilum, line: Path, tmp_path: Path) -> None:
    split = "data.split={kind: kfold, folds: 2, val: 0.0, seed: 1}"
    done = hilum("crossval", line / "line.yaml", split, f"runs={tmp_path}/runs", "name=cv", "train.report=true")
    assert done.code == 0, done.text
    folder = tmp_path / "runs" / "cv"
    assert (folder / "scores_test.png").stat().st_size > 0
    assert "Pictures of the cases: scores_test.png, fold-0/scores_test.png" in (folder / "report.html").read_text()
    assert len(read_csv(folder / "cases.csv")) == PATIENTS
