"""One structure of one case as the truth and the prediction have it, with what several metrics need computed once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from hilum.errors import DataError
from hilum.geometry.distances import SurfaceDistances, surface_distances
from hilum.geometry.surfaces import true_axes

if TYPE_CHECKING:
    import numpy.typing as npt

Status = Literal["found", "missed", "invented", "absent"]
STATUSES: tuple[Status, ...] = ("found", "missed", "invented", "absent")
NOT_IN_TRUTH: tuple[Status, ...] = ("invented", "absent")


@dataclass(frozen=True, eq=False)
class MaskPair:
    """Truth and prediction of one structure, boolean (I, J, K), and the size of their voxels in `unit`.

    Raises DataError where the two differ in shape.
    """

    truth: npt.NDArray[np.bool_]
    predicted: npt.NDArray[np.bool_]
    spacing: tuple[float, float, float]
    unit: Literal["mm", "pixel"] = "mm"

    def __post_init__(self) -> None:
        if self.truth.ndim != 3 or self.truth.shape != self.predicted.shape:
            raise DataError(
                f"received a truth of shape {self.truth.shape} and a prediction of {self.predicted.shape};"
                " expected two masks on one grid (I, J, K)"
            )

    @cached_property
    def truth_voxels(self) -> int:
        """How many voxels the structure has."""
        return int(np.count_nonzero(self.truth))

    @cached_property
    def predicted_voxels(self) -> int:
        """How many voxels were predicted."""
        return int(np.count_nonzero(self.predicted))

    @cached_property
    def shared_voxels(self) -> int:
        """How many voxels are in both."""
        return int(np.count_nonzero(self.truth & self.predicted))

    @property
    def status(self) -> Status:
        """found: both have it, wherever; missed: only the truth; invented: only the prediction; absent: neither."""
        if self.truth_voxels:
            return "found" if self.predicted_voxels else "missed"
        return "invented" if self.predicted_voxels else "absent"

    @property
    def diagonal(self) -> float:
        """From corner to corner of the image, in `unit`: longer than any distance between two of its voxels."""
        return math.hypot(*(self.truth.shape[axis] * self.spacing[axis] for axis in true_axes(self.truth.shape)))

    @cached_property
    def distances(self) -> SurfaceDistances:
        """From the true surface to the predicted one (first to second) and back, in `unit`; both must have a voxel."""
        return surface_distances(self.truth, self.predicted, self.spacing)
