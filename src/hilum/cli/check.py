"""`hilum check CONFIG [key=value ...]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("config", type=Path, help="the YAML file")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the file's, such as train.epochs=2"
    )


def run(arguments: argparse.Namespace) -> int:
    """Check; 0 where nothing is wrong."""
    from hilum.pipeline.preflight import check

    check(arguments.config, arguments.overrides)
    return 0
