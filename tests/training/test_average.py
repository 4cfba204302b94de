"""The moving average of the weights, against torch's own."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hilum.training.average import WeightAverage


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1))


def test_it_is_torchs_averaged_model_once_the_decay_has_risen() -> None:
    """From step 1 on the rising decay is at least 2/11, so that 0.15 is never cut."""
    moving, decay = model(), 0.15
    ours = WeightAverage(moving, decay)
    theirs = AveragedModel(moving, multi_avg_fn=get_ema_multi_avg_fn(decay))
    theirs.update_parameters(moving)  # its first update copies the weights
    for step in range(1, 6):
        with torch.no_grad():
            moving(torch.randn(4, 1, 6, 6))
            for parameter in moving.parameters():
                parameter.add_(torch.randn_like(parameter))
        ours.update(moving, step)
        theirs.update_parameters(moving)
    assert isinstance(theirs.module, nn.Module)
    for name, value in theirs.module.state_dict().items():
        torch.testing.assert_close(ours.model.state_dict()[name], value)


def test_the_decay_rises_from_the_start() -> None:
    moving = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        moving.weight.fill_(0.0)
        average, expected = WeightAverage(moving, 0.9), 0.0
        moving.weight.fill_(1.0)
        for step in range(1, 200):
            average.update(moving, step)
            decay = min(0.9, (1 + step) / (10 + step))
            expected = decay * expected + (1 - decay)
            torch.testing.assert_close(float(average.model.state_dict()["weight"]), expected, rtol=1e-5, atol=1e-6)
