"""Grad-CAM on networks made by hand, whose maps are known in closed form, in 2D and 3D."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hilum.errors import ConfigError
from hilum.layers.dimensional import CONVOLUTION
from hilum.layers.gradcam import grad_cam, map_layer

MIX = torch.tensor([[1.0, 0.5], [-2.0, 1.0]])
"""What each of two maps (rows) is of two channels."""
HEAD = torch.tensor([[1.0, 0.25], [-1.0, 2.0], [0.0, -1.0]])
"""What each of three classes (rows) takes of the two maps."""

dimensions = pytest.mark.parametrize("dims", [2, 3], ids=["2D", "3D"])


class Net(nn.Module):
    """1 x 1 convolution to two maps, their mean over space (squared first where asked), and a linear layer."""

    def __init__(self, dims: int, *, squared: bool = False, rectified: bool = False) -> None:
        super().__init__()
        self.maps = CONVOLUTION[dims](2, 2, 1, bias=False)
        self.maps.weight.data = MIX.reshape(2, 2, *[1] * dims).clone()
        self.activation = nn.ReLU(inplace=True) if rectified else nn.Identity()
        self.squared = squared
        self.fc = nn.Linear(2, 3)
        self.fc.weight.data = HEAD.clone()

    def forward(self, images: Tensor) -> Tensor:
        maps = self.activation(self.maps(images))
        return self.fc((maps.square() if self.squared else maps).flatten(2).mean(2))


def image(dims: int) -> Tensor:
    return torch.randn((1, 2, *(5, 4, 3)[:dims]), generator=torch.Generator().manual_seed(2))


def maps_of(images: Tensor) -> Tensor:
    """The two maps (2, *spatial), by hand."""
    return torch.tensordot(MIX, images[0], dims=1)


@dimensions
@pytest.mark.parametrize("target", [0, 1, 2])
def test_of_a_mean_and_a_linear_layer_it_is_the_weighted_sum_of_the_maps(dims: int, target: int) -> None:
    images = image(dims)
    voxels = images[0, 0].numel()
    expected = torch.tensordot(HEAD[target], maps_of(images), dims=1).relu() / voxels
    torch.testing.assert_close(grad_cam(Net(dims), images, target, layer="maps"), expected)


def test_a_layer_before_all_weights_has_a_map_too() -> None:
    images = image(2)
    expected = torch.tensordot(HEAD[0] @ MIX, images[0], dims=1).relu() / images[0, 0].numel()
    torch.testing.assert_close(grad_cam(nn.Sequential(nn.Identity(), Net(2)), images, 0, layer="0"), expected)


@dimensions
def test_of_a_mean_square_each_map_counts_by_twice_its_mean(dims: int) -> None:
    images = image(dims)
    maps = maps_of(images)
    weights = HEAD[1] * 2 * maps.flatten(1).mean(1) / images[0, 0].numel()
    expected = torch.tensordot(weights, maps, dims=1).relu()
    torch.testing.assert_close(grad_cam(Net(dims, squared=True), images, 1, layer="maps"), expected)


@dimensions
def test_an_activation_in_place_belongs_to_its_layer(dims: int) -> None:
    images = image(dims)
    expected = torch.tensordot(HEAD[1], maps_of(images).relu(), dims=1).relu() / images[0, 0].numel()
    torch.testing.assert_close(grad_cam(Net(dims, rectified=True), images, 1, layer="maps"), expected)


def test_a_coarser_map_is_stretched_over_the_image_linearly() -> None:
    """A map of 2 x 2 voxels on 4 x 4: a value between two centres is their mean by distance, edges go on."""
    convolution, linear = nn.Conv2d(1, 1, 2, stride=2, bias=False), nn.Linear(4, 1)
    convolution.weight.data.fill_(0.25)
    linear.weight.data.fill_(1.0)
    model = nn.Sequential(convolution, nn.Flatten(), linear)
    blocks = torch.tensor([[0.0, 4.0], [8.0, 4.0]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
    found = grad_cam(model, blocks[None, None], 0, layer="0")
    assert found[0].tolist() == [0, 1, 3, 4]
    assert found[:, 0].tolist() == [0, 2, 6, 8]


def test_the_network_stays_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(40, 2)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    grad_cam(model, image(2), 0, layer="0")
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_last_stage_that_knows_places_is_taken() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 3, 1), nn.Conv2d(3, 3, 2), nn.Conv2d(3, 4, (4, 3)), nn.Flatten(), nn.Linear(4, 2)
    )
    assert map_layer(model, image(2)) == "1"  # what comes after has one voxel
    assert map_layer(model, image(2), "0") == "0"


def test_a_layer_that_gives_no_maps_is_refused() -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(40, 3))
    assert map_layer(flat, image(2)) is None
    with pytest.raises(ConfigError, match="--layer: '1' gives no feature maps"):
        map_layer(flat, image(2), "1")
    with pytest.raises(ConfigError, match="--layer: 'fc' gives no feature maps"):
        map_layer(Net(2), image(2), "fc")
    with pytest.raises(ConfigError, match=r"received 'map'.* did you mean 'maps'\?"):
        map_layer(Net(2), image(2), "map")
