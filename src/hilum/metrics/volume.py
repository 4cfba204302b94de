"""The volume of a structure, and how far the prediction is from it."""

from typing import ClassVar

from hilum.metrics.base import Better, CaseMetric, Measured
from hilum.metrics.pair import MaskPair


def volume_error(pair: MaskPair) -> float:
    """Predicted less true volume, in ml (pixels where the image has no size)."""
    return (pair.predicted_voxels - pair.truth_voxels) * pair.voxel_volume


def relative_volume_error(pair: MaskPair) -> float:
    """Predicted less true volume over the true one; 0 where both are empty, NaN where only the truth is."""
    if pair.truth_voxels:
        return (pair.predicted_voxels - pair.truth_voxels) / pair.truth_voxels
    return float("nan") if pair.predicted_voxels else 0.0


class VolumeMetric(CaseMetric, kind="volume"):
    """Predicted volume of each structure, voxels times their size, in ml or pixels (Heimann et al. 2009)."""

    ranks: ClassVar[bool] = False
    measures: ClassVar[Measured] = "volume"

    def measure(self, pair: MaskPair) -> float:
        """From 0 on."""
        return pair.predicted_voxels * pair.voxel_volume


class VolumeErrorMetric(CaseMetric, kind="volume_error"):
    """Predicted less true volume, in ml or pixels: its mean is the bias (Bland and Altman 1986)."""

    ranks: ClassVar[bool] = False
    measures: ClassVar[Measured] = "volume"

    def measure(self, pair: MaskPair) -> float:
        """Below 0 where too little was predicted; a miss costs the whole volume."""
        return volume_error(pair)


class AbsoluteVolumeErrorMetric(CaseMetric, kind="absolute_volume_error"):
    """Difference of predicted and true volume whatever its sign, in ml or pixels (Heimann et al. 2009)."""

    better: ClassVar[Better] = "lower"
    measures: ClassVar[Measured] = "volume"

    def measure(self, pair: MaskPair) -> float:
        """From 0 on; a miss costs the whole volume."""
        return abs(volume_error(pair))


class RelativeVolumeErrorMetric(CaseMetric, kind="relative_volume_error"):
    """Predicted less true volume over the true one: -1 for a miss, undefined without a truth (Heimann et al. 2009)."""

    ranks: ClassVar[bool] = False
    undefined: ClassVar[str] = "invented structures have no true volume to relate to"

    def measure(self, pair: MaskPair) -> float:
        """From -1 on; see `relative_volume_error`."""
        return relative_volume_error(pair)
