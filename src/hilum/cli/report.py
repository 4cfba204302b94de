"""`hilum report FOLDER [--part PART] [--output FILE] [--inside [--case ID] [--layer NAME]] [key=value ...]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument(
        "run", type=Path, help="a run, a cross-validation, a comparison, or scores of other data or outputs"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the run's, such as data.source.root=..."
    )
    parser.add_argument("--part", help="val or test; by default test where it was scored, else val")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the HTML file, by default report.html in that folder; or a folder, with --inside",
    )
    inside = parser.add_argument_group("looking inside the network, in place of the page")
    inside.add_argument(
        "--inside", action="store_true", help="draw filters, feature maps, Grad-CAM and histograms into RUN/inside"
    )
    inside.add_argument("--case", action="append", default=[], metavar="ID", help="a case (may be given several times)")
    inside.add_argument("--layer", metavar="NAME", help="the layer for Grad-CAM; by default the last that gives maps")


def run(arguments: argparse.Namespace) -> int:
    """Write the page, or the pictures of the inside, and say where they are."""
    if arguments.inside:
        from hilum.pipeline.inside import Look, look_inside

        look = Look(cases=tuple(arguments.case), part=arguments.part, layer=arguments.layer)
        look_inside(arguments.run, look, output=arguments.output, overrides=arguments.overrides)
        return 0
    if arguments.case or arguments.layer:
        from hilum.errors import ConfigError

        raise ConfigError("--case and --layer say what --inside shows: add --inside, or remove them")
    from hilum.pipeline.reporting import write_report

    write_report(arguments.run, part=arguments.part, output=arguments.output, overrides=arguments.overrides)
    return 0
