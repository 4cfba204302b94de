"""Paired tests against every way to flip signs, SciPy, and the textbook."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats
from tests.evaluation.test_areas import cohort, delong

from hilum.evaluation import paired_tests
from hilum.evaluation.areas import area
from hilum.evaluation.paired_tests import bootstrap_p, delong_p, flip_p, holm, mcnemar_p, signed_rank_p


def every_flip(sizes: np.ndarray, observed: float) -> float:
    """The share of all sign patterns whose sum is as extreme."""
    sums = np.array([np.dot(signs, sizes) for signs in product((-1, 1), repeat=len(sizes))])
    return float((np.abs(sums) >= abs(observed) - 1e-9).mean())


@pytest.mark.parametrize("seed", range(4))
def test_flips_are_counted(seed: int) -> None:
    sizes = np.random.default_rng(seed).integers(0, 6, 11)
    observed = int(np.dot(np.random.default_rng(seed).choice([-1, 1], 11), sizes))
    assert flip_p(sizes, observed) == pytest.approx(every_flip(sizes, observed))


def test_nothing_that_differs_is_no_evidence() -> None:
    assert flip_p(np.zeros(5, dtype=np.int64), 0) == 1
    assert signed_rank_p(np.zeros(6)) == 1
    assert signed_rank_p(np.full(3, np.nan)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_signed_ranks_without_ties_are_those_of_scipy(seed: int) -> None:
    differences = np.random.default_rng(seed).normal(0.3, 1, 15)
    assert signed_rank_p(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


@pytest.mark.parametrize("seed", range(3))
def test_signed_ranks_with_ties_are_every_flip_of_the_ranks(seed: int) -> None:
    differences = np.random.default_rng(seed).integers(-3, 5, 12) / 10
    told = differences[differences != 0]
    ranks = stats.rankdata(np.abs(told))
    assert signed_rank_p(differences) == pytest.approx(every_flip(ranks, float(np.dot(np.sign(told), ranks))))
    assert signed_rank_p(np.append(differences, [np.nan])) == signed_rank_p(differences)


def test_sums_in_another_order_do_not_part_ties() -> None:
    differences = np.array([0.1 + 0.2, -0.3, 0.3, 0.5, 0.1])
    assert signed_rank_p(differences) == signed_rank_p(np.array([0.3, -0.3, 0.3, 0.5, 0.1]))


def test_many_patients_follow_the_normal_law(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(0.12, 1, 150)
    exact = signed_rank_p(differences)
    monkeypatch.setattr(paired_tests, "EXACT_PATIENTS", 100)
    assert signed_rank_p(differences) == pytest.approx(exact, rel=0.02)
    theirs = stats.wilcoxon(differences, method="asymptotic", correction=False).pvalue  # type: ignore[call-overload]
    assert signed_rank_p(differences) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize(("ahead", "behind"), [(9, 2), (5, 5), (1, 0), (14, 3)])
def test_mcnemar_of_single_cases_is_the_binomial_test(ahead: int, behind: int) -> None:
    differences = np.array([1] * ahead + [-1] * behind + [0] * 20)
    assert mcnemar_p(differences) == pytest.approx(stats.binomtest(ahead, ahead + behind).pvalue)


def test_mcnemar_by_patient_flips_patients() -> None:
    differences = np.array([3, -1, 2, 0, 2, 1, -2, 4, 1])
    assert mcnemar_p(differences) == pytest.approx(every_flip(differences, differences.sum()))
    as_if_single = stats.binomtest(13, 16).pvalue
    assert mcnemar_p(differences) > as_if_single  # scans of a patient are no patients


def test_delong_is_the_textbook_test() -> None:
    positive, scores, _ = cohort(1, patients=40, scans=1)
    other = scores + np.random.default_rng(3).normal(0, 1.2, len(scores))
    alone = np.arange(len(positive))
    areas = [one for each in (scores, other) if (one := area(positive, each, alone, len(alone))) is not None]
    contrast = np.array([1.0, -1.0])
    sigma = contrast @ delong(positive, [scores, other]) @ contrast
    z = (areas[0].value - areas[1].value) / np.sqrt(sigma)
    assert delong_p(areas, contrast) == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert delong_p([areas[0], areas[0]], contrast) == 1


def test_delong_holds_its_level_where_scans_of_a_patient_are_alike() -> None:
    """Two scores of equal worth, each patient with the same luck in all scans: 5 % of tests may see a difference."""
    rng = np.random.default_rng(0)
    rejected = np.zeros(2)
    for _ in range(300):
        owner = np.repeat(np.arange(40), 4)
        positive = (np.arange(40) < 20)[owner]
        both = [positive + 0.5 * rng.normal(size=160) + rng.normal(size=40)[owner] for _ in range(2)]
        for column, owners in enumerate((owner, np.arange(160))):
            areas = [one for each in both if (one := area(positive, each, owners, 160)) is not None]
            rejected[column] += (delong_p(areas, np.array([1.0, -1.0])) or 0) < 0.05
    assert rejected[0] / 300 < 0.09
    assert rejected[1] / 300 > 0.15


def test_bootstrap_p_counts_the_rarer_side() -> None:
    draws = np.concatenate([np.linspace(0.01, 1, 97), [-0.1, 0.0, np.nan]])
    assert bootstrap_p(draws) == pytest.approx(2 * 3 / 100)
    assert bootstrap_p(np.zeros(10)) == 1
    assert bootstrap_p(np.array([np.nan])) is None


def test_holm_multiplies_step_by_step() -> None:
    """The example of Holm's procedure: the smallest by 4, the next by 3 and so on, and never below the one before."""
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert holm([0.9, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == [0.02]
