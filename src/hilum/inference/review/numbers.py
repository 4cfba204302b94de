"""What is measured of a case: numbers under the names of columns, the same of training cases and of predicted ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.geometry.components import components, voxels_of
from hilum.geometry.surfaces import enclosing_box, label_boxes

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from hilum.problem import Problem
    from hilum.volume import Grid, Volume

Numbers = dict[str, str | float]

AXES = ("x", "y", "z")
"""Of the patient, from right to left, from the back to the front and upwards; of a picture as they lie in the file."""
SPACING, EXTENT, TILT, DIRECTIONS = "spacing", "extent", "tilt_degrees", "directions"
PERCENTILES = (1, 25, 50, 75, 99)
SAMPLED_VOXELS = 2**20
"""Voxels of a channel that percentiles are taken of, evenly spaced: more would not change them."""
SIZES = ("_ml", "_pixels")
"""What the columns of sizes of structures end with."""
PART_SHARE = 0.05
"""A component smaller than this share of its structure is a speck, and does not count as a part."""
DIGITS = 6
"""Significant digits of numbers: the rest would be noise, and tables are read by people."""


def image_numbers(source: Grid, prepared: Volume, channels: Sequence[str]) -> Numbers:
    """Of an image on the grid `source`: voxel size, field of view and tilt; of what the network gets: the rest.

    Columns: spacing_x, extent_x and so on, in mm along the patient's axes (or in pixels); tilt_degrees, by which the
    axes of the image are turned out of the patient's; directions, such as RAS, that the prepared axes point to; and
    NAME_p1, NAME_p25, NAME_p50, NAME_p75, NAME_p99 of each channel after preparation, but for those that are missing.
    """
    numbers: Numbers = {}
    grid = source.canonical() if source.unit == "mm" else source
    for name, values in ((SPACING, grid.spacing), (EXTENT, grid.extent)):
        numbers |= {f"{name}_{axis}": _rounded(value) for axis, value in zip(AXES, values, strict=True)}
    if source.unit == "mm":
        numbers[TILT] = round(tilt_degrees(grid), 3)
        numbers[DIRECTIONS] = "".join(prepared.grid.orientation)
    for name, channel in zip(channels, prepared.tensor, strict=True):
        sample = _sampled(channel)
        if not np.isnan(sample[0]):
            found = zip(PERCENTILES, np.percentile(sample, PERCENTILES).tolist(), strict=True)
            numbers |= {intensity_column(name, percent): _rounded(value) for percent, value in found}
    return numbers


def label_numbers(labels: npt.NDArray[np.integer], grid: Grid, problem: Problem) -> Numbers:
    """Of label values (I, J, K): NAME_ml, or NAME_pixels without a voxel size, of each structure."""
    unit, size = voxel_size(grid)
    counts = problem.sizes(labels).tolist()
    return {f"{name}_{unit}": float(count * size) for name, count in zip(problem.foreground, counts, strict=True)}


def part_numbers(labels: npt.NDArray[np.integer], problem: Problem, names: Collection[str]) -> Numbers:
    """Of label values (I, J, K): NAME_parts, how many parts each of some structures has, specks left out.

    Voxels that share a corner belong to one part. A structure that is not there has none.
    """
    first = problem.num_outputs - len(problem.foreground)
    groups = {
        name: [int(value) for value in problem.values[first + number]]
        for number, name in enumerate(problem.foreground)
        if name in names
    }
    boxes = label_boxes(labels, sorted({value for group in groups.values() for value in group}))
    numbers: Numbers = {}
    for name, group in groups.items():
        inside = voxels_of(labels[enclosing_box([boxes[value] for value in group])], group)
        flat = inside.reshape([size for size in inside.shape if size > 1] or [-1])
        sizes = components(flat)[1] if flat.any() else np.zeros(0, dtype=np.int64)
        numbers[parts_column(name)] = int((sizes >= PART_SHARE * sizes.sum()).sum()) if len(sizes) else 0
    return numbers


def confidence_numbers(sure: Mapping[str, float] | Mapping[None, float]) -> Numbers:
    """NAME_confidence of each structure that was found, or confidence of a class (None), from 0 to 1."""
    return {confidence_column(name): _rounded(value) for name, value in sure.items()}


def reviewed(problem: Problem) -> bool:
    """Whether cases are flagged: not those of a restoration, in which nothing is found."""
    return problem.kind != "restoration"


def has_confidence(problem: Problem) -> bool:
    """Whether the highest output tells how sure a network is of an answer about a whole image."""
    return problem.kind == "classification"


def voxel_size(grid: Grid) -> tuple[str, float]:
    """The unit in which structures are measured on a grid, and how many of it a voxel has."""
    return ("ml", abs(float(np.linalg.det(grid.affine[:3, :3]))) / 1000) if grid.unit == "mm" else ("pixels", 1.0)


def tilt_degrees(grid: Grid) -> float:
    """The largest angle between an axis of a grid and the axis of the patient that it is nearest to."""
    axes = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    return float(np.degrees(np.arccos(np.clip(np.abs(axes).max(axis=0), 0, 1))).max())


def intensity_column(channel: str, percent: int) -> str:
    """The column of a percentile of a channel's intensities."""
    return f"{channel}_p{percent}"


def parts_column(structure: str) -> str:
    """The column of the number of parts of a structure."""
    return f"{structure}_parts"


def confidence_column(structure: str | None) -> str:
    """The column of how sure the network is of a structure, or (None) of a class."""
    return "confidence" if structure is None else f"{structure}_confidence"


def _sampled(channel: Tensor) -> npt.NDArray[Any]:
    flat = channel.flatten()
    return flat[:: max(1, len(flat) // SAMPLED_VOXELS)].cpu().numpy()


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
