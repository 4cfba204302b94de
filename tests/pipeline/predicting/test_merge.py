"""Tables of parts become those of a single run, once the last part has ended with the same cases and networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hilum.case import Case
from hilum.pipeline.predicting.folder import OutputFolder, open_output
from hilum.pipeline.predicting.merge import forget_parts, merge
from hilum.pipeline.predicting.provenance import Origin, read
from hilum.pipeline.predicting.shards import WHOLE, Shard
from hilum.pipeline.predicting.tables import GrowingTable, Row

CASES = [Case(name, "p", ()) for name in ("a", "b", "c", "d")]
FACTS: dict[str, Any] = {"input": "in", "cases": 4, "cases_sha256": "l", "setup_sha256": "s", "setup": {"hilum": "1"}}


def row(name: str) -> Row:
    unit = "ml" if name < "c" else "pixels"
    return {"case_id": name, "status": "done", f"organ_{unit}": 1.5}


def part(folder: Path, number: int, names: str, **facts: Any) -> OutputFolder:
    """One part of two, whose cases are all done; the first of them has failed."""
    output = open_output(folder / "out", folder / "in", [], Shard(number, 2))
    GrowingTable(output.results).replace([row(name) for name in names[1:]])
    GrowingTable(output.failures).replace([{"case_id": names[0], "stage": "reading"}])
    complete = facts.pop("complete", True)
    Origin({**FACTS, **facts}, output.shard, ({"started": "then"},), complete).write(output)
    return output


def test_the_last_part_writes_what_a_single_run_would(tmp_path: Path) -> None:
    single = GrowingTable(tmp_path / "single.csv")
    single.replace([row(name) for name in "bc"])
    first = part(tmp_path, 1, "db")
    assert merge(first, CASES) == [Shard(2, 2)]
    assert not (first.path / "results.csv").exists()
    second = part(tmp_path, 2, "ac")
    assert merge(second, CASES) == []
    assert (first.path / "results.csv").read_bytes() == single.file.read_bytes()
    assert (first.path / "failures.csv").read_text() == "case_id,stage\na,reading\nd,reading\n"
    facts = json.loads((first.path / "provenance.json").read_text())
    assert facts["complete"]
    assert set(facts["parts"]) == {"1/2", "2/2"}
    assert merge(first, CASES) == []  # whoever comes later writes the same


def test_parts_of_something_else_do_not_count(tmp_path: Path) -> None:
    first = part(tmp_path, 1, "db")
    for other in ({"setup_sha256": "other"}, {"cases_sha256": "other"}, {"complete": False}):
        part(tmp_path, 2, "ac", **other)
        assert merge(first, CASES) == [Shard(2, 2)]


def test_tables_of_parts_go_once_one_process_has_all_rows(tmp_path: Path) -> None:
    first = part(tmp_path, 1, "db")
    (first.shards / "mine.txt").touch()
    forget_parts(first.of(WHOLE))
    assert [file.name for file in first.shards.iterdir()] == ["mine.txt"]
    assert read(first) == {}
