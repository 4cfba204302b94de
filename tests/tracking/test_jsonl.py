"""The log: complete lines only, valid JSON, and a resume that goes back to the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hilum.errors import DataError
from hilum.tracking.jsonl import append, read, truncate


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    records = [{"epoch": 0, "train_loss": 0.1 + 0.2, "name": "é"}, {"epoch": 1, "val": {"dice": [1.0, 0.5]}}]
    for record in records:
        append(path, record)
    assert read(path) == records
    assert path.read_text(encoding="utf-8").count("\n") == 2


def test_numbers_of_numpy_and_torch_and_missing_ones_are_standard_json(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append(path, {"a": np.float64(0.5), "b": torch.tensor(2), "c": float("nan"), "d": np.float32("inf")})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    record = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    assert record == {"a": 0.5, "b": 2, "c": None, "d": None}


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append(path, {"epoch": 0})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"epoch": 1, "train_lo')
    assert read(path) == [{"epoch": 0}]
    truncate(path, lambda record: True)
    append(path, {"epoch": 1})
    assert read(path) == [{"epoch": 0}, {"epoch": 1}]


def test_truncating_keeps_the_epochs_of_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for epoch in range(5):
        append(path, {"epoch": epoch, "loss": 0.1 * epoch})
    lines = path.read_bytes().splitlines(keepends=True)
    truncate(path, lambda record: record["epoch"] <= 2)
    assert path.read_bytes() == b"".join(lines[:3])
    assert list(tmp_path.iterdir()) == [path]


def test_no_log_is_an_empty_log(tmp_path: Path) -> None:
    truncate(tmp_path / "log.jsonl", lambda record: True)
    assert read(tmp_path / "log.jsonl") == []


@pytest.mark.parametrize("line", ["{broken", "[1, 2]"])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f'{{"epoch": 0}}\n{line}\n{{"epoch": 2}}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"log\.jsonl:2: "):
        read(path)
