"""How sure a network is of a structure: the mean of its probabilities there, taken of the whole volume at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hilum.inference import lattice
from hilum.inference.predictor import Predictor
from hilum.inference.review.sureness import Sureness, mean_sureness
from hilum.problem import Problem
from hilum.volume import Grid, Volume

CLASSES = Problem("segmentation", 3, ("t1",), ("none", "organ", "lesion", "rare"), ((0,), (7,), (3, 5), (300,)))
REGIONS = Problem("segmentation", 3, ("t1",), ("whole", "core"), ((1, 2), (2,)), exclusive=False)


@pytest.mark.parametrize("problem", [CLASSES, REGIONS], ids=["classes", "regions"])
@pytest.mark.parametrize("spacing", [1.0, 0.8])
def test_it_is_the_mean_probability_over_the_structure(
    problem: Problem, spacing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lattice, "BLOCK_NUMBERS", 2**9)
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.Tanh(), nn.Conv3d(8, problem.num_outputs, 1)).eval()
    with torch.no_grad():
        model[2].get_parameter("weight").mul_(8)
    prepared = Volume(torch.randn(1, 21, 18, 16), Grid((21, 18, 16), np.eye(4)))
    predictor = Predictor(model, problem, [], window=(8, 8, 8), batch_size=2)
    sureness = Sureness(problem)
    predictor.labels(prepared, prepared.grid.respaced((spacing,) * 3), sureness=sureness)
    whole = predictor.probabilities(prepared).tensor
    inside = whole > 0.5 if not problem.exclusive else whole == whole.amax(0)
    expected = {
        name: float(whole[index][inside[index]].double().mean())
        for index, name in enumerate(problem.classes)
        if name in problem.foreground and inside[index].any()
    }
    assert len(expected) >= 2
    assert sureness.of_structures == pytest.approx(expected, abs=1e-9)


def test_what_was_not_found_has_no_sureness() -> None:
    assert Sureness(CLASSES).of_structures == {}


def test_an_ensemble_is_as_sure_as_its_networks_on_average() -> None:
    class Told(Sureness):
        def __init__(self, **told: float) -> None:
            self.told = told

        @property
        def of_structures(self) -> dict[str, float]:
            return self.told

    members = [Told(organ=0.9), Told(organ=0.6, lesion=0.5)]
    assert mean_sureness(members, [0.25, 0.75]) == pytest.approx({"organ": 0.675, "lesion": 0.5})
