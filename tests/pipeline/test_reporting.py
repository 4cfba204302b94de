"""Which cases the report shows: ranked by the mean of their structures, ties by the seed, none twice."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.report.page.conftest import write_comparison, write_crossval, write_run

from hilum.errors import CheckpointError, SplitError
from hilum.pipeline.case_pictures import _titled
from hilum.pipeline.reporting import write_report
from hilum.report.page.cases import FAILURES, worst_first
from hilum.report.page.files import read_files
from hilum.report.page.scored import Scored


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 40])
def test_extremes_come_first_and_no_case_twice(count: int) -> None:
    order = [f"c{index}" for index in range(count)]
    found = _titled(order)
    ids = [case for _, case in found]
    assert len(set(ids)) == len(ids) == min(count, max(3, 1 + FAILURES + 2) if count > 2 else count)
    if count > 2:
        assert [title for title, _ in found[:3]] == ["worst", "median", "best"]
        assert (ids[0], ids[2]) == (order[0], order[-1])
        assert set(ids[3:]) <= set(order[1 : 1 + FAILURES])
    if count == 40:
        assert found[3] == ("2 of 40", "c1")


def test_cases_are_ranked_by_the_mean_over_their_structures(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny", "segmentation")
    order = worst_first(Scored(read_files(run), "val"))
    with (run / "cases.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    means = {case: np.mean([float(row["dice"]) for row in rows if row["case_id"] == case]) for case in order}
    assert len(order) == 12
    assert list(means.values()) == sorted(means.values())


def test_a_score_where_lower_is_better_turns_the_order_around(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny", "segmentation")
    with (run / "config.yaml").open("a") as file:
        file.write("train: {monitor: hd95}\n")
    scored = Scored(read_files(run), "val")
    assert list(scored.metrics) == ["hd95", "dice"]
    means = {
        case: np.mean([float(row["hd95"] or 0) for row in scored.rows if row["case_id"] == case])
        for case in worst_first(scored)
    }
    assert list(means.values()) == sorted(means.values(), reverse=True)


def test_ties_are_drawn_by_the_seed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny", "segmentation")
    with (run / "cases.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    with (run / "cases.csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "dice": "0.5"} for row in rows)
    orders = []
    for seed in (1, 1, 2):
        known = json.loads((run / "provenance.json").read_text())
        (run / "provenance.json").write_text(json.dumps({**known, "seed": seed}))
        orders.append(worst_first(Scored(read_files(run), "val")))
    assert orders[0] == orders[1] != orders[2]


def test_no_run_and_no_such_part_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        write_report(tmp_path / "absent")
    with pytest.raises(SplitError, match="did you mean 'test'"):
        write_report(write_run(tmp_path / "tiny", "segmentation"), part="tset")


@pytest.mark.parametrize("kind", ["cross-validation", "comparison"])
def test_charts_are_in_tensorboard_too(kind: str, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    crossed = kind == "cross-validation"
    folder = write_crossval(tmp_path / "page") if crossed else write_comparison(tmp_path / "page")
    write_report(folder, say=lambda line: None)
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    drawn = {file.stem.removeprefix("test_") for file in (folder / "figures").glob("*.png")}
    assert drawn == {file.stem.removeprefix("test_") for file in (folder / "figures").glob("*.svg")}
    group = "test" if crossed else "comparison"
    assert set(events.Tags()["images"]) == {f"{group}/{name}" for name in drawn}
