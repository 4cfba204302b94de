"""The command `hilum`: one verb a file, imported only when it is used, so that help answers at once."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

# Verb -> the line that help shows for it. The module of the same name is imported when the verb is used.
VERBS = {
    "demo": "phantom patients from start to finish: generate, train, evaluate, predict; CPU, offline",
    "course": "learn with pictures, rung by rung, from a line to a U-Net: train, measure, draw; CPU, offline",
    "new": "look at a data set and write a commented configuration for it",
    "check": "find everything wrong with a configuration and its data; trains nothing",
    "describe": "a network layer by layer: output shape, parameters, multiply-adds, receptive field; needs no data",
    "split": "show, draw or write who is in train, val and test; trains nothing",
    "train": "train one run, or continue one with --resume; never scores the test part",
    "crossval": "train and score all folds, and pool the patients of all; continues by itself",
    "sweep": "train many settings of one experiment and compare them on the validation part; continues by itself",
    "evaluate": "score a run's patients, other data or another tool's outputs: a row a case, then means with intervals",
    "report": "write one HTML page of a run, a cross-validation or a comparison: scores, curves, cases; opens offline",
    "view": "page through volumes, truth and prediction in the browser; on this machine only, offline",
    "compare": "compare runs or cross-validations on the same patients: differences with intervals, tests, a ranking",
    "predict": "predict a file, a folder or a manifest on each input's own grid; goes on where it was stopped",
    "export": "a trained network as ONNX with a runner that needs no hilum, or as a bundle for MONAI; parity proved",
    "list": "what can be written into a configuration",
    "doctor": "what this machine can do: versions, devices, memory, and the prepared cases on its disk",
    "schema": "the JSON Schema of the configuration, for editors",
}
TOGETHER = ("train", "predict", "crossval")
"""Verbs that `torchrun` may start several times at once."""
FOOTER = """exit codes: 0 done; 1 a defect of hilum; 2 a mistake to mend; 3 a batch finished, some cases failed;
4 stopped by the disk, memory or NaN, and can be resumed; 130 interrupted and 143 terminated, both resumable"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    received = [*(sys.argv[1:] if arguments is None else arguments)]  # `list` names the verb's module in here
    parser = argparse.ArgumentParser(
        prog="hilum",
        description="Classify and segment medical images: one YAML file says what to do.",
        epilog=FOOTER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    wanted = next((word for word in received if not word.startswith("-")), None)
    if wanted is not None and wanted not in VERBS:
        from hilum.errors import nearest

        close = nearest(wanted, VERBS)
        hint = f"; did you mean '{close}'?" if close else ""
        parser.error(f"received the verb '{wanted}', expected one of {', '.join(VERBS)}{hint}")
    for name, line in VERBS.items():
        verb = verbs.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        if name == wanted:
            importlib.import_module(f"hilum.cli.{name}").add_arguments(verb)
    parsed, left = parser.parse_known_args(received)
    if left and (any(word.startswith("-") for word in left) or not hasattr(parsed, "overrides")):
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    if left:  # argparse takes all of the last positionals before an option, and none after it
        parsed.overrides = [*parsed.overrides, *left]
    if parsed.version:
        from hilum import __version__

        print(f"hilum {__version__}")
        return 0
    if parsed.verb is None:
        parser.print_help()
        return 2
    if parsed.verb not in TOGETHER and os.environ.get("WORLD_SIZE", "1") != "1":
        parser.error(f"only {', '.join(TOGETHER)} work on several processes: run {parsed.verb} without torchrun")
    return _guarded(parsed)


def _guarded(parsed: argparse.Namespace) -> int:
    """Run the verb; what the user can mend is a message without a traceback."""
    from hilum.errors import ConfigError, HilumError

    try:
        code: int = importlib.import_module(f"hilum.cli.{parsed.verb}").run(parsed)
    except ConfigError as error:
        print(error, file=sys.stderr)
        if error.summary or len(error.faults) > 1:
            print(error.summary or f"{len(error.faults)} problems found", file=sys.stderr)
        return error.exit_code
    except HilumError as error:
        print(f"hilum {parsed.verb}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 141
    except OSError as error:
        if error.errno is None:
            raise
        print(f"hilum {parsed.verb}: {error.strerror}: {error.filename or ''}", file=sys.stderr)
        return 2
    except Exception as error:
        code = getattr(error, "exit_code", 0)
        if not code:
            raise
        print(f"hilum {parsed.verb}: stopped by {error}", file=sys.stderr)
    return code
