"""Classification scores against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from hilum.metrics.accuracy import AccuracyMetric
from hilum.metrics.auroc import AurocMetric
from hilum.metrics.balanced_accuracy import BalancedAccuracyMetric
from hilum.metrics.f1 import F1Metric


def cohort(seed: int, num_classes: int, *, decimals: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Cases of every class, with rounded probabilities so that many tie."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, 50)])
    probabilities = rng.dirichlet(np.ones(num_classes), len(truth)).round(decimals)
    probabilities[:, 0] += 1 - probabilities.sum(1)
    return truth, probabilities, [f"class{number}" for number in range(num_classes)]


@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize("num_classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(5))
def test_scores_of_the_predicted_class(seed: int, num_classes: int, decimals: int) -> None:
    truth, probabilities, classes = cohort(seed, num_classes, decimals=decimals)
    predicted = probabilities.argmax(1)
    accuracy = AccuracyMetric().score(truth, probabilities, classes)
    assert accuracy.pop("accuracy") == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))
    balanced = BalancedAccuracyMetric().score(truth, probabilities, classes)
    expected = sklearn_metrics.balanced_accuracy_score(truth, predicted)
    assert balanced.pop("balanced_accuracy") == pytest.approx(expected)
    for number, name in enumerate(classes if num_classes > 2 else []):
        alone = truth == number, predicted == number
        assert accuracy.pop(f"accuracy_{name}") == pytest.approx(sklearn_metrics.accuracy_score(*alone))
        expected = sklearn_metrics.balanced_accuracy_score(*alone)
        assert balanced.pop(f"balanced_accuracy_{name}") == pytest.approx(expected)
    assert accuracy == balanced == {}
    f1 = F1Metric().score(truth, probabilities, classes)
    assert f1.pop("f1") == pytest.approx(sklearn_metrics.f1_score(truth, predicted, average="macro"))
    assert list(f1.values()) == pytest.approx(list(sklearn_metrics.f1_score(truth, predicted, average=None)))
    if num_classes == 2:
        assert f1["f1_class1"] == pytest.approx(sklearn_metrics.f1_score(truth, predicted))


@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize("seed", range(5))
def test_auroc_of_two_classes_is_that_of_the_second(seed: int, decimals: int) -> None:
    truth, probabilities, classes = cohort(seed, 2, decimals=decimals)
    expected = sklearn_metrics.roc_auc_score(truth, probabilities[:, 1])
    assert AurocMetric().score(truth, probabilities, classes) == {"auroc": pytest.approx(expected)}


@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize("seed", range(5))
def test_auroc_of_many_classes_is_one_against_the_rest(seed: int, decimals: int) -> None:
    truth, probabilities, classes = cohort(seed, 5, decimals=decimals)
    ours = AurocMetric().score(truth, probabilities, classes)
    macro = sklearn_metrics.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    assert ours["auroc"] == pytest.approx(macro)
    for number, name in enumerate(classes):
        alone = sklearn_metrics.roc_auc_score(truth == number, probabilities[:, number])
        assert ours[f"auroc_{name}"] == pytest.approx(alone)


def test_auroc_with_sample_weights() -> None:
    truth, probabilities, classes = cohort(11, 2, decimals=1)
    weights = np.random.default_rng(0).integers(0, 5, len(truth)).astype(float)
    expected = sklearn_metrics.roc_auc_score(truth, probabilities[:, 1], sample_weight=weights)
    ours = AurocMetric().weighted(truth, probabilities, classes=classes, weights=weights[None])
    assert ours["auroc"][0] == pytest.approx(expected)
