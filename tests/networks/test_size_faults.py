"""What networks say of sizes that they cannot take is true: such an image fails, the nearest sizes named pass."""

import re
from typing import Any

import pytest
import torch

from hilum.networks.base import NetworkConfig
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
