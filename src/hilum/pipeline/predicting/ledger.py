"""What is finished: a row for each case, with the hashes of its input, of weights and settings, and of its output."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hilum.case import Case
from hilum.data.hashes import SETTLED_NS, Hashes, file_sha256
from hilum.data.parallel import side_by_side
from hilum.errors import DataError
from hilum.formats.reading import files_of
from hilum.pipeline.predicting.folder import FOLDERS, OutputFolder
from hilum.pipeline.predicting.tables import Row, append_whole

INPUT, OUTPUT, SETUP = "input_sha256", "output_sha256", "setup_sha256"
"""The columns that say from what, by what and to what a case was predicted."""

HASH = {"output": OUTPUT, **{name: f"{name}_sha256" for name in FOLDERS}}
"""The columns that name the files of a case, and those that hold the hashes of these."""

Entry = dict[str, Any]
"""A line of a journal: `begun` or `ended` with a case, or the `row` of one with what its input was, and in which forms
it was written besides its labels."""

Wanted = Callable[[Case], Mapping[str, str]]
"""What is to be written of a case besides its labels, by column, and in which form."""


def labels_alone(case: Case) -> Mapping[str, str]:
    """Nothing is wanted besides labels."""
    return {}


@dataclass(frozen=True)
class Input:
    """The content of a case's files as a hash, and their sizes and times as another.

    A file changed just before it was hashed may change again within one tick of its clock: `settled` is False then.
    """

    sha256: str
    state: str
    settled: bool
    missing: tuple[int, ...] = ()

    def changed(self, case: Case) -> bool:
        """Whether the files are others by now. Raises DataError where they are gone."""
        return _state(case)[0] != self.state


@dataclass(frozen=True)
class Known:
    """What the journals of a folder say: the entries of finished cases, and cases that were in hand at a sudden end."""

    entries: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    unended: Mapping[str, int] = field(default_factory=dict)

    def finished(
        self, cases: Sequence[Case], output: OutputFolder, *, setup: str, wanted: Wanted = labels_alone
    ) -> dict[str, Row]:
        """The rows of those cases whose input, weights, settings and outputs are what they were, by id."""
        begun = [case for case in cases if case.id in self.entries]
        rows = side_by_side(lambda case: self._row(case, output, setup, wanted(case)), begun)
        return {str(row["case_id"]): row for row in rows if row is not None}

    def stale_outputs(self, case: Case, *, setup: str) -> set[tuple[str, str]]:
        """Name and hash of what was written for other images or by other settings than now.

        None where the images cannot be read, since they may be those of before.
        """
        rows = self._rows_with_files(case)
        try:
            content = _content(case) if rows else ""
        except DataError:
            return set()
        return _stale(rows, (content, setup))

    def stale_beside(self, case: Case, row: Row) -> set[tuple[str, str]]:
        """The same for a case that is finished anew, less the files that it has now."""
        now = {row[name] for name in HASH if name in row}
        found = _stale(self._rows_with_files(case), (row[INPUT], row[SETUP]))
        return {(name, sha256) for name, sha256 in found if name not in now}

    def _rows_with_files(self, case: Case) -> list[Row]:
        return [entry["row"] for entry in self.entries.get(case.id, ()) if "output" in entry["row"]]

    def _row(self, case: Case, output: OutputFolder, setup: str, wanted: Mapping[str, str]) -> Row | None:
        """The newest row of a case that still holds, without files that are not asked for now."""
        for entry in reversed(self.entries[case.id]):
            row: Row = entry["row"]
            formed = wanted.items() <= entry.get("forms", {}).items()
            if row[SETUP] == setup and formed and _same_input(case, entry):
                kept = _without(row, set(FOLDERS) - set(wanted))
                if _same_outputs(kept, output.path):
                    return kept | {"patient_id": case.patient}
        return None


class Journal:
    """The journal of one part of a batch, a JSON object a line; processes only ever add to it.

    A line that a power cut tore is passed over: its case is predicted again, to the same result.
    """

    def __init__(self, output: OutputFolder) -> None:
        self._file = output.journal
        self._lock = threading.Lock()

    def begin(self, case: Case) -> None:
        """Note that a case is in hand. Raises OSError where that cannot be written, as all of these do."""
        self._add({"begun": case.id})

    def end(self, case_id: str) -> None:
        """Note that a case is no longer in hand, and not finished: it failed, or the batch was asked to stop."""
        self._add({"ended": case_id})

    def finish(self, row: Row, made_from: Input, forms: Mapping[str, str] | None = None) -> None:
        """Note that a case is finished, and in which forms it was written besides its labels."""
        state = made_from.state if made_from.settled else ""
        self._add({"row": row, "state": state, "missing": made_from.missing} | ({"forms": forms} if forms else {}))

    def _add(self, entry: Mapping[str, Any]) -> None:
        with self._lock:
            append_whole(self._file, json.dumps(entry, ensure_ascii=False) + "\n")


def known(output: OutputFolder) -> Known:
    """What the journals of all parts of a folder say, from whatever division of the batch they are."""
    finished: defaultdict[str, list[Entry]] = defaultdict(list)
    unended: Counter[str] = Counter()
    for entry in _entries(sorted(output.state.glob("*-of-*.jsonl"), key=lambda file: file.stat().st_mtime_ns)):
        if "begun" in entry:
            unended[entry["begun"]] += 1
        elif "ended" in entry:
            unended.pop(entry["ended"], None)
        elif "row" in entry:
            finished[entry["row"]["case_id"]].append(entry)
            unended.pop(entry["row"]["case_id"], None)
    return Known(dict(finished), unended)


def input_of(case: Case) -> Input:
    """The content of a case's files, read now. Raises DataError where they cannot be read."""
    now_ns = time.time_ns()
    state, changed_ns = _state(case)
    return Input(_content(case), state, changed_ns < now_ns - SETTLED_NS, case.missing)


