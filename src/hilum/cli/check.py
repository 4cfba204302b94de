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
    parser.add_argument(
        "--voxels", action="store_true", help="read the voxels of all cases anew, those in no part and in the cache too"
    )
    parser.add_argument("--strict", action="store_true", help="take every warning for an error")
    parser.add_argument(
        "--rehash", action="store_true", help="read all files again to see whether they changed, not just their times"
    )
    parser.add_argument("--table", type=Path, metavar="FILE", help="write all findings into a CSV file")
    parser.add_argument("--pairs", type=Path, metavar="FILE", help="draw the copies found into a PNG file")
    parser.add_argument(
        "--seen",
        type=Path,
        action="append",
        default=[],
        metavar="RUN",
        help="refuse to score whom the weights of this run were learnt from (may be given several times)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Check; 0 where nothing is wrong."""
    from hilum.training.interrupt import leaving_at_once

    with leaving_at_once():
        from hilum.pipeline.preflight import CheckOptions, check

    options = CheckOptions(
        voxels=arguments.voxels,
        strict=arguments.strict,
        table=arguments.table,
        rehash=arguments.rehash,
        pairs=arguments.pairs,
        seen=tuple(arguments.seen),
    )
    check(arguments.config, arguments.overrides, options=options)
    return 0
