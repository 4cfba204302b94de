"""What is measured of a case, against what was put into it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hilum.inference.review.numbers import image_numbers, label_numbers, part_numbers, tilt_degrees
from hilum.problem import Problem
from hilum.volume import Grid, Volume

ORGANS = Problem("segmentation", 3, ("t1",), ("background", "organ", "lesion"), ((0,), (1, 4), (300,)))
REGIONS = Problem("segmentation", 3, ("t1",), ("whole", "core"), ((1, 2), (2,)), exclusive=False)


def volume(grid: Grid, channels: int = 1) -> Volume:
    values = torch.rand(channels, *grid.shape, generator=torch.manual_seed(1))
    return Volume(values, grid)


def test_geometry_is_told_along_the_patient_however_the_file_lies() -> None:
    straight = Grid((10, 20, 30), np.diag([0.8, 0.9, 2.0, 1.0]))
    turned = np.zeros((4, 4))
    turned[[2, 0, 1, 3], [0, 1, 2, 3]] = [2.0, -0.8, 0.9, 1.0]  # slices first, and left to right
    for grid in (straight, Grid((30, 10, 20), turned)):
        numbers = image_numbers(grid, volume(straight), ["t1"])
        assert [numbers[f"spacing_{axis}"] for axis in "xyz"] == [0.8, 0.9, 2.0]
        assert [numbers[f"extent_{axis}"] for axis in "xyz"] == [8.0, 18.0, 60.0]
        assert numbers["tilt_degrees"] == 0
        assert numbers["directions"] == "RAS"


@pytest.mark.parametrize("degrees", [0.0, 12.0, 30.0, 80.0])
def test_tilt_is_the_angle_that_a_grid_was_turned_by(degrees: float) -> None:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) * [1.0, 2.0, 3.0]
    assert tilt_degrees(Grid((2, 2, 2), affine)) == pytest.approx(min(degrees, 90 - degrees), abs=1e-5)


def test_a_picture_is_measured_in_pixels() -> None:
    grid = Grid((12, 9, 1), np.eye(4), "pixel")
    numbers = image_numbers(grid, volume(grid), ["t1"])
    assert (numbers["extent_x"], numbers["extent_y"]) == (12, 9)
    assert "tilt_degrees" not in numbers
    assert "directions" not in numbers


def test_intensities_are_percentiles_of_each_channel_that_is_there() -> None:
    image = volume(Grid((9, 8, 7), np.eye(4)), channels=3)
    image.tensor[1] = torch.nan
    numbers = image_numbers(image.grid, image, ["a", "b", "c"])
    for name, channel in zip("ac", image.tensor[[0, 2]].numpy(), strict=True):
        for percent in (1, 25, 50, 75, 99):
            assert numbers[f"{name}_p{percent}"] == pytest.approx(np.percentile(channel, percent), rel=1e-5)
    assert not any(name.startswith("b_") for name in numbers)


def test_sizes_and_parts_are_those_that_were_painted() -> None:
    labels = np.zeros((20, 20, 20), dtype=np.int16)
    labels[1:6, 1:6, 1:6] = 1
    labels[6:8, 6:8, 6:8] = 4  # shares a corner with the box before: the same part of the same structure
    labels[12:17, 12:17, 12:15] = 4  # another part
    labels[19, 0, 0] = 1  # a speck
    labels[10, 10, :3] = 300
    grid = Grid(labels.shape, np.diag([2.0, 1.0, 3.0, 1.0]))
    assert label_numbers(labels, grid, ORGANS) == pytest.approx(
        {"organ_ml": (125 + 8 + 75 + 1) * 6 / 1000, "lesion_ml": 0.018}
    )
    assert part_numbers(labels, ORGANS, {"organ", "lesion"}) == {"organ_parts": 2, "lesion_parts": 1}
    assert part_numbers(labels, ORGANS, {"lesion"}) == {"lesion_parts": 1}
    assert part_numbers(np.zeros_like(labels), ORGANS, {"organ"}) == {"organ_parts": 0}


def test_a_region_has_the_parts_of_all_its_values() -> None:
    labels = np.zeros((9, 9, 1), dtype=np.uint8)
    labels[1:4, 1:4], labels[2, 2] = 1, 2
    labels[6:8, 6:8] = 2
    assert part_numbers(labels, REGIONS, {"whole", "core"}) == {"whole_parts": 2, "core_parts": 2}
    pixels = Grid(labels.shape, np.eye(4), "pixel")
    assert label_numbers(labels, pixels, REGIONS) == {"whole_pixels": 13.0, "core_pixels": 5.0}
