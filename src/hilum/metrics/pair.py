"""One structure of one case as the truth and the prediction have it, with what several metrics need computed once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from hilum.errors import DataError
from hilum.geometry.distances import SurfaceDistances, Surfaces
from hilum.geometry.lesions import Lesions, lesions
from hilum.geometry.surfaces import true_axes

if TYPE_CHECKING:
    import numpy.typing as npt

Status = Literal["found", "missed", "invented", "absent"]
STATUSES: tuple[Status, ...] = ("found", "missed", "invented", "absent")
NOT_IN_TRUTH: tuple[Status, ...] = ("invented", "absent")


@dataclass(frozen=True, eq=False)
class MaskPair:
    """Truth and prediction of one structure, boolean (I, J, K), and the size of their voxels in `unit`.

    The masks may be a part of the image that holds the whole structure: `image_shape` then is that of the image.
    `voxel_ml` is the volume of a voxel where it is not the product of the spacing. Raises DataError where the two
    differ in shape.
    """

    truth: npt.NDArray[np.bool_]
    predicted: npt.NDArray[np.bool_]
    spacing: tuple[float, float, float]
    unit: Literal["mm", "pixel"] = "mm"
    image_shape: tuple[int, int, int] | None = None
    voxel_ml: float | None = None

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
        shape = self._image_shape
        return math.hypot(*(shape[axis] * self.spacing[axis] for axis in true_axes(shape)))

    @property
    def voxel_volume(self) -> float:
        """The volume of a voxel in ml; 1 pixel where the image has no size."""
        if self.unit == "pixel":
            return 1.0
        return math.prod(self.spacing) / 1000 if self.voxel_ml is None else self.voxel_ml

    @cached_property
    def surfaces(self) -> Surfaces:
        """Both surfaces, in `unit`; both structures must have a voxel."""
        return Surfaces(self.truth, self.predicted, self.spacing, axes=true_axes(self._image_shape))

    @property
    def distances(self) -> SurfaceDistances:
        """From the true surface to the predicted one (first to second) and back, in `unit`; both must have a voxel."""
        return self.surfaces.distances

    @cached_property
    def lesions(self) -> Lesions:
        """The components of the truth (first) and of the prediction (second), and which of them meet."""
        return lesions(self.truth, self.predicted)

    def overlap(self, of_found: Callable[[], float]) -> float:
        """A share: that of a structure which both have, 0 where only one has it, 1 where neither has."""
        if self.status == "found":
            return float(of_found())
        return 1.0 if self.status == "absent" else 0.0

    def distance(self, of_found: Callable[[SurfaceDistances], float]) -> float:
        """A length: that of a structure which both have, the diagonal where only one has it, 0 where neither has."""
        if self.status == "found":
            return float(of_found(self.distances))
        return 0.0 if self.status == "absent" else self.diagonal

    @property
    def _image_shape(self) -> tuple[int, ...]:
        return self.truth.shape if self.image_shape is None else self.image_shape
