"""Predicts a file, a folder or a manifest: one output a case, one row a case, and nothing that ends the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from hilum.case import Case
from hilum.errors import HilumError, number_of
from hilum.hardware import forget_peak_memory, give_back_freed_memory, keep_freed_memory, peak_memory_bytes
from hilum.inference.inputs import find_inputs
from hilum.pipeline.predicting.budget import budget_of
from hilum.pipeline.predicting.case import Failure, Work, Written
from hilum.pipeline.predicting.folder import OutputFolder, alone_in, clear_parts, open_output, writing_to
from hilum.pipeline.predicting.leakage import compared_with_seen
from hilum.pipeline.predicting.ledger import Known, known, labels_alone
from hilum.pipeline.predicting.merge import forget_parts, merge, rows_of
from hilum.pipeline.predicting.networks import Networks, open_networks, setup_sha256
from hilum.pipeline.predicting.notes import Mark, Notes
from hilum.pipeline.predicting.provenance import Origin, begin, facts_of
from hilum.pipeline.predicting.review import told as told_flags
from hilum.pipeline.predicting.road import Road
from hilum.pipeline.predicting.shards import WHOLE, Launch, launched
from hilum.pipeline.predicting.tables import GrowingTable, Row
from hilum.runtime import RuntimeConfig
from hilum.training.interrupt import StopRequest

Say = Callable[[str], None]
Runs = Path | str | Sequence[Path | str]


@dataclass(frozen=True)
class Batch:
    """What came of a batch, or of its part: rows of the cases that are predicted, and of those that could not be."""

    results: tuple[Row, ...]
    failures: tuple[Row, ...]


def predict(  # noqa: PLR0913 (each is an option of the command)
    runs: Runs,
    source: Path | str,
    output: Path | str,
    *,
    overrides: Sequence[str] = (),
    weights: Sequence[float] | None = None,
    shard: str | None = None,
    check_leakage: bool = False,
    redo: bool = False,
    say: Say = print,
) -> Batch:
    """Predictions of every case of `source`, in the folder `output` with results.csv, failures.csv, provenance.json.

    `runs` is a run folder, one that holds the folds of a cross-validation, or several of them: an ensemble, by the
    mean of their probabilities, weighted with `weights`. Segmentations lie on each input's own grid; classifications
    are rows of probabilities. A case that cannot be read or predicted is a row of failures.csv. What the folder holds
    already of the same images, networks and settings is kept, unless `redo`. `shard` "2/8" does the second of eight
    parts of the cases, which other processes or machines share. `say` is called by several threads, one at a time.

    Raises DataError where there is no input or the output cannot be written, and with `check_leakage` for cases that a
    network was trained or chosen on; CheckpointError for a bad run; ConfigError for networks that do not fit each
    other, and where another process does the same; OutputError where the disk fills up, Interrupted where it was asked
    to stop: the same call then goes on.
    """
    launch = launched(shard)
    networks = open_networks(runs, overrides, weights)
    cases = find_inputs(Path(source), networks.first.problem.channels, frames=networks.first.facts["frames"])
    mine = [case for case in cases if launch.shard.takes(case.id)]
    extras, remarks = networks.extras(cases)
    told = _teller(launch, say)
    compared = compared_with_seen(mine, networks, say=told) if check_leakage else set()
    review, _ = networks.review

    def mark(case: Case, row: Row) -> Row:
        seen: Row = {"seen": "no" if case.id in compared else "unknown"} if check_leakage else {}
        return (row if review is None else review.flagged(row)) | seen

    runtime = networks.first.experiment.runtime.start(alone=True)
    if runtime.device.type == "cpu":  # every window asks for the same pieces again: kept, unless they are counted
        (give_back_freed_memory if networks.counts_memory else keep_freed_memory)()
    forget_peak_memory(runtime.device)
    setup, predictor = networks.setup(runtime), networks.predictor(runtime)
    work = Work(
        *(predictor, _output(output, source, cases, launch), setup_sha256(setup), networks.of_cases, extras),
        review=review,
        budget=budget_of(predictor, told),
    )
    with alone_in(work.output) as locked:
        for note in (*_notes(networks, launch, mine=len(mine), locked=locked), *remarks):
            told(note)
        origin = begin(work.output, facts_of(Path(source), cases, setup), runtime)
        task = Task(work, mine, mark, told, networks.ahead, networks.together, runtime.device)
        batch = task.run(origin, redo=redo)
        if _close(work.output, cases, say=told):
            _write_patients(work.output, networks)
    if launch.together:
        _meet()
    return batch


@dataclass(frozen=True)
class Task:
    """The cases that one process does, and how it tells of them."""

    work: Work
    cases: Sequence[Case]
    mark: Mark
    say: Say
    ahead: int
    together: int
    device: torch.device

    def run(self, origin: Origin, *, redo: bool) -> Batch:
        """All cases that are not finished yet, to their end; the tables and the origin are true at any time."""
        output, setup = self.work.output, self.work.setup
        clear_parts(output, [case.id for case in self.cases])
        before = known(output)
        wanted = labels_alone if self.work.extras is None else self.work.extras.wanted
        finished = {} if redo else before.finished(self.cases, output, setup=setup, wanted=wanted)
        if finished:
            self.say(f"{number_of(len(finished), 'case')} finished before; --redo predicts them anew")
        notes = Notes(output, self.cases, mark=self.mark, say=self.say)
        origin.write(output)
        notes.start(finished)
        try:
            self._travel(notes, before, [case for case in self.cases if case.id not in finished])
            notes.sort()
        except Exception:
            self._stopped(notes, origin)
            raise
        batch = Batch(tuple(notes.results.rows), tuple(notes.failures.rows))
        counts = {"predicted": len(batch.results) - len(finished), "kept": len(finished)}
        origin.ended(complete=True, peak_gb=self._peak_gb, **counts, failed=len(batch.failures)).write(output)
        self._tell(batch)
        return batch

    def _travel(self, notes: Notes, before: Known, cases: Sequence[Case]) -> None:
        """The cases in order; those at which a process ended suddenly come last and one by one, the oftenest last."""

        def ended(what: Written | Failure) -> None:
            if isinstance(what, Written):
                notes.finished(what, before.stale_beside(what.case, what.row))
            else:
                notes.failed(what, before.stale_outputs(what.case, setup=self.work.setup))

        trusted = [case for case in cases if case.id not in before.unended]
        others = sorted((case for case in cases if case.id in before.unended), key=lambda c: before.unended[c.id])
        with StopRequest() as stop:
            Road(self.work, notes.begun, ended, self.ahead, self.together).travel(trusted, stop)
            Road(self.work, notes.begun, ended, ahead=0).travel(others, stop)

    def _stopped(self, notes: Notes, origin: Origin) -> None:
        """Leave behind what is true of a batch that ends early, as far as it can still be written."""
        counts = {"predicted": len(notes.results.rows), "failed": len(notes.failures.rows)}
        with suppress(HilumError):
            notes.left()
            origin.ended(complete=False, peak_gb=self._peak_gb, **counts).write(self.work.output)
        self.say(f"stopped after {number_of(len(notes.results.rows), 'case')}; the same command goes on from here")

    def _tell(self, batch: Batch) -> None:
        output = self.work.output
        pairs = ((output.results, batch.results), (output.failures, batch.failures))
        tables = [str(file) for file, rows in pairs if rows]
        seen = f"; see {' and '.join(tables)}" if tables else ""
        if self.work.review is not None and batch.results:
            self.say(told_flags(batch.results))
        limit = "" if self.work.budget is None else f" of {self.work.budget.most_bytes / 2**30:g} allowed"
        self.say(f"peak of memory: {self._peak_gb:g} GB{limit}")
        self.say(f"{len(batch.results)} predicted, {len(batch.failures)} failed{seen}")

    @property
    def _peak_gb(self) -> float:
        """The highest memory of this batch so far, in GB of 2^30 bytes: of the process, or of tensors on a GPU."""
        return round(peak_memory_bytes(self.device) / 2**30, 3)


def _output(output: Path | str, source: Path | str, cases: Sequence[Case], launch: Launch) -> OutputFolder:
    return open_output(Path(output), Path(source), cases, launch.shard)


def _teller(launch: Launch, say: Say) -> Say:
    """Says which part is speaking, where several may write into one log."""
    return say if launch.shard == WHOLE else lambda text: say(f"part {launch.shard}: {text}")


def _notes(networks: Networks, launch: Launch, *, mine: int, locked: bool) -> list[str]:
    """What is to be said before the first case."""
    notes = [*networks.notes, *networks.review[1]]
    if launch.shard != WHOLE:
        notes.append(f"{number_of(mine, 'case')}, as {launch.by} says")
    if not locked:
        notes.append("note: this file system has no locks: see that no two processes do the same part")
    return notes


def _close(output: OutputFolder, cases: Sequence[Case], *, say: Say) -> bool:
    """Put the tables of all parts together where this was the last one to end; gives whether it was."""
    if output.shard == WHOLE:
        forget_parts(output)
        return True
    table, lacking = output.of(WHOLE).results, merge(output, cases)
    if lacking:
        parts = ", ".join(map(str, lacking))
        say(f"the last part to end writes {table}; these have not ended yet with the same cases: {parts}")
    else:
        say(f"all parts have ended: {table} holds all cases")
    return not lacking


def _write_patients(output: OutputFolder, networks: Networks) -> None:
    """The table of patients from that of all cases; none where the experiment does not ask for patients."""
    with writing_to(output):
        GrowingTable(output.patients).replace(networks.patient_rows(rows_of(output.of(WHOLE).results)))


def _meet() -> None:
    """Wait for the processes of the same torchrun, which would stop them once this one ends with failed cases."""
    together = RuntimeConfig(device="cpu", precision="float32").start()
    together.barrier()
    together.stop()