def _content(case: Case) -> str:
    """The hashes of the images in the order of the channels; that of the file where one holds them all."""
    hashes = Hashes(None)
    if len(case.files) > 1 and len({(ref.path, ref.key) for ref in case.files}) == 1:
        return hashes.of_image(case.files[0])
    return " ".join(hashes.of_image(ref) + ("" if ref.index is None else f"[{ref.index}]") for ref in case.files)


def _state(case: Case) -> tuple[str, int]:
    """What changes when one of the files does, and when one last did: sizes, times and places, all in one hash."""
    try:
        stats = [path.stat() for ref in dict.fromkeys(case.files) for path in files_of(ref)]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
    numbers = [(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) for stat in stats]
    text = json.dumps([numbers, [ref.index for ref in case.files], case.missing])
    return hashlib.sha256(text.encode()).hexdigest(), max((max(times[1:3]) for times in numbers), default=0)


def _same_input(case: Case, entry: Entry) -> bool:
    if list(case.missing) != entry["missing"]:
        return False
    try:
        return (entry["state"] != "" and _state(case)[0] == entry["state"]) or _content(case) == entry["row"][INPUT]
    except DataError:
        return False


def _same_outputs(row: Row, folder: Path) -> bool:
    """Whether every file of a row is as it was written."""
    try:
        return all(file_sha256(folder / str(row[name])) == row[HASH[name]] for name in HASH if name in row)
    except DataError:
        return False


def _without(row: Row, names: Collection[str]) -> Row:
    """A row without these files and their hashes."""
    gone = {*names, *(HASH[name] for name in names)}
    return {column: cell for column, cell in row.items() if column not in gone}


def _stale(rows: Iterable[Row], now: tuple[str | float, str | float]) -> set[tuple[str, str]]:
    """Name and hash of the files of rows that were made of another input or by another setup, and of no valid row."""
    stale, valid = set[tuple[str, str]](), set[tuple[str, str]]()
    for row in rows:
        files = {(str(row[name]), str(row[HASH[name]])) for name in HASH if name in row}
        (valid if (row[INPUT], row[SETUP]) == now else stale).update(files)
    return stale - valid


def _entries(files: Iterable[Path]) -> Iterable[Entry]:
    """The entries of journals in turn; lines that are none are passed over."""
    for file in files:
        for line in file.read_text(encoding="utf-8", errors="replace").split("\n"):
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry
