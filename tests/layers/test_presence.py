"""What a network sees of images that lack channels: zeros, and planes that say what is there."""

import pytest
import torch
from torch import Tensor, nn

from hilum.layers.presence import PresenceInput

NAN = float("nan")


class Spy(nn.Module):
    """Keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = torch.empty(0)

    def forward(self, images: Tensor) -> Tensor:
        self.seen = images
        return images


def batch(*spatial: int) -> Tensor:
    """Two samples of three channels; the first lacks the second channel, the second the first and the third."""
    images = torch.randn(2, 3, *spatial, generator=torch.Generator().manual_seed(1))
    images[0, 1] = images[1, 0] = images[1, 2] = NAN
    return images


@pytest.mark.parametrize("spatial", [(4, 5), (3, 4, 5)])
def test_missing_channels_are_zero_and_planes_say_so(spatial: tuple[int, ...]) -> None:
    images, spy = batch(*spatial), Spy()
    before = images.clone()
    PresenceInput(spy, presence=True)(images)
    assert spy.seen.shape == (2, 6, *spatial)
    planes = torch.tensor([[1.0, 0, 1], [0, 1, 0]]).view(2, 3, *[1] * len(spatial)).expand(2, 3, *spatial)
    assert torch.equal(spy.seen[:, 3:], planes)
    assert torch.equal(spy.seen[:, :3], torch.where(planes == 1, images, 0.0))
    assert torch.equal(images.nan_to_num(7), before.nan_to_num(7))  # what was given stays as it was


def test_without_planes_the_network_sees_the_channels_alone() -> None:
    images, spy = batch(3, 4), Spy()
    PresenceInput(spy, presence=False)(images)
    assert torch.equal(spy.seen, images.nan_to_num(0))


def test_nothing_changes_where_nothing_is_missing() -> None:
    images, spy = torch.randn(2, 3, 4, 4), Spy()
    PresenceInput(spy, presence=True)(images)
    assert torch.equal(spy.seen[:, :3], images)
    assert torch.equal(spy.seen[:, 3:], torch.ones_like(images))


def test_nan_that_is_no_missing_channel_reaches_the_loss() -> None:
    """A voxel that became NaN, or a sample that became NaN altogether, is a defect to be seen."""
    images = torch.zeros(2, 2, 3, 3)
    images[0, 1, 1, 1] = NAN
    images[1] = NAN
    spy = Spy()
    PresenceInput(spy, presence=True)(images)
    assert spy.seen[0].isnan().sum() == 1
    assert spy.seen[1, :2].isnan().all()
