"""Removes small components of a structure."""

from typing import Self

from pydantic import PositiveFloat, PositiveInt, model_validator

from hilum.errors import DataError
from hilum.geometry.components import components_from
from hilum.inference.postprocess.base import Mask, PostprocessConfig

ROUNDING = 1e-9
"""A component may lack this share of the least volume: sums of voxel sizes are rounded."""


class MinSizeConfig(PostprocessConfig, kind="min_size"):
    """Connected components smaller than a limit are removed: for structures that there may be several of."""

    ml: PositiveFloat | None = None
    """Least volume of a component in ml."""
    voxels: PositiveInt | None = None
    """Least number of voxels, instead: for images without voxel size."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.ml is None) == (self.voxels is None):
            raise ValueError("either ml or voxels")
        return self

    def apply(self, mask: Mask, voxel_ml: float | None) -> Mask:
        """The components that are large enough."""
        if self.voxels is not None:
            return components_from(mask, self.voxels)
        assert self.ml is not None
        if voxel_ml is None:
            raise DataError(
                "has no voxel size, and predict.postprocess removes components by ml: give min_size voxels instead"
            )
        return components_from(mask, self.ml / voxel_ml * (1 - ROUNDING))

    @property
    def described(self) -> str:
        """The step in a few words."""
        limit = f"{self.ml:g} ml" if self.ml is not None else f"{self.voxels} voxels"
        return f"{super().described} from {limit}"
