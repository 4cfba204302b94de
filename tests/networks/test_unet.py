"""The U-Net's levels, strides and skips, the patches it refuses, and that it can learn."""

import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from hilum.errors import ConfigError
from hilum.networks.unet import UNetConfig
from hilum.problem import Problem


def problem(dims: int, *, size: tuple[int, ...] | None = None) -> Problem:
    classes, values = ("background", "organ"), ((0,), (1,))
    return Problem("segmentation", dims, channels=("scan",), classes=classes, values=values, size=size)


def images(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


OPTIONS: list[dict[str, Any]] = [
    {},
    {"residual": True},
    {"norm": "batch", "activation": "relu"},
    {"norm": "group", "residual": True, "convolutions": 3},
    {"dropout": 0.2, "convolutions": 1},
]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option_gives_logits_of_the_input_size_and_gradients(dims: int, options: dict[str, Any]) -> None:
    model = UNetConfig(channels=(4, 6, 8), **options).build(problem(dims))
    logits = model(images(2, 1, *(16, 8, 12)[:dims]))
    assert logits.shape == (2, 2, *(16, 8, 12)[:dims])
    logits.square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_levels_have_the_sizes_that_the_strides_say() -> None:
    config = UNetConfig(channels=(4, 6, 8), strides=((1, 2, 2), 2))
    assert config.pool_factor(3) == (2, 4, 4)
    model = config.build(problem(3)).eval()
    seen: list[tuple[int, ...]] = []
    for name in ("encoder.0", "encoder.1", "encoder.2", "decoder.0", "decoder.1"):
        model.get_submodule(name).register_forward_hook(lambda layer, given, out: seen.append(tuple(out.shape[1:])))
    with torch.no_grad():
        model(images(1, 1, 6, 16, 12))
    assert seen == [(4, 6, 16, 12), (6, 6, 8, 6), (8, 3, 4, 3), (6, 6, 8, 6), (4, 6, 16, 12)]


def test_parameters_of_the_default() -> None:
    """Counted by hand: convolutions without bias, two numbers a channel for each norm, the head with bias."""
    convolutions = 27 * (1 * 16 + 16 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128)
    convolutions += 27 * (128 * 64 + 64 * 64 + 64 * 32 + 32 * 32 + 32 * 16 + 16 * 16)
    norms = 2 * 2 * (16 + 32 + 64 + 128 + 64 + 32 + 16)
    up = 8 * (128 * 64 + 64 * 32 + 32 * 16)
    with torch.device("meta"):
        model = UNetConfig().build(problem(3))
    assert sum(parameter.numel() for parameter in model.parameters()) == convolutions + norms + up + 16 * 2 + 2


def test_training_starts_near_the_loss_of_knowing_nothing() -> None:
    torch.manual_seed(0)
    model = UNetConfig().build(problem(2)).eval()
    truth = torch.randint(0, 2, (2, 32, 32), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        loss = functional.cross_entropy(model(images(2, 1, 32, 32)), truth)
    assert loss < 1.5 * math.log(2)


def test_a_patch_that_cannot_be_pooled_is_refused_with_the_nearest_that_can() -> None:
    config = UNetConfig()
    assert config.size_faults((40, 56, 40)) == []
    assert config.size_faults((50, 56, 5)) == [
        "patch axis 0 is 50, must be a multiple of 8: nearest 48 or 56",
        "patch axis 2 is 5, must be a multiple of 8: nearest 8",
    ]
    with pytest.raises(ConfigError, match="nearest 48 or 56"):
        config.build(problem(3, size=(50, 56, 40)))


def test_a_patch_of_one_voxel_at_the_lowest_level_is_refused_with_instance_norm() -> None:
    assert "single voxel" in UNetConfig().size_faults((8, 8, 8))[0]
    assert UNetConfig(norm="batch").size_faults((8, 8, 8)) == []
    assert UNetConfig().size_faults((8, 16, 8)) == []


@pytest.mark.parametrize(
    ("strides", "words"), [((2,), "received 1, expected 3"), ((2, (1, 2), 2), "expected 3 numbers")]
)
def test_strides_that_do_not_fit_are_refused(strides: Any, words: str) -> None:
    config = UNetConfig(strides=strides)
    assert words in config.faults(problem(3))[0]
    assert words in config.size_faults((32, 32, 32))[0]
    with pytest.raises(ConfigError, match=words):
        config.build(problem(3))


@pytest.mark.parametrize("residual", [False, True])
def test_learns_to_find_a_bright_disc(residual: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    centres = torch.randint(8, 24, (8, 2), generator=generator)
    truth = torch.stack([(rows - i) ** 2 + (columns - j) ** 2 < 36 for i, j in centres.tolist()]).long()
    noisy = truth[:, None].float() + torch.randn(8, 1, 32, 32, generator=generator) / 2
    model = UNetConfig(channels=(8, 16), residual=residual).build(problem(2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(30):
        optimizer.zero_grad()
        functional.cross_entropy(model(noisy[:6]), truth[:6]).backward()
        optimizer.step()
    with torch.no_grad():
        found = model.eval()(noisy[6:]).argmax(1)
    overlap = 2 * (found * truth[6:]).sum() / (found.sum() + truth[6:].sum())
    assert overlap > 0.8


def test_without_skips_the_decoder_sees_the_lowest_level_only() -> None:
    """Cut off from the level below, a U-Net still sees the image through its skips; without them it sees nothing."""
    for skips in (True, False):
        model = UNetConfig(channels=(4, 6, 8), skips=skips).build(problem(2)).eval()
        for up in model.get_submodule("up").children():
            torch.nn.init.zeros_(up.get_parameter("weight"))
        with torch.no_grad():
            same = torch.equal(model(images(1, 1, 16, 16)), model(2 * images(1, 1, 16, 16).flip(-1)))
        assert same != skips


def test_without_skips_each_level_lacks_the_kernels_for_them() -> None:
    counts = [
        sum(
            parameter.numel()
            for parameter in UNetConfig(channels=(4, 6, 8), skips=skips).build(problem(2)).parameters()
        )
        for skips in (True, False)
    ]
    assert counts[0] - counts[1] == 9 * (4 * 4 + 6 * 6)
