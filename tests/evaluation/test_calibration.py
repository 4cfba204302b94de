"""The temperature against general minimisers of the likelihood, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, log_loss

from hilum.evaluation.calibration import HIGHEST, LOWEST, calibration_scores, fit_temperature, why_unfitted


def network(seed: int, *, cases: int, classes: int, sure: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits `sure` times too large, and classes drawn from the probabilities that they should have given."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (cases, classes))
    truth = np.array([rng.choice(classes, p=share) for share in softmax(logits, axis=1)])
    return logits * sure + rng.normal(0, 5, (cases, 1)), truth  # what is added to all classes changes nothing


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("sure", [0.4, 1.0, 3.0])
def test_it_is_the_minimum_that_scipy_finds(classes: int, sure: float) -> None:
    logits, truth = network(1, cases=300, classes=classes, sure=sure)

    def likelihood(log_temperature: np.ndarray) -> float:
        shares = softmax(logits / np.exp(log_temperature[0]), axis=1)
        return float(log_loss(truth, shares, labels=np.arange(classes)))

    oracle = minimize(likelihood, x0=[0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-14})
    fitted = fit_temperature(logits, truth)
    assert fitted is not None
    assert fitted == pytest.approx(float(np.exp(oracle.x[0])), rel=1e-4)
    assert likelihood(np.log(np.array([fitted]))) <= oracle.fun + 1e-12


def test_it_is_the_minimum_that_the_authors_find() -> None:
    """Guo et al. (2017) minimise cross entropy by L-BFGS."""
    logits, truth = network(2, cases=400, classes=3, sure=2.5)
    temperature = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([temperature], lr=0.1, max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-15)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits) / temperature, torch.from_numpy(truth))
        loss.backward()
        return loss

    optimizer.step(closure)
    assert fit_temperature(logits, truth) == pytest.approx(temperature.item(), rel=1e-6)


def test_it_finds_how_much_too_sure_a_network_is() -> None:
    logits, truth = network(3, cases=60_000, classes=3, sure=1.7)
    assert fit_temperature(logits, truth) == pytest.approx(1.7, rel=0.02)


def test_there_is_none_where_everything_is_right_or_worse_than_chance() -> None:
    logits = np.array([[3.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(logits, np.array([0, 1])) is None
    assert "predicted right" in why_unfitted(logits, np.array([0, 1]))
    assert fit_temperature(logits, np.array([1, 0])) is None
    assert f"between {LOWEST:g} and {HIGHEST:g}" in why_unfitted(logits, np.array([1, 0]))
    assert fit_temperature(np.zeros((4, 2)), np.array([0, 1, 0, 1])) is None  # every temperature is as good


def test_scores_are_those_of_scikit_learn() -> None:
    logits, truth = network(4, cases=100, classes=2, sure=2.0)
    shares = softmax(logits, axis=1)
    scores = calibration_scores(truth, shares, ("no", "yes"))
    assert list(scores) == ["nll", "brier", "ece", "adaptive_ece"]
    assert scores["nll"] == pytest.approx(log_loss(truth, shares))
    assert scores["brier"] == pytest.approx(brier_score_loss(truth, shares[:, 1]))
