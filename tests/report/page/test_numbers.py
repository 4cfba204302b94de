"""Every number that a page prints is one of its files, to the last digit: nothing is computed on the way."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.report.page.conftest import parsed, write_comparison, write_crossval, write_run

from hilum.pipeline.reporting import write_report


def numbers(content: Any) -> Iterator[float]:
    """All numbers of a JSON document."""
    if isinstance(content, dict | list):
        for inner in content.values() if isinstance(content, dict) else content:
            yield from numbers(inner)
    elif isinstance(content, int | float):
        yield float(content)


def in_files(folder: Path) -> set[float]:
    found: set[float] = set()
    for file in folder.glob("*.json*"):
        lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
        found.update(number for line in lines for number in numbers(json.loads(line)))
    if (folder / "cases.csv").is_file():
        with (folder / "cases.csv").open(newline="") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        found.update(float(cell) for cell in cells if cell.replace(".", "").replace("e-", "").isdecimal())
    return found


@pytest.mark.parametrize("kind", ["segmentation", "classification", "cross-validation", "comparison"])
def test_every_number_of_a_page_is_one_of_its_files(kind: str, tmp_path: Path) -> None:
    """Whole numbers aside, which count rows. The text is the value, rounded as it stands there."""
    makers: dict[str, Callable[[Path], Path]] = {"cross-validation": write_crossval, "comparison": write_comparison}
    folder = makers[kind](tmp_path / "page") if kind in makers else write_run(tmp_path / "page", kind)
    page = parsed(write_report(folder, say=lambda line: None).read_text(encoding="utf-8"))
    shown = [(float(value), text) for value, text in page.data]
    assert {value for value, _ in shown if not value.is_integer()} <= in_files(folder)
    for value, text in shown:
        plain = text.replace("\u2212", "-").replace("\u202f", "")
        if plain.startswith("<"):
            assert value < float(plain[1:])
            continue
        scale = 100 if plain.endswith("%") else 1
        plain = plain.removesuffix("\u00a0%")
        digits = len(plain.partition(".")[2])
        assert float(plain) == pytest.approx(scale * value, abs=0.5 * 10**-digits * (1 + 1e-9))
    assert len(shown) > 20
