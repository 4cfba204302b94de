"""Gathers what `hilum view` shows from a run folder, or from a folder that `hilum predict` wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hilum.case import Case, ImageRef
from hilum.data.splits.base import COLUMNS as SPLIT_COLUMNS
from hilum.data.splits.base import PARTS, read_split_table
from hilum.errors import CheckpointError, ConfigError, DataError, HilumError, SplitError, nearest, number_of
from hilum.evaluation.rows import Row, read_rows
from hilum.experiment import Experiment, load
from hilum.inference.inputs import find_inputs
from hilum.inference.predictor import Predictor
from hilum.pipeline.restore import Restored, problem_from, restore
from hilum.pipeline.viewing.gathered import (
    RESULTS,
    Gathered,
    Score,
    Viewed,
    predicted_files,
    read_results,
    refuse_other_folder,
)
from hilum.report.page.wording import score_name
from hilum.run import Run, open_run
from hilum.training import checkpoint

PREFERRED = ("test", "val")
"""The parts that are shown first, where they have scores."""
SHOWN_TASKS = ("classification", "segmentation")
"""The kinds of task whose answers the page shows."""
MOST_COLUMNS = 3
UNSCORED = "not scored: hilum evaluate writes the scores"


def gather(
    folder: Path, *, predictions: Path | None = None, part: str | None = None, overrides: Sequence[str] = ()
) -> Gathered:
    """What a run folder, or a folder of predictions, has to show.

    Raises CheckpointError for another folder, SplitError for a part that there is not, DataError where the images
    cannot be found, ConfigError for what does not apply to the folder.
    """
    if (folder / "config.yaml").is_file():
        return _of_run(open_run(folder), predictions=predictions, part=part, overrides=overrides)
    if (folder / RESULTS).is_file():
        given = {"--predictions": predictions, "--part": part, "key=value": " ".join(overrides) or None}
        wrong = [name for name, value in given.items() if value is not None]
        if wrong:
            raise ConfigError(f"{', '.join(wrong)}: for a run; {folder} is a folder of predictions")
        return _of_predictions(folder)
    raise refuse_other_folder(folder)


def _of_run(run: Run, *, predictions: Path | None, part: str | None, overrides: Sequence[str]) -> Gathered:
    experiment = load(run.config, list(overrides))
    kind = experiment.task.kind
    _refuse_other_task(run, kind)
    cohort = experiment.data.source.cohort(kind)
    cases = cohort.cases
    files = predicted_files(predictions, cases) if predictions is not None else {}
    network, why = _network(run, overrides) if kind == "segmentation" and predictions is None else (None, "")
    parts = {row["case_id"]: row["part"] for row in read_split_table(run.split, SPLIT_COLUMNS).rows}
    rows: dict[str, list[Row]] = {}
    for row in read_rows(run.cases) if run.cases.is_file() else []:
        rows.setdefault(str(row["case_id"]), []).append(row)
    viewed = tuple(
        Viewed(
            case,
            parts.get(case.id, ""),
            tuple(rows.get(case.id, ())),
            *files.get(case.id, (None, {})),
        )
        for case in cases
    )
    said = f"{number_of(len(viewed), 'case')}, {kind} by {experiment.network.kind}"
    return Gathered(
        name=str(experiment.name),
        about=f"{said}; predictions from {predictions}" if predictions is not None else said,
        problem=replace(experiment.provisional_problem(), channels=cohort.channels),
        cases=viewed,
        part=_first_part(part, viewed),
        score=_score(experiment),
        columns=tuple(metric.column for metric in experiment.metrics)[:MOST_COLUMNS],
        network=network,
        lacking={
            "truth": "no truth for this case",
            "prediction": why or f"{predictions} holds no prediction of this case",
            "scores": UNSCORED,
        },
    )


def _refuse_other_task(run: Run, kind: str) -> None:
    """Raise ConfigError for a run of a task whose answers the page cannot show."""
    if kind not in SHOWN_TASKS:
        message = f"{run.folder}: received a {kind}, expected one of {', '.join(SHOWN_TASKS)}"
        raise ConfigError(f"{message}: of other tasks hilum evaluate draws a picture into the run folder")


def _network(run: Run, overrides: Sequence[str]) -> tuple[Any, str]:
    """What makes the predictor of a run, or why there is none: the run may not have got that far."""
    try:
        restored: Restored = restore(run, overrides)
    except CheckpointError as error:
        return None, f"no prediction: {error}"

    def made() -> Predictor:
        return restored.predictor(restored.experiment.runtime.start(alone=True))

    return made, ""


def _first_part(wanted: str | None, cases: Sequence[Viewed]) -> str:
    there = [part for part in PARTS if any(one.part == part for one in cases)]
    if wanted is not None and wanted not in there:
        close = nearest(wanted, there)
        hint = f"; did you mean '{close}'?" if close else ""
        raise SplitError(f"received the part '{wanted}', expected one of {', '.join(there)}{hint}")
    scored = [part for part in PREFERRED if any(one.part == part and one.rows for one in cases)]
    return wanted or next(iter([*scored, *(part for part in PREFERRED if part in there)]), "all")


def _score(experiment: Experiment) -> Score:
    if experiment.task.kind == "classification":
        return Score("", "probability of the truth", "higher")
    monitored = experiment.monitored
    return Score(monitored.column, score_name(monitored.column), monitored.better)


def _of_predictions(folder: Path) -> Gathered:
    """The cases of a batch on the images that it was made from. Raises DataError, or CheckpointError for its run."""
    facts = _provenance(folder)
    home = _home(facts)
    run, problem, frames = _predicted_by(folder, facts, home)
    _refuse_other_task(run, problem.kind)
    source = _placed(str(facts.get("input", "")), home)
    by_id = {case.id: case for case in find_inputs(source, problem.channels, frames=frames)}
    rows = read_results(folder)
    lost = [row["case_id"] for row in rows if row["case_id"] not in by_id]
    if lost:
        raise DataError(
            f"{source}: the images of {number_of(len(lost), 'case')} are no longer there, such as {lost[0]}"
        )
    found = predicted_files(folder, [by_id[row["case_id"]] for row in rows])
    viewed = tuple(_predicted(by_id[row["case_id"]], row, found[row["case_id"]][0]) for row in rows)
    return Gathered(
        name=folder.resolve().name,
        about=f"{number_of(len(viewed), 'case')} predicted by {run.folder.name}",
        problem=problem,
        cases=viewed,
        lacking={
            "truth": "no truth: these are new cases",
            "prediction": "its file is gone",
            "scores": "no truth, no scores",
        },
    )


def _predicted(case: Case, row: Mapping[str, str], mask: ImageRef | None) -> Viewed:
    patient = row.get("patient_id") or case.patient
    return Viewed(replace(case, patient=patient, label=None), mask=mask, row=row)


def _provenance(folder: Path) -> Mapping[str, Any]:
    file = folder / "provenance.json"
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        return dict(facts)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{file} does not say what was predicted by what ({error}): it lies beside {RESULTS}"
        ) from error


def _home(facts: Mapping[str, Any]) -> Path:
    """The folder in which the batch was started last."""
    sessions = [*facts.get("sessions", ()), *(one for part in facts.get("parts", {}).values() for one in part)]
    return Path(str(sessions[-1].get("working_folder", "."))) if sessions else Path()


def _placed(text: str, home: Path) -> Path:
    """A path as it was given, seen from here, else from where it was given."""
    path = Path(text)
    return path if path.exists() or not (home / path).exists() else home / path


def _predicted_by(folder: Path, facts: Mapping[str, Any], home: Path) -> tuple[Run, Any, Any]:
    """The run that a batch was made by (the first of an ensemble), its problem, and how images lie in files."""
    networks = (facts.get("setup") or {}).get("networks") or [{}]
    name = str(networks[0].get("run", ""))
    try:
        run = open_run(_placed(name, home))
        known = checkpoint.load(run.scored_checkpoint)[1]
    except (HilumError, OSError) as error:
        raise CheckpointError(
            f"{folder}: classes and channels are known to the run that predicted it, {name or 'unnamed'}: "
            f"{error}; start the command where that run can be found"
        ) from error
    return run, problem_from(known["problem"]), known["frames"]
