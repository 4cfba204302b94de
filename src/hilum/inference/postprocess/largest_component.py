"""Keeps the largest component of a structure."""

from hilum.geometry.components import largest_component
from hilum.inference.postprocess.base import Mask, PostprocessConfig


class LargestComponentConfig(PostprocessConfig, kind="largest_component"):
    """Only the largest connected component stays: for structures that everybody has one of."""

    def apply(self, mask: Mask, voxel_ml: float | None) -> Mask:
        """The component with the most voxels."""
        del voxel_ml
        return largest_component(mask)
