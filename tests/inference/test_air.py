"""Windows of air: what they are, that none of training shows a structure, and what comes of passing over them."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inference.brute_force import labels_on, whole
from torch import Tensor, nn

from hilum.inference.air import Air, air_measure, darkest_window, fitted_air
from hilum.inference.predictor import Predictor
from hilum.prepare.spacing import SpacingConfig
from hilum.problem import Problem
from hilum.volume import Grid, Volume

Image = npt.NDArray[np.float32]
triples = st.tuples(*[st.integers(1, 6)] * 3)


def windows(shape: tuple[int, ...], window: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """Every window within an image, wherever it lies; all of an axis that is shorter."""
    sides = [min(side, size) for side, size in zip(window, shape, strict=True)]
    starts = [range(size - side + 1) for side, size in zip(sides, shape, strict=True)]
    return [
        tuple(slice(start, start + side) for start, side in zip(corner, sides, strict=True))
        for corner in itertools.product(*starts)
    ]


@settings(max_examples=40)
@given(shape=triples, window=triples, seed=st.integers(0, 100))
def test_the_darkest_window_of_a_voxel_is_that_of_brute_force(
    shape: tuple[int, ...], window: tuple[int, ...], seed: int
) -> None:
    image = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    expected = np.full(shape, np.inf, dtype=np.float32)
    for box in windows(shape, window):
        expected[box] = np.minimum(expected[box], image[box].max())
    assert np.array_equal(darkest_window(image, window), expected)


def training_case(seed: int) -> tuple[Image, npt.NDArray[np.bool_]]:
    """Two channels of noise with a brighter ball, in which the structure is a smaller one, dark inside."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*[np.arange(14)] * 3, indexing="ij")) - rng.integers(5, 9, 3)[:, None, None, None]
    far = np.sqrt((places**2).sum(0))
    image = rng.normal(0, 0.1, (2, 14, 14, 14)) + np.stack([far < 4, 2.0 * (far < 4)])
    inside = far < 2
    image[:, inside] = 0
    return image.astype(np.float32), inside


def test_no_window_that_shows_a_structure_of_training_is_air() -> None:
    window, cases = (5, 4, 6), [training_case(seed) for seed in range(6)]
    thresholds = fitted_air([air_measure(image, inside, window) for image, inside in cases])
    assert all(limit is not None and 0.2 < limit < 1.5 for limit in thresholds)
    test, passed = Air(thresholds), 0
    for image, inside in cases:
        for box in windows(inside.shape, window):
            air = test(torch.from_numpy(image[(slice(None), *box)]))
            assert not (air and inside[box].any())
            passed += air
    assert passed > 100, "far from the ball there is nothing but noise"


def test_a_channel_in_which_structures_are_as_dark_as_air_tells_nothing() -> None:
    image, inside = training_case(1)
    image[0] = 0.0
    first, second = fitted_air([air_measure(image, inside, (5, 4, 6))])
    assert first is None
    assert second is not None
    dark = torch.zeros(2, 3, 3, 3)
    assert Air((first, second))(dark)
    assert not Air((None, None))(dark)
    missing = dark.clone()
    missing[1] = torch.nan
    assert not Air((first, second))(missing), "the only channel that tells is not there"
    assert fitted_air([air_measure(image, np.zeros_like(inside), (5, 4, 6))]) == (None, None)


@pytest.mark.parametrize("exclusive", [True, False], ids=["classes", "regions"])
@pytest.mark.parametrize("flips", [(), ((0,), (1, 2))])
def test_what_is_passed_over_is_background_and_all_else_as_before(
    exclusive: bool, flips: tuple[tuple[int, ...], ...]
) -> None:
    names, values = ("a", "b", "c"), ((0,), (1,), (2,)) if exclusive else ((1, 2), (2,), (3,))
    problem = Problem("segmentation", 3, ("image",), names, values, exclusive=exclusive)
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv3d(4, 3, 3, padding=1)).eval()
    seen: list[int] = []
    model.register_forward_hook(lambda module, images, logits: seen.append(len(images[0])))
    image = torch.rand(1, 26, 22, 7, generator=torch.manual_seed(4))
    image[:, :14] *= 0.4  # all of it darker than the threshold; along K the window is larger than the image
    volume, window, limit = Volume(image, Grid((26, 22, 7), np.diag([1.0, 1, 1.2, 1]))), (8, 6, 9), 0.5
    predictor = Predictor(
        model, problem, [SpacingConfig(mm=(1.1, 1.1, 1.1))], window=window, flips=flips, batch_size=3, air=Air((limit,))
    )

    def answer(images: Tensor) -> Tensor:
        """Of a window of air, certainly background."""
        found = problem.probabilities(model(images))
        found[(images.flatten(1).amax(1) < limit)] = torch.tensor([float(exclusive), 0, 0]).view(3, 1, 1, 1)
        return found

    prepared = predictor.prepared(volume)
    with torch.no_grad():
        expected = whole(answer, prepared.tensor[None], window=window, overlap=0.5, flips=flips)[0]
    everywhere, seen[:] = sum(seen), []
    torch.testing.assert_close(predictor.probabilities(prepared).tensor, expected, rtol=1e-4, atol=1e-6)
    assert 0 < sum(seen) < 0.8 * everywhere
    labels = predictor.segment(volume).tensor[0]
    assert torch.equal(labels, labels_on(Volume(expected, prepared.grid), volume.grid, problem))
