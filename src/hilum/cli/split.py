"""`hilum split CONFIG [key=value ...]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("config", type=Path, help="the YAML file")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the file's, such as data.split.fold=2"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write the table case_id, patient_id, part, fold"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw who is in which part, as a PNG")
    parser.add_argument("--overwrite", action="store_true", help="replace these files where they exist")


def run(arguments: argparse.Namespace) -> int:
    """Print the split; write it where that is asked for."""
    from hilum.pipeline.splitting import Outputs, split

    outputs = Outputs(arguments.output, arguments.picture, overwrite=arguments.overwrite)
    split(arguments.config, arguments.overrides, outputs=outputs)
    return 0
