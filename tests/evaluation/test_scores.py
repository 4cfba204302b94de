"""Which score has which interval, and that those by a formula count by patient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hilum.evaluation.areas import area_interval
from hilum.evaluation.closed_forms import PARTS, Decisions, patient_counts
from hilum.evaluation.intervals import Bootstrap
from hilum.evaluation.proportions import clustered_wilson
from hilum.evaluation.scores import FEW_OF_A_KIND, classifier_scores, flat_note, instability
from hilum.metrics.accuracy import AccuracyMetric
from hilum.metrics.auroc import AurocMetric
from hilum.metrics.average_precision import AveragePrecisionMetric
from hilum.metrics.balanced_accuracy import BalancedAccuracyMetric
from hilum.metrics.confusion import class_counts, confusion
from hilum.registry import kinds

RNG = np.random.default_rng(3)
OWNER = np.repeat(np.arange(20), RNG.integers(1, 4, 20))
PATIENTS = [f"p{number}" for number in OWNER]
NAMES = ("a", "b", "c")
TRUTH = RNG.integers(0, 3, len(OWNER))
PROBABILITIES = RNG.dirichlet(np.ones(3), len(OWNER)) * 0.6 + 0.4 * np.eye(3)[TRUTH]


def scored(metric: Any, *, method: Any = "auto", two: bool = False) -> dict[str, dict[str, Any]]:
    truth, given = TRUTH, PROBABILITIES
    names: tuple[str, ...] = NAMES
    if two:
        given = np.stack([given[:, 0] + given[:, 1], given[:, 2]], axis=1)
        truth, names = (truth == 2).astype(np.int64), ("rest", "c")
    return classifier_scores(
        metric, truth, probabilities=given, classes=names, patients=PATIENTS, bootstrap=Bootstrap(200, method=method)
    )


def test_areas_of_classes_have_formulas_and_their_mean_a_bootstrap() -> None:
    scores = scored(AurocMetric())
    assert {name: entry["method"] for name, entry in scores.items()} == {
        "auroc": "bca",
        **{f"auroc_{name}": "delong" for name in NAMES},
    }
    ends = area_interval(TRUTH == 1, PROBABILITIES[:, 1], OWNER, level=0.95)
    assert (scores["auroc_b"]["low"], scores["auroc_b"]["high"]) == ends
    assert [entry["method"] for entry in scored(AurocMetric(average="micro")).values()] == ["delong"]
    assert [entry["method"] for entry in scored(AurocMetric(average="weighted")).values()] == ["bca"]
    assert [entry["method"] for entry in scored(AurocMetric(), two=True).values()] == ["delong"]


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_one_method_can_be_had_for_all(method: str) -> None:
    for metric in (AurocMetric(), AccuracyMetric(), AveragePrecisionMetric()):
        assert {entry["method"] for entry in scored(metric, method=method).values()} == {method}


@pytest.mark.parametrize("kind", sorted(PARTS))
def test_the_parts_of_a_share_are_those_of_its_score(kind: str) -> None:
    """Hits over trials of all patients are the score, for every class, so that the interval is about that score."""
    metric: Any = kinds("metrics")[kind]()
    scores = metric.score(TRUTH, PROBABILITIES, NAMES)
    counts = patient_counts(Decisions(TRUTH, PROBABILITIES, NAMES, OWNER))
    np.testing.assert_array_equal(counts.sum(0), confusion(TRUTH, PROBABILITIES, np.ones((1, len(TRUTH))))[0])
    hits, trials = PARTS[kind](class_counts(counts))
    for index, name in enumerate(NAMES):
        assert hits[:, index].sum() / trials[:, index].sum() == pytest.approx(scores[f"{kind}_{name}"])
    found = scored(metric)
    for index, name in enumerate(NAMES):
        entry = found[f"{kind}_{name}"]
        assert (entry["low"], entry["high"]) == clustered_wilson(hits[:, index], trials[:, index], level=0.95)
        assert entry["low"] <= entry["value"] <= entry["high"]
    assert found[kind]["method"] == ("wilson" if kind == "accuracy" else "bca")
    assert {entry["method"] for entry in scored(metric, two=True).values()} == {"wilson"}


def test_a_class_of_one_patient_has_an_area_and_no_interval() -> None:
    truth = (OWNER == 0).astype(np.int64)
    given = np.stack([1 - PROBABILITIES[:, 0], PROBABILITIES[:, 0]], axis=1)
    bootstrap = Bootstrap(200)
    found = classifier_scores(
        AurocMetric(), truth, probabilities=given, classes=("no", "yes"), patients=PATIENTS, bootstrap=bootstrap
    )["auroc"]
    assert found["value"] is not None
    assert found["low"] is None
    assert instability("auroc", found, bootstrap) == f"auroc: {FEW_OF_A_KIND}"


def test_an_interval_without_width_is_no_certainty() -> None:
    """A classifier that calls every case `a` has the same recall in every resample; its area has a formula."""
    certain = np.tile([0.8, 0.1, 0.1], (len(TRUTH), 1))
    found = classifier_scores(
        BalancedAccuracyMetric(),
        TRUTH,
        probabilities=certain,
        classes=NAMES,
        patients=PATIENTS,
        bootstrap=Bootstrap(200),
    )
    assert [found["balanced_accuracy"][end] for end in ("low", "value", "high")] == pytest.approx([1 / 3] * 3)
    assert flat_note(found).startswith("balanced_accuracy, ")
    assert "no certainty" in flat_note(found)
    assert flat_note(scored(AccuracyMetric())) == ""
    assert flat_note({"one": {"value": 1.0, "low": 1.0, "high": 1.0, "method": "wilson"}}) == ""
