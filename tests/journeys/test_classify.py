"""A classifier on pictures in a table: trained, scored and used, with a probability for every class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from tests.journeys.conftest import Hilum, parts, read_csv, read_json, write_csv
from tests.report.page.conftest import parsed

CONFIG = """\
name: pictures
task: {{kind: classification, classes: {{healthy: "no", ill: "yes"}}}}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, root: {folder}/images, label: finding, patient: person}}
  split: {{kind: holdout, val: 0.25, test: 0.25, seed: 2}}
  prepare: [{{kind: window, low: 0, high: 255}}]
  augment: [{{kind: brightness, shift: 0.05, scale: [0.95, 1.05]}}]
  batch_size: 8
  cache: {folder}/cache
network: {{kind: lenet5, padding: 2, activation: relu}}
loss: cross_entropy
metrics: [accuracy, auroc]
optimizer: {{kind: adam, lr: 5e-3}}
schedule: {{kind: constant, warmup: 0}}
train: {{epochs: 30}}
runtime: {{device: cpu, precision: float32, threads: 1}}
runs: {folder}/runs
"""


def picture(rng: np.random.Generator, *, ill: bool) -> npt.NDArray[np.uint8]:
    """Noise with a bright square for the ill."""
    pixels = rng.integers(0, 60, (28, 28))
    if ill:
        row, column = rng.integers(4, 10, 2)
        pixels[row : row + 14, column : column + 14] += 180
    return pixels.astype(np.uint8)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty people with two pictures each, half of them ill."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "images").mkdir()
    rng = np.random.default_rng(4)
    rows: list[dict[str, Any]] = []
    for person in range(20):
        for number in range(2):
            name = f"{person:03d}_{number}.png"
            Image.fromarray(picture(rng, ill=person % 2 == 1)).save(folder / "images" / name)
            rows.append({"image": name, "finding": ("no", "yes")[person % 2], "person": f"{person:03d}", "age": 40})
    write_csv(folder / "cases.csv", rows)
    return folder


@pytest.fixture(scope="session")
def classifier(hilum: Hilum, folder: Path) -> Path:
    config = folder / "pictures.yaml"
    config.write_text(CONFIG.format(folder=folder))
    done = hilum("train", config)
    assert done.code == 0, done.text
    return folder / "runs" / "pictures"


def test_it_learns_what_is_easy_and_scores_it_as_scikit_learn_does(hilum: Hilum, classifier: Path) -> None:
    from sklearn.metrics import accuracy_score, roc_auc_score

    rows = read_csv(classifier / "cases.csv")
    assert {row["part"] for row in rows} == {"val"}
    assert {row["case_id"] for row in rows} == parts(classifier)["val"]
    truth = np.array([row["truth"] == "ill" for row in rows])
    probability = np.array([float(row["p_ill"]) for row in rows])
    summary = read_json(classifier / "summary.json")["val"]
    found = {name: value for name, value in walk(summary) if name in ("auroc", "accuracy")}
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, probability))
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, [row["predicted"] == "ill" for row in rows]))
    assert found["auroc"] > 0.9
    assert (classifier / "scores_val.png").exists()
    tested = hilum("evaluate", classifier, "--part", "test")
    assert tested.code == 0, tested.text
    assert "looked at once" in tested.out


def walk(summary: Any) -> list[tuple[str, float]]:
    """Names and values of the scores, wherever the summary keeps them."""
    found: list[tuple[str, float]] = []
    if isinstance(summary, dict):
        for name, value in summary.items():
            score = value.get("mean", value.get("value")) if isinstance(value, dict) else value
            if isinstance(score, int | float):
                found.append((name, float(score)))
            found += walk(value)
    return found


def test_the_report_shows_the_most_wrong_and_the_most_right_images(hilum: Hilum, classifier: Path) -> None:
    done = hilum("report", classifier, "--part", "val")
    assert done.code == 0, done.text
    page = parsed((classifier / "report.html").read_text(encoding="utf-8"))
    rows = {row["case_id"]: row for row in read_csv(classifier / "cases.csv") if row["part"] == "val"}
    said = {str(image["alt"]) for image in page.all("img")}
    assert said
    assert said <= {f"Case {name}: {row['truth']}, called {row['predicted']}" for name, row in rows.items()}
    for name in ("roc", "precision_recall", "reliability", "confusion_matrix"):
        assert (classifier / "figures" / f"val_{name}.svg").is_file()


def test_both_pictures_of_a_person_are_in_one_part(classifier: Path) -> None:
    owners: dict[str, set[str]] = {}
    for row in read_csv(classifier / "split.csv"):
        owners.setdefault(row["patient_id"], set()).add(row["part"])
    assert len(owners) == 20
    assert all(len(found) == 1 for found in owners.values())


def test_a_folder_of_pictures_becomes_rows_of_probabilities(hilum: Hilum, classifier: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "in"
    inputs.mkdir()
    rng = np.random.default_rng(9)
    for name in ("healthy", "ill"):
        Image.fromarray(picture(rng, ill=name == "ill")).save(inputs / f"{name}.png")
    Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(inputs / "colour.png")
    Image.fromarray(np.zeros((40, 28), np.uint8)).save(inputs / "tall.png")
    (inputs / "cut.png").write_bytes((inputs / "ill.png").read_bytes()[:60])
    done = hilum("predict", classifier, inputs, tmp_path / "out")
    assert done.code == 3, done.text
    rows = {row["case_id"]: row for row in read_csv(tmp_path / "out" / "results.csv")}
    assert {name: row["predicted"] for name, row in rows.items()} == {"healthy": "healthy", "ill": "ill"}
    for row in rows.values():
        probabilities = {name: float(row[f"p_{name}"]) for name in ("healthy", "ill")}
        assert sum(probabilities.values()) == pytest.approx(1.0, abs=1e-6)
        assert max(probabilities, key=lambda name: probabilities[name]) == row["predicted"]
    failures = {row["case_id"]: row["reason"] for row in read_csv(tmp_path / "out" / "failures.csv")}
    assert sorted(failures) == ["colour", "cut", "tall"]
    assert "3 channels" in failures["colour"]
    assert "resize" in failures["tall"]
    hilum("predict", classifier, inputs / "ill.png", tmp_path / "again")
    (again,) = read_csv(tmp_path / "again" / "results.csv")
    assert again["p_ill"] == rows["ill"]["p_ill"]  # the batch around a case does not change it


def test_a_class_that_the_table_does_not_know_is_named(hilum: Hilum, folder: Path) -> None:
    done = hilum("check", folder / "pictures.yaml", "task.classes={healthy: no, ill: maybe}")
    done.refuses("yes")
    hilum("train", folder / "pictures.yaml", "task.classes={healthy: no, ill: maybe}", "name=x").refuses("yes")
