"""ROC, precision-recall and reliability against scikit-learn, their bands against resamples written out in full."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from hilum.report.page import ranking, reliability
from hilum.report.page.matrix import confusion_matrix
from hilum.report.page.ranking import GRID, Answers, precision_recall, roc
from hilum.report.page.resampling import RESAMPLES, Resampling


def answers(num_cases: int = 60, num_classes: int = 2, scans: int = 2) -> Answers:
    rng = np.random.default_rng(num_classes)
    truth = rng.integers(0, num_classes, num_cases)
    logits = np.round(rng.normal(size=(num_cases, num_classes)) + 1.2 * np.eye(num_classes)[truth], 1)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    classes = [f"class {index}" for index in range(num_classes)]
    ids = [f"c{index}" for index in range(num_cases)]
    return Answers(truth, probabilities, classes, ids, [f"p{index // scans}" for index in range(num_cases)], seed=3)


def once(found: Answers) -> np.ndarray:
    return np.ones((1, len(found.truth)))


def test_the_roc_curve_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_curve

    found = answers()
    false_share, true_share, _ = roc_curve(found.truth == 1, found.probabilities[:, 1], drop_intermediate=False)
    points = ranking._roc_points(found.ranking(1, once(found)))
    assert np.allclose(points, np.stack([false_share, true_share], axis=1))


def test_decisions_about_all_classes_are_pooled_as_scikit_learn_does_for_micro() -> None:
    from sklearn.metrics import roc_curve

    found = answers(90, 4)
    members = np.eye(4)[found.truth]
    false_share, true_share, _ = roc_curve(members.ravel(), found.probabilities.ravel(), drop_intermediate=False)
    assert found.pooled is not None
    assert np.allclose(ranking._roc_points(found.pooled), np.stack([false_share, true_share], axis=1))
    drawn = roc(found, {"auroc_micro": {"value": 0.625, "low": 0.5, "high": 0.75}})
    assert drawn is not None
    assert "all together (micro): area 0.625 (0.500 to 0.750)" in drawn.svg
    assert answers(90, 2).pooled is None


def test_precision_and_recall_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import precision_recall_curve

    found = answers()
    precision, recall, _ = precision_recall_curve(found.truth == 1, found.probabilities[:, 1])
    points = ranking._precision_points(found.ranking(1, once(found)))
    expected = np.stack([recall, precision], axis=1)[::-1][1:]  # without the point that it adds at recall 0
    assert np.allclose(points, expected)


def test_the_reliability_diagram_is_the_calibration_curve_of_scikit_learn() -> None:
    from sklearn.calibration import calibration_curve

    found = answers(400)
    observed, predicted = calibration_curve(found.truth == 1, found.probabilities[:, 1], n_bins=reliability.BINS)
    (drawn,) = reliability.reliability(reliability.reliability_bins(found))
    titles = re.findall(r"predicted ([\d.]+), observed ([\d.]+)", str(drawn.svg))
    assert np.allclose(
        [[float(one), float(other)] for one, other in titles], np.stack([predicted, observed], 1), atol=6e-4
    )


def test_bands_are_percentiles_of_curves_of_resampled_patients() -> None:
    """Each resample written out: its cases repeated as often as their patient was drawn, its curve by scikit-learn."""
    from sklearn.metrics import roc_curve

    found = answers(30)
    curves = []
    for weights in found.resampling.weights():
        for counts in weights:
            chosen = np.repeat(np.arange(len(found.truth)), counts.astype(int))
            positive, scores = found.truth[chosen] == 1, found.probabilities[chosen, 1]
            false_share, true_share, _ = roc_curve(positive, scores, drop_intermediate=False)
            curves.append(np.interp(GRID, false_share, true_share))
    assert len(curves) == RESAMPLES
    low, high = np.percentile(curves, [2.5, 97.5], axis=0)
    band = found.resampling.band(lambda weights: ranking._sensitivities(found.ranking(1, weights)))
    assert band is not None
    assert np.allclose(band[0], low)
    assert np.allclose(band[1], high)


def test_whole_patients_are_drawn_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = Resampling([f"p{index // 3}" for index in range(12)], seed=5)
    weights = np.concatenate(list(drawing.weights()))
    assert weights.shape == (RESAMPLES, 12)
    assert (weights[:, 0::3] == weights[:, 2::3]).all()
    assert (weights[:, ::3].sum(axis=1) == 4).all()
    monkeypatch.setattr("hilum.report.page.resampling.CHUNK_WEIGHTS", 12 * 7)
    assert np.array_equal(np.concatenate(list(drawing.weights())), weights)


def test_one_patient_has_no_band() -> None:
    assert Resampling(["p", "p"], seed=0).band(lambda weights: weights) is None


@pytest.mark.parametrize("num_classes", [2, 3, 15])
def test_legends_hold_the_areas_of_the_summary(num_classes: int) -> None:
    found = answers(120, num_classes)
    entry = {"value": 0.8125, "low": 0.75, "high": 0.875}
    columns = ("auroc", "average_precision")
    overall = dict.fromkeys([*columns, *(f"{column}_{each}" for column in columns for each in found.classes)], entry)
    for draw in (roc, precision_recall):
        with_areas, without = draw(found, overall), draw(found, {})
        assert with_areas is not None
        assert without is not None
        assert with_areas.svg.count("0.812 (0.750 to 0.875)") >= min(num_classes - (num_classes == 2), 12)
        assert "0.8" not in re.sub(r'="[^"]*"', "", re.sub(r'class="tick"[^>]*>[^<]*', "", str(without.svg)))
        assert with_areas.svg.count('class="band') == {2: 1, 3: 3, 15: 0}[num_classes]


def test_the_operating_point_lies_where_scikit_learn_puts_its_scores() -> None:
    from sklearn.metrics import precision_score, recall_score

    found = answers()
    decided = (found.probabilities[:, 1] >= 0.3).astype(np.int64)
    at = replace(found, decided=decided)
    expected = (
        1 - recall_score(found.truth, decided, pos_label=0),
        recall_score(found.truth, decided),
        precision_score(found.truth, decided),
    )
    assert at.operating_point == pytest.approx(expected)
    for draw in (roc, precision_recall):
        with_point, without = draw(at, {}), draw(found, {})
        assert with_point is not None
        assert without is not None
        assert "operating point: " in with_point.svg
        assert "operating point" not in without.svg
        assert "Dot: where the threshold" in with_point.caption
    assert replace(found, decided=np.zeros_like(decided)).operating_point is None


def test_one_class_alone_has_no_curve() -> None:
    found = answers()
    alone = Answers(np.zeros_like(found.truth), found.probabilities, found.classes, found.case_ids, found.patients)
    assert roc(alone, {}) is None
    assert precision_recall(alone, {}) is None


@pytest.mark.parametrize("num_classes", [2, 5, 9])
def test_the_matrix_shows_every_count(num_classes: int) -> None:
    counts = np.random.default_rng(1).integers(0, 90, (num_classes, num_classes)).tolist()
    drawn = confusion_matrix(counts, [f"a class with a long name {index}" for index in range(num_classes)])
    numbers = [int(text) for text in re.findall(r'-cell strong"[^>]*>(\d+)<', str(drawn.svg))]
    assert numbers == [count for row in counts for count in row]
    right = sum(counts[index][index] for index in range(num_classes))
    assert drawn.caption.startswith(f"{right} of {sum(map(sum, counts))} cases")
