"""What differs between two grids: found exactly where some voxel lies elsewhere, and named by its reason."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from hilum.case import ImageRef
from hilum.data.index.grids import differs, odd
from hilum.volume import Grid

IMAGE, MASK = ImageRef(Path("i.nii")), ImageRef(Path("m.nii"))
SHAPE = (20, 30, 10)
AFFINE = np.array([[0.9, 0.1, 0, -30], [-0.1, 0.9, 0, 20], [0, 0, 2.5, 5], [0, 0, 0, 1.0]])


def grid(affine: np.ndarray = AFFINE, shape: tuple[int, int, int] = SHAPE) -> Grid:
    return Grid(shape, affine, "mm")


def turned(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ AFFINE


def moved(voxels: float, axis: int = 0) -> np.ndarray:
    affine = AFFINE.copy()
    affine[:3, 3] += voxels * AFFINE[:3, axis]
    return affine


def stretched(factor: float) -> np.ndarray:
    return AFFINE @ np.diag([1, factor, 1, 1.0])


def told(other: Grid) -> str:
    found = differs(MASK, other, like=IMAGE, like_grid=grid())
    return found.kind if found else ""


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (grid(), ""),
        (grid(shape=(20, 30, 11)), "shape differs"),
        (Grid(SHAPE, AFFINE, "pixel"), "unit differs"),
        (grid(AFFINE @ np.diag([-1, 1, 1, 1.0])), "orientation differs"),
        (grid(AFFINE[:, [1, 0, 2, 3]]), "orientation differs"),
        (grid(stretched(1.01)), "spacing differs"),
        (grid(turned(1)), "direction differs"),
        (grid(moved(0.1)), "origin differs"),
        (grid(moved(-3, 2)), "origin differs"),
        (grid(moved(1e-6)), ""),
        (grid(AFFINE.astype(np.float32).astype(np.float64)), ""),
    ],
)
def test_the_reason_is_named(other: Grid, kind: str) -> None:
    assert told(other) == kind


@pytest.mark.parametrize("voxels", [1e-2, 3e-3, 1.2e-3, 0.8e-3, 3e-4, 1e-5])
def test_a_difference_is_told_where_some_voxel_is_a_thousandth_of_a_voxel_off(voxels: float) -> None:
    corners = np.array([[*corner, 1] for corner in itertools.product(*([0, n - 1] for n in SHAPE))])
    for affine in (moved(voxels), moved(voxels, 1), stretched(1 + voxels / 30), turned(np.degrees(voxels / 90))):
        off = np.linalg.solve(AFFINE, (affine - AFFINE) @ corners.T)[:3]
        farthest = np.abs(off).max()
        if abs(farthest / 1e-3 - 1) > 0.1:  # on the edge a bound on all voxels may be a little above the farthest one
            assert bool(told(grid(affine))) == (farthest > 1e-3), (affine, farthest)


def test_both_values_the_tolerance_and_the_fix_are_told() -> None:
    found = differs(MASK, grid(moved(0.25, 2)), like=IMAGE, like_grid=grid(), case="a")
    assert found is not None
    assert (found.severity, found.case, found.file) == ("error", "a", "m.nii")
    assert found.received == "(-30, 20, 5.625) mm, 0.25 voxels off"
    assert found.expected == "(-30, 20, 5) as i.nii has it (within 0.001 voxel)"
    assert "origin in the header" in found.fix


def test_a_transposed_array_is_recognised() -> None:
    found = differs(MASK, grid(shape=(10, 30, 20)), like=IMAGE, like_grid=grid())
    assert found is not None
    assert "another order" in found.fix


@pytest.mark.parametrize(("degrees", "severity"), [(0.01, ""), (0.5, "warning"), (25, "warning"), (45, "error")])
def test_axes_that_are_not_at_right_angles(degrees: float, severity: str) -> None:
    skewed = np.eye(4)
    skewed[:2, 1] = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    found = [finding.severity for finding in odd(IMAGE, grid(skewed))]
    assert found == ([severity] if severity else [])


def test_a_single_slice_may_be_thick_and_pixels_have_no_size() -> None:
    thick = np.diag([1, 1, 1000.0, 1])
    assert not list(odd(IMAGE, grid(thick, (20, 30, 1))))
    assert [finding.kind for finding in odd(IMAGE, grid(thick))] == ["impossible spacing"]
    assert not list(odd(IMAGE, Grid(SHAPE, thick, "pixel")))
