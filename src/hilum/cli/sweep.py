"""`hilum sweep CONFIG [key=value ...]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("config", type=Path, help="the YAML file, with a section `sweep`")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the file's, such as sweep.trials=8"
    )
    parser.add_argument("--overwrite", action="store_true", help="begin again where the sweep's folder exists")


def run(arguments: argparse.Namespace) -> int:
    """Train all trials that are left; 3 where some could not be trained."""
    from hilum.pipeline.sweeping import sweep

    outcome = sweep(arguments.config, arguments.overrides, overwrite=arguments.overwrite)
    return 3 if outcome.failed else 0
