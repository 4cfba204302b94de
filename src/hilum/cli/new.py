"""`hilum new DATA [-o CONFIG]`."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("data", help="a folder or file of images as they lie on disk")
    parser.add_argument("-o", "--output", metavar="CONFIG", help="the YAML file, by default NAME.yaml; - prints it")
    parser.add_argument("--task", choices=("classification", "segmentation"), help="what is asked of the network")
    parser.add_argument("--source", metavar="KIND", help="the layout, where it is not recognised rightly")
    parser.add_argument("--label", metavar="COLUMN", help="the column of a table that holds the class or the mask")
    parser.add_argument(
        "--patients",
        metavar="COLUMN|FILE|REGEX|each_case",
        help="whose scans they are: a column of the table, a table case_id,patient_id, a regular expression whose first"
        " group is the patient, or each_case: every case is a patient of its own",
    )
    parser.add_argument("--name", help="name of the run, by default that of the data")
    parser.add_argument("--overwrite", action="store_true", help="replace the YAML file where it exists")


def run(arguments: argparse.Namespace) -> int:
    """Look at the data, write the configuration, and say how to go on."""
    from hilum.pipeline.proposal.origin import Wishes
    from hilum.pipeline.proposal.propose import new

    def say(line: str) -> None:
        print(line, file=sys.stderr if arguments.output == "-" else sys.stdout, flush=True)

    wishes = Wishes(arguments.source, arguments.task, arguments.label, arguments.patients)
    made = new(
        arguments.data, arguments.output, wishes=wishes, name=arguments.name, overwrite=arguments.overwrite, say=say
    )
    for line in made.found:
        say(line)
    if not made.files:
        print(made.text, end="")
        return 0
    say("")
    for file in made.files:
        say(f"written: {file}")
    say(f"read it, then: hilum check {made.files[0]}")
    return 0
