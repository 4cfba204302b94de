"""`hilum demo [FOLDER] [key=value ...]`."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "folder", nargs="?", default="hilum-demo", help="new folder for everything (default: hilum-demo)"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the demo's, such as train.epochs=2"
    )


def run(arguments: argparse.Namespace) -> int:
    """Generate, train, evaluate on patients never seen, and predict."""
    from pathlib import Path

    from hilum.pipeline.demo import demo

    words = [arguments.folder, *arguments.overrides]
    folder = "hilum-demo" if "=" in words[0] else words.pop(0)
    demo(Path(folder), words)
    return 0
