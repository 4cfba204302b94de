"""What the tables of a BIDS data set say about participants and their sessions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hilum.errors import DataError, Finding, nearest
from hilum.sources.bids_names import participants, sessions, without_blanks

Row = Mapping[str, str]


@dataclass(frozen=True)
class People:
    """Rows of participants.tsv by participant (sub-01), and of the sessions' tables by participant and session."""

    file: Path
    rows: Mapping[str, Row]
    sessions: Mapping[tuple[str, str], Row]

    def cells(self, participant: str, session: str) -> dict[str, str]:
        """All that is known of a session (its own table first), empty where the tables say n/a."""
        return {**self.rows.get(participant, {}), **self.sessions.get((participant, session), {})}

    def require(self, column: str) -> None:
        """Raise DataError where no table has this column, with the nearest that there is."""
        columns = dict.fromkeys(column for row in (*self.rows.values(), *self.sessions.values()) for column in row)
        if column not in columns:
            close = nearest(column, columns)
            hint = f"did you mean '{close}'? " if close else ""
            fix = f"{hint}the tables of participants and sessions have {', '.join(columns) or 'no columns'}"
            expected = f"a column '{column}'"
            raise DataError([Finding("error", "missing column", file=str(self.file), expected=expected, fix=fix)])

    def strangers(self, with_images: Iterable[str]) -> Iterator[Finding]:
        """Warnings for participants who are in the table or have images, but not both."""
        seen = {*with_images}
        for participant in self.rows:
            if participant not in seen:
                received = "a row, but no images"
                yield Finding("warning", "participant without images", participant, str(self.file), received)
        for participant in sorted(seen - {*self.rows}) if self.rows else ():
            received = "images, but no row"
            yield Finding("warning", "participant without row", participant, str(self.file), received)


def read_people(root: Path, with_images: Iterable[str]) -> People:
    """The tables of a data set, as far as there are any. Raises DataError where one is broken."""
    table = participants(root)
    rows = (
        {_prefixed(row["participant_id"], "sub-"): _facts(row, "participant_id") for row in table.rows} if table else {}
    )
    found: dict[tuple[str, str], Row] = {}
    for participant in dict.fromkeys(with_images):
        own = sessions(root, participant)
        for row in own.rows if own else ():
            found[participant, _prefixed(row["session_id"], "ses-")] = _facts(row, "session_id")
    return People(root / "participants.tsv", rows, found)


def _facts(row: Row, key: str) -> Row:
    return {column: cell for column, cell in without_blanks(row).items() if column != key}


def _prefixed(name: str, prefix: str) -> str:
    return name if name.startswith(prefix) else prefix + name
