"""What networks say of sizes that they cannot take is true: such an image fails, the nearest sizes named pass."""

import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from hilum.networks.base import NetworkConfig
from hilum.networks.convnet import ConvNetConfig
from hilum.problem import Problem
from hilum.registry import kinds

WRONG: list[tuple[str, dict[str, Any], int, list[int]]] = [
    ("alexnet", {"width": 2, "hidden": 4}, 62, [63]),
    ("vgg", {"depth": 11, "width": 2, "hidden": 4}, 31, [32]),
    ("inception", {"width": 2}, 14, [15]),
    ("densenet", {"growth": 2}, 28, [29]),
    ("efficientnet", {"width": 0.125}, 31, [32]),
    ("lenet5", {}, 15, [16]),
    ("locally_connected", {"channels": [2, 2]}, 8, [9]),
    ("unet_2015", {"channels": [2, 2, 2], "padding": "zero"}, 18, [16, 20]),
    ("dynunet", {"channels": [2, 2, 2]}, 10, [8, 12]),
    ("segresnet", {"width": 8, "blocks_down": [1, 1, 1], "blocks_up": [1, 1]}, 10, [8, 12]),
    ("attention_unet", {"channels": [2, 2, 2]}, 9, [8, 12]),
    ("unet_plus_plus", {"channels": [2, 2, 2, 2, 2]}, 40, [32, 48]),
    ("vnet", {}, 20, [16, 32]),
    ("swin_unetr", {"width": 12, "depths": [1, 1, 1, 1], "heads": [1, 1, 1, 1]}, 48, [32, 64]),
    ("vit", {"patch": 8, "width": 8, "heads": 2, "layers": 1, "hidden": 8}, 12, [8, 16]),
]


def problem(config: NetworkConfig, length: int) -> Problem:
    classes, values = ("a", "b"), ((0,), (1,))
    return Problem(config.task, 2, channels=("image",), classes=classes, values=values, size=(64, length))


@pytest.mark.parametrize(("kind", "options", "length", "nearest"), WRONG, ids=[case[0] for case in WRONG])
def test_the_sizes_named_pass(kind: str, options: dict[str, Any], length: int, nearest: list[int]) -> None:
    config = kinds("networks")[kind].model_validate(options)
    assert isinstance(config, NetworkConfig)
    if any("pip install" in fault for fault in config.faults(problem(config, 64))):
        pytest.skip("not installed")
    faults = config.size_faults((64, length))
    assert len(faults) == 1
    assert f"axis 1 is {length}" in faults[0]
    assert set(nearest) <= {int(number) for number in re.findall(r"\d+", faults[0].partition("must be")[2])}
    for allowed in nearest:
        model = config.build(problem(config, allowed)).eval()
        with torch.no_grad():
            assert model(torch.zeros(1, 1, 64, allowed)).shape[:2] == (1, 2)


@pytest.mark.parametrize("kind", ["alexnet", "vgg", "inception", "densenet", "efficientnet"])
def test_a_size_that_is_refused_would_fail(kind: str) -> None:
    options, length = next((case[1], case[2]) for case in WRONG if case[0] == kind)
    config = kinds("networks")[kind].model_validate(options)
    assert isinstance(config, NetworkConfig)
    model = config.build(problem(config, 64)).eval()
    with pytest.raises(RuntimeError):
        model(torch.zeros(1, 1, 64, length))


@pytest.mark.parametrize(
    ("options", "longest"), [({}, 4), ({"kernel": 1}, 2), ({"kernel": 5}, 6), ({"residual": True, "kernel": 5}, 2)]
)
def test_the_longest_stride_of_dynunet_passes_and_the_next_is_refused(options: dict[str, Any], longest: int) -> None:
    for stride, passes in ((longest, True), (longest + 1, False)):
        config = kinds("networks")["dynunet"].model_validate(options | {"channels": [2, 2, 2], "strides": [stride, 1]})
        assert isinstance(config, NetworkConfig)
        asked = replace(problem(config, 2 * stride), size=(2 * stride,) * 2)
        faults = config.faults(asked)
        if any("pip install" in fault for fault in faults):
            pytest.skip("not installed")
        if passes:
            assert config.build(asked).eval()(torch.zeros(1, 1, *(2 * stride,) * 2)).shape[2:] == asked.size
        else:
            assert re.match(f"strides: received {stride}, expected at most {longest}", faults[0])


def test_widths_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        kinds("networks")["unet_plus_plus"].model_validate({"channels": [2, 2, 2, 2, 1]})


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"norm": "instance"}, "conv2_1"),
        ({"norm": "group"}, "conv2_1"),
        ({"norm": "group", "channels": [4, 12]}, ""),
        ({"norm": "layer"}, ""),
        ({"norm": "batch"}, ""),
        ({"norm": "instance", "padding": "same"}, ""),
    ],
    ids=str,
)
def test_a_norm_that_leaves_nothing_of_a_single_voxel_is_refused(options: dict[str, Any], named: str) -> None:
    """5 x 5 pixels become 3 and 1: where two images then give the same maps they are refused, and else not."""
    settings = {"channels": [4, 8], "padding": "valid", "pooling": "none", "activation": "leaky_relu"}
    config = ConvNetConfig.model_validate(settings | options)
    faults = config.faults(replace(problem(config, 5), size=(5, 5)))
    assert [fault.partition(" ")[0] for fault in faults] == ([named] if named else [])
    torch.manual_seed(1)
    features = config.build(replace(problem(config, 7), size=(7, 7))).get_submodule("features").double().eval()
    with torch.no_grad():
        one, other = features(torch.randn(2, 1, 5, 5, dtype=torch.float64))
    assert torch.allclose(one, other, atol=1e-6) == bool(named)
