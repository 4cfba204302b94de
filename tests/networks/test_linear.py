"""Single layers: linear and logistic regression, and the perceptron with its own rule."""

import pytest
import torch
from torch import nn

from hilum.networks.linear import LinearConfig
from hilum.problem import Problem


def problem(size: tuple[int, ...]) -> Problem:
    return Problem("classification", len(size), channels=("image",), classes=("a", "b"), values=((0,), (1,)), size=size)


@pytest.mark.parametrize("size", [(3, 4), (2, 3, 2)])
def test_weighted_sums_of_all_voxels(size: tuple[int, ...]) -> None:
    model = LinearConfig().build(problem(size))
    layer = model.get_submodule("layers.output")
    assert isinstance(layer, nn.Linear)
    images = torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(1))
    expected = torch.einsum("bv,ov->bo", images.flatten(1), layer.weight) + layer.bias
    torch.testing.assert_close(model(images), expected)


def test_the_perceptron_learns_or_and_not_xor() -> None:
    """Rosenblatt's theorem: it ends without an error where a line separates the classes, and never does elsewhere."""
    corners = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).view(4, 1, 1, 2)
    for truth, learned in (([0, 1, 1, 1], True), ([0, 1, 1, 0], False)):
        torch.manual_seed(0)
        model = LinearConfig(output="step").build(problem((1, 2)))
        targets = nn.functional.one_hot(torch.tensor(truth), 2).float()
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        for _ in range(30):
            optimizer.zero_grad()
            (model(corners) - targets).square().sum().div(2).backward()
            optimizer.step()
        assert torch.equal(model(corners), targets) == learned
