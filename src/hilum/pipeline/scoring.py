"""`hilum evaluate --predictions DIR --labels DIR`: scores the outputs of any tool against the truth, as its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hilum.case import Case, Cohort, natural_order
from hilum.config import read
from hilum.errors import ConfigError, DataError, Fault, nearest, number_of
from hilum.evaluation.groups import with_groups
from hilum.evaluation.rows import Row, write_rows
from hilum.evaluation.summary import summarise
from hilum.evaluation.table import table
from hilum.pipeline.external_section import SCORING_NAME, ScoringConfig
from hilum.pipeline.group_columns import Values, group_columns, values_by, with_columns
from hilum.pipeline.scored_folders import problem_of
from hilum.pipeline.scored_outputs import mask_rows, table_rows
from hilum.problem import Problem
from hilum.registry import load_plugins
from hilum.run import Run, write_text
from hilum.sources.labels import nnunet_labels, read_description
from hilum.sources.patients import PatientsConfig
from hilum.sources.tables import read_table
from hilum.yaml_text import dump, plain

Say = Callable[[str], None]
PART = "predictions"
"""What stands in the column `part` of such rows."""
MASK_METRICS = ("dice", "hd95", "nsd")
CLASS_METRICS = ("auroc", "accuracy", "balanced_accuracy")
"""The scores where none are named."""
SCORED = ("classification", "multilabel", "regression", "segmentation")
"""The kinds of task whose outputs of other tools are scored."""
DESCRIPTION = "dataset.json"
"""What nnU-Net writes beside its predictions, and keeps beside its labels."""


@dataclass(frozen=True)
class Outputs:
    """What is scored: masks in a folder, or answers in a table, against masks or a table of true ones.

    `patients` is a table of case_id and patient_id. `subset` allows labels without a prediction, which are left out.
    """

    predictions: Path
    labels: Path
    patients: Path | None = None
    subset: bool = False

    @property
    def scores(self) -> Path:
        """The folder that scores go to by default."""
        name = self.predictions.name if self.predictions.is_dir() else self.predictions.stem
        return self.predictions.with_name(f"{name}-scores")

    def patient_of(self, names: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
        """The patient of each case, and what has to be said of them."""
        config = PatientsConfig(table=self.patients) if self.patients else PatientsConfig(each_case=True)
        return config.assign(names, folder=self.labels.parent), config.notes

    def table_of_groups(self, scoring: ScoringConfig) -> Path | None:
        """The table whose columns `evaluate.by` names, of the patients or of true classes; None without groups.

        Raises ConfigError where there is no table, DataError where it lacks such a column.
        """
        columns = [one if isinstance(one, str) else one.column for one in scoring.evaluate.by]
        if not columns:
            return None
        if self.patients is None and self.labels.is_dir():
            raise ConfigError(
                "evaluate.by: expected a table with these columns beside case_id and patient_id: --patients FILE"
            )
        if self.patients is None:
            place = self.labels
        else:
            place = beside if (beside := self.labels.parent / self.patients).is_file() else self.patients
        read_table(place).require(("case_id", *columns))
        return place


def score_predictions(
    outputs: Outputs,
    scoring: ScoringConfig,
    *,
    folder: Path | None = None,
    overwrite: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """The summary of another tool's outputs, after writing cases.csv, summary.json and scoring.yaml into `folder`.

    By default that is PREDICTIONS-scores beside the predictions; `hilum compare` takes it like a run. Raises DataError
    for predictions that are missing, too many, on another grid, or hold values of no class.
    """
    folder = folder or outputs.scores
    home = Run(folder)
    if home.cases.exists() and not overwrite:
        raise ConfigError(f"{home.cases} exists already: replace it with --overwrite, or name another folder with -o")
    problem = problem_of(scoring)
    if problem.kind not in SCORED:
        raise ConfigError(f"task: received {problem.kind}, expected {', '.join(SCORED)} for outputs of other tools")
    wrong = [metric.kind for metric in scoring.metrics if problem.kind not in metric.tasks]
    if wrong:
        raise ConfigError(f"metrics: {', '.join(wrong)}: not for {problem.kind}")
    table_of_groups = outputs.table_of_groups(scoring)
    rows, notes = _rows(outputs, scoring, problem)
    rows = with_columns(rows, _groups(rows, table_of_groups, scoring))
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(home.cases, rows)
    write_text(folder / SCORING_NAME, dump(scoring.model_dump(mode="json")))
    bootstrap = scoring.evaluate.bootstrap
    summary = summarise(rows, problem, metrics=scoring.metrics, notes=notes, bootstrap=bootstrap)
    columns = group_columns(rows)
    summary = with_groups(summary, rows, problem, columns=columns, metrics=scoring.metrics, bootstrap=bootstrap)
    home.write_json(home.summary, {PART: summary})
    for line in table(summary):
        say(line)
    say(f"{home.cases}: every case; {home.summary}: the scores")
    return summary


def scoring_of_config(file: Path, overrides: Sequence[str] = ()) -> ScoringConfig:
    """How a YAML file's sections task, metrics and evaluate say to score. Raises ConfigError for what does not fit."""
    document = read(file, overrides)
    faults = load_plugins(document)
    wanted = {name: document.data[name] for name in ScoringConfig.model_fields if name in document.data}
    return _validated(wanted, document.fault, faults)


