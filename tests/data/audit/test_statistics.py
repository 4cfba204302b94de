"""Effects and p values against SciPy, scikit-learn, and every possible table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency, hypergeom, kruskal
from sklearn.metrics import roc_auc_score

from hilum.data.audit.statistics import cramers_v, holm, rank_difference


@pytest.mark.parametrize("table", [[[30, 20], [15, 40]], [[30, 20, 25], [15, 40, 33]], [[9, 20], [15, 40], [33, 21]]])
def test_p_of_a_table_is_that_of_scipy(table: list[list[int]]) -> None:
    counts = np.array(table, dtype=float)
    assert cramers_v(counts).p == pytest.approx(chi2_contingency(counts, correction=False).pvalue)


def test_p_of_a_small_table_is_the_share_of_all_tables_with_its_margins() -> None:
    table = np.array([[6.0, 1.0], [2.0, 5.0]])
    possible = np.arange(1, 8)
    statistic = [chi2_contingency([[k, 7 - k], [8 - k, k - 1]], correction=False).statistic for k in possible]
    chance = hypergeom.pmf(possible, 14, 8, 7)
    exact = chance[np.array(statistic) >= statistic[5] - 1e-9].sum()
    assert cramers_v(table).p == pytest.approx(exact, abs=0.015)  # three standard errors of 5 000 tables


def test_effect_of_a_table_is_0_where_nothing_and_1_where_all_goes_together() -> None:
    assert cramers_v(np.array([[20.0, 40.0], [10.0, 20.0]])).effect == 0
    assert cramers_v(np.diag([200.0, 300.0, 100.0])).effect == pytest.approx(1, abs=0.01)
    # Bergsma 2013, equations 4 to 6, for phi squared 0.04 of 100 cases
    phi, size = 0.04 - 1 / 99, 2 - 1 / 99
    expected = (phi / (size - 1)) ** 0.5
    assert cramers_v(np.array([[30.0, 20.0], [20.0, 30.0]])).effect == pytest.approx(expected)


@pytest.mark.parametrize("table", [[[5.0, 3.0]], [[0.0, 0.0], [3.0, 1.0]], [[0.5, 0.0], [0.0, 0.5]], [[0.0]]])
def test_a_table_that_tells_nothing(table: list[list[float]]) -> None:
    found = cramers_v(np.array(table))
    assert (found.effect, found.p) == (0, 1)


def test_two_groups_of_numbers_are_told_as_the_auc_of_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    low, high = draw.normal(0, 1, 40).round(1), draw.normal(0.8, 1, 55).round(1)
    auc = roc_auc_score([0] * 40 + [1] * 55, np.concatenate([low, high]))
    for groups in ([low, high], [high, low]):
        found = rank_difference(groups)
        assert found.effect == pytest.approx(2 * auc - 1)
        assert found.told == f"AUC {auc:.2f}"
        assert found.p == pytest.approx(kruskal(low, high).pvalue)


def test_several_groups_of_numbers_are_told_as_epsilon_squared() -> None:
    groups = [np.random.default_rng(index).normal(index, 2, 30) for index in range(3)]
    statistic, p = kruskal(*groups)
    found = rank_difference(groups)
    assert found.effect**2 == pytest.approx((statistic - 2) / 87)  # Kelley 1935, on ranks
    assert found.p == pytest.approx(p)


@pytest.mark.parametrize("groups", [[[1], [2], [3]], [[1], [2]], [[], [2, 3]], [[4, 4], [4]], [], [[1], [2, 3]]])
def test_few_numbers_are_no_evidence(groups: list[list[float]]) -> None:
    found = rank_difference([np.array(group, dtype=float) for group in groups])
    assert np.isfinite(found.effect)
    assert found.p > 0.1


def test_holm_is_the_step_down_of_bonferroni() -> None:
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
