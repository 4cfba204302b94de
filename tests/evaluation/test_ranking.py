"""Rankings against SciPy, and what their stability must say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hilum.evaluation.ranking import ranking

NAMES = ("a", "b", "c", "d")


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_ranks_shares_and_agreement_are_those_of_scipy(better: str) -> None:
    rng = np.random.default_rng(0)
    values = np.array([0.7, 0.9, 0.8, 0.6])
    drawn = values[:, None] + rng.normal(0, 0.1, (4, 300))
    found = ranking(NAMES, values, drawn=drawn, better=better, level=0.9)
    assert found is not None
    sign = -1 if better == "higher" else 1
    ranks = stats.rankdata(sign * values, method="min")
    resampled = np.stack([stats.rankdata(sign * column, method="min") for column in drawn.T], axis=1)
    assert [place.rank for place in found.places] == [1, 2, 3, 4]
    for place in found.places:
        index = NAMES.index(place.method)
        assert place.rank == ranks[index]
        assert place.first == pytest.approx((resampled[index] == 1).mean())
        inside = ((resampled[index] >= place.low) & (resampled[index] <= place.high)).mean()
        assert inside >= 0.9
    taus = [stats.kendalltau(ranks, column).statistic for column in resampled.T]
    assert found.agreement == pytest.approx(np.mean(taus))


def test_equal_methods_share_a_rank() -> None:
    values = np.array([0.5, 0.8, 0.8])
    found = ranking(("a", "b", "c"), values, drawn=np.tile(values[:, None], 10), better="higher", level=0.95)
    assert found is not None
    assert [(place.method, place.rank, place.first) for place in found.places] == [
        ("b", 1, 1),
        ("c", 1, 1),
        ("a", 3, 0),
    ]


def test_what_is_undefined_is_not_ranked() -> None:
    drawn = np.array([[1.0, np.nan, 3], [2, 2, 2]])
    found = ranking(("a", "b"), np.array([2.5, 2.0]), drawn=drawn, better="higher", level=0.95)
    assert found is not None
    assert found.places[0].first == 0.5  # of two resamples, the third is left out
    assert ranking(("a", "b"), np.array([np.nan, 2.0]), drawn=drawn, better="higher", level=0.95) is None
