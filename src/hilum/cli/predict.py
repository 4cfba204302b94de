"""`hilum predict RUN INPUT OUTPUT [key=value ...]`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

SOME_FAILED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument("input", type=Path, help="an image, a folder of images, or a manifest CSV")
    parser.add_argument("output", type=Path, help="the folder to write predictions and tables into")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the run's, such as runtime.device=cpu"
    )
    parser.add_argument(
        "--memory",
        type=_gigabytes,
        metavar="SIZE",
        help="most memory to take, such as 8GB: the same as predict.memory_gb=8",
    )
    parser.add_argument(
        "--check-leakage",
        action="store_true",
        help="refuse cases that the network was trained or chosen on, told by their voxels, case ids and patients",
    )


def run(arguments: argparse.Namespace) -> int:
    """Predict; 3 where some cases failed."""
    from hilum.pipeline.prediction import predict

    limit = [] if arguments.memory is None else [f"predict.memory_gb={arguments.memory:g}"]
    batch = predict(
        arguments.run,
        arguments.input,
        arguments.output,
        overrides=[*arguments.overrides, *limit],
        check_leakage=arguments.check_leakage,
    )
    return SOME_FAILED if batch.failures else 0


def _gigabytes(text: str) -> float:
    """A size such as 8GB, 8 or 500MB in GB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(GB?|MB?)?", text.strip(), re.IGNORECASE)
    if found is None or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"received {text!r}, expected a size such as 8GB or 500MB")
    return float(found[1]) / (1024 if (found[2] or "G").upper().startswith("M") else 1)
