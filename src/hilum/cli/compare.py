"""`hilum compare A B [...]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "methods",
        nargs="+",
        metavar="METHOD",
        help="a run, a cross-validation, scores of other data or outputs; NAME='runs/a-*' or NAME=A,B for seeds",
    )
    parser.add_argument("--part", help="the part to compare: by default test where all have scored it, otherwise val")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("compare"),
        metavar="FOLDER",
        help="for compare.csv, compare.json and report.html",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a comparison in that folder")


def run(arguments: argparse.Namespace) -> int:
    """Compare and print the table."""
    from hilum.pipeline.comparing import Target, compare
    from hilum.pipeline.reporting import write_report

    target = Target(arguments.output, overwrite=arguments.overwrite)
    compare(arguments.methods, part=arguments.part, target=target)
    write_report(arguments.output)
    return 0
