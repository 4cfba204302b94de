"""The patient bootstrap against a plain loop and SciPy's BCa, and its coverage where patients have several scans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from hilum.evaluation import intervals
from hilum.evaluation.intervals import Bootstrap, bca_tails, resampled_means, resampled_scores
from hilum.metrics.auroc import AurocMetric

PATIENTS = ["a", "b", "a", "c", "b", "d", "d", "d"]
NAMES = list(dict.fromkeys(PATIENTS))


def drawn_cases(bootstrap: Bootstrap) -> list[list[int]]:
    """The cases of every resample, patient by patient."""
    counts = bootstrap.counts(len(NAMES)).astype(int)
    cases = {name: [number for number, owner in enumerate(PATIENTS) if owner == name] for name in NAMES}
    return [[case for name, times in zip(NAMES, row, strict=True) for case in cases[name] * times] for row in counts]


def test_means_are_those_of_a_loop_over_drawn_patients() -> None:
    values = np.random.default_rng(0).random((len(PATIENTS), 3, 2))
    bootstrap = Bootstrap(resamples=30, seed=5)
    expected = [values[cases].mean(0) for cases in drawn_cases(bootstrap)]
    means = resampled_means(values, PATIENTS, bootstrap)
    np.testing.assert_allclose(bootstrap.drawn(means), expected)
    np.testing.assert_allclose(means[0], values.mean(0))
    without = [[number for number, owner in enumerate(PATIENTS) if owner != name] for name in NAMES]
    np.testing.assert_allclose(means[31:], [values[cases].mean(0) for cases in without])


def test_undefined_values_are_left_out_of_means() -> None:
    values = np.random.default_rng(0).random((len(PATIENTS), 1))
    values[[0, 2, 3], 0] = np.nan
    means = Bootstrap(resamples=40).drawn(resampled_means(values, PATIENTS, Bootstrap(resamples=40)))
    for cases, mean in zip(drawn_cases(Bootstrap(resamples=40)), means[:, 0], strict=True):
        defined = values[cases, 0][~np.isnan(values[cases, 0])]
        assert mean == pytest.approx(defined.mean() if defined.size else np.nan, nan_ok=True)


@pytest.mark.parametrize("chunk", [1, 2**20])
def test_cohort_scores_are_those_of_a_loop_over_drawn_patients(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(intervals, "CHUNK_WEIGHTS", chunk)
    truth = np.array([0, 1, 1, 0, 0, 1, 0, 1])
    scores = np.random.default_rng(2).random(8).round(1)
    bootstrap = Bootstrap(resamples=25, seed=1)
    drawn = resampled_scores(
        AurocMetric(),
        truth,
        probabilities=np.stack([1 - scores, scores], axis=1),
        classes=("no", "yes"),
        patients=PATIENTS,
        bootstrap=bootstrap,
    )["auroc"]
    assert drawn[0] == pytest.approx(roc_auc_score(truth, scores))
    for cases, value in zip(drawn_cases(bootstrap), bootstrap.drawn(drawn), strict=True):
        both = len(set(truth[cases])) == 2
        assert value == pytest.approx(roc_auc_score(truth[cases], scores[cases]) if both else np.nan, nan_ok=True)


def test_the_seed_decides() -> None:
    values = np.random.default_rng(0).random((len(PATIENTS), 1))
    first, again, other = (resampled_means(values, PATIENTS, Bootstrap(50, seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_percentile_interval_is_the_middle_of_what_is_defined() -> None:
    bootstrap = Bootstrap(103, level=0.9, method="percentile")
    values = np.concatenate([[50.0], np.arange(101.0), [np.nan, np.nan]])
    assert bootstrap.interval(values) == pytest.approx((5, 95))
    assert Bootstrap(1).interval(np.array([0.5, np.nan])) is None
    assert Bootstrap(1).interval(np.array([np.nan, 0.5])) is None


@pytest.mark.parametrize("statistic", [np.mean, np.var])
def test_bca_cuts_where_scipy_does(statistic: Callable[..., Any]) -> None:
    sample = np.random.default_rng(4).exponential(size=17)
    theirs = stats.bootstrap((sample,), statistic, n_resamples=999, method="BCa", rng=np.random.default_rng(1))
    left_out = np.array([statistic(np.delete(sample, index)) for index in range(len(sample))])
    drawn = theirs.bootstrap_distribution
    tails = bca_tails(np.array([0.025, 0.975]), float(statistic(sample)), drawn=drawn, left_out=left_out)
    np.testing.assert_allclose(np.quantile(drawn, tails), list(theirs.confidence_interval), rtol=1e-9)


def test_bca_of_values_that_never_change_is_that_value() -> None:
    bootstrap = Bootstrap(200)
    means = resampled_means(np.full((8, 1), 0.5), PATIENTS, bootstrap)[:, 0]
    assert bootstrap.interval(means) == pytest.approx((0.5, 0.5))


def test_many_patients_are_left_out_in_groups_with_the_same_acceleration(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).exponential(size=(400, 1)) ** 2
    patients = [str(number) for number in range(400)]
    ends = []
    for groups in (400, 100):
        monkeypatch.setattr(intervals, "JACKKNIFE_GROUPS", groups)
        bootstrap = Bootstrap(4000)
        means = resampled_means(values, patients, bootstrap)[:, 0]
        assert len(means) == 1 + 4000 + groups
        ends.append(np.array(bootstrap.interval(means)))
    plain = Bootstrap(4000, method="percentile")
    moved = ends[0] - np.array(plain.interval(resampled_means(values, patients, plain)[:, 0]))
    assert (moved > 0).all()  # the long tail is above
    np.testing.assert_allclose(ends[1], ends[0], atol=float(np.abs(moved).max()) / 2)


def test_intervals_cover_the_truth_where_scans_of_a_patient_are_alike() -> None:
    rng = np.random.default_rng(0)
    scans, patients, trials = 5, 40, 300
    ids = [str(patient) for patient in range(patients) for _ in range(scans)]
    each = [str(case) for case in range(len(ids))]
    hits = np.zeros(2)
    for trial in range(trials):
        values = np.repeat(rng.normal(0, 1, patients), scans) + rng.normal(0, 0.5, len(ids))
        for column, owners in enumerate((ids, each)):
            bootstrap = Bootstrap(400, seed=trial, method="percentile")
            low, high = bootstrap.interval(resampled_means(values[:, None], owners, bootstrap)[:, 0]) or (0, 0)
            hits[column] += low <= 0 <= high
    clustered, by_case = hits / trials
    assert 0.90 <= clustered <= 0.98
    assert by_case < 0.75  # as if five scans of a patient were five patients
