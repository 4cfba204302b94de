"""A classifier whose probabilities and threshold are chosen on validation: kept, applied, told; by case and patient."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import f1_score, log_loss, recall_score, roc_auc_score
from tests.journeys.conftest import Hilum, read_csv, read_json, write_csv
from tests.journeys.test_ranks import torchrun

CONFIG = """\
name: decided
task: {{kind: classification, classes: {{healthy: "no", ill: "yes"}}}}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, label: finding, patient: person, part: part}}
  split: predefined
  prepare: [{{kind: window, low: 0, high: 255}}]
  augment: [{{kind: brightness, shift: 0.05, scale: [0.95, 1.05]}}]
  batch_size: 8
  cache: {folder}/cache
network: {{kind: lenet5, padding: 2, activation: relu}}
loss: cross_entropy
metrics: [auroc, f1, sensitivity, nll]
optimizer: {{kind: adam, lr: 5e-3}}
schedule: {{kind: constant, warmup: 0}}
train: {{epochs: 5}}
runtime: {{device: cpu, precision: float32, threads: 1}}
decide:
  calibrate: true
  operating_point: {{kind: sensitivity, at_least: 0.9}}
  patient: {{aggregate: noisy_or}}
runs: {runs}
"""
PLAIN = ["decide.calibrate=false", "decide.operating_point=argmax", "decide.patient=null"]
ENOUGH = ["decide.calibrate=true", "train={epochs: 10}", "optimizer.lr=0.02", "network.dropout=0"]
"""Training after which a segmentation is better than chance."""
Write = Callable[[Path], Path]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty people with two or three pictures each; one in five has the wrong label, so that nobody can be sure."""
    folder = tmp_path_factory.mktemp("decided")
    rng = np.random.default_rng(4)
    rows: list[dict[str, Any]] = []
    for person in range(40):
        bright = person % 2 == 1
        finding = "yes" if bright != (person % 5 == 2) else "no"
        for number in range(2 + person % 2):
            pixels = rng.integers(0, 60, (28, 28))
            pixels[6:20, 6:20] += 120 * bright
            name = f"{person:02d}_{number}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
            part = ("train", "train", "val", "test")[person // 10]
            rows.append({"image": name, "finding": finding, "person": f"{person:02d}", "part": part})
    write_csv(folder / "cases.csv", rows)
    return folder


@pytest.fixture(scope="session")
def write(folder: Path) -> Write:
    """Writes the configuration into a folder."""

    def written(into: Path) -> Path:
        (into / "decided.yaml").write_text(CONFIG.format(folder=folder, runs=into / "runs"))
        return into / "decided.yaml"

    return written


@pytest.fixture(scope="session")
def whole(hilum: Hilum, write: Write, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped, to be read only."""
    into = tmp_path_factory.mktemp("whole")
    done = hilum("train", write(into))
    assert done.code == 0, done.text
    assert "probabilities calibrated on the validation patients: temperature " in done.out
    assert "operating point of a patient, chosen on the validation patients: ill where" in done.out
    return into / "runs" / "decided"


@pytest.fixture
def own(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "decided"))


def shares(rows: list[dict[str, str]]) -> np.ndarray:
    return np.array([float(row["p_ill"]) for row in rows])


def ill(rows: list[dict[str, str]], column: str) -> np.ndarray:
    return np.array([row[column] == "ill" for row in rows])


def test_rows_and_scores_are_those_of_the_calibrated_network_at_its_threshold(whole: Path) -> None:
    rows, kept, summary = (
        read_csv(whole / "cases.csv"),
        read_json(whole / "calibration.json"),
        read_json(whole / "summary.json")["val"],
    )
    at = kept["operating_points"]["case"]
    assert {float(row["threshold"]) for row in rows} == {at["threshold"]}
    assert (ill(rows, "predicted") == (shares(rows) >= at["threshold"])).all()
    assert (at["tp"], at["fp"]) == tuple(
        int((ill(rows, "predicted") & (ill(rows, "truth") == one)).sum()) for one in (True, False)
    )
    overall = {name: score["value"] for name, score in summary["overall"].items()}
    assert overall["sensitivity_ill"] == pytest.approx(recall_score(ill(rows, "truth"), ill(rows, "predicted")))
    assert overall["sensitivity_ill"] >= 0.9
    assert overall["auroc"] == pytest.approx(roc_auc_score(ill(rows, "truth"), shares(rows)))
    assert overall["nll"] == pytest.approx(log_loss(ill(rows, "truth"), shares(rows)), rel=1e-6)
    assert overall["nll"] == pytest.approx(kept["validation"]["calibrated"]["nll"], rel=1e-6)
    assert summary["chosen_on_validation"]["temperature"] == kept["temperature"]
    assert sum(each["cases"] for each in summary["reliability"]["ill"]) == len(rows)
    assert read_json(whole / "provenance.json")["decide"]["temperature"] == kept["temperature"]
    assert (whole / "calibration.png").exists()
    assert (whole / "reliability_val.png").exists()


def test_patients_are_scored_as_well(hilum: Hilum, own: Path) -> None:
    done = hilum("evaluate", own, "--part", "test")
    assert done.code == 0, done.text
    assert "by patient (noisy_or of the cases)" in done.out
    by_person: dict[str, list[dict[str, str]]] = {}
    for row in read_csv(own / "cases.csv"):
        if row["part"] == "test":
            by_person.setdefault(row["patient_id"], []).append(row)
    rows = [row for row in read_csv(own / "patients.csv") if row["part"] == "test"]
    assert [row["patient_id"] for row in rows] == list(by_person)
    at = read_json(own / "calibration.json")["operating_points"]["patient"]
    for row in rows:
        cases = by_person[row["patient_id"]]
        assert float(row["p_ill"]) == pytest.approx(1 - prod(1 - float(case["p_ill"]) for case in cases))
        assert float(row["p_healthy"]) == pytest.approx(1 - float(row["p_ill"]))
        assert (row["predicted"] == "ill") == (float(row["p_ill"]) >= at["threshold"])
        assert (int(row["cases"]), row["truth"]) == (len(cases), cases[0]["truth"])
    level = read_json(own / "summary.json")["test"]["patient_level"]
    overall = {name: score["value"] for name, score in level["overall"].items()}
    assert level["patients"] == len(rows) == 10
    assert overall["auroc"] == pytest.approx(roc_auc_score(ill(rows, "truth"), shares(rows)))
    assert overall["f1_ill"] == pytest.approx(f1_score(ill(rows, "truth"), ill(rows, "predicted")))
    assert level["overall"]["auroc"]["low"] < overall["auroc"]
    assert {row["part"] for row in read_csv(own / "patients.csv")} == {"val", "test"}
    kept = read_json(own / "calibration.json")
    assert {level: point["tp"] + point["fn"] for level, point in kept["operating_points"].items()} == {
        "case": int(ill([row for row in read_csv(own / "cases.csv") if row["part"] == "val"], "truth").sum()),
        "patient": int(ill([row for row in read_csv(own / "patients.csv") if row["part"] == "val"], "truth").sum()),
    }  # chosen on validation, whatever was scored since


def test_it_can_be_left_away_and_chosen_anew(hilum: Hilum, own: Path) -> None:
    before = read_csv(own / "cases.csv")
    kept = read_json(own / "calibration.json")
    (own / "cases.csv").unlink()
    (own / "patients.csv").unlink()
    assert hilum("evaluate", own, *PLAIN).code == 0
    raw = read_csv(own / "cases.csv")
    assert "threshold" not in raw[0]
    assert not (own / "patients.csv").exists()
    assert log_loss(ill(raw, "truth"), shares(raw)) == pytest.approx(kept["validation"]["raw"]["nll"], rel=1e-6)
    odds = np.log(shares(raw) / (1 - shares(raw))) / kept["temperature"]
    assert shares(before) == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-6)
    youden = "decide.operating_point=youden"
    hilum("evaluate", own, youden).refuses(f"hilum train --resume {own} decide.operating_point=...")
    (own / "cases.csv").unlink()
    again = hilum("train", "--resume", own, youden)
    assert again.code == 0, again.text
    chosen = read_json(own / "calibration.json")
    assert chosen["temperature"] == kept["temperature"]
    assert chosen["operating_points"]["case"]["rule"] == {"kind": "youden"}


def assert_same(run: Path, whole: Path) -> None:
    assert read_json(run / "calibration.json") == read_json(whole / "calibration.json")
    assert read_json(run / "provenance.json")["decide"] == read_json(whole / "provenance.json")["decide"]
    for table in ("cases.csv", "patients.csv"):
        assert read_csv(run / table) == read_csv(whole / table)


@pytest.mark.slow
def test_stopped_and_resumed_it_chooses_the_same(
    hilum: Hilum, write: Write, alarm: Path, whole: Path, tmp_path: Path
) -> None:
    trigger = tmp_path / "trigger"
    trigger.write_text("sample 150 SIGTERM")
    config = write(tmp_path)
    config.write_text(config.read_text() + f"plugins: [{alarm.name}]\n")
    brightness = "{kind: brightness, shift: 0.05, scale: [0.95, 1.05]}"
    stopped = hilum("train", config, f"data.augment=[{brightness}, {{kind: alarm, trigger: {trigger}}}]")
    assert stopped.code == 143, stopped.text
    run = tmp_path / "runs" / "decided"
    assert not (run / "calibration.json").exists()
    early = hilum("evaluate", run)
    assert early.code == 0, early.text
    assert "not chosen for these weights, since the training has not ended with them" in early.out
    for table in ("cases.csv", "patients.csv"):
        (run / table).unlink()
    resumed = hilum("train", "--resume", run)
    assert resumed.code == 0, resumed.text
    assert_same(run, whole)
    (run / "calibration.json").unlink()  # what a kill while choosing leaves
    assert hilum("train", "--resume", run).code == 0
    assert_same(run, whole)


@pytest.mark.slow
def test_two_processes_choose_together(hilum: Hilum, write: Write, tmp_path: Path) -> None:
    done = torchrun("train", write(tmp_path), "train.epochs=2")
    assert done.code == 0, done.text
    run = tmp_path / "runs" / "decided"
    chosen = read_json(run / "calibration.json")
    (run / "calibration.json").unlink()
    assert hilum("train", "--resume", run).code == 0
    assert read_json(run / "calibration.json") == chosen  # one process chooses as two do


@pytest.mark.slow
def test_a_segmentation_is_calibrated_on_voxels(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    config = write_config(tmp_path)
    done = hilum("train", config, *ENOUGH)
    assert done.code == 0, done.text
    run = tmp_path / "runs" / "tiny"
    kept = read_json(run / "calibration.json")
    assert 0 < kept["voxels"] <= 2**18
    assert kept["validation"]["calibrated"]["nll"] < kept["validation"]["raw"]["nll"]
    assert list(kept["reliability"]["raw"]) == ["predicted class", "background", "organ", "lesion"]
    assert "probabilities calibrated on the validation patients" in hilum("evaluate", run).out
    assert read_json(run / "summary.json")["val"]["chosen_on_validation"]["temperature"] == kept["temperature"]
    (run / "calibration.json").unlink()
    assert hilum("train", "--resume", run).code == 0
    assert read_json(run / "calibration.json") == kept


def test_what_cannot_be_chosen_is_refused_before_training(
    hilum: Hilum, write: Write, folder: Path, tmp_path: Path
) -> None:
    config = write(tmp_path)
    rows = [row | {"part": "test"} if row["part"] == "val" else row for row in read_csv(folder / "cases.csv")]
    nobody = write_csv(folder / "nobody.csv", list(rows))
    refused = hilum("train", config, f"data.source.file={nobody}")
    refused.refuses("decide.calibrate", "needs validation patients", "decide.operating_point")
    mixed = [row | {"finding": "no"} if row["image"] == "21_0.png" else row for row in read_csv(folder / "cases.csv")]
    conflict = write_csv(folder / "mixed.csv", list(mixed))
    hilum("train", config, f"data.source.file={conflict}").refuses(
        "decide.patient.labels", "patient 21", "any or majority"
    )
    assert not (tmp_path / "runs").exists()


def predicted(hilum: Hilum, run: Path, manifest: Path, output: Path, *words: str) -> dict[str, list[dict[str, str]]]:
    """The rows of the tables that a batch writes."""
    done = hilum("predict", run, manifest, output, *words)
    assert done.code == 0, done.text
    return {
        name: read_csv(output / f"{name}.csv") for name in ("results", "patients") if (output / f"{name}.csv").exists()
    }


def test_new_images_are_decided_on_as_the_validation_part_was(
    hilum: Hilum, whole: Path, folder: Path, tmp_path: Path
) -> None:
    scored = {row["case_id"]: row for row in read_csv(whole / "cases.csv")}
    manifest = tmp_path / "new.csv"
    rows = [
        {"case_id": row["case_id"], "patient_id": row["patient_id"], "image": str(folder / f"{row['case_id']}.png")}
        for row in scored.values()
    ]
    write_csv(manifest, rows)
    tables = predicted(hilum, whole, manifest, tmp_path / "out")
    for row in tables["results"]:
        mine = scored[row["case_id"]]
        assert float(row["p_ill"]) == pytest.approx(float(mine["p_ill"]), abs=1e-6)  # divided by the temperature
        assert (row["predicted"], row["threshold"]) == (mine["predicted"], mine["threshold"])
    at = read_json(whole / "calibration.json")["operating_points"]["patient"]
    by_person: dict[str, list[float]] = {}
    for row in tables["results"]:
        by_person.setdefault(row["patient_id"], []).append(float(row["p_ill"]))
    assert [row["patient_id"] for row in tables["patients"]] == list(by_person)
    for row in tables["patients"]:
        assert float(row["p_ill"]) == pytest.approx(1 - prod(1 - share for share in by_person[row["patient_id"]]))
        assert (row["predicted"] == "ill") == (float(row["p_ill"]) >= at["threshold"])
    for part in ("1/2", "2/2"):  # cases of one patient may be in both parts
        shared = predicted(hilum, whole, manifest, tmp_path / "shared", "--shard", part)
    assert shared["patients"] == tables["patients"]
    raw = predicted(hilum, whole, manifest, tmp_path / "out", *PLAIN)  # other settings: nothing of before is kept
    assert "patients" not in raw
    temperature = read_json(whole / "calibration.json")["temperature"]
    for row, before in zip(tables["results"], raw["results"], strict=True):
        assert "threshold" not in before
        odds = [np.log(float(each["p_ill"]) / float(each["p_healthy"])) for each in (row, before)]
        assert odds[0] == pytest.approx(odds[1] / temperature, rel=1e-3, abs=1e-4)


def test_an_export_decides_as_prediction_does(hilum: Hilum, whole: Path, folder: Path, tmp_path: Path) -> None:
    """The runner alone, on copies of pictures as NIfTI files, against the rows of hilum predict."""
    pytest.importorskip("onnxruntime")
    out, images = tmp_path / "out", tmp_path / "images"
    done = hilum("export", whole, out)
    assert done.code == 0, done.text
    assert "decide.patient: an export decides about cases" in done.out
    assert read_json(out / "parity.json")["least_agreement"] == 1
    images.mkdir()
    for name in ("30_0", "30_1", "31_0", "32_1", "33_2"):
        pixels = np.array(Image.open(folder / f"{name}.png"))
        nib.Nifti1Image(pixels.T[..., None], np.eye(4)).to_filename(images / f"{name}.nii.gz")
    alone = [sys.executable, out / "run.py", images, tmp_path / "theirs"]
    subprocess.run(list(map(str, alone)), cwd=tmp_path, check=True)
    found = predicted(hilum, whole, images, tmp_path / "ours")["results"]
    assert len({row["predicted"] for row in found}) == 2
    for row in found:
        theirs = read_json(tmp_path / "theirs" / f"{row['case_id']}.json")
        assert theirs.keys() == {"predicted", "threshold", "p_healthy", "p_ill"}
        assert (theirs["predicted"], theirs["threshold"]) == (row["predicted"], float(row["threshold"]))
        assert theirs["p_ill"] == pytest.approx(float(row["p_ill"]), abs=1e-5)
