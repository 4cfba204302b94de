"""Outputs of any tool, scored against their truth and compared: masks as nnU-Net writes them, and tables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from tests.journeys.conftest import Hilum, parts, read_csv, read_json, write_csv
from tests.report.page.conftest import parsed

SHAPE = (6, 6, 4)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


def write_mask(file: Path, values: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values.astype(np.uint8), affine), file)


@pytest.fixture
def masks(tmp_path: Path) -> dict[str, np.ndarray]:
    """Six cases of three patients: labels, and the predictions of two tools of which the second is worse."""
    rng = np.random.default_rng(0)
    dices: dict[str, list[float]] = {"good": [], "poor": []}
    for number in range(6):
        truth = np.zeros(SHAPE, dtype=np.uint8)
        truth[1:5, 1:5, 1:3] = 1
        truth[2, 2, 1:3] = 2
        write_mask(tmp_path / "labels" / f"case_{number}.nii.gz", truth)
        for tool, share in (("good", 0.05), ("poor", 0.3)):
            said = np.where((rng.random(SHAPE) < share) & (truth == 1), 0, truth)
            write_mask(tmp_path / tool / f"case_{number}.nii.gz", said)
            shared = ((said == 1) & (truth == 1)).sum()
            dices[tool].append(2 * shared / ((said == 1).sum() + (truth == 1).sum()))
    (tmp_path / "patients.csv").write_text(
        "case_id,patient_id\n" + "".join(f"case_{number},p{number // 2}\n" for number in range(6))
    )
    return {tool: np.array(values) for tool, values in dices.items()}


def scored(hilum: Hilum, folder: Path, tool: str, *more: object) -> Any:
    return hilum("evaluate", "--predictions", folder / tool, "--labels", folder / "labels", *more)


def test_masks_of_a_tool_are_scored_like_those_of_a_run(hilum: Hilum, tmp_path: Path, masks: Any) -> None:
    done = scored(
        *(hilum, tmp_path, "good", "--classes", "none=0,organ=1,spot=2", "--patients", tmp_path / "patients.csv")
    )
    assert done.code == 0, done.text
    rows = read_csv(tmp_path / "good-scores" / "cases.csv")
    organ = [float(row["dice"]) for row in rows if row["class"] == "organ"]
    assert organ == pytest.approx(list(masks["good"]))
    summary = read_json(tmp_path / "good-scores" / "summary.json")["predictions"]
    assert (summary["patients"], summary["cases"]) == (3, 6)
    assert summary["classes"]["organ"]["dice"]["value"] == pytest.approx(masks["good"].mean())
    scored(hilum, tmp_path, "good", "--classes", "none,organ,spot").refuses("exists already", "--overwrite")


def test_two_tools_are_compared(hilum: Hilum, tmp_path: Path, masks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for tool in ("good", "poor"):
        assert scored(hilum, tmp_path, tool, "--classes", "none,organ,spot", "metrics=[dice]").code == 0
    done = hilum("compare", "good=good-scores", "poor=poor-scores", "-o", "verdict")
    assert done.code == 0, done.text
    table = read_csv(tmp_path / "verdict" / "compare.csv")
    (organ,) = [row for row in table if row["structure"] == "organ"]
    gap = masks["good"] - masks["poor"]
    assert float(organ["difference"]) == pytest.approx(gap.mean())
    assert float(organ["p"]) == pytest.approx(2 / 2**6)  # all six differences are of one sign
    assert organ["verdict"] == "good better"
    content = read_json(tmp_path / "verdict" / "compare.json")
    assert content["rankings"]["dice"]["places"][0] == {
        "method": "good", "rank": 1, "low": 1, "high": 1, "first": 1.0,
    }  # fmt: skip
    hilum("compare", "good-scores", "poor-scores", "-o", "verdict").refuses("exists already", "--overwrite")
    hilum("compare", "good-scores", "good-scores").refuses("a name of its own")
    hilum("compare", "good-scores", "again=good-scores").refuses("given more than once")
    hilum("compare", "good-scores", "por-scores").refuses("did you mean 'poor-scores'?")
    hilum("compare", "good-scores").refuses("at least two")
    hilum("compare", "good-scores", "poor-scores", "--part", "test", "-o", "x").refuses("part 'test'")
    seeds = hilum("compare", "both=*-scores", "alone=good-scores", "-o", "seeds")
    seeds.refuses("given more than once")


def test_a_run_is_compared_with_the_outputs_of_another_tool(
    hilum: Hilum, own_run: Path, phantoms: Path, tmp_path: Path
) -> None:
    """Copies of the truth as another tool's outputs: the gap is how far the run is from 1."""
    for name in parts(own_run)["val"]:
        for folder in ("perfect", "labels"):
            (tmp_path / folder).mkdir(exist_ok=True)
            shutil.copy(phantoms / "labels" / f"{name}.nii.gz", tmp_path / folder)
    classes, patients = "background=0,organ=1,lesion=2", own_run / "split.csv"
    done = scored(hilum, tmp_path, "perfect", "--classes", classes, "--patients", patients, "metrics=[dice]")
    assert done.code == 0, done.text
    out = tmp_path / "verdict"
    done = hilum("compare", own_run, tmp_path / "perfect-scores", "-o", out)
    assert done.code == 0, done.text
    (line,) = [row for row in read_csv(out / "compare.csv") if not row["structure"]]
    mean = read_json(own_run / "summary.json")["val"]["overall"]["dice"]["value"]
    assert float(line["difference"]) == pytest.approx(mean - 1)
    assert read_json(out / "compare.json")["part"] == "val"
    for name in list(parts(own_run)["val"])[:1]:
        (tmp_path / "perfect" / f"{name}.nii.gz").unlink()
    again = ("--classes", classes, "--patients", patients, "metrics=[dice]", "--subset", "--overwrite")
    assert scored(hilum, tmp_path, "perfect", *again).code == 0
    hilum("compare", own_run, tmp_path / "perfect-scores", "-o", tmp_path / "less").refuses("perfect-scores lacks 1")


