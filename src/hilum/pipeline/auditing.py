"""The audit of an experiment's data: copies, confounding, balance, patients, and whom other runs have seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hilum.case import Cohort
from hilum.data.audit import Audit, audit
from hilum.data.index import Index
from hilum.data.seen import Seen, incomparable, read_seen, seen_before
from hilum.data.splits.base import Split
from hilum.errors import Finding
from hilum.experiment import Experiment
from hilum.report.duplicates import montage
from hilum.run import open_run
from hilum.tracking.console import bar


def look_for_copies(
    experiment: Experiment, cohort: Cohort, split: Split, *, index: Index, picture: Path | None = None
) -> Audit:
    """What the audit found; the pairs of copies are drawn into `picture`, where there are any.

    What images look like is remembered in the cache folder. Raises DataError where an image changes meanwhile.
    """
    problem = experiment.provisional_problem()
    with bar("looking for copies") as progress:
        done = audit(cohort, split, problem, headers=index.headers, cache=experiment.data.cache, progress=progress)
    if picture is not None and done.pairs:
        montage(done.pairs, picture)
    return done


def seen_in(folder: Path) -> list[Seen]:
    """The images that a run was trained or chosen on. Raises CheckpointError for a folder that holds no such run."""
    run = open_run(folder)
    return read_seen(run.seen, sha256=run.read_json(run.provenance).get("seen_sha256"))


def seen_by_others(experiment: Experiment, split: Split, runs: Sequence[Path]) -> Iterator[Finding]:
    """An error for each case of val and test that one of these runs was trained or chosen on.

    They are runs whose weights this one starts from. Raises CheckpointError for a folder that holds no run.
    """
    scored = [*split.part("val"), *split.part("test")]
    for folder in runs:
        seen = seen_in(folder)
        if said := incomparable(seen):
            yield Finding("warning", "hashes not comparable", file=str(folder), fix=said)
        for finding in seen_before(scored, seen, cache=experiment.data.cache):
            fix = "let it be in train here (data.split={kind: predefined, file: split.csv}), or leave the case out"
            yield replace(finding, kind="seen by another run", fix=fix)
