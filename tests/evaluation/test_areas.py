"""Variances of areas under the ROC curve against their definitions over all pairs, and what their interval must do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from hilum.evaluation.areas import area, area_interval, covariance, model_variance

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def cohort(seed: int, *, patients: int = 12, scans: int = 4) -> tuple[Flags, Floats, npt.NDArray[np.int64]]:
    """Positive cases, scores with ties, and owners: one to `scans` scans each, of both kinds within a patient."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), rng.integers(1, scans + 1, patients))
    positive = rng.random(len(owner)) < 0.45
    positive[:2], positive[-2:] = True, False
    scores = rng.normal(positive * 1.0, 1) + rng.normal(0, 1, patients)[owner]
    return positive, scores.round(1), owner


def wins(positive: Flags, scores: Floats) -> Floats:
    """1 where a positive case is above a negative one, 0.5 where equal (positives, negatives)."""
    pairs = scores[positive][:, None] - scores[~positive][None, :]
    return (pairs > 0) + 0.5 * (pairs == 0)


def delong(positive: Flags, both: list[Floats]) -> Floats:
    """The covariance of DeLong et al. (1988), eq. 4 to 6, from all pairs."""
    tables = [wins(positive, scores) for scores in both]
    up, down = np.stack([t.mean(1) for t in tables]), np.stack([t.mean(0) for t in tables])
    return np.cov(up) / up.shape[1] + np.cov(down) / down.shape[1]


def obuchowski(positive: Flags, scores: Floats, owner: npt.NDArray[np.int64]) -> float:
    """The variance of Obuchowski (1997), section 3, by loops over the clusters."""
    table = wins(positive, scores)
    value, (m, n) = table.mean(), table.shape
    up, down = table.mean(1), table.mean(0)
    s10 = s01 = s11 = 0.0
    with_positive = with_negative = 0
    clusters = np.unique(owner)
    for cluster in clusters:
        x, y = up[owner[positive] == cluster], down[owner[~positive] == cluster]
        one, other = x.sum() - len(x) * value, y.sum() - len(y) * value
        s10, s01, s11 = s10 + one**2, s01 + other**2, s11 + one * other
        with_positive, with_negative = with_positive + bool(len(x)), with_negative + bool(len(y))
    s10 *= with_positive / ((with_positive - 1) * m)
    s01 *= with_negative / ((with_negative - 1) * n)
    s11 *= len(clusters) / (len(clusters) - 1)
    return float(s10 / m + s01 / n + 2 * s11 / (m * n))


@pytest.mark.parametrize("seed", range(3))
def test_independent_cases_have_the_covariance_of_delong(seed: int) -> None:
    positive, scores, _ = cohort(seed, scans=2)
    other = (scores + np.random.default_rng(seed).normal(0, 0.7, len(scores))).round(1)
    alone = np.arange(len(positive))
    found = [area(positive, each, alone, len(alone)) for each in (scores, other)]
    areas = [one for one in found if one is not None]
    assert [one.value for one in areas] == pytest.approx([roc_auc_score(positive, each) for each in (scores, other)])
    np.testing.assert_allclose(covariance(areas), delong(positive, [scores, other]), rtol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_scans_of_patients_have_the_variance_of_obuchowski(seed: int) -> None:
    positive, scores, owner = cohort(seed)
    one = area(positive, scores, owner, int(owner.max()) + 1)
    assert one is not None
    assert covariance([one])[0, 0] == pytest.approx(obuchowski(positive, scores, owner))


def test_what_has_no_area_or_no_variance_has_no_interval() -> None:
    scores, owner = np.arange(6.0), np.array([0, 0, 1, 1, 2, 2])
    assert area(np.ones(6, dtype=bool), scores, owner, 3) is None
    assert area_interval(np.zeros(6, dtype=bool), scores, owner, level=0.95) is None
    one_patient = owner == 0
    assert area_interval(one_patient, scores, owner, level=0.95) is None


def test_the_ends_are_as_far_away_as_their_own_errors_allow() -> None:
    """With sizes so large that data and model agree, each end solves the score equation of Newcombe's method 5."""
    rng = np.random.default_rng(2)
    positive = np.arange(400) < 200
    scores = rng.exponential(np.where(positive, 4.0, 1.0))
    ends = area_interval(positive, scores, np.arange(400), level=0.95)
    assert ends is not None
    value, plain = roc_auc_score(positive, scores), delong(positive, [scores, scores])[0, 0]
    sizes = np.array([200.0, 200.0])
    excess = (plain / model_variance(value, sizes)) ** (200 / 300)
    width = stats.t.ppf(0.975, 398)
    for end in ends:
        assert (value - end) ** 2 == pytest.approx(width**2 * excess * model_variance(end, sizes), rel=1e-6)


def test_a_perfect_ranking_is_not_certain() -> None:
    """All areas that would give a perfect ranking with a chance above the level's: 10 against 10 patients."""
    positive, owner = np.arange(20) < 10, np.arange(20)
    ends = area_interval(positive, -owner.astype(float), owner, level=0.95)
    assert ends is not None
    assert ends[1] == 1
    assert 0.7 < ends[0] < 0.9
    mirrored = area_interval(~positive, -owner.astype(float), owner, level=0.95)
    assert mirrored == pytest.approx((0, 1 - ends[0]))


def test_classes_that_change_places_mirror_the_interval() -> None:
    positive, scores, owner = cohort(5)
    ends, mirrored = (area_interval(each, scores, owner, level=0.9) for each in (positive, ~positive))
    assert ends is not None
    assert mirrored == pytest.approx((1 - ends[1], 1 - ends[0]), abs=1e-6)


def test_the_same_scan_twice_is_no_second_patient() -> None:
    rng = np.random.default_rng(7)
    positive = rng.random(60) < 0.5
    scores, owner = rng.normal(positive * 1.2, 1), np.arange(60)
    once = area_interval(positive, scores, owner, level=0.95)
    twice = area_interval(np.repeat(positive, 2), np.repeat(scores, 2), np.repeat(owner, 2), level=0.95)
    unaware = area_interval(np.repeat(positive, 2), np.repeat(scores, 2), np.arange(120), level=0.95)
    assert once is not None
    assert unaware is not None
    assert twice == pytest.approx(once, abs=0.005)
    assert unaware[1] - unaware[0] < 0.8 * (once[1] - once[0])
