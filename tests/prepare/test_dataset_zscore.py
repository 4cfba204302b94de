"""dataset_zscore and the median spacing against NumPy over all training voxels together."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hilum.errors import DataError
from hilum.prepare.dataset_zscore import (
    ChannelRange,
    DatasetZscoreConfig,
    inside_structures,
    weighted_percentiles,
)
from hilum.prepare.spacing import SpacingConfig, usual_spacing
from hilum.problem import IGNORE
from hilum.volume import Grid, Volume

Array = npt.NDArray[np.float32]


def volume(values: npt.NDArray[Any]) -> Volume:
    """Values (C, I, J, K) on a grid of 1 mm."""
    return Volume(torch.from_numpy(values), Grid(values.shape[1:], np.eye(4)))


def scans(count: int = 4, *, channels: int = 1, seed: int = 0) -> list[Array]:
    """Scans (C, I, J, K) of several sizes, levels and spreads."""
    rng = np.random.default_rng(seed)
    return [
        rng.normal(200 * number, 30 + number, (channels, 6 + number, 7, 5)).astype(np.float32)
        for number in range(count)
    ]


def fit(step: DatasetZscoreConfig, images: list[Array], masks: list[Any] | None = None, **more: Any) -> Any:
    """The step fitted to scans, of whose voxels all may be kept unless `most` says otherwise."""
    rng, most = np.random.default_rng(1), more.get("most", 10**6)
    measured = [
        step.measure(
            volume(image),
            volume(masks[number]) if masks else None,
            channels=more.get("channels", [range(len(image))] * len(images))[number],
            most=most,
            rng=rng,
        )
        for number, image in enumerate(images)
    ]
    return step.fitted_to(measured, num_channels=more.get("num_channels", len(images[0])))


def expected(values: Array, low: float = 0.5, high: float = 99.5) -> list[float]:
    exact = values.astype(np.float64)
    return [*np.percentile(values, (low, high), method="inverted_cdf").tolist(), exact.mean(), exact.std()]


def found(channel: ChannelRange) -> list[float]:
    return [channel.low, channel.high, channel.mean, channel.std]


@pytest.mark.parametrize(("low", "high"), [(0.5, 99.5), (0, 100), (25, 50)])
def test_ranges_and_moments_are_those_of_all_voxels_together(low: float, high: float) -> None:
    images = scans(channels=2)
    step = fit(DatasetZscoreConfig(low=low, high=high), images)
    for channel in (0, 1):
        together = np.concatenate([image[channel].ravel() for image in images])
        np.testing.assert_allclose(found(step.fitted[channel]), expected(together, low, high), rtol=1e-5)
    assert not step.needs_fit


def test_with_masks_only_voxels_of_structures_count() -> None:
    images, rng = scans(), np.random.default_rng(3)
    masks = [rng.integers(-1, 3, image.shape).astype(np.int16) for image in images]
    masks[2][:] = 0  # a case that shows nothing adds nothing
    inside = np.concatenate([image[mask > 0] for image, mask in zip(images, masks, strict=True)])
    step = fit(DatasetZscoreConfig(), images, masks)
    np.testing.assert_allclose(found(step.fitted[0]), expected(inside), rtol=1e-5)
    everywhere = fit(DatasetZscoreConfig(inside=False), images, masks)
    np.testing.assert_allclose(found(everywhere.fitted[0]), expected(np.concatenate([i.ravel() for i in images])), 1e-5)


def test_a_voxel_counts_once_however_many_regions_it_is_in_and_not_where_it_is_ignored() -> None:
    target = torch.tensor([[1, 0, 1, IGNORE, 0], [1, 1, 0, IGNORE, 0]]).reshape(2, 5, 1, 1)
    assert inside_structures(target).flatten().tolist() == [True, True, True, False, False]


def test_a_channel_is_measured_in_the_cases_that_have_it() -> None:
    images = scans(3, channels=2)
    images[1] = images[1][:1]  # lacks channel 0: its only channel is number 1
    step = fit(DatasetZscoreConfig(), images, channels=[(0, 1), (1,), (0, 1)])
    first = np.concatenate([images[0][0].ravel(), images[2][0].ravel()])
    second = np.concatenate([images[0][1].ravel(), images[1][0].ravel(), images[2][1].ravel()])
    for channel, values in enumerate((first, second)):
        np.testing.assert_allclose(found(step.fitted[channel]), expected(values), rtol=1e-5)
    assert step.for_channels([1]).fitted == (step.fitted[1],)


def test_a_sample_of_the_voxels_is_enough_and_large_cases_keep_their_weight() -> None:
    rng = np.random.default_rng(5)
    images = [rng.normal(level, 10, (1, size, 40, 40)).astype(np.float32) for level, size in ((0, 40), (500, 5))]
    step = fit(DatasetZscoreConfig(low=5, high=95), images, most=2000)
    together = np.concatenate([image.ravel() for image in images])
    low, high, mean, std = expected(together, 5, 95)
    assert step.fitted[0].low == pytest.approx(low, abs=2)
    assert step.fitted[0].high == pytest.approx(high, abs=2)  # 95 % lies among the few voxels of the small case
    assert (step.fitted[0].mean, step.fitted[0].std) == pytest.approx((mean, std), rel=1e-5)  # of all voxels


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 6)), min_size=1, max_size=30),
    st.lists(st.integers(0, 100), min_size=1, max_size=4),
)
def test_weighted_percentiles_are_those_of_values_repeated(
    pairs: list[tuple[int, int]], percentages: list[int]
) -> None:
    values, weights = (np.array(column) for column in zip(*pairs, strict=True))
    repeated = np.repeat(values, weights)
    oracle = np.percentile(repeated, percentages, method="inverted_cdf").tolist()
    assert weighted_percentiles(values.astype(np.float32), weights.astype(np.float64), percentages) == oracle


def test_applied_it_clips_then_scales_each_channel() -> None:
    step = DatasetZscoreConfig(
        fitted=(ChannelRange(low=-10, high=30, mean=5, std=4), ChannelRange(low=7, high=7, mean=7, std=0))
    )
    image = np.random.default_rng(2).normal(0, 40, (2, 5, 4, 3)).astype(np.float32)
    moved, label = step.apply(volume(image), None)
    np.testing.assert_allclose(moved.tensor[0], (image[0].clip(-10, 30) - 5) / 4, atol=1e-6)
    assert (moved.tensor[1] == 0).all()  # constant in the training part
    assert label is None
    one = step.for_channels([0]).apply(volume(image[:1]), None)[0]
    assert torch.equal(one.tensor, moved.tensor[:1])


def test_what_cannot_be_fitted_or_applied_is_said() -> None:
    step, images = DatasetZscoreConfig(), scans(2)
    assert step.needs_fit
    with pytest.raises(DataError, match="has yet to be fitted"):
        step.apply(volume(images[0]), None)
    with pytest.raises(DataError, match="no voxel inside a structure in the training part: set 'inside' to false"):
        fit(step, images, [np.zeros(image.shape, np.int16) for image in images])
    with pytest.raises(DataError, match="no training case that has channel 0"):
        fit(step, images, channels=[(1,), (1,)])
    with pytest.raises(DataError, match="no training case that has channel 1"):
        fit(step, images, num_channels=2)
    fitted = fit(step, images)
    with pytest.raises(DataError, match="was fitted to 1 channels, received 2"):
        fitted.apply(volume(scans(1, channels=2)[0]), None)
    with pytest.raises(ValidationError, match=r"above low \(60\)"):
        DatasetZscoreConfig(low=60, high=50)


# ------------------------------------------------------------------------------------------------- spacing
def grids(*sizes: tuple[tuple[float, float, float], tuple[int, int, int]]) -> list[Grid]:
    return [Grid(shape, np.diag([*mm, 1.0])) for mm, shape in sizes]


def test_the_usual_spacing_is_the_median_by_axis() -> None:
    rng = np.random.default_rng(7)
    spacings = rng.uniform(0.8, 1.6, (9, 3))
    step = SpacingConfig(mm="median")
    fitted = step.fitted_to(grids(*((tuple(mm), (64, 64, 64)) for mm in spacings.tolist())), num_channels=1)
    assert fitted.mm == pytest.approx(np.median(spacings, axis=0), abs=1e-6)
    assert (step.needs_fit, fitted.needs_fit) == (True, False)


def test_thick_slices_are_not_spoiled_for_those_who_have_thin_ones() -> None:
    thick = [1.5, 2.5, 5, 5, 5, 6, 6, 7, 8, 8, 9]
    found_mm = usual_spacing([(0.5, 0.5, mm) for mm in thick], [(512, 512, 40)] * len(thick))
    np.testing.assert_allclose(found_mm, (0.5, 0.5, np.percentile(thick, 10)))
    few = usual_spacing([(2.0, 2.0, mm) for mm in (1.0, 7, 7, 7)], [(512, 512, 40)] * 4)
    np.testing.assert_allclose(few, (2.0, 2.0, max(np.percentile([1.0, 7, 7, 7], 10), 2.0)))
    blocks = usual_spacing([(1.0, 1.0, 5.0)] * 3, [(60, 60, 60)] * 3)  # as many slices as rows: nothing is thick
    assert blocks == (1.0, 1.0, 5.0)


def test_pixels_have_no_usual_spacing_and_none_is_applied_before_it_is_found() -> None:
    with pytest.raises(DataError, match="use 'resize' instead"):
        SpacingConfig(mm="median").fitted_to([Grid((4, 4, 1), np.eye(4), "pixel")], num_channels=1)
    with pytest.raises(DataError, match="has yet to be found in a training part"):
        SpacingConfig(mm="median").apply(volume(scans(1)[0]), None)
