"""Takes note of every case that begins and ends: in the journal, in both tables, and on the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from hilum.case import Case
from hilum.data.hashes import file_sha256
from hilum.errors import DataError
from hilum.pipeline.predicting.case import Failure, Written
from hilum.pipeline.predicting.folder import OutputFolder, writing_to
from hilum.pipeline.predicting.ledger import Journal
from hilum.pipeline.predicting.tables import GrowingTable, Row

Say = Callable[[str], None]
Mark = Callable[[Case, Row], Row]
"""The row of a case with all that this batch says of it beyond its prediction; not kept for the next one."""


class Notes:
    """The tables of one part of a batch, true after every case, and its journal, from which a restart knows.

    Every method raises OutputError where the folder cannot be written.
    """

    def __init__(self, output: OutputFolder, cases: Sequence[Case], *, mark: Mark, say: Say) -> None:
        self.results = GrowingTable(output.results)
        self.failures = GrowingTable(output.failures)
        self._output = output
        self._cases = cases
        self._mark = mark
        self._say = say
        self._journal = Journal(output)
        self._in_hand: dict[str, None] = {}
        self._total = self._count = 0

    def start(self, finished: Mapping[str, Row]) -> None:
        """Begin the tables with the cases that are finished already."""
        self._total = len(self._cases) - len(finished)
        with writing_to(self._output):
            rows = [self._mark(case, finished[case.id]) for case in self._cases if case.id in finished]
            self.results.replace(rows)
            self.failures.replace([])

    def begun(self, case: Case) -> None:
        """A case is in hand."""
        self._in_hand[case.id] = None
        with writing_to(self._output):
            self._journal.begin(case)

    def finished(self, written: Written, stale: Iterable[tuple[str, str]] = ()) -> None:
        """The outputs of a case are in place: first the journal knows it, then the table that people read.

        What was made of its id before and is not made now goes: files of this name and hash.
        """
        with writing_to(self._output):
            for name, sha256 in stale:
                _remove_own(self._output.path / name, sha256)
            self._journal.finish(written.row, written.made_from, written.forms)
            self.results.add(self._mark(written.case, written.row))
        self._ended(written.case, f"{written.row['seconds']:.1f}s  done")

    def failed(self, failure: Failure, stale: Iterable[tuple[str, str]]) -> None:
        """A case cannot be predicted: of what was made of its id before, files of this name and hash go."""
        with writing_to(self._output):
            for name, sha256 in stale:
                _remove_own(self._output.path / name, sha256)
            self._journal.end(failure.case.id)
            self.failures.add(failure.row)
        self._ended(failure.case, f"FAILED while {failure.stage}: {failure.reason}")

    def left(self) -> None:
        """The batch stops: the cases in hand are not to blame for it."""
        with writing_to(self._output):
            for case_id in self._in_hand:
                self._journal.end(case_id)

    def sort(self) -> None:
        """The rows in the order of the cases, in whichever they were made."""
        place = {case.id: position for position, case in enumerate(self._cases)}
        with writing_to(self._output):
            for table in (self.results, self.failures):
                table.replace(sorted(table.rows, key=lambda row: place[str(row["case_id"])]))

    def _ended(self, case: Case, told: str) -> None:
        self._count += 1
        self._in_hand.pop(case.id, None)
        self._say(f"[{self._count}/{self._total}] {case.id}  {told}")


def _remove_own(file: Path, sha256: str) -> None:
    """Remove a file that is as hilum wrote it."""
    try:
        own = file_sha256(file) == sha256
    except DataError:
        return
    if own:
        file.unlink(missing_ok=True)
