"""`hilum train CONFIG [key=value ...]` and `hilum train --resume RUN [key=value ...]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("config", nargs="?", help="the YAML file")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the file's, such as train.epochs=2"
    )
    parser.add_argument(
        "--resume", type=Path, metavar="RUN", help="continue this run folder instead of starting a new one"
    )
    parser.add_argument(
        "--rehash", action="store_true", help="read all files again to see whether they changed, not just their times"
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="fetch the weights of `pretrained: imagenet` if they are not here",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the run folder where it exists")


def run(arguments: argparse.Namespace) -> int:
    """Train to the end, then score the validation part and write the report."""
    from hilum.errors import ConfigError
    from hilum.training.interrupt import leaving_at_once

    with leaving_at_once():
        from hilum.data.splits.base import split_parts
        from hilum.experiment import load
        from hilum.pipeline.evaluation import evaluate
        from hilum.pipeline.reporting import PICTURES_S, write_report
        from hilum.pipeline.training import resume, train
        from hilum.runtime import runs_on_main_rank

    given = [word for word in (arguments.config, *arguments.overrides) if word is not None]
    if arguments.resume is not None:
        for option in ("overwrite", "download"):
            if getattr(arguments, option):
                raise ConfigError(f"--resume and --{option}: received both, expected one of them")
        strange = [word for word in given if "=" not in word]
        if strange:
            raise ConfigError(f"--resume takes the configuration from the run folder: remove '{strange[0]}'")
        finished = resume(arguments.resume, given, rehash=arguments.rehash)
    elif not given or "=" in given[0]:
        raise ConfigError(
            "expected the YAML file first: hilum train CONFIG [key=value ...], or hilum train --resume RUN"
        )
    else:
        fetch = ["pretrained.download=true"] if arguments.download else []
        finished = train(given[0], [*given[1:], *fetch], overwrite=arguments.overwrite, rehash=arguments.rehash)
    if runs_on_main_rank():
        if "val" in split_parts(finished.split):
            evaluate(finished.folder, part="val")
        if load(finished.config).train.report:
            write_report(finished.folder, part="val", seconds=PICTURES_S)
        print(f"run folder: {finished.folder}")
    return 0
