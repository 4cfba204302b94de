"""`hilum course [RUNG|all] [key=value ...]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("rung", nargs="?", help="a rung by name or number, such as 03_xor or 03, or all; else a list")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings for all networks of the rung, to try something else"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("hilum-course"),
        metavar="DIR",
        help="folder for data, runs, figures and numbers (default: hilum-course)",
    )
    parser.add_argument(
        "--docs", type=Path, metavar="DIR", help="put figures and numbers into the pages of this docs folder as well"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, measure and draw a rung; without one, say which there are."""
    from hilum.pipeline.course.rungs import course, listed

    if arguments.rung is None:
        print("\n".join([*listed(), "", "hilum course RUNG works one of them out, hilum course all every one"]))
        return 0
    course(arguments.rung, arguments.out, overrides=arguments.overrides, docs=arguments.docs)
    return 0
