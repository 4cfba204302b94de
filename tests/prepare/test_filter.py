"""The step `filter`: where its voxels lie, what becomes of the labels, slices, and what is refused."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hilum.errors import DataError
from hilum.experiment import diagnose
from hilum.prepare.filter import FilterStepConfig
from hilum.prepare.resize import ResizeConfig
from hilum.volume import Grid, Volume

OBLIQUE = np.array([[0.0, 2, 0, 5], [-1, 0, 0, 7], [0, 0, 3, -2], [0, 0, 0, 1]])


def volume(shape: tuple[int, int, int], channels: int = 1) -> Volume:
    values = np.random.default_rng(3).normal(size=(channels, *shape)).astype(np.float32)
    return Volume(torch.from_numpy(values), Grid(shape, OBLIQUE))


def step(**settings: Any) -> FilterStepConfig:
    return FilterStepConfig.model_validate(settings)


def labels(like: Volume) -> Volume:
    """Each voxel of a mask tells its own number."""
    return Volume(torch.arange(math.prod(like.grid.shape)).view(1, *like.grid.shape), like.grid)


@pytest.mark.parametrize("padding", ["replicate", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_voxels_lie_where_their_windows_have_their_middle(padding: Any, stride: int) -> None:
    """By the identity of a kernel with a 1 in its middle, values, labels and places are those of voxels before."""
    before = volume((9, 8, 7), channels=2)
    numbers = labels(before)
    middle = [[[0.0] * 3] * 3, [[0, 0, 0], [0, 1.0, 0], [0, 0, 0]], [[0.0] * 3] * 3]
    image, label = step(by={"kind": "kernel", "values": middle}, padding=padding, stride=stride).apply(before, numbers)
    assert label is not None
    assert image.grid == label.grid
    assert label.tensor.dtype == numbers.tensor.dtype
    for place in np.ndindex(image.grid.shape):
        world = image.grid.affine @ (*place, 1)
        source = np.rint(np.linalg.solve(before.grid.affine, world)[:3]).astype(int)
        np.testing.assert_allclose(before.grid.affine @ (*source, 1), world, atol=1e-9)
        assert label.tensor[(0, *place)] == numbers.tensor[(0, *source)]
        assert torch.equal(image.tensor[(slice(None), *place)], before.tensor[(slice(None), *source)])


def test_a_filter_that_keeps_the_size_keeps_the_label_itself() -> None:
    before = volume((5, 6, 7))
    numbers = labels(before)
    image, label = step(by="mean").apply(before, numbers)
    assert label is numbers
    assert image.grid == before.grid


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("by", ["median", "sobel", {"kind": "kernel", "values": [[1, 2], [3, 4]]}], ids=str)
def test_slices_are_filtered_each_by_itself(by: Any, axis: int) -> None:
    before = volume((5, 6, 7), channels=2)
    image, _ = step(by=by, slice_axis=axis, padding="valid").apply(before, None)
    assert image.grid.shape[axis] == before.grid.shape[axis]
    for number in range(before.grid.shape[axis]):
        flat = before.tensor.select(1 + axis, number)[..., None]
        alone = Volume(flat, Grid((flat.shape[1], flat.shape[2], 1), np.eye(4), "pixel"))
        expected, _ = step(by=by, padding="valid").apply(alone, None)
        assert torch.equal(image.tensor.select(1 + axis, number), expected.tensor[..., 0])


def test_channels_do_not_mix() -> None:
    both = volume((5, 6, 7), channels=2)
    alone = Volume(both.tensor[1:], both.grid)
    assert torch.equal(
        step(by="gaussian").apply(both, None)[0].tensor[1:], step(by="gaussian").apply(alone, None)[0].tensor
    )


def test_whole_numbers_become_real_ones() -> None:
    image = Volume(torch.arange(9, dtype=torch.int16).view(1, 3, 3, 1), Grid((3, 3, 1), np.eye(4), "pixel"))
    assert step(by="mean").apply(image, None)[0].tensor.dtype == torch.float32


@pytest.mark.parametrize(
    ("settings", "size", "expected"),
    [
        ({"by": "mean"}, (28, 28), (28, 28)),
        ({"by": "mean", "padding": "valid"}, (28, 27), (26, 25)),
        ({"by": {"kind": "mean", "size": 4}, "padding": "valid", "stride": 2}, (28, 28, 9), (13, 13, 3)),
        ({"by": "mean", "padding": "valid", "slice_axis": 1}, (28, 28, 9), (26, 28, 7)),
        ({"by": "mean", "stride": 2}, None, None),
    ],
    ids=str,
)
def test_later_steps_and_networks_know_the_size(settings: dict[str, Any], size: Any, expected: Any) -> None:
    made = step(**settings)
    assert made.size_after(ResizeConfig(size=size).size_after(None) if size else None) == expected
    if expected is not None and len(size) == 3:
        assert made.grid_after(Grid(size, np.eye(4))).shape == expected


def test_what_cannot_be_filtered_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"'sobel' on an image of 5x6x1 voxels: axis: received 2, expected one of 0 to 1"
    ):
        step(by={"kind": "sobel", "axis": 2}).apply(volume((5, 6, 1)), None)
    with pytest.raises(DataError, match="received a 2D kernel, expected a 3D one"):
        step(by={"kind": "kernel", "values": [[1, 2], [3, 4]]}).apply(volume((5, 6, 7)), None)
    with pytest.raises(DataError, match="2 voxels along axis 1, which is less than the 3 of 'mean'"):
        step(by="mean", padding="valid").apply(volume((5, 2, 7)), None)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{kind: filter}", "data.prepare.0.by: is required and missing"),
        ("{kind: filter, by: gausian}", "did you mean 'gaussian'?"),
        ("{kind: filter, by: {kind: gaussian, sigma: 2}}", "unknown key 'sigma'"),
        ("{kind: filter, by: {kind: kernel, values: [[1, 2], [3]]}}", "rows of equal length"),
        ("{kind: filter, by: {kind: kernel, values: [[0, 0]]}}", "at least one weight that is not 0"),
        ("{kind: filter, by: mean, padding: mirror}", "data.prepare.0.padding"),
        ("{kind: filter, by: mean, padding_value: 3}", "padding: constant with it"),
        ("{kind: filter, by: {kind: sobel, axis: 2}, slice_axis: 0}", "axis: received 2, expected one of 0 to 1"),
        ("{kind: filter, by: {kind: brighten, factor: 0.5}}", "data.prepare.0.by.factor: received 0.5"),
        ("{kind: filter, by: {kind: median, operation: convolution}}", "unknown key 'operation'"),
    ],
)
def test_mistakes_are_named_at_their_key(written: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(
        "name: wrong\ntask: {kind: segmentation, classes: [none, organ]}\nnetwork: unet\nloss: dice\nmetrics: dice\n"
        f"data:\n  source: {{kind: csv_table, file: cases.csv, patient: patient_id}}\n  prepare: [{written}]\n"
    )
    faults = [str(fault) for fault in diagnose(file).faults]
    assert len(faults) == 1
    assert said in faults[0]
