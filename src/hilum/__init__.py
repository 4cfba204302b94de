"""hilum classifies and segments medical images: one YAML file says what to do, one command does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hilum.config import read
    from hilum.pipeline import (
        DescribeOptions,
        ExportOptions,
        Look,
        check,
        compare,
        crossval,
        describe,
        evaluate,
        export,
        load,
        look_inside,
        new,
        predict,
        resume,
        score_predictions,
        split,
        sweep,
        train,
        view,
        write_report,
    )

__version__ = "0.1.0"
__all__ = [
    "DescribeOptions",
    "ExportOptions",
    "Look",
    "check",
    "compare",
    "crossval",
    "describe",
    "evaluate",
    "export",
    "load",
    "look_inside",
    "new",
    "predict",
    "read",
    "resume",
    "score_predictions",
    "split",
    "sweep",
    "train",
    "view",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import the plain Python calls only when one is used, so that `hilum --help` answers at once."""
    if name not in __all__:
        raise AttributeError(f"module 'hilum' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module("hilum.config" if name == "read" else "hilum.pipeline"), name)
