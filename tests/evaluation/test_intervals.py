"""The patient bootstrap against a plain loop, and its coverage where patients have several scans."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hilum.evaluation import intervals
from hilum.evaluation.intervals import Bootstrap, resampled_means, resampled_scores
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
    np.testing.assert_allclose(resampled_means(values, PATIENTS, bootstrap), expected)


def test_undefined_values_are_left_out_of_means() -> None:
    values = np.random.default_rng(0).random((len(PATIENTS), 1))
    values[[0, 2, 3], 0] = np.nan
    means = resampled_means(values, PATIENTS, Bootstrap(resamples=40))
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
    for cases, value in zip(drawn_cases(bootstrap), drawn, strict=True):
        both = len(set(truth[cases])) == 2
        assert value == pytest.approx(roc_auc_score(truth[cases], scores[cases]) if both else np.nan, nan_ok=True)


def test_the_seed_decides() -> None:
    values = np.random.default_rng(0).random((len(PATIENTS), 1))
    first, again, other = (resampled_means(values, PATIENTS, Bootstrap(50, seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_interval_is_the_middle_of_what_is_defined() -> None:
    values = np.append(np.arange(101.0), [np.nan, np.nan])
    assert Bootstrap(level=0.9).interval(values) == pytest.approx((5, 95))
    assert Bootstrap().interval(np.array([np.nan])) is None


def test_intervals_cover_the_truth_where_scans_of_a_patient_are_alike() -> None:
    rng = np.random.default_rng(0)
    scans, patients, trials = 5, 40, 300
    ids = [str(patient) for patient in range(patients) for _ in range(scans)]
    each = [str(case) for case in range(len(ids))]
    hits = np.zeros(2)
    for trial in range(trials):
        values = np.repeat(rng.normal(0, 1, patients), scans) + rng.normal(0, 0.5, len(ids))
        for column, owners in enumerate((ids, each)):
            bootstrap = Bootstrap(400, seed=trial)
            low, high = bootstrap.interval(resampled_means(values[:, None], owners, bootstrap)[:, 0]) or (0, 0)
            hits[column] += low <= 0 <= high
    clustered, by_case = hits / trials
    assert 0.90 <= clustered <= 0.98
    assert by_case < 0.75  # as if five scans of a patient were five patients
