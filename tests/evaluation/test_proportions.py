"""Wilson's interval against SciPy, and clustered by patient against what clusters must do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hilum.evaluation.proportions import clustered_wilson, wilson


@pytest.mark.parametrize(("hits", "trials"), [(0, 7), (1, 7), (13, 40), (40, 40)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_that_of_scipy(hits: int, trials: int, level: float) -> None:
    theirs = stats.binomtest(hits, trials).proportion_ci(level, method="wilson")
    assert wilson(hits, trials, level=level) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_one_case_a_patient_is_plain_wilson() -> None:
    hits = np.array([1.0, 0, 1, 1, 0, 1, 1, 1, 1])
    assert clustered_wilson(hits, np.ones(9), level=0.95) == pytest.approx(wilson(7, 9, level=0.95))


def test_patients_without_a_trial_do_not_count() -> None:
    hits, trials = np.array([1.0, 0, 2, 0]), np.array([2.0, 1, 3, 0])
    assert clustered_wilson(hits, trials, level=0.95) == clustered_wilson(hits[:3], trials[:3], level=0.95)
    assert clustered_wilson(np.zeros(3), np.zeros(3), level=0.95) is None


def test_the_same_answer_for_all_scans_of_a_patient_counts_patients() -> None:
    hits = np.array([1.0] * 30 + [0] * 10)
    once = clustered_wilson(hits, np.ones(40), level=0.95)
    again = clustered_wilson(4 * hits, np.full(40, 4.0), level=0.95)
    assert again == pytest.approx(once, abs=0.003)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_without_a_single_exception_patients_count(share: float) -> None:
    trials = np.array([5.0, 4, 6])
    assert clustered_wilson(share * trials, trials, level=0.95) == pytest.approx(wilson(3 * share, 3, level=0.95))


def test_clusters_that_are_evener_than_chance_count_no_more_cases_than_there_are() -> None:
    hits, trials = np.full(10, 1.0), np.full(10, 2.0)
    assert clustered_wilson(hits, trials, level=0.95) == pytest.approx(wilson(10, 20, level=0.95))


def test_it_covers_the_truth_where_scans_of_a_patient_are_alike() -> None:
    rng = np.random.default_rng(0)
    covered = np.zeros(2)
    for _ in range(400):
        trials = rng.integers(1, 6, 40).astype(float)
        chance = rng.beta(0.8, 0.2, 40)  # on average 0.8, and much alike within a patient
        hits = rng.binomial(trials.astype(int), chance).astype(float)
        ends = clustered_wilson(hits, trials, level=0.95), wilson(hits.sum(), trials.sum(), level=0.95)
        covered += [low <= 0.8 <= high for low, high in (end or (1, 0) for end in ends)]
    clustered, unaware = covered / 400
    assert 0.92 <= clustered <= 0.98
    assert unaware < 0.88