def test_groups_come_from_the_table_of_patients(hilum: Hilum, tmp_path: Path, masks: Any) -> None:
    table = [{"case_id": f"case_{k}", "patient_id": f"p{k}", "site": "north" if k < 4 else "south"} for k in range(6)]
    patients = write_csv(tmp_path / "sites.csv", table)
    more = ("--classes", "none,organ,spot", "metrics=[dice]")
    done = scored(hilum, tmp_path, "poor", *more, "evaluate.by=site", "--patients", patients)
    assert done.code == 0, done.text
    summary = read_json(tmp_path / "poor-scores" / "summary.json")["predictions"]
    north = summary["by"]["site"]["north"]
    assert (north["cases"], north["patients"]) == (4, 4)
    assert north["classes"]["organ"]["dice"]["value"] == pytest.approx(masks["poor"][:4].mean())
    assert "worst by site: dice" in done.out
    page = parsed((tmp_path / "poor-scores" / "report.html").read_text())
    assert "Scores by site" in page.words
    assert "is missing" not in page.words
    scored(hilum, tmp_path, "good", *more, "evaluate.by=site").refuses("--patients FILE")
    scored(hilum, tmp_path, "good", *more, "evaluate.by=sit", "--patients", patients).refuses("did you mean 'site'?")


def test_a_mistyped_place_is_named(hilum: Hilum, tmp_path: Path, masks: Any) -> None:
    scored(hilum, tmp_path, "goood", "--classes", "none,organ,spot").refuses("no such file", "did you mean 'good'?")


def test_classes_come_from_the_dataset_json_of_nnunet(hilum: Hilum, tmp_path: Path, masks: Any) -> None:
    description = {"labels": {"background": 0, "organ": 1, "spot": 2}, "channel_names": {"0": "CT"}}
    (tmp_path / "good" / "dataset.json").write_text(json.dumps(description))
    done = scored(hilum, tmp_path, "good", "metrics=[dice]", "evaluate.resamples=300")
    assert done.code == 0, done.text
    assert "classes from" in done.out
    assert "patients unknown: one assumed per case" in done.out
    assert read_json(tmp_path / "good-scores" / "summary.json")["predictions"]["interval"]["resamples"] == 300
    scored(hilum, tmp_path, "poor").refuses("--classes")


def test_a_config_says_what_to_score(hilum: Hilum, tmp_path: Path, masks: Any) -> None:
    config = tmp_path / "experiment.yaml"
    config.write_text(
        "name: x\ntask: {kind: segmentation, classes: {none: 0, anything: [1, 2]}}\nmetrics: [iou]\nnetwork: unet\n"
    )
    assert scored(hilum, tmp_path, "good", "--config", config).code == 0
    rows = read_csv(tmp_path / "good-scores" / "cases.csv")
    assert {row["class"] for row in rows} == {"anything"}
    assert "iou" in rows[0]


