"""`hilum predict RUN INPUT OUTPUT [key=value ...]`."""

from __future__ import annotations

import argparse
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
        "--check-leakage",
        action="store_true",
        help="refuse cases that the network was trained or chosen on, told by their voxels, case ids and patients",
    )


def run(arguments: argparse.Namespace) -> int:
    """Predict; 3 where some cases failed."""
    from hilum.pipeline.prediction import predict

    batch = predict(
        arguments.run,
        arguments.input,
        arguments.output,
        overrides=arguments.overrides,
        check_leakage=arguments.check_leakage,
    )
    return SOME_FAILED if batch.failures else 0
