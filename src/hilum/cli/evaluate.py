"""`hilum evaluate RUN [--part PART] [key=value ...]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the run's, such as predict.overlap=0.25"
    )
    parser.add_argument(
        "--part", default="val", help="train, val (default) or test; looks at test are counted in the run's ledger"
    )
    parser.add_argument(
        "--rehash", action="store_true", help="read all files again to see whether they changed, not just their times"
    )


def run(arguments: argparse.Namespace) -> int:
    """Score and print the table."""
    from hilum.pipeline.evaluation import evaluate

    evaluate(arguments.run, part=arguments.part, overrides=arguments.overrides, rehash=arguments.rehash)
    return 0