def test_what_cannot_be_scored_is_named(hilum: Hilum, tmp_path: Path, masks: Any) -> None:
    classes = ("--classes", "none,organ,spot")
    (tmp_path / "good" / "case_3.nii.gz").unlink()
    scored(hilum, tmp_path, "good", *classes).refuses("1 label without a prediction: case_3", "--subset")
    done = scored(hilum, tmp_path, "good", *classes, "--subset")
    assert done.code == 0, done.text
    assert "1 label without a prediction left out" in done.out
    write_mask(tmp_path / "poor" / "other.nii.gz", np.zeros(SHAPE))
    scored(hilum, tmp_path, "poor", *classes).refuses("no label for 1 prediction (other)")
    (tmp_path / "poor" / "other.nii.gz").unlink()
    write_mask(tmp_path / "poor" / "case_1.nii.gz", np.zeros(SHAPE), np.diag([1.0, 1, 1, 1]))
    write_mask(tmp_path / "poor" / "case_2.nii.gz", np.full(SHAPE, 7))
    scored(hilum, tmp_path, "poor", *classes).refuses("case case_1", "resample one of them", "case case_2", "[7]")
    hilum("evaluate", "--predictions", tmp_path / "good").refuses("--labels")
    hilum("evaluate").refuses("neither a run nor --predictions")
    hilum("evaluate", "runs/x", "--labels", tmp_path).refuses("--labels needs --predictions")
    scored(hilum, tmp_path, "good", *classes, "train.epochs=3").refuses("metrics=[...]")
    scored(hilum, tmp_path, "good", "--classes", "none=a").refuses("background=0,liver=1")


def test_tables_of_a_classifier(hilum: Hilum, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 30)
    ill = np.clip(0.3 + 0.4 * truth + rng.normal(0, 0.25, 30), 0.01, 0.99)
    said = [{"case_id": f"c{k}", "p_well": 1 - p, "p_ill": p} for k, p in enumerate(ill.tolist())]
    true = [{"case_id": f"c{k}", "label": ("well", "ill")[t], "patient_id": f"p{k // 2}"} for k, t in enumerate(truth)]
    predictions, labels = write_csv(tmp_path / "said.csv", said), write_csv(tmp_path / "true.csv", true)
    done = hilum("evaluate", "--predictions", predictions, "--labels", labels, "--classes", "well,ill")
    assert done.code == 0, done.text
    summary = read_json(tmp_path / "said-scores" / "summary.json")["predictions"]
    assert summary["patients"] == 15
    assert summary["overall"]["auroc"]["value"] == pytest.approx(roc_auc_score(truth, ill))
    assert summary["overall"]["auroc"]["method"] == "delong"
    write_csv(tmp_path / "said.csv", [*said, said[0]])
    hilum(
        *("evaluate", "--predictions", predictions, "--labels", labels, "--classes", "well,ill", "--overwrite")
    ).refuses("stands there twice")


def test_tables_of_findings_and_of_numbers(hilum: Hilum, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, (20, 2))
    likely = np.clip(0.4 * truth + rng.uniform(0, 0.6, (20, 2)), 0, 1).round(3)
    age, said = rng.normal(50, 9, 20), rng.normal(50, 9, 20)
    ids = [f"c{k}" for k in range(20)]
    found = [{"case_id": i, "p_edema": p, "p_mass": q} for i, (p, q) in zip(ids, likely.tolist(), strict=True)]
    true = [
        {"case_id": i, "patient_id": f"p{k // 2}", "edema": a, "mass": b if k else "", "age": years}
        for k, (i, (a, b), years) in enumerate(zip(ids, truth.tolist(), age.tolist(), strict=True))
    ]
    write_csv(tmp_path / "found.csv", found)
    write_csv(
        tmp_path / "ages.csv", [{"case_id": i, "predicted_age": y} for i, y in zip(ids, said.tolist(), strict=True)]
    )
    write_csv(tmp_path / "true.csv", true)
    (tmp_path / "findings.yaml").write_text("task: {kind: multilabel, classes: [edema, mass]}\nmetrics: [auroc]\n")
    (tmp_path / "ages.yaml").write_text("task: {kind: regression, targets: {age: years}}\nmetrics: [mae]\n")

    def scores(name: str) -> Any:
        table, config = tmp_path / f"{name}.csv", tmp_path / f"{'findings' if name == 'found' else name}.yaml"
        done = hilum("evaluate", "--predictions", table, "--labels", tmp_path / "true.csv", "--config", config)
        assert done.code == 0, done.text
        return read_json(tmp_path / f"{name}-scores" / "summary.json")["predictions"]

    summary = scores("found")
    assert summary["patients"] == 10
    areas = [roc_auc_score(truth[:, 0], likely[:, 0]), roc_auc_score(truth[1:, 1], likely[1:, 1])]
    assert summary["overall"]["auroc"]["value"] == pytest.approx(np.mean(areas))
    assert scores("ages")["overall"]["mae"]["value"] == pytest.approx(np.abs(age - said).mean())
    write_csv(tmp_path / "true.csv", [{**row, "edema": 3} for row in true])
    words = ("evaluate", "--predictions", tmp_path / "found.csv", "--labels", tmp_path / "true.csv", "--overwrite")
    hilum(*words, "--config", tmp_path / "findings.yaml").refuses("case c0: edema: received '3', expected 1 or 0")
