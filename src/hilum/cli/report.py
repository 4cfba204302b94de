"""`hilum report FOLDER [--part PART] [--output FILE] [key=value ...]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("run", type=Path, help="the folder of a run, a cross-validation or a comparison")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the run's, such as data.source.root=..."
    )
    parser.add_argument("--part", help="val or test; by default test where it was scored, else val")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="the HTML file; by default report.html in that folder"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    from hilum.pipeline.reporting import write_report

    write_report(arguments.run, part=arguments.part, output=arguments.output, overrides=arguments.overrides)
    return 0
