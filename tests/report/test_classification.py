"""Pictures of a classifier: which cases are chosen, counts and areas against scikit-learn, and that all sizes draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.report import classification
from hilum.report.classification import ImageCase, classification_panels, extremes, image_montage


def answers(num_classes: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(num_classes)
    truth = rng.integers(0, num_classes, count)
    logits = rng.normal(size=(count, num_classes)) + 1.5 * np.eye(num_classes)[truth]
    return truth, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def is_picture(path: Path) -> bool:
    with Image.open(path) as image:
        return image.format == "PNG" and min(image.size) > 200


def test_extremes_are_the_worst_the_closest_and_the_best() -> None:
    truth = np.array([0, 0, 0, 1, 1, 1])
    first = np.array([0.9, 0.52, 0.2, 0.4, 0.95, 0.45])
    found = extremes(truth, np.stack([first, 1 - first], axis=1), 2)
    assert found == {"most wrong": [4, 2], "most uncertain": [1, 5], "most right": [0, 3]}


def test_wrong_is_what_was_decided_wrongly() -> None:
    """At a low threshold of the second class a case may be right though the first class is likelier."""
    truth = np.array([0, 0, 1, 1])
    second = np.array([0.1, 0.3, 0.3, 0.9])
    decided = (second >= 0.2).astype(int)
    found = extremes(truth, np.stack([1 - second, second], axis=1), 2, predicted=decided)
    assert found == {"most wrong": [1], "most uncertain": [2], "most right": [3, 0]}


def test_no_case_is_shown_twice_and_a_perfect_classifier_has_no_wrong_ones() -> None:
    found = extremes(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), 6)
    assert found == {"most wrong": [], "most uncertain": [], "most right": [0, 1]}


@pytest.mark.parametrize("num_classes", [2, 3, 14])
def test_counts_equal_scikit_learn(num_classes: int) -> None:
    from sklearn.metrics import confusion_matrix

    truth, probabilities = answers(num_classes)
    predicted = probabilities.argmax(1)
    counts = classification._confusion_counts(truth, predicted, num_classes)
    assert np.array_equal(counts, confusion_matrix(truth, predicted, labels=range(num_classes)))


@pytest.mark.parametrize("num_classes", [2, 3, 14])
def test_panels_of_any_number_of_classes(tmp_path: Path, num_classes: int) -> None:
    truth, probabilities = answers(num_classes)
    classification_panels(truth, probabilities, [f"class {n}" for n in range(num_classes)], tmp_path / "panels.png")
    assert is_picture(tmp_path / "panels.png")


def test_a_class_without_cases_has_no_curve(tmp_path: Path) -> None:
    truth, probabilities = answers(3)
    classification_panels(truth % 2, probabilities, ["a", "b", "c"], tmp_path / "panels.png")
    classification_panels(truth * 0, probabilities, ["a", "b", "c"], tmp_path / "none.png")
    assert is_picture(tmp_path / "panels.png")
    assert is_picture(tmp_path / "none.png")


def test_the_image_montage_draws_grey_and_colour_and_leaves_empty_groups_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    shares = {"normal": 0.2, "pneumonia": 0.7, "other": 0.1, "rare": 0.0}
    grey = [ImageCase(f"g{n}", rng.random((28, 28), dtype=np.float32), "rare", shares) for n in range(3)]
    colour = [ImageCase("c", rng.random((20, 30, 3), dtype=np.float32), "normal", shares)]
    image_montage({"most wrong": grey, "most right": []}, tmp_path / "one.png")
    image_montage({"most wrong": grey, "most uncertain": colour}, tmp_path / "two.png")
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert two.height == pytest.approx(2 * one.height, rel=0.05)


def test_no_image_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one image"):
        image_montage({"most wrong": []}, tmp_path / "none.png")
