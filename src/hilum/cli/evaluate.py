"""`hilum evaluate RUN [--part PART | --data OTHER] [key=value ...]`, or `hilum evaluate --predictions A --labels B`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hilum.pipeline.external_section import ScoringConfig
    from hilum.pipeline.scoring import Outputs

ONLY_FOR_OUTPUTS = ("labels", "classes", "config", "patients", "output")
"""Options that mean nothing without --predictions."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb takes."""
    parser.add_argument("run", nargs="?", help="a run folder")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings in place of the run's, such as predict.overlap=0.25"
    )
    parser.add_argument("--part", help="train, val (default) or test; looks at test are counted in the run's ledger")
    parser.add_argument(
        "--data", type=Path, metavar="OTHER", help="a YAML file with data.source: score every case of other data"
    )
    parser.add_argument(
        "--rehash", action="store_true", help="read all files again to see whether they changed, not just their times"
    )
    outputs = parser.add_argument_group("outputs of any tool, without a run")
    outputs.add_argument("--predictions", type=Path, metavar="DIR", help="masks, or a table of case_id and p_CLASS")
    outputs.add_argument("--labels", type=Path, metavar="DIR", help="masks of the same names, or case_id and label")
    outputs.add_argument("--classes", metavar="NAMES", help="background=0,liver=1; by default those of dataset.json")
    outputs.add_argument("--config", type=Path, metavar="CONFIG", help="a YAML file with task and metrics, instead")
    outputs.add_argument("--patients", type=Path, metavar="FILE", help="a table of case_id and patient_id")
    outputs.add_argument("--subset", action="store_true", help="leave out labels without a prediction")
    outputs.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="by default DIR-scores")
    outputs.add_argument("--overwrite", action="store_true", help="replace the scores in that folder")


def run(arguments: argparse.Namespace) -> int:
    """Score and print the table."""
    from hilum.errors import ConfigError

    if arguments.predictions is not None:
        _score(arguments)
        return 0
    given = [f"--{name}" for name in ONLY_FOR_OUTPUTS if getattr(arguments, name) is not None]
    words = _words(arguments)
    if given or not words or ("=" in words[0] and not Path(words[0]).exists()):
        what = f"{given[0]} needs --predictions" if given else "received neither a run nor --predictions"
        raise ConfigError(f"{what}: hilum evaluate RUN, or hilum evaluate --predictions DIR --labels DIR")
    from hilum.experiment import load
    from hilum.pipeline.evaluation import evaluate
    from hilum.pipeline.external import folder_of
    from hilum.pipeline.reporting import PICTURES_S, write_report

    run, overrides = Path(words[0]), words[1:]
    evaluate(run, part=arguments.part, data=arguments.data, overrides=overrides, rehash=arguments.rehash)
    if load(run / "config.yaml").train.report:
        scored = run if arguments.data is None else folder_of(run, arguments.data)
        write_report(scored, seconds=PICTURES_S, overrides=overrides)
    return 0


def _words(arguments: argparse.Namespace) -> list[str]:
    """What stands there without an option, in its order: argparse may take a run after an option for an override."""
    return [word for word in (arguments.run, *arguments.overrides) if word is not None]


def _score(arguments: argparse.Namespace) -> None:
    """Score the outputs of another tool."""
    from hilum.errors import ConfigError
    from hilum.pipeline.reporting import write_report
    from hilum.pipeline.scoring import Outputs, score_predictions

    overrides = _words(arguments)
    if arguments.labels is None:
        raise ConfigError("--predictions needs the truth too: --labels DIR")
    if any("=" not in word for word in overrides) or arguments.part or arguments.data:
        raise ConfigError("--predictions scores files without a run: remove the run, --part and --data")
    if arguments.classes and arguments.config:
        raise ConfigError("--classes and --config: received both, expected one of them")
    outputs = Outputs(arguments.predictions, arguments.labels, arguments.patients, subset=arguments.subset)
    scoring = _scoring(arguments, outputs, overrides)
    score_predictions(outputs, scoring, folder=arguments.output, overwrite=arguments.overwrite)
    write_report(arguments.output or outputs.scores)


def _scoring(arguments: argparse.Namespace, outputs: Outputs, overrides: list[str]) -> ScoringConfig:
    from hilum.pipeline.scoring import scoring_of_classes, scoring_of_config

    if arguments.config is not None:
        return scoring_of_config(arguments.config, overrides)
    scoring, note = scoring_of_classes(outputs, _classes(arguments.classes), overrides)
    if note:
        print(note)
    return scoring


def _classes(text: str | None) -> dict[str, int] | list[str] | None:
    """Classes as one writes them: `a=0,b=1`, or `a,b` numbered from 0."""
    from hilum.errors import ConfigError

    if text is None:
        return None
    pairs = [word.strip().partition("=") for word in text.split(",")]
    if all(not equals for _, equals, _ in pairs):
        return [name for name, _, _ in pairs]
    if not all(name and value.strip().isdecimal() for name, _, value in pairs):
        raise ConfigError(f"--classes: received '{text}', expected such as background=0,liver=1")
    return {name: int(value) for name, _, value in pairs}