def scoring_of_classes(
    outputs: Outputs, classes: Mapping[str, int] | Sequence[str] | None, overrides: Sequence[str] = ()
) -> tuple[ScoringConfig, str]:
    """How to score outputs of these classes, or of those that a dataset.json beside them names; and a note on these.

    `overrides` are `metrics=...` and `evaluate...=...`. Raises ConfigError where nobody says which classes there are.
    """
    masks, note, task = outputs.predictions.is_dir(), "", dict[str, Any]()
    if classes is not None:
        task = {"kind": "segmentation" if masks else "classification", "classes": classes}
    else:
        file = next(
            (
                place / DESCRIPTION
                for place in (outputs.predictions, outputs.labels, outputs.labels.parent)
                if (place / DESCRIPTION).is_file()
            ),
            None,
        )
        if file is None:
            raise ConfigError(
                "expected the classes: --classes background=0,liver=1 or --config CONFIG; there is no dataset.json "
                f"in {outputs.predictions} or beside {outputs.labels} that names them"
            )
        declared = nnunet_labels(file, read_description(file).get("labels"))
        task = {"kind": "segmentation", "regions" if declared.regions else "classes": declared.classes}
        task |= {} if declared.ignore is None else {"ignore": declared.ignore}
        note = f"classes from {file}: {declared.described()}"
    content: dict[str, Any] = {"task": task, "metrics": list(MASK_METRICS if masks else CLASS_METRICS)}
    for text in overrides:
        key, _, value = text.partition("=")
        section, _, inner = key.partition(".")
        if section not in ("metrics", "evaluate") or (section == "evaluate") != bool(inner):
            raise ConfigError(f"{text}: here only metrics=[...] and evaluate.KEY=VALUE can be given")
        if inner:
            content.setdefault(section, {})[inner] = plain(value)
        else:
            content[section] = plain(value)
    return _validated(content, _on_command_line, []), note


def _validated(
    content: Mapping[str, Any], fault: Callable[[tuple[str | int, ...], str], Fault], faults: list[Fault]
) -> ScoringConfig:
    try:
        scoring = ScoringConfig.model_validate(dict(content))
    except ValidationError as error:
        found = {item["loc"]: item["msg"] for item in error.errors(include_url=False)}
        inner = {place[:end] for place in found for end in range(len(place))}  # of a whole and its part, the part
        faults = [*faults, *(fault(place, said) for place, said in found.items() if place not in inner)]
        raise ConfigError(faults) from error
    if faults:
        raise ConfigError(faults)
    return scoring


def _on_command_line(location: tuple[str | int, ...], message: str) -> Fault:
    return Fault("command line", ".".join(map(str, location)), message)


def _groups(rows: Sequence[Row], file: Path | None, scoring: ScoringConfig) -> Values:
    """The values of the scored cases in the columns of a table. Raises DataError for columns that it has not."""
    if file is None:
        return {}
    told = {cells["case_id"]: cells for cells in reversed(read_table(file).rows)}
    owners = {str(row["case_id"]): str(row["patient_id"]) for row in rows}
    cases = tuple(
        Case(name, patient, (), label=told[name].get("label"), metadata=told[name]) for name, patient in owners.items()
    )
    return values_by(Cohort(cases, ()), scoring.evaluate.by)


def _refuse_absent(place: Path) -> None:
    if not place.exists():
        close = nearest(place.name, [file.name for file in place.parent.glob("*")])
        raise DataError(f"{place}: no such file or folder" + (f"; did you mean '{close}'?" if close else ""))


def _rows(outputs: Outputs, scoring: ScoringConfig, problem: Problem) -> tuple[list[Row], list[str]]:
    """A row a case (and structure), and what has to be said of them."""
    for place in (outputs.predictions, outputs.labels):
        _refuse_absent(place)
    if outputs.predictions.is_dir() != outputs.labels.is_dir():
        raise DataError(
            f"expected two folders of masks or two tables, received {outputs.predictions} and {outputs.labels}"
        )
    if outputs.predictions.is_dir() != (problem.kind == "segmentation"):
        columns = "predicted_NAME for each number" if problem.continuous else "p_NAME for each class"
        wanted = "a folder of masks" if problem.kind == "segmentation" else f"a table with {columns}"
        raise DataError(f"{outputs.predictions}: expected {wanted}, since the task is {problem.kind}")
    make = mask_rows if outputs.predictions.is_dir() else table_rows
    found = make(outputs.predictions, outputs.labels, problem=problem, metrics=scoring.metrics, part=PART)
    if found.unpredicted and not outputs.subset:
        named = ", ".join(found.unpredicted[:5])
        raise DataError(
            f"{number_of(len(found.unpredicted), 'label')} without a prediction: {named}; a case that a tool could not "
            "predict must not vanish from its score: predict it, or score those that there are with --subset"
        )
    names = sorted({str(row["case_id"]) for row in found.rows}, key=natural_order)
    patients, notes = outputs.patient_of(names)
    rows: list[Row] = [{**row, "patient_id": patients[str(row["case_id"])]} for row in found.rows]
    if found.patients and not outputs.patients:
        rows, notes = [{**row, "patient_id": found.patients[str(row["case_id"])]} for row in rows], ()
    said = [f"{number_of(len(found.unpredicted), 'label')} without a prediction left out"] if found.unpredicted else []
    return rows, [f"predictions: {outputs.predictions}; truth: {outputs.labels}", *notes, *said]
