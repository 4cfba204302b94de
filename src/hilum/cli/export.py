"""`hilum export RUN OUTPUT [--format onnx|monai] [--cases FILE_OR_FOLDER ...] [--opset N] [key=value ...]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument("output", type=Path, help="the folder to write the exported network into")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the run's, such as predict.overlap=0.25"
    )
    parser.add_argument(
        "--format", default="onnx", help="onnx (default): a network with a runner of its own; monai: a bundle for MONAI"
    )
    parser.add_argument(
        "--cases",
        nargs="+",
        type=Path,
        default=(),
        metavar="FILE_OR_FOLDER",
        help="the images that the export is proved on; by default some validation cases of the run",
    )
    parser.add_argument("--opset", type=int, help="version of the ONNX operators, 15 to 20; 17 by default")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export")


def run(arguments: argparse.Namespace) -> int:
    """Export; the proof failing is an error of exit code 1."""
    from hilum.exporting.options import ExportOptions
    from hilum.pipeline.exporting import export

    options = ExportOptions(opset=arguments.opset, overwrite=arguments.overwrite, overrides=arguments.overrides)
    export(arguments.run, arguments.output, to=arguments.format, cases=arguments.cases, options=options)
    return 0
