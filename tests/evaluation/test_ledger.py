"""The ledger remembers every look."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from hilum.errors import DataError
from hilum.evaluation.ledger import LEDGER_NAME, count_looks, read_looks, record_look


def look(ledger: Path, part: str = "test", dice: float = 0.5) -> int:
    return record_look(ledger, part, config_sha256="c" * 64, checkpoint_sha256="w" * 64, scores={"dice": dice})


def test_looks_are_appended_and_counted(tmp_path: Path) -> None:
    ledger = tmp_path / LEDGER_NAME
    assert (count_looks(ledger), read_looks(ledger)) == (0, ())
    assert [look(ledger, dice=0.5), look(ledger, dice=0.75), look(ledger, "external"), look(ledger)] == [1, 2, 1, 3]
    assert count_looks(ledger) == 3
    first, second, *_ = read_looks(ledger)
    assert (first.scores, second.scores, first.checkpoint_sha256) == ({"dice": 0.5}, {"dice": 0.75}, "w" * 64)
    assert datetime.fromisoformat(first.time).utcoffset() is not None
    assert len([json.loads(line) for line in ledger.read_text().splitlines()]) == 4


def test_an_undefined_score_is_null(tmp_path: Path) -> None:
    look(tmp_path / LEDGER_NAME, dice=float("nan"))
    assert read_looks(tmp_path / LEDGER_NAME)[0].scores == {"dice": None}
    assert "NaN" not in (tmp_path / LEDGER_NAME).read_text()


@pytest.mark.parametrize("damage", ["not json", "[1]", '{"time": "x"}'])
def test_a_damaged_line_is_named_and_nothing_is_added(tmp_path: Path, damage: str) -> None:
    ledger = tmp_path / LEDGER_NAME
    look(ledger)
    with ledger.open("a") as stream:
        stream.write(damage + "\n")
    before = ledger.read_text()
    with pytest.raises(DataError, match=r"test_ledger\.jsonl:2: .* expected a look"):
        look(ledger)
    assert ledger.read_text() == before


def test_settings_that_replaced_those_of_the_run_are_kept(tmp_path: Path) -> None:
    """Lines of before, without such settings, are read as well."""
    ledger = tmp_path / LEDGER_NAME
    look(ledger)
    old = {key: value for key, value in json.loads(ledger.read_text()).items() if key != "overrides"}
    ledger.write_text(json.dumps(old) + "\n")
    record_look(ledger, "test", config_sha256="c", checkpoint_sha256="w", scores={}, overrides=["predict.overlap=0.2"])
    assert [list(one.overrides) for one in read_looks(ledger)] == [[], ["predict.overlap=0.2"]]
