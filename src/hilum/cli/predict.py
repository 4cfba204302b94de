"""`hilum predict RUN [RUN ...] INPUT OUTPUT [key=value ...]`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

SOME_FAILED = 3
USAGE = "hilum predict RUN [RUN ...] INPUT OUTPUT [key=value ...] [options]"
SETTING = re.compile(r"[A-Za-z_][\w.]*=.*", re.DOTALL)
"""What a setting looks like. A path of this form is written with ./ before it."""
ON_REQUEST = (
    ("--probabilities", "predict.probabilities=true", "write the probability of each class as NIfTI, too"),
    ("--disagreement", "predict.disagreement=true", "write where the networks of an ensemble disagree as NIfTI, too"),
    ("--dicom-seg", "predict.dicom_seg=true", "write DICOM segmentation objects of DICOM series, too"),
    ("--overlays", "predict.overlays=true", "draw each case as a PNG with the outlines of its structures, too"),
)
"""Options for what is written besides labels, the setting that each stands for, and what it does."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.usage = USAGE
    parser.add_argument(
        "overrides",
        nargs="+",
        metavar="WORD",
        help="run folders, of which several are an ensemble (a folder of fold-* runs is one too); then an image, "
        "a folder of images or a manifest; then the folder to write into; then settings in place of the run's, such as "
        "runtime.device=cpu",
    )
    parser.add_argument(
        "--weights", type=_weights, metavar="W,W,...", help="how much each run of an ensemble counts, such as 2,1,1"
    )
    parser.add_argument(
        "--shard", metavar="N/OF", help="do one part of the cases, such as 2/8: other processes or machines do the rest"
    )
    parser.add_argument(
        "--memory",
        type=_gigabytes,
        metavar="SIZE",
        help="most memory to take, such as 8GB: the same as predict.memory_gb=8",
    )
    for name, setting, what in ON_REQUEST:
        parser.add_argument(name, action="store_true", help=f"{what}: the same as {setting}")
    parser.add_argument("--redo", action="store_true", help="predict finished cases anew, too")
    parser.add_argument(
        "--check-leakage",
        action="store_true",
        help="refuse cases that the network was trained or chosen on, told by their voxels, case ids and patients",
    )


def run(arguments: argparse.Namespace) -> int:
    """Predict; 3 where some cases failed."""
    from hilum.pipeline.predicting import predict

    runs, source, output, overrides = divided(arguments.overrides)
    asked = [setting for name, setting, _ in ON_REQUEST if getattr(arguments, name.strip("-").replace("-", "_"))]
    limit = [] if arguments.memory is None else [f"predict.memory_gb={arguments.memory:g}"]
    batch = predict(
        runs,
        source,
        output,
        overrides=[*asked, *overrides, *limit],
        weights=arguments.weights,
        shard=arguments.shard,
        check_leakage=arguments.check_leakage,
        redo=arguments.redo,
    )
    return SOME_FAILED if batch.failures else 0


def divided(words: Sequence[str]) -> tuple[list[Path], Path, Path, list[str]]:
    """Run folders, input, output and settings from the words of the command.

    Raises ConfigError where there are too few paths.
    """
    from hilum.errors import ConfigError

    paths = [Path(word) for word in words if not SETTING.fullmatch(word)]
    settings = [word for word in words if SETTING.fullmatch(word)]
    if len(paths) < 3:
        received = ", ".join(map(str, paths)) or "none"
        raise ConfigError(f"expected three paths at least, received {received}: {USAGE}; the last one is the output")
    *runs, source, output = paths
    return runs, source, output, settings


def _weights(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"received {text!r}, expected numbers such as 2,1,1") from error


def _gigabytes(text: str) -> float:
    """A size such as 8GB, 8 or 500MB in GB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(GB?|MB?)?", text.strip(), re.IGNORECASE)
    if found is None or float(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"received {text!r}, expected a size such as 8GB or 500MB")
    return float(found[1]) / (1024 if (found[2] or "G").upper().startswith("M") else 1)
