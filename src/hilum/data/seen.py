"""What a network has seen: the images of its training and validation patients, so that nobody scores it on them."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, astuple, dataclass, fields
from pathlib import Path

from hilum.case import Case, ImageRef
from hilum.data.audit.looks import Look, looks_of, reader, turned_hashes
from hilum.data.splits.base import Part, Split
from hilum.errors import CheckpointError, DataError, Finding
from hilum.sources.spelling import spelling
from hilum.sources.tables import read_table

SEEN_PARTS: tuple[Part, ...] = ("train", "val")
"""Weights come from the first, the choice among them from the second."""


@dataclass(frozen=True)
class Seen:
    """An image that the network of a run has seen, and whose it is.

    `voxels` is the hash of its decoded values, whatever the file, and `heap` that of the values in any order; both are
    empty for an image without contrast, which many patients may share. `reader` stands for the code and the libraries
    that made them; older tables lack it.
    """

    run: str
    part: str
    case_id: str
    patient_id: str
    voxels: str
    heap: str = ""
    reader: str = ""

    @property
    def comparable(self) -> bool:
        """Whether other hashes mean other images: not where another version of the readers made these."""
        return not self.voxels or self.reader == reader()


def seen_of(split: Split, run: str, *, cache: Path | None = None) -> list[Seen]:
    """The images that a run with this split sees; what is remembered of them in the cache folder is not read again."""
    pairs = [(part, case) for part in SEEN_PARTS for case in split.part(part)]
    looks = looks_of([ref for _, case in pairs for ref in case.files], cache=cache)
    return [
        Seen(run, part, case.id, case.patient, *_hashes(looks.get(ref)), reader())
        for part, case in pairs
        for ref in case.files
    ]


def as_csv(rows: Iterable[Seen]) -> str:
    """The table of what was seen, a row an image."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Seen))
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue()


def table_sha256(table: str) -> str:
    """The hash of such a table, kept with the run."""
    return hashlib.sha256(table.encode()).hexdigest()


def read_seen(file: Path, *, sha256: str | None) -> list[Seen]:
    """The rows of such a table. Raises CheckpointError where it is missing, or not the one with this hash."""
    if not file.is_file() or sha256 is None:
        raise CheckpointError(f"{file} is missing: it is written by `hilum train`, so nobody knows what this run saw")
    try:
        changed = table_sha256(file.read_text(encoding="utf-8")) != sha256
        table = read_table(file)
        table.require([field.name for field in fields(Seen) if field.default is MISSING])
    except (DataError, OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    if changed:
        raise CheckpointError(f"{file} was edited since the run was trained: bring it back from a copy")
    return [Seen(**{field.name: row.get(field.name, "") for field in fields(Seen)}) for row in table.rows]


def seen_before(cases: Sequence[Case], seen: Sequence[Seen], *, cache: Path | None = None) -> list[Finding]:
    """An error for each case that was seen: one with the same voxels (also
    mirrored or turned), the same case id, or the same
    patient id in any spelling.
    """
    by_voxels = {row.voxels: row for row in reversed(seen) if row.voxels}
    heaps = {row.heap for row in seen if row.heap}
    by_case = {row.case_id: row for row in reversed(seen)}
    by_patient = {row.patient_id: row for row in reversed(seen)}
    by_spelling = {spelling(row.patient_id): row for row in reversed(seen) if row.patient_id != row.case_id}
    looks = looks_of([ref for case in cases for ref in case.files], cache=cache)

    def reasons(case: Case) -> Iterator[tuple[str, Seen, ImageRef | None]]:
        for ref in case.files:
            voxels, heap = _hashes(looks.get(ref))
            if voxels in by_voxels:
                yield "the voxels", by_voxels[voxels], ref
            elif heap in heaps and (turned := next((one for one in turned_hashes(ref) if one in by_voxels), None)):
                yield "the voxels, mirrored or turned,", by_voxels[turned], ref
        if case.id in by_case:
            yield "the case id", by_case[case.id], None
        if case.patient in by_patient:
            yield "the patient id", by_patient[case.patient], None
        if case.patient != case.id and spelling(case.patient) in by_spelling:
            yield f"the patient id '{case.patient}', a spelling of that", by_spelling[spelling(case.patient)], None

    found = ((case, next(reasons(case), None)) for case in cases)
    return [_finding(case, *reason) for case, reason in found if reason is not None]


def incomparable(seen: Iterable[Seen]) -> str:
    """What has to be said where images that were seen cannot be told by their hashes; empty where they can."""
    runs = sorted({row.run for row in seen if not row.comparable})
    if not runs:
        return ""
    return (
        f"the hashes of run {', '.join(runs)} come from other versions of hilum's readers or their libraries: "
        "a copy under another case id and patient id may go unnoticed, only ids were compared for certain"
    )


def refuse_seen(cases: Sequence[Case], seen: Sequence[Seen], *, cache: Path | None = None) -> None:
    """Raise DataError naming every case that the network has seen."""
    findings = seen_before(cases, seen, cache=cache)
    if findings:
        raise DataError(findings)


def _hashes(look: Look | None) -> tuple[str, str]:
    """`voxels` and `heap` of an image; empty where it has no contrast or cannot be read."""
    return ("", "") if look is None or look.thumbnail is None else (look.voxels, look.heap)


def _finding(case: Case, what: str, row: Seen, ref: ImageRef | None) -> Finding:
    return Finding(
        "error",
        f"seen in {row.part}",
        case.id,
        file="" if ref is None else str(ref),
        received=f"{what} of case {row.case_id} (patient {row.patient_id}) in the {row.part} part of run {row.run}",
        expected="patients that the network has not seen",
        fix="take the case out, or predict without --check-leakage where no score is to be drawn from it",
    )
