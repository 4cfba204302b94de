"""Findings, numbers and images all the way: scored by patient, compared, exported, looked into, on tiny pictures."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats
from sklearn import metrics as sklearn_metrics
from tests.journeys.conftest import Hilum, nifti, read_csv, read_json, write_csv

CONFIG = """\
name: tiny
task: {task}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, label: {label}, patient: person}}
  split: {{kind: holdout, val: 0.4, test: 0.2, seed: 2}}
  prepare: [{{kind: window, low: 0, high: 255}}]
  {more}
  batch_size: 8
  cache: {folder}/cache
network: {network}
loss: {loss}
metrics: {metrics}
{decide}
optimizer: {{kind: adam, lr: 1e-2}}
schedule: constant
train: {{epochs: {epochs}, report: false}}
runtime: {{device: cpu, precision: float32, threads: 1}}
runs: {folder}/runs
"""
CONVNET = "{kind: convnet, channels: [4], hidden: [8]}"
DECIDE = "decide: {calibrate: true, operating_point: youden, patient: {aggregate: max, labels: any}}"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight pictures of sixteen people, some of whom have a bright bar above, below or both in most of theirs."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    rows = []
    for number in range(48):
        person = number % 16
        upper, lower = (int(ill and rng.random() < 0.75) for ill in (person % 2, person // 2 % 2))
        pixels = rng.integers(0, 90, (12, 12))
        pixels[1:4] += 60 * upper
        pixels[8:11] += 60 * lower
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"i{number}.png")
        bright = float(pixels.mean()) + 5 * (number % 2)
        rows.append({"image": f"i{number}.png", "person": f"p{person}", "upper": upper, "lower": lower, "mean": bright})
    write_csv(folder / "cases.csv", rows)
    texts = {
        "findings": {
            "task": "{kind: multilabel, classes: [upper, lower]}",
            "label": "[upper, lower]",
            "network": CONVNET,
            "loss": "bce",
            "metrics": "[auroc, f1, brier]",
            "decide": DECIDE,
            "epochs": 6,
        },
        "numbers": {
            "task": "{kind: regression, targets: {mean: grey}}",
            "label": "mean",
            "network": "linear",
            "loss": "mse",
            "metrics": "[mae, r2]",
            "decide": "decide: {patient: {labels: mean}}",
            "epochs": 3,
        },
        "images": {
            "task": "restoration",
            "label": "null",
            "network": "{kind: unet, channels: [2, 4]}",
            "loss": "mae",
            "metrics": "[psnr, mae]",
            "decide": "",
            "epochs": 1,
            "more": "degrade: [{kind: noise, std: [0.2, 0.4], probability: 1}]",
        },
    }
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(CONFIG.format(folder=folder, **{"more": "missing: null", **text}))
    return folder


def two_runs(hilum: Hilum, pictures: Path, kind: str, *changes: str) -> tuple[Path, Path]:
    """The run of the configuration, and another one with changes."""
    for name, more in ((f"{kind}-a", ()), (f"{kind}-b", changes)):
        done = hilum("train", pictures / f"{kind}.yaml", f"name={name}", *more)
        assert done.code == 0, done.text
    return pictures / "runs" / f"{kind}-a", pictures / "runs" / f"{kind}-b"


@pytest.fixture(scope="module")
def findings(hilum: Hilum, pictures: Path) -> tuple[Path, Path]:
    return two_runs(hilum, pictures, "findings", "train.epochs=1", "runtime.seed=3")


@pytest.fixture(scope="module")
def numbers(hilum: Hilum, pictures: Path) -> tuple[Path, Path]:
    return two_runs(hilum, pictures, "numbers", "train.epochs=1")


@pytest.fixture(scope="module")
def images(hilum: Hilum, pictures: Path) -> tuple[Path, Path]:
    return two_runs(hilum, pictures, "images", "optimizer.lr=1e-4")


def compared(hilum: Hilum, runs: tuple[Path, Path], out: Path) -> dict[tuple[str, str], dict[str, str]]:
    """The lines of the comparison of two runs, by score and structure."""
    done = hilum("compare", *runs, "-o", out)
    assert done.code == 0, done.text
    assert "report.html" in {file.name for file in out.iterdir()}
    with (out / "compare.csv").open(newline="") as stream:
        return {(line["score"], line["structure"]): line for line in csv.DictReader(stream)}


def exported(hilum: Hilum, run: Path, pictures: Path, out: Path, *words: str) -> Path:
    """What the exported runner alone writes for the slice `scan.nii.gz`."""
    nib = pytest.importorskip("nibabel")
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    scan = out.parent / "scan.nii.gz"
    pixels = np.asarray(Image.open(pictures / "i0.png"), dtype=np.float32)
    nib.save(nib.Nifti1Image(pixels[..., None], np.diag([2.0, 2.0, 3.0, 1.0])), scan)
    done = hilum("export", run, out, *words)
    assert done.code == 0, done.text
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([sys.executable, out / "run.py", scan, out.parent / "theirs"], env=alone, check=True)
    return out.parent / "theirs"


def test_each_finding_has_a_threshold_and_a_score_by_patient(findings: tuple[Path, Path]) -> None:
    run = findings[0]
    chosen, summary = read_json(run / "calibration.json"), read_json(run / "summary.json")["val"]
    assert set(chosen["operating_points"]) == {"case", "patient"}
    rows = read_csv(run / "cases.csv")
    for name in ("upper", "lower"):
        limit = chosen["operating_points"]["case"]["findings"][name]["threshold"]
        for row in rows:
            assert row[f"predicted_{name}"] == str(int(float(row[f"p_{name}"]) >= limit))
        truth, said = ([int(row[f"{kind}_{name}"]) for row in rows] for kind in ("truth", "predicted"))
        score = summary["overall"][f"f1_{name}"]["value"]
        assert score == pytest.approx(sklearn_metrics.f1_score(truth, said, zero_division=np.nan))
    people = {row["patient_id"]: row for row in read_csv(run / "patients.csv")}
    for person, patient in people.items():
        own = [row for row in rows if row["patient_id"] == person]
        assert float(patient["p_lower"]) == pytest.approx(max(float(row["p_lower"]) for row in own))
        assert float(patient["truth_lower"]) == max(int(row["truth_lower"]) for row in own)
    ill = [float(row["truth_lower"]) for row in people.values()]
    if 0 < sum(ill) < len(ill):
        area = sklearn_metrics.roc_auc_score(ill, [float(row["p_lower"]) for row in people.values()])
        assert summary["patient_level"]["overall"]["auroc_lower"]["value"] == pytest.approx(area)


def test_findings_are_predicted_by_their_thresholds(
    hilum: Hilum, findings: tuple[Path, Path], pictures: Path, tmp_path: Path
) -> None:
    listed = [
        {"image": pictures / f"i{number}.png", "case_id": f"i{number}", "patient_id": "one"} for number in range(2)
    ]
    done = hilum("predict", findings[0], write_csv(tmp_path / "two.csv", listed), tmp_path / "out")
    assert done.code == 0, done.text
    limit = read_json(findings[0] / "calibration.json")["operating_points"]["case"]["findings"]["upper"]["threshold"]
    rows = read_csv(tmp_path / "out" / "results.csv")
    assert [row["predicted_upper"] for row in rows] == [str(int(float(row["p_upper"]) >= limit)) for row in rows]
    assert {float(row["threshold_upper"]) for row in rows} == {limit}
    (patient,) = read_csv(tmp_path / "out" / "patients.csv")
    assert float(patient["p_upper"]) == pytest.approx(max(float(row["p_upper"]) for row in rows))


def test_findings_are_compared(hilum: Hilum, findings: tuple[Path, Path], tmp_path: Path) -> None:
    lines = compared(hilum, findings, tmp_path / "out")
    assert set(lines) >= {("auroc", ""), ("auroc", "upper"), ("auroc", "lower"), ("brier", "")}
    scores = [read_json(run / "summary.json")["val"]["overall"]["auroc"]["value"] for run in findings]
    assert float(lines["auroc", ""]["difference"]) == pytest.approx(scores[0] - scores[1])
    assert lines["auroc", "upper"]["test"] == "delong"


def test_findings_are_exported(hilum: Hilum, findings: tuple[Path, Path], pictures: Path, tmp_path: Path) -> None:
    """With their temperature and thresholds, or without them where that is asked for."""
    raw = ("decide.calibrate=false", "decide.operating_point=argmax")
    for folder, words, added in ((tmp_path / "chosen", (), 2), (tmp_path / "raw", raw, 0)):
        folder.mkdir()
        out = exported(hilum, findings[0], pictures, folder / "out", *words)
        theirs = json.loads((out / "scan.json").read_text())
        done = hilum("predict", findings[0], folder / "scan.nii.gz", folder / "ours", *words)
        assert done.code == 0, done.text
        (row,) = read_csv(folder / "ours" / "results.csv")
        said = [name for name in row if name.startswith(("p_", "predicted_", "threshold_"))]
        assert len(said) == 4 + added
        assert theirs == pytest.approx({name: float(row[name]) for name in said}, abs=1e-4)


def test_what_speaks_for_each_finding_is_drawn(hilum: Hilum, findings: tuple[Path, Path], tmp_path: Path) -> None:
    done = hilum("report", findings[0], "--inside", "--output", tmp_path / "inside", "--case", "i0")
    assert done.code == 0, done.text
    assert {file.name for file in (tmp_path / "inside").iterdir()} >= {"filters.png", "gradcam_i0.png", "maps_i0.png"}


def test_numbers_are_scored_by_patient_and_compared(hilum: Hilum, numbers: tuple[Path, Path], tmp_path: Path) -> None:
    rows, people = read_csv(numbers[0] / "cases.csv"), read_csv(numbers[0] / "patients.csv")
    for patient in people:
        own = [row for row in rows if row["patient_id"] == patient["patient_id"]]
        for kind in ("truth", "predicted"):
            mean = np.mean([float(row[f"{kind}_mean"]) for row in own])
            assert float(patient[f"{kind}_mean"]) == pytest.approx(mean)
    level = read_json(numbers[0] / "summary.json")["val"]["patient_level"]["overall"]
    errors = [abs(float(row["truth_mean"]) - float(row["predicted_mean"])) for row in people]
    assert level["mae"]["value"] == pytest.approx(np.mean(errors))
    line = compared(hilum, numbers, tmp_path / "out")["mae", ""]
    gaps = np.zeros(len(people))
    for run, sign in zip(numbers, (1, -1), strict=True):
        own = read_csv(run / "cases.csv")
        gaps += sign * np.array(
            [
                np.mean(
                    [
                        abs(float(row["truth_mean"]) - float(row["predicted_mean"]))
                        for row in own
                        if row["patient_id"] == patient["patient_id"]
                    ]
                )
                for patient in people
            ]
        )
    assert line["test"] == "wilcoxon"
    assert float(line["p"]) == pytest.approx(stats.wilcoxon(gaps, method="exact").pvalue)


def test_numbers_are_exported_in_their_unit(
    hilum: Hilum, numbers: tuple[Path, Path], pictures: Path, tmp_path: Path
) -> None:
    out = exported(hilum, numbers[0], pictures, tmp_path / "out")
    done = hilum("predict", numbers[0], tmp_path / "scan.nii.gz", tmp_path / "ours")
    assert done.code == 0, done.text
    (row,) = read_csv(tmp_path / "ours" / "results.csv")
    theirs = json.loads((out / "scan.json").read_text())
    assert theirs == {"predicted_mean": pytest.approx(float(row["predicted_mean"]), abs=1e-3), "unit_mean": "grey"}
    assert read_json(tmp_path / "out" / "model.json")["units"] == ["grey"]


def test_images_are_compared_and_exported(
    hilum: Hilum, images: tuple[Path, Path], pictures: Path, tmp_path: Path
) -> None:
    lines = compared(hilum, images, tmp_path / "compared")
    both = [{row["case_id"]: float(row["psnr"]) for row in read_csv(run / "cases.csv")} for run in images]
    gaps = [both[0][case] - both[1][case] for case in both[0]]
    assert float(lines["psnr", ""]["difference"]) == pytest.approx(np.mean(gaps))
    assert lines["psnr", ""]["test"] == "wilcoxon"
    out = exported(hilum, images[0], pictures, tmp_path / "out")
    done = hilum("predict", images[0], tmp_path / "scan.nii.gz", tmp_path / "ours")
    assert done.code == 0, done.text
    theirs, ours = (np.asarray(nifti(folder / "scan.nii.gz").dataobj) for folder in (out, tmp_path / "ours"))
    assert np.abs(theirs - ours.reshape(theirs.shape)).max() < 1e-2
    hilum("export", images[0], tmp_path / "no", "--format", "monai").refuses("leads intensities back")


def test_a_network_without_maps_has_no_grad_cam_and_says_so(hilum: Hilum, pictures: Path, tmp_path: Path) -> None:
    changes = ("network=mlp", "decide={}", f"runs={tmp_path}", "train.epochs=1")
    assert hilum("train", pictures / "findings.yaml", *changes).code == 0
    look = ("report", tmp_path / "tiny", "--inside", "--output", tmp_path / "none")
    hilum(*look, "--layer", "layer9").refuses("received 'layer9', which is no layer")
    hilum(*look, "--case", "i0", "--part", "val").refuses("--part: the cases are named by --case")
    assert not (tmp_path / "none").exists()
    done = hilum("report", tmp_path / "tiny", "--inside", "--case", "i0")
    assert done.code == 0, done.text
    assert "there is no Grad-CAM" in done.out
    assert {file.name for file in (tmp_path / "tiny" / "inside").iterdir()} >= {"filters.png", "gradients_i0.png"}


def test_a_classifier_of_volumes_is_looked_into(hilum: Hilum, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    labels = {part: (np.arange(8) % 2)[:, None] for part in ("train", "val", "test")}
    arrays: dict[str, Any] = {
        f"{part}_images": (rng.integers(0, 80, (8, 8, 8, 8)) + 120 * own[..., None, None]).astype(np.uint8)
        for part, own in labels.items()
    }
    arrays |= {f"{part}_labels": own for part, own in labels.items()}
    np.savez(tmp_path / "tiny3d.npz", **arrays)
    (tmp_path / "volumes.yaml").write_text(
        f"""\
name: volumes
task: {{kind: classification, classes: [dark, bright]}}
data:
  source: {{kind: medmnist, file: {tmp_path}/tiny3d.npz, patients: {{each_case: true}}}}
  split: predefined
  prepare: [{{kind: window, low: 0, high: 255}}]
  cache: {tmp_path}/cache
network: {{kind: convnet, channels: [2, 3], hidden: []}}
loss: cross_entropy
metrics: [auroc]
train: {{epochs: 1, report: false}}
runtime: {{device: cpu, precision: float32, threads: 1}}
runs: {tmp_path}/runs
"""
    )
    assert hilum("train", tmp_path / "volumes.yaml").code == 0
    done = hilum("report", tmp_path / "runs" / "volumes", "--inside")
    assert done.code == 0, done.text
    drawn = {file.name.partition("_")[0] for file in (tmp_path / "runs" / "volumes" / "inside").iterdir()}
    assert drawn == {"filters.png", "maps", "activations", "gradients", "gradcam"}
