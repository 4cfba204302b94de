"""`hilum crossval CONFIG [key=value ...]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("config", type=Path, help="the YAML file, whose data.split has folds")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the file's, such as train.epochs=2"
    )
    parser.add_argument(
        "--folds", default="", metavar="LIST", help="only these folds, by number or name: 0,2 or fold-0,fold-2"
    )
    parser.add_argument("--overwrite", action="store_true", help="begin again where the folder exists")


def run(arguments: argparse.Namespace) -> int:
    """Train and score all folds that are left, and pool them once all are there."""
    from hilum.training.interrupt import leaving_at_once

    with leaving_at_once():
        from hilum.experiment import load
        from hilum.pipeline.crossvalidation import crossval
        from hilum.pipeline.reporting import PICTURES_S, write_report

    folds = [word.strip() for word in arguments.folds.split(",") if word.strip()]
    summary = crossval(arguments.config, arguments.overrides, folds=folds, overwrite=arguments.overwrite)
    experiment = load(arguments.config, arguments.overrides)
    if summary is not None and experiment.train.report:
        write_report(experiment.runs / experiment.name, seconds=PICTURES_S)
    return 0
