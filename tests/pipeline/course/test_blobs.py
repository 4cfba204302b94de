"""Rung 2 against scikit-learn's logistic regression, and its best decision against SciPy and a simulation."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from hilum.pipeline.course.blobs import best_decision, weights
from hilum.pipeline.course.desk import Desk


def test_the_best_decision_is_as_good_as_the_normal_distribution_says() -> None:
    for noise in (0.3, 0.7, 2.0):
        w, accuracy = best_decision(noise)
        assert accuracy == pytest.approx(stats.norm.cdf(np.sqrt(5) / (2 * noise)), abs=1e-12)
        rng = np.random.default_rng(1)
        classes = rng.integers(0, 2, 100_000)
        points = np.array([(-1, -0.5), (1, 0.5)])[classes] + rng.normal(0, noise, (100_000, 2))
        assert np.mean((points @ w[:2] + w[2] > 0) == classes) == pytest.approx(accuracy, abs=0.004)


def test_gradient_descent_comes_to_the_weights_of_scikit_learn(desk: Callable[..., Desk]) -> None:
    trained = desk("02_blobs").train("02_blobs", "blobs")
    images, targets = trained.samples("train")
    oracle = LogisticRegression(C=np.inf, tol=1e-8).fit(images.flatten(1).numpy(), targets.numpy())
    np.testing.assert_allclose(weights(trained), [*oracle.coef_[0], oracle.intercept_[0]], atol=0.02)
