"""Scores a part of a run's patients: rows first, then means with intervals, then pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hilum.case import Cohort
from hilum.data.hashes import Hashes
from hilum.data.splits.base import PARTS, Part, Split
from hilum.data.splits.base import restore as restore_split
from hilum.errors import CheckpointError, DataError, SplitError
from hilum.pipeline.external import evaluate_external, refuse_part
from hilum.pipeline.provenance import split_data_sha256
from hilum.pipeline.restore import Restored, config_sha256, restore
from hilum.pipeline.scored_part import ScoredPart
from hilum.run import Run, open_run

Say = Callable[[str], None]


def evaluate(
    folder: Path | str,
    *,
    part: str | None = None,
    data: Path | str | None = None,
    overrides: Sequence[str] = (),
    rehash: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """The summary of a part (val unless named), after writing cases.csv, summary.json and pictures into the run folder.

    With `data`, the YAML file of another data set, all cases of that one instead: see `evaluate_external`. `rehash`
    reads all files again to see whether they changed. Scoring `test` is written into the run's ledger. Raises
    SplitError for a part without cases, CheckpointError where the run has no weights or its split is not the one it
    was trained with.
    """
    run = open_run(Path(folder))
    if data is not None:
        refuse_part(part)
        return evaluate_external(run, Path(data), overrides=overrides, say=say)
    part = part or "val"
    if part not in PARTS:
        raise SplitError(f"received the part '{part}', expected one of {', '.join(PARTS)}")
    restored = restore(run, overrides)
    cohort, split = _same_data(run, restored, rehash=rehash)
    cases = split.part(_as_part(part))
    if not cases:
        there = ", ".join(name for name in PARTS if split.part(name))
        raise SplitError(f"the split of {run.folder} has no {part} part; it has {there}")
    predictor = restored.predictor(restored.experiment.runtime.start(alone=True))
    notes = [*cohort.notes, *split.notes, *restored.notes]
    if overrides:
        notes.append(f"scored with other settings than those of the run: {' '.join(overrides)}")
    scored = ScoredPart(run, part, cases, cohort, restored, predictor)
    rows = scored.rows()
    if part == "test":  # written down before anybody can see a score
        looks = run.record_look(
            part,
            config_sha256=config_sha256(run, overrides),
            checkpoint_sha256=restored.weights_sha256,
            scores=scored.scores(rows),
            overrides=overrides,
        )
        times = "once" if looks == 1 else f"{looks} times"
        notes.append(f"the test part of this run has been looked at {times}")
    return scored.settle(rows, notes=notes, say=say)


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
