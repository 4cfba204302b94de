"""DenseNets have torchvision's weights by number, name and shape, and say which images are too small."""

import pytest
import torch

from hilum.errors import ConfigError
from hilum.networks.densenet import DenseNetConfig
from hilum.problem import Problem


def problem(dims: int, *, classes: int = 2, size: tuple[int, ...] | None = None) -> Problem:
    return Problem(
        "classification",
        dims,
        channels=("red", "green", "blue"),
        classes=tuple(f"class{index}" for index in range(classes)),
        values=tuple((index,) for index in range(classes)),
        size=size,
    )


@pytest.mark.parametrize(("depth", "parameters"), [(121, 7_978_856), (169, 14_149_480), (201, 20_013_928)])
def test_parameters_as_torchvision_counts_them(depth: int, parameters: int) -> None:
    with torch.device("meta"):
        model = DenseNetConfig.model_validate({"depth": depth}).build(problem(2, classes=1000))
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_names_and_shapes_of_weights_are_those_of_torchvision() -> None:
    with torch.device("meta"):
        state = DenseNetConfig().build(problem(2, classes=1000)).state_dict()
    expected = {
        "features.conv0.weight": (64, 3, 7, 7),
        "features.norm0.weight": (64,),
        "features.denseblock1.denselayer1.norm1.weight": (64,),
        "features.denseblock1.denselayer1.conv1.weight": (128, 64, 1, 1),
        "features.denseblock1.denselayer1.conv2.weight": (32, 128, 3, 3),
        "features.transition1.norm.running_mean": (256,),
        "features.transition3.conv.weight": (512, 1024, 1, 1),
        "features.denseblock4.denselayer16.norm2.bias": (128,),
        "features.norm5.weight": (1024,),
        "classifier.weight": (1000, 1024),
        "classifier.bias": (1000,),
    }
    assert {name: tuple(state[name].shape) for name in expected} == expected
    # 120 convolutions, 121 norms of 5 tensors each, 1 linear layer of 2.
    assert len(state) == 120 + 121 * 5 + 2


@pytest.mark.parametrize("dims", [2, 3])
def test_smallest_image(dims: int) -> None:
    config = DenseNetConfig(growth=2)
    assert config.size_faults((29,) * dims) == []
    model = config.build(problem(dims)).eval()
    with torch.no_grad():
        assert torch.isfinite(model(torch.zeros(1, 3, *(29,) * dims))).all()
    reason = "of which 1 reach transition3 (a kernel of 2): nothing would come out; must be at least 29"
    assert config.size_faults((28,) * dims) == [f"image axis {axis} is 28, {reason}" for axis in range(dims)]
    with pytest.raises(ConfigError, match="at least 29"):
        config.build(problem(dims, size=(28,) * dims))
