"""LeNet-5 has the published sizes, and takes every image that is large enough."""

from typing import Any

import pytest
import torch

from hilum.errors import ConfigError
from hilum.networks.lenet5 import LeNet5Config
from hilum.problem import Problem


def problem(size: tuple[int, ...] | None, *, dims: int = 2) -> Problem:
    classes = tuple(str(digit) for digit in range(10))
    values = tuple((digit,) for digit in range(10))
    return Problem("classification", dims, channels=("image",), classes=classes, values=values, size=size)


@pytest.mark.parametrize(("length", "padding"), [(32, 0), (28, 2)])
def test_published_sizes_of_maps(length: int, padding: int) -> None:
    model = LeNet5Config(padding=padding).build(problem((length, length)))
    shapes: list[tuple[int, ...]] = []
    for layer in model.modules():
        layer.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape[1:])))
    model(torch.zeros(1, 1, length, length))
    assert [shape for index, shape in enumerate(shapes) if shape not in shapes[:index]] == [
        (6, 28, 28),
        (6, 14, 14),
        (16, 10, 10),
        (16, 5, 5),
        (120,),
        (84,),
        (10,),
    ]
    # Kernels of 25 weights and a bias; the second convolution sees all 6 maps, unlike the published one.
    assert (
        sum(parameter.numel() for parameter in model.parameters())
        == 6 * 26 + 16 * (6 * 25 + 1) + 120 * 401 + 84 * 121 + 10 * 85
    )


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (28, 28, 28), (16, 33, 20)])
@pytest.mark.parametrize("options", [{}, {"padding": 2, "activation": "relu", "pooling": "max", "dropout": 0.5}])
def test_any_large_enough_size(size: tuple[int, ...], options: dict[str, Any]) -> None:
    model = LeNet5Config(**options).build(problem(size, dims=len(size)))
    assert model(torch.zeros(2, 1, *size)).shape == (2, 10)


@pytest.mark.parametrize(("padding", "smallest"), [(0, 16), (2, 12)])
def test_too_small_an_image_is_refused_with_the_smallest_size(padding: int, smallest: int) -> None:
    config = LeNet5Config(padding=padding)
    assert config.size_faults((smallest, smallest)) == []
    faults = config.size_faults((smallest, smallest - 1))
    assert len(faults) == 1
    assert f"axis 1 is {smallest - 1}" in faults[0]
    assert f"at least {smallest}" in faults[0]
    with pytest.raises(ConfigError, match="at least"):
        config.build(problem((smallest - 1, smallest)))


def test_an_unknown_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="resize"):
        LeNet5Config().build(problem(None))
