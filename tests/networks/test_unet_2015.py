"""The published U-Net against a plain functional one on an image that numpy has mirrored; and its sizes."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hilum.networks.unet_2015 import UNet2015, UNet2015Config, valid_sizes


def cropped(features: Tensor, like: Tensor) -> Tensor:
    before = [(a - b) // 2 for a, b in zip(features.shape[2:], like.shape[2:], strict=True)]
    rows, columns = (slice(start, start + n) for start, n in zip(before, like.shape[2:], strict=True))
    return features[:, :, rows, columns]


def published(model: UNet2015, image: Tensor) -> Tensor:
    """Figure 1 of the paper, on an image that is large enough already."""
    state = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def level(features: Tensor, name: str) -> Tensor:
        for part in (0, 2):
            weight, bias = state[f"{name}.{part}.weight"], state[f"{name}.{part}.bias"]
            features = functional.conv2d(features, weight, bias).relu()
        return features

    first = level(image, "encoder.0")
    second = level(functional.max_pool2d(first, 2), "encoder.1")
    lowest = level(functional.max_pool2d(second, 2), "encoder.2")
    up = functional.conv_transpose2d(lowest, state["up.0.weight"], state["up.0.bias"], stride=2)
    up = level(torch.cat([cropped(second, up), up], 1), "decoder.0")
    up = functional.conv_transpose2d(up, state["up.1.weight"], state["up.1.bias"], stride=2)
    up = level(torch.cat([cropped(first, up), up], 1), "decoder.1")
    return functional.conv2d(up, state["head.weight"], state["head.bias"])


@pytest.mark.parametrize("size", [(24, 24), (9, 30)])
def test_mirrored_as_the_paper_does(size: tuple[int, int]) -> None:
    torch.manual_seed(1)
    model = UNet2015(2, 2, 3, channels=(2, 3, 4)).double().eval()
    image = torch.randn(1, 2, *size, dtype=torch.float64)
    widths = []
    for length in size:
        needed, answered = valid_sizes(length, levels=3)
        before = (needed - answered) // 2
        widths.append((before, needed - length - before))
    large = torch.from_numpy(np.pad(image.numpy(), [(0, 0), (0, 0), *widths], mode="reflect"))
    with torch.no_grad():
        expected = published(model, large)[:, :, : size[0], : size[1]]
        torch.testing.assert_close(model(image), expected)


def test_published_sizes_of_maps() -> None:
    """572 in, 388 out."""
    assert valid_sizes(388, levels=5) == valid_sizes(373, levels=5) == (572, 388)
    assert valid_sizes(389, levels=5) == (588, 404)
    with torch.device("meta"):
        model = UNet2015(2, 1, 2, channels=(64, 128, 256, 512, 1024)).eval()
        seen: list[tuple[int, ...]] = []
        for level in [*model.encoder, *model.decoder]:
            level.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape[1:])))
        assert model(torch.empty(1, 1, 388, 388)).shape == (1, 2, 388, 388)
    sides = [568, 280, 136, 64, 28, 52, 100, 196, 388]
    maps = [64, 128, 256, 512, 1024, 512, 256, 128, 64]
    assert seen == [(width, side, side) for width, side in zip(maps, sides, strict=True)]


@pytest.mark.parametrize("size", [(1, 1), (5, 17), (7, 3, 4)])
def test_any_size_without_padding(size: tuple[int, ...]) -> None:
    model: nn.Module = UNet2015(len(size), 1, 2, channels=(2, 3)).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 1, *size)).shape == (1, 2, *size)
    assert UNet2015Config().size_faults(size) == []


def test_padded_sizes_have_to_halve() -> None:
    faults = UNet2015Config(padding="zero").size_faults((64, 60))
    assert faults == ["patch axis 1 is 60, must be a multiple of 16: nearest 48 or 64"]
