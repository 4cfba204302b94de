"""The predictor with networks whose answer is known: label values come back where the image shows them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hilum.errors import ConfigError
from hilum.inference.axes import coarsest_axis, mirrorings
from hilum.inference.predictor import Predictor
from hilum.prepare.base import PrepareConfig
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.crop_foreground import CropForegroundConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.problem import Problem
from hilum.volume import Grid, Volume

NAMES = ("left_right", "posterior_anterior", "inferior_superior")


def problem(kind: str = "segmentation", dims: int = 3) -> Problem:
    assert kind in ("segmentation", "classification")
    return Problem(
        kind="segmentation" if kind == "segmentation" else "classification",
        dims=dims,
        channels=("image",),
        classes=("background", "organ", "lesion"),
        values=((0,), (4,), (7,)),
    )


class Levels(nn.Module):
    """Logits of three classes from the grey value alone: 0, 1 and 2 are certain."""

    def forward(self, images: Tensor) -> Tensor:
        levels = torch.arange(3, dtype=images.dtype).reshape(1, 3, *[1] * (images.ndim - 2))
        return -20 * (images - levels) ** 2


class MeanLevel(nn.Module):
    """Logits of a whole image from its mean grey value."""

    def forward(self, images: Tensor) -> Tensor:
        mean = images.flatten(1).mean(1, keepdim=True)
        return torch.cat([-mean, torch.zeros_like(mean), mean], dim=1)


class LeftIsOrgan(nn.Module):
    """Calls the first half of the first axis organ, whatever the image shows: mirroring matters."""

    def forward(self, images: Tensor) -> Tensor:
        logits = torch.zeros(len(images), 3, *images.shape[2:])
        half = images.shape[2] // 2
        logits[:, 1, :half] = 8
        logits[:, 0, half:] = 8
        return logits


def scan(degrees: float = 0.0, flips: Sequence[int] = (), spacing: Sequence[float] = (1.0, 1.0, 2.0)) -> Volume:
    """An ellipsoid of 1 with a smaller one of 2 in it, off centre, on an oblique or flipped grid."""
    turn = np.radians(degrees)
    turned = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    signs = np.ones(3)
    signs[list(flips)] = -1
    affine = np.eye(4)
    affine[:3, :3] = turned @ np.diag(signs * spacing)
    affine[:3, 3] = (-40, 12, 7)
    shape = (30, 26, 22)
    image = ellipsoid(shape, (14.2, 13.4, 9.1), (10, 8, 6)) + ellipsoid(shape, (12.1, 13.8, 8.3), (5, 4.5, 3.5))
    return Volume(image[None], Grid(shape, affine))


def ellipsoid(shape: tuple[int, int, int], centre: Sequence[float], radii: Sequence[float]) -> Tensor:
    axes = [((torch.arange(n) - c) / r) ** 2 for n, c, r in zip(shape, centre, radii, strict=True)]
    return (axes[0][:, None, None] + axes[1][:, None] + axes[2] < 1).float()


def truth(image: Volume) -> Tensor:
    return torch.tensor([0, 4, 7], dtype=torch.uint8)[image.tensor.long()]


def dice(found: Tensor, expected: Tensor, value: int) -> float:
    overlap = ((found == value) & (expected == value)).sum()
    return float(2 * overlap / ((found == value).sum() + (expected == value).sum()))


@pytest.mark.parametrize("window", [None, (16, 16, 16), (40, 8, 30)])
@pytest.mark.parametrize("image", [scan(), scan(25), scan(flips=(0, 2)), scan(100, flips=(1,))])
def test_copying_preparation_gives_every_voxel_its_label(window: tuple[int, ...] | None, image: Volume) -> None:
    steps = [CanonicalConfig(), CropForegroundConfig()]
    found = Predictor(Levels(), problem(), steps, window=window, multiple=8).segment(image)
    assert found.grid == image.grid
    assert found.tensor.dtype == torch.uint8
    assert torch.equal(found.tensor, truth(image))


@pytest.mark.parametrize("mm", [(1.0, 1.0, 1.0), (1.3, 1.3, 1.3), (0.8, 1.0, 2.0)])
@pytest.mark.parametrize("image", [scan(), scan(25), scan(flips=(0, 2)), scan(25, flips=(1,), spacing=(0.9, 1.1, 1.7))])
def test_respacing_keeps_labels_at_their_place(mm: tuple[float, float, float], image: Volume) -> None:
    steps: list[PrepareConfig] = [CanonicalConfig(), SpacingConfig(mm=mm), CropForegroundConfig(threshold=0.1)]
    found = Predictor(Levels(), problem(), steps, window=(24, 24, 24), batch_size=3).segment(image)
    foreground = (truth(image) > 0, found.tensor > 0)
    assert 2 * (foreground[0] & foreground[1]).sum() / (foreground[0].sum() + foreground[1].sum()) > 0.97
    assert dice(found.tensor, truth(image), 7) > 0.93
    for axis in range(1, 4):  # the organ has not moved: its middle is where it was, within a fifth of a voxel
        middles = [labels.nonzero()[:, axis].float().mean() for labels in foreground]
        assert abs(middles[0] - middles[1]) < 0.2


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize("window", [None, (8, 12)])
def test_a_2d_network_takes_slices(axis: int | None, window: tuple[int, ...] | None) -> None:
    seen: list[tuple[int, ...]] = []

    class Watching(Levels):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(tuple(images.shape))
            return super().forward(images)

    image = scan(25, flips=(0,))
    found = Predictor(Watching(), problem(dims=2), [], slice_axis=axis, window=window, batch_size=7).segment(image)
    assert torch.equal(found.tensor, truth(image))
    sliced = 2 if axis is None else axis
    expected = window or tuple(size for other, size in enumerate(image.grid.shape) if other != sliced)
    assert {shape[2:] for shape in seen} == {expected}
    assert all(shape[0] == 7 for shape in seen[:-1])


def test_a_2d_image_is_its_own_slice() -> None:
    image = Volume(scan().tensor[..., 8:9], Grid((30, 26, 1), np.eye(4), "pixel"))
    found = Predictor(Levels(), problem(dims=2), [], multiple=16).segment(image)
    assert torch.equal(found.tensor, truth(image))


def test_flips_are_averaged_in() -> None:
    image = scan()
    plain = Predictor(LeftIsOrgan(), problem(), []).probabilities(image).tensor
    flipped = Predictor(LeftIsOrgan(), problem(), [], flips=[(0,)]).probabilities(image).tensor
    torch.testing.assert_close(flipped, (plain + plain.flip(1)) / 2)


def test_classification_is_the_softmax_of_the_whole_image() -> None:
    image = scan()
    found = Predictor(MeanLevel(), problem("classification"), []).classify(image)
    mean = float(image.tensor.mean())
    torch.testing.assert_close(found, torch.tensor([-mean, 0.0, mean]).softmax(0))


def test_classification_of_a_volume_by_a_2d_network_is_the_mean_over_slices() -> None:
    image = scan()
    found = Predictor(MeanLevel(), problem("classification", 2), [], batch_size=5, flips=[(0,)]).classify(image)
    means = image.tensor[0].mean((0, 1))[:, None]
    expected = torch.cat([-means, torch.zeros_like(means), means], dim=1).softmax(1).mean(0)
    torch.testing.assert_close(found, expected)


def test_the_model_runs_in_evaluation_mode_without_gradients_and_is_left_as_it_was() -> None:
    class Spy(Levels):
        def forward(self, images: Tensor) -> Tensor:
            assert not self.training
            assert not torch.is_grad_enabled()
            return super().forward(images)

    model = Spy().train()
    Predictor(model, problem(), []).segment(scan())
    assert model.training


def test_the_network_runs_in_the_given_precision() -> None:
    kinds: set[torch.dtype] = set()

    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv3d(1, 3, 1)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.layer(images)
            kinds.add(logits.dtype)
            return logits

    def autocast() -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16)

    found = Predictor(Spy(), problem(), [], autocast=autocast).probabilities(scan())
    assert kinds == {torch.bfloat16}
    assert found.tensor.dtype == torch.float32


def test_the_coarsest_axis_is_the_last_of_equals() -> None:
    assert coarsest_axis(scan().grid) == 2
    assert coarsest_axis(scan(25, spacing=(3.0, 1.0, 1.0)).grid) == 0
    assert coarsest_axis(scan(25, spacing=(1.0, 1.0, 1.0)).grid) == 2


def test_mirrorings_are_all_combinations() -> None:
    assert mirrorings([], NAMES) == ()
    assert mirrorings(["left_right"], NAMES) == ((0,),)
    assert mirrorings(["inferior_superior", 0], NAMES) == ((0,), (2,), (0, 2))
    assert len(mirrorings(NAMES, NAMES)) == 7


@pytest.mark.parametrize(
    ("axis", "message"), [("left_rigth", "did you mean 'left_right'"), (3, "the axis 3 to mirror, expected one of")]
)
def test_an_unknown_axis_is_refused(axis: str | int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mirrorings([axis], NAMES)


def test_impossible_windows_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"window of \(8, 8\) received; expected 3 sizes"):
        Predictor(Levels(), problem(), [], window=(8, 8))
    with pytest.raises(ConfigError, match="a classifier looks at the whole image"):
        Predictor(MeanLevel(), problem("classification"), [], window=(8, 8, 8))


def test_logits_are_divided_by_the_temperature_after_slices_were_put_together() -> None:
    image = scan()
    plain = Predictor(MeanLevel(), problem("classification", dims=2), [])
    volume = plain.classify(image)
    assert torch.allclose(replace(plain, temperature=2.5).classify(image), (volume.log() / 2.5).softmax(0), atol=1e-6)
    slices = torch.stack([plain.classify_prepared([Volume(one, flat(image))])[0] for one in image.tensor.split(1, 3)])
    highest = replace(plain, slice_pool=lambda each: each.amax(0)).classify(image)
    assert torch.allclose(highest, slices.amax(0), atol=1e-6)
    assert torch.allclose(volume, slices.mean(0), atol=1e-6)


def flat(image: Volume) -> Grid:
    return Grid((*image.grid.shape[:2], 1), image.grid.affine)


def test_a_temperature_changes_how_sure_a_segmentation_is_and_not_what_it_says() -> None:
    image = scan()
    plain = Predictor(LeftIsOrgan(), problem(), [], window=(16, 16, 16))
    before = plain.probabilities(image).tensor.clone()
    after = replace(plain, temperature=3.0).probabilities(image).tensor
    assert torch.allclose(after, (before.log() / 3).softmax(0), atol=1e-5)
    first, second = before.topk(2, dim=0).values
    clear = first - second > 1e-5  # nobody leads in the middle
    assert torch.equal(after.argmax(0)[clear], before.argmax(0)[clear])
