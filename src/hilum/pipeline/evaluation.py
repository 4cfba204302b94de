"""Scores a part of a run's patients: rows first, then means with intervals, then pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hilum.case import Case, Cohort
from hilum.data.hashes import Hashes
from hilum.data.modalities import MODALITIES
from hilum.data.splits.base import PARTS, Part, Split
from hilum.data.splits.base import restore as restore_split
from hilum.errors import CheckpointError, DataError, SplitError
from hilum.evaluation.groups import with_groups
from hilum.evaluation.rows import Row
from hilum.evaluation.summary import overall, summarise
from hilum.evaluation.table import table
from hilum.inference.predictor import Predictor
from hilum.pipeline.by_patient import decided_rows, with_decisions
from hilum.pipeline.pictures import draw
from hilum.pipeline.provenance import split_data_sha256
from hilum.pipeline.restore import Restored, config_sha256, restore
from hilum.pipeline.validate import score_case
from hilum.run import Run, open_run
from hilum.training.interrupt import StopRequest

Say = Callable[[str], None]


def evaluate(
    folder: Path | str,
    *,
    part: str = "val",
    overrides: Sequence[str] = (),
    rehash: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """The summary of a part, after writing cases.csv, summary.json and pictures into the run folder.

    `rehash` reads all files again to see whether they changed. Scoring `test` is written into the run's ledger.
    Raises SplitError for a part without cases, CheckpointError where the run has no weights or its split is not the
    one it was trained with.
    """
    run = open_run(Path(folder))
    if part not in PARTS:
        raise SplitError(f"received the part '{part}', expected one of {', '.join(PARTS)}")
    restored = restore(run, overrides)
    cohort, split = _same_data(run, restored, rehash=rehash)
    cases = split.part(_as_part(part))
    if not cases:
        there = ", ".join(name for name in PARTS if split.part(name))
        raise SplitError(f"the split of {run.folder} has no {part} part; it has {there}")
    predictor = restored.predictor(restored.experiment.runtime.start(alone=True))
    metrics, notes = restored.experiment.metrics, [*cohort.notes, *split.notes, *restored.notes]
    if overrides:
        notes.append(f"scored with other settings than those of the run: {' '.join(overrides)}")
    rows = _score(run, cases, part, predictor=predictor, restored=restored)
    if part == "test":  # written down before anybody can see a score
        scores = overall(summarise(rows, restored.problem, metrics=metrics, bootstrap=None))
        looks = run.record_test_look(
            config_sha256=config_sha256(run, overrides), checkpoint_sha256=restored.weights_sha256, scores=scores
        )
        times = "once" if looks == 1 else f"{looks} times"
        notes.append(f"the test part of this run has been looked at {times}")
    run.write_rows(rows, part)
    rows = run.read_rows(part)  # the table is the only source of every score that is shown
    summary = summarise(rows, restored.problem, metrics=metrics, notes=notes)
    columns = (MODALITIES,) if predictor.may_lack_channels else ()
    summary = with_groups(summary, rows, restored.problem, columns=columns, metrics=metrics)
    summary = with_decisions(summary, rows, run=run, part=part, restored=restored)
    run.write_summary(summary, part)
    draw(run, part, rows=rows, cases=cases, predictor=predictor, monitor=restored.experiment.monitored)
    for line in table(summary):
        say(line)
    return summary


def _score(run: Run, cases: Sequence[Case], part: str, *, predictor: Predictor, restored: Restored) -> list[Row]:
    rows: list[Row] = []
    with StopRequest() as stop:
        for case in cases:
            stop.check()
            scored = score_case(case, part, predictor=predictor, metrics=restored.experiment.metrics)
            rows += decided_rows(scored, restored)
            if case is cases[0]:
                run.refuse_other_columns(rows[0], part)
    return rows


def _same_data(run: Run, restored: Restored, *, rehash: bool) -> tuple[Cohort, Split]:
    """The cohort and the split that the run was trained with, found unchanged."""
    facts = run.read_json(run.provenance)
    try:
        cohort = restored.experiment.data.source.cohort(restored.problem.kind)
    except DataError as error:
        started = facts.get("working_folder")
        hint = f"; the run was started in {started}: go there, or give the place as data.source...=PATH"
        raise DataError(f"{error}{hint if started != str(Path.cwd()) else ''}") from error
    notes = tuple(note for note in facts.get("notes", ()) if note not in cohort.notes)
    split = restore_split(run.split, cohort.cases, notes=notes)
    if split.sha256 != restored.facts["split_sha256"]:
        raise CheckpointError(f"{run.split} is not the split that the network was trained with: it was edited since")
    hashes = Hashes(restored.experiment.data.cache, rehash=rehash)
    if split_data_sha256(split, hashes) != facts.get("data_sha256"):
        raise CheckpointError(f"the data of {run.folder} are not those that it was trained with: files have changed")
    return cohort, split


def _as_part(part: str) -> Part:
    return next(name for name in PARTS if name == part)
