"""The family of the confusion matrix, curves and calibration against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from hilum.metrics.auroc import AurocMetric
from hilum.metrics.average_precision import AveragePrecisionMetric
from hilum.metrics.base import CohortMetric
from hilum.metrics.brier import BrierMetric
from hilum.metrics.curves import ranking
from hilum.metrics.fbeta import FbetaMetric
from hilum.metrics.kappa import KappaMetric, QuadraticKappaMetric
from hilum.metrics.mcc import MccMetric
from hilum.metrics.nll import NllMetric
from hilum.metrics.operating_points import SensitivityAtSpecificityMetric, SpecificityAtSensitivityMetric
from hilum.metrics.partial_auroc import PartialAurocMetric
from hilum.registry import kinds

SIZES = pytest.mark.parametrize("num_classes", [2, 3, 6])
SEEDS = pytest.mark.parametrize("seed", range(4))


def cohort(seed: int, num_classes: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Cases of every class, with probabilities that follow the truth in part and tie often in half of the seeds."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, 60)])
    probabilities = rng.dirichlet(np.ones(num_classes), len(truth)) + 0.5 * np.eye(num_classes)[truth]
    probabilities = (probabilities / 1.5).round(1 if seed % 2 else 6) + 0.01
    probabilities /= probabilities.sum(1, keepdims=True)
    return truth, probabilities.round(9), [f"class{number}" for number in range(num_classes)]


def metric(kind: str) -> CohortMetric:
    made = kinds("metrics")[kind]()
    assert isinstance(made, CohortMetric)
    return made


def by_class(scores: dict[str, float], column: str, classes: list[str]) -> list[float]:
    return [scores[f"{column}_{name}"] for name in classes]


@SIZES
@SEEDS
def test_counts_and_their_ratios(seed: int, num_classes: int) -> None:
    truth, probabilities, classes = cohort(seed, num_classes)
    predicted = probabilities.argmax(1)
    tn, fp, fn, tp = sklearn_metrics.multilabel_confusion_matrix(truth, predicted).reshape(-1, 4).T
    every = range(num_classes)
    against_rest = [(truth == one, predicted == one) for one in every]
    expected = {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
        "prevalence": [np.mean(truth == one) for one in every],
        "sensitivity": [sklearn_metrics.recall_score(*pair) for pair in against_rest],
        "specificity": [sklearn_metrics.recall_score(*pair, pos_label=False) for pair in against_rest],
        "precision": [sklearn_metrics.precision_score(*pair, zero_division=np.nan) for pair in against_rest],
        "npv": [sklearn_metrics.precision_score(*pair, pos_label=False) for pair in against_rest],
        "threat_score": [sklearn_metrics.jaccard_score(*pair) for pair in against_rest],
        "informedness": [sklearn_metrics.balanced_accuracy_score(*pair, adjusted=True) for pair in against_rest],
    }
    for kind, values in expected.items():
        scores = metric(kind).score(truth, probabilities, classes)
        assert by_class(scores, kind, classes) == pytest.approx(list(values), nan_ok=True), kind
        headline = values[1] if num_classes == 2 else np.nanmean(values)
        assert scores[kind] == pytest.approx(headline), kind
    for kind, complement in (("fdr", "precision"), ("for", "npv"), ("fpr", "specificity"), ("fnr", "sensitivity")):
        values = by_class(metric(kind).score(truth, probabilities, classes), kind, classes)
        assert values == pytest.approx([1 - value for value in expected[complement]], nan_ok=True)


@SEEDS
def test_likelihood_ratios(seed: int) -> None:
    truth, probabilities, classes = cohort(seed, 2)
    positive, negative = sklearn_metrics.class_likelihood_ratios(truth, probabilities.argmax(1))
    assert metric("lr_positive").score(truth, probabilities, classes)["lr_positive"] == pytest.approx(positive)
    assert metric("lr_negative").score(truth, probabilities, classes)["lr_negative"] == pytest.approx(negative)
    odds = metric("diagnostic_odds_ratio").score(truth, probabilities, classes)["diagnostic_odds_ratio"]
    assert odds == pytest.approx(positive / negative)


@SIZES
@SEEDS
def test_agreement(seed: int, num_classes: int) -> None:
    truth, probabilities, classes = cohort(seed, num_classes)
    predicted, labels = probabilities.argmax(1), range(num_classes)
    kappa = sklearn_metrics.cohen_kappa_score(truth, predicted, labels=labels)
    assert KappaMetric().score(truth, probabilities, classes) == {"kappa": pytest.approx(kappa)}
    quadratic = sklearn_metrics.cohen_kappa_score(truth, predicted, labels=labels, weights="quadratic")
    assert QuadraticKappaMetric().score(truth, probabilities, classes) == {"quadratic_kappa": pytest.approx(quadratic)}
    scores = MccMetric().score(truth, probabilities, classes)
    assert scores.pop("mcc") == pytest.approx(sklearn_metrics.matthews_corrcoef(truth, predicted))
    alone = [sklearn_metrics.matthews_corrcoef(truth == one, predicted == one) for one in labels]
    assert list(scores.values()) == pytest.approx(alone if num_classes > 2 else [])
    for beta in (0.5, 2.0):
        found = FbetaMetric(beta=beta).score(truth, probabilities, classes)
        each = sklearn_metrics.fbeta_score(truth, predicted, beta=beta, average=None)
        assert by_class(found, f"fbeta_{beta:g}", classes) == pytest.approx(list(each))


@SIZES
@SEEDS
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_areas(average: str, seed: int, num_classes: int) -> None:
    truth, probabilities, classes = cohort(seed, num_classes)
    members = np.eye(num_classes, dtype=int)[truth]
    for kind, theirs in (
        (AurocMetric, sklearn_metrics.roc_auc_score),
        (AveragePrecisionMetric, sklearn_metrics.average_precision_score),
    ):
        made = kind.model_validate({"average": average})
        assert isinstance(made, CohortMetric)
        scores = made.score(truth, probabilities, classes)
        if num_classes == 2 and average == "macro":  # the second class
            assert scores[made.column] == pytest.approx(theirs(truth, probabilities[:, 1]))
        else:
            assert scores[made.column] == pytest.approx(theirs(members, probabilities, average=average))
        if average == "macro" and f"{made.column}_class0" in scores:
            each = theirs(members, probabilities, average=None)
            assert by_class(scores, made.column, classes) == pytest.approx(list(each))


@SEEDS
@pytest.mark.parametrize("min_specificity", [0.5, 0.8, 0.9, 0.97])
def test_partial_area(min_specificity: float, seed: int) -> None:
    truth, probabilities, classes = cohort(seed, 3)
    scores = PartialAurocMetric(min_specificity=min_specificity).score(truth, probabilities, classes)
    each = [
        sklearn_metrics.roc_auc_score(truth == one, probabilities[:, one], max_fpr=1 - min_specificity)
        for one in range(3)
    ]
    assert list(scores.values()) == pytest.approx([np.mean(each), *each])


@SEEDS
def test_curves(seed: int) -> None:
    truth, probabilities, _ = cohort(seed, 2)
    positive, scores = truth == 1, probabilities[:, 1]
    weights = np.random.default_rng(seed).integers(0, 4, (1, len(truth))).astype(float)
    ours = ranking(positive, scores, weights)
    options = {"sample_weight": weights[0], "drop_intermediate": False}
    false_rate, true_rate, thresholds = sklearn_metrics.roc_curve(positive, scores, **options)
    kept = np.isin(ours.thresholds, thresholds)  # theirs leaves out scores of cases that weigh nothing
    assert ours.thresholds[kept] == pytest.approx(thresholds[1:])
    assert ours.false_positive_rate[0, 1:][kept] == pytest.approx(false_rate[1:])
    assert ours.sensitivity[0, 1:][kept] == pytest.approx(true_rate[1:])
    precision, recall, _ = sklearn_metrics.precision_recall_curve(positive, scores, sample_weight=weights[0])
    assert set(np.round(ours.sensitivity[0], 9)) == set(np.round(recall, 9))
    assert np.nanmax(ours.precision) == pytest.approx(precision[:-1].max())


@SEEDS
@pytest.mark.parametrize("least", [0.5, 0.9, 0.95, 1.0])
def test_operating_points(least: float, seed: int) -> None:
    truth, probabilities, classes = cohort(seed, 2)
    false_rate, true_rate, _ = sklearn_metrics.roc_curve(truth, probabilities[:, 1], drop_intermediate=False)
    sensitivity = SensitivityAtSpecificityMetric(specificity=least)
    expected = true_rate[1 - false_rate >= least - 1e-9].max()
    assert sensitivity.score(truth, probabilities, classes)[sensitivity.column] == pytest.approx(expected)
    specificity = SpecificityAtSensitivityMetric(sensitivity=least)
    expected = (1 - false_rate)[true_rate >= least - 1e-9].max()
    assert specificity.score(truth, probabilities, classes)[specificity.column] == pytest.approx(expected)


@SIZES
@SEEDS
def test_probabilities(seed: int, num_classes: int) -> None:
    truth, probabilities, classes = cohort(seed, num_classes)
    labels = list(range(num_classes))
    squares = sklearn_metrics.brier_score_loss(truth, probabilities, labels=labels)
    assert BrierMetric().score(truth, probabilities, classes) == {"brier": pytest.approx(squares)}
    loss = sklearn_metrics.log_loss(truth, probabilities, labels=labels)
    assert NllMetric().score(truth, probabilities, classes) == {"nll": pytest.approx(loss)}
