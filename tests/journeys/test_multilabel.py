"""Several findings in one picture: trained from one column of names or from columns of 1 and 0, scored one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as sklearn_metrics
from tests.journeys.conftest import Hilum, read_csv, read_json, write_csv

CONFIG = """\
name: findings
task: {{kind: multilabel, classes: {{upper: U, lower: L}}, nothing: [none]}}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, label: found, patient: person}}
  split: {{kind: holdout, val: 0.3, test: 0.2, seed: 1}}
  prepare: [{{kind: window, low: 0, high: 255}}]
  augment: [{{kind: affine, translate: 0.05}}, {{kind: flip, axes: [horizontal]}}]
  batch_size: 8
  cache: {folder}/cache
network: linear
loss: {{kind: bce, pos_weight: balanced}}
metrics: [auroc, average_precision, f1]
optimizer: {{kind: adam, lr: 2e-2}}
schedule: constant
train: {{epochs: 12, report: false}}
runtime: {{device: cpu, precision: float32, threads: 1}}
runs: {folder}/runs
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of thirty people: a bright bar above, one below, both, or neither."""
    folder, rng = tmp_path_factory.mktemp("findings"), np.random.default_rng(0)
    rows = []
    for number in range(40):
        upper, lower = number % 2, number // 2 % 2
        pixels = rng.integers(0, 90, (12, 12))
        pixels[1:4] += 150 * upper
        pixels[8:11] += 150 * lower
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"i{number}.png")
        named = "|".join(name for name, there in (("U", upper), ("lower", lower)) if there) or "none"
        unknown = number % 7 == 3
        rows.append(
            {
                "image": f"i{number}.png",
                "person": f"p{number % 30}",
                "found": named,
                "upper": "" if unknown else upper,
                "low": lower,
            }
        )
    write_csv(folder / "cases.csv", rows)
    (folder / "findings.yaml").write_text(CONFIG.format(folder=folder))
    return folder


@pytest.fixture(scope="module")
def trained_findings(hilum: Hilum, pictures: Path) -> Path:
    done = hilum("train", pictures / "findings.yaml")
    assert done.code == 0, done.text
    return pictures / "runs" / "findings"


def test_each_finding_is_scored_from_its_rows(hilum: Hilum, trained_findings: Path, pictures: Path) -> None:
    done = hilum("evaluate", trained_findings, "--part", "test")
    assert done.code == 0, done.text
    rows = [row for row in read_csv(trained_findings / "cases.csv") if row["part"] == "test"]
    scores = read_json(trained_findings / "summary.json")["test"]["overall"]
    truth = np.array([[int(row["truth_upper"]), int(row["truth_lower"])] for row in rows])
    likely = np.array([[float(row["p_upper"]), float(row["p_lower"])] for row in rows])
    assert scores["auroc"]["value"] == pytest.approx(sklearn_metrics.roc_auc_score(truth, likely))
    expected = sklearn_metrics.average_precision_score(truth, likely)
    assert scores["average_precision"]["value"] == pytest.approx(expected)
    decided = np.array([[int(row["predicted_upper"]), int(row["predicted_lower"])] for row in rows])
    assert scores["f1"]["value"] == pytest.approx(sklearn_metrics.f1_score(truth, decided, average="macro"))
    assert scores["auroc"]["value"] > 0.9
    for word in ("upper", "lower", "mean"):
        assert word in done.out
    assert (trained_findings / "scores_test.png").stat().st_size > 0


def test_predictions_name_every_finding(hilum: Hilum, trained_findings: Path, pictures: Path, tmp_path: Path) -> None:
    done = hilum("predict", trained_findings, pictures / "i3.png", tmp_path / "out")
    assert done.code == 0, done.text
    (row,) = read_csv(tmp_path / "out" / "results.csv")
    assert (row["predicted_upper"], row["predicted_lower"]) == ("1", "1")
    assert float(row["p_upper"]) > 0.5


def test_columns_of_each_finding_may_be_empty(hilum: Hilum, pictures: Path, tmp_path: Path) -> None:
    label = "data.source.label={upper: upper, lower: low}"
    done = hilum("train", pictures / "findings.yaml", label, "loss=focal", f"runs={tmp_path}", "train.epochs=2")
    assert done.code == 0, done.text
    rows = read_csv(tmp_path / "findings" / "cases.csv")
    given = {row["image"].removesuffix(".png"): row["upper"] for row in read_csv(pictures / "cases.csv")}
    assert {row["case_id"]: row["truth_upper"] for row in rows} == {
        row["case_id"]: given[row["case_id"]] for row in rows
    }


def test_the_check_knows_every_finding(hilum: Hilum, pictures: Path) -> None:
    done = hilum("check", pictures / "findings.yaml")
    assert done.code == 0, done.text
    assert "upper" in done.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["task.classes=[uper, lower]"], ["'U'", "others: ignore"]),
        (["task.seperator=;"], ["seperator", "separator"]),
        (["loss=cross_entropy"], ["cross_entropy", "bce"]),
        (["loss.pos_weight={uper: 2}"], ["uper", "did you mean 'upper'"]),
        (["metrics=[{kind: auroc, average: micro}]"], ["average", "macro"]),
        (["data.source.label=[upper]"], ["no column for lower"]),
        (["decide={positive: upper}"], ["decide.positive", "is for classification"]),
        (["data.patch={size: [8, 8]}"], ["data.patch"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_mistakes_are_told_before_any_compute(hilum: Hilum, pictures: Path, words: list[str], told: list[str]) -> None:
    hilum("check", pictures / "findings.yaml", *words).refuses(*told)


def test_a_classification_does_not_take_several_columns(hilum: Hilum, pictures: Path) -> None:
    words = ["task={kind: classification, classes: [a, b]}", "loss=cross_entropy", "data.source.label=[upper, low]"]
    hilum("check", pictures / "findings.yaml", *words).refuses("multilabel and regression", "classification has one")
