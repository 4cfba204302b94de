"""`hilum view FOLDER [--predictions DIR] [--part PART] [--port N] [--no-browser] [key=value ...]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("folder", type=Path, help="a run folder, or one that hilum predict wrote")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the run's, such as data.source.root=..."
    )
    parser.add_argument(
        "--predictions",
        type=Path,
        metavar="DIR",
        help="show these masks of the run's cases; by default they are predicted",
    )
    parser.add_argument("--part", help="the part to show first; by default test where it was scored, else val")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="by default one that is free")
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    from hilum.pipeline.viewing import view

    view(
        arguments.folder,
        predictions=arguments.predictions,
        part=arguments.part,
        overrides=arguments.overrides,
        port=arguments.port,
        browser=not arguments.no_browser,
    )
    return 0
