"""What a user may choose about an export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ExportOptions:
    """The less common choices of an export."""

    opset: int | None = None
    """Version of the ONNX operators; None: 17. Only for the format onnx."""
    overwrite: bool = False
    """Whether an earlier export in the same place is replaced."""
    overrides: Sequence[str] = ()
    """Settings of prediction and places of data in place of the run's, such as `predict.overlap=0.25`."""
