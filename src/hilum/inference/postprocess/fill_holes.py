"""Fills the holes of a structure."""

from hilum.geometry.components import filled
from hilum.inference.postprocess.base import Mask, Name, PostprocessConfig


class FillHolesConfig(PostprocessConfig, kind="fill_holes"):
    """What a structure encloses on all sides becomes part of it, where no other class lies."""

    of: Name
    """The class or region."""

    def apply(self, mask: Mask, voxel_ml: float | None) -> Mask:
        """The structure with its holes; a 2D image has them in the plane, a volume in all three directions."""
        del voxel_ml
        return filled(mask)
