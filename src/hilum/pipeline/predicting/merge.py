"""The tables of all parts of a batch as one, put together by whichever part ends last."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from hilum.case import Case
from hilum.formats.atomic import write_whole
from hilum.pipeline.predicting.folder import PART, OutputFolder, merging, writing_to
from hilum.pipeline.predicting.provenance import as_json, read
from hilum.pipeline.predicting.shards import WHOLE, Shard
from hilum.pipeline.predicting.tables import GrowingTable, Row

SHARED = ("input", "cases", "cases_sha256", "setup_sha256", "setup")
"""What the origins of all parts have in common."""
TABLES = ("results.csv", "failures.csv", "provenance.json")
"""What a part writes about its cases."""


def merge(output: OutputFolder, cases: Sequence[Case]) -> list[Shard]:
    """The parts that still have to end; where there is none, the tables of the whole batch are written.

    A part counts where it predicted the same cases by the same networks and settings as this one. Raises
    OutputError where the tables cannot be written.
    """
    whole = output.of(WHOLE)
    own = read(output)
    keys = ("cases_sha256", "setup_sha256")
    with merging(output), writing_to(output):
        found = {shard: read(output.of(shard)) for shard in output.shard.siblings}
        lacking = [
            shard
            for shard, facts in found.items()
            if not facts.get("complete") or any(facts.get(key) != own.get(key) for key in keys)
        ]
        if lacking:
            return lacking
        for file in whole.path.glob(".*.part"):  # outputs may be written by a part that begins again
            if (match := PART.fullmatch(file.name)) and match[1] in TABLES:
                file.unlink(missing_ok=True)
        place = {case.id: position for position, case in enumerate(cases)}
        for name in (output.results.name, output.failures.name):
            rows = [row for shard in found for row in rows_of(output.of(shard).tables / name)]
            rows = sorted((row for row in rows if row["case_id"] in place), key=lambda row: place[str(row["case_id"])])
            GrowingTable(whole.path / name).replace(rows)
        parts = {str(shard): facts["sessions"] for shard, facts in found.items()}
        shared = {key: own[key] for key in SHARED}
        write_whole(whole.provenance, as_json({"complete": True, **shared, "parts": parts}))
    return []


def forget_parts(output: OutputFolder) -> None:
    """Remove the tables of parts, once one process has all their rows in its own."""
    for folder in output.shards.glob("*-of-*"):
        for name in TABLES:
            (folder / name).unlink(missing_ok=True)
        _remove_empty(folder)
    _remove_empty(output.shards)


def rows_of(file: Path) -> list[Row]:
    """The rows of a table as text, without the cells that they leave empty."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(stream)]


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
