"""The usual decision: the most likely class."""

from typing import ClassVar

from hilum.evaluation.operating_points.base import OperatingPointConfig


class ArgmaxPoint(OperatingPointConfig, kind="argmax"):
    """The most likely class; of two, the one above 0.5. Nothing is chosen on validation."""

    has_threshold: ClassVar[bool] = False
