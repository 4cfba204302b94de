"""`hilum doctor [--cache FOLDER] [--prune [GB]]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "--cache",
        type=Path,
        action="append",
        metavar="FOLDER",
        help="a folder of prepared cases to look at (default: runs/.cache); may be given several times",
    )
    parser.add_argument(
        "--prune",
        type=float,
        nargs="?",
        const=float("inf"),
        metavar="GB",
        help="delete what killed runs left there and, beyond GB, what was not used for longest",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what there is, after clearing up where that is asked for."""
    from hilum.errors import ConfigError
    from hilum.pipeline.doctor import clear, examine

    folders = tuple(arguments.cache or [Path("runs/.cache")])
    if arguments.prune is not None:
        if not arguments.prune >= 0:
            raise ConfigError(f"--prune: received {arguments.prune:g}, expected a size in GB of at least 0")
        for folder in folders:
            print(clear(folder, keep_gb=None if arguments.prune == float("inf") else arguments.prune))
    for title, section in examine(folders).items():
        print(title)
        width = max(map(len, section))
        for name, words in section.items():
            print(f"  {name:<{width}}  {words}")
    return 0
