"""Windows blended and decided on a GPU, against the same on the CPU."""

import numpy as np
import pytest
import torch
from torch import nn

from hilum.inference.predictor import Predictor
from hilum.problem import Problem
from hilum.volume import Grid, Volume

pytestmark = pytest.mark.gpu

CLASSES = 12


@pytest.mark.parametrize("degrees", [0, 25])
def test_labels_are_those_of_the_cpu(degrees: float) -> None:
    problem = Problem(
        "segmentation", 3, ("image",), tuple(map(str, range(CLASSES))), tuple((number,) for number in range(CLASSES))
    )
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv3d(1, 8, 5, padding=2), nn.Tanh(), nn.Conv3d(8, CLASSES, 3, padding=1)).eval()
    coarse = torch.randn(1, 1, 8, 8, 8)
    image = nn.functional.interpolate(coarse, size=(60, 50, 70), mode="trilinear")[0]
    turn = np.radians(degrees)
    affine = np.diag([0.8, 0.8, 0.7, 1.0])
    affine[:2, :2] = 0.8 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    prepared, source = Volume(image, Grid((60, 50, 70), np.eye(4))), Grid((70, 60, 90), affine)
    labels = []
    for kind in ("cpu", "cuda"):
        device = torch.device(kind)
        predictor = Predictor(
            model.to(device), problem, [], window=(24, 24, 24), flips=[(0,)], device=device, memory_bytes=2**32
        )
        labels.append(predictor.labels(prepared, source).tensor)
    assert labels[1].device.type == "cpu"
    assert (labels[0] != labels[1]).float().mean() < 0.01  # convolutions in TF32 round more than those of the CPU
