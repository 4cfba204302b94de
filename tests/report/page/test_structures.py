"""Strips of points and agreement of volumes: every point has its place, limits are those of the formula."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.page.conftest import segmentation_rows

from hilum.report.page import strips
from hilum.report.page.agreement import agreement, agreement_chart
from hilum.report.page.strips import RADIUS, strip_plot

HIGHER: dict[str, Any] = {"better": "higher", "unit": ""}
LOWER: dict[str, Any] = {"better": "lower", "unit": "mm"}


@given(st.lists(st.floats(0, 400), max_size=60))
def test_points_on_one_level_do_not_hide_each_other_as_long_as_there_is_room(places: list[float]) -> None:
    offsets = strips._offsets(places)
    assert len(offsets) == len(places)
    assert all(abs(offset) <= strips.BAND / 2 - RADIUS - 3 for offset in offsets)
    levels = len(set(strips._offsets([0.0] * 100)))
    placed: list[tuple[float, float]] = []
    for place, offset in sorted(zip(places, offsets, strict=True), key=lambda point: point[0]):
        near = [other for other in placed if place - other[0] < 1.8 * RADIUS]
        if len(near) < levels:
            assert offset not in {level for _, level in near}
        placed.append((place, offset))


@pytest.mark.parametrize(("column", "facts"), [("dice", HIGHER), ("hd95", LOWER)])
def test_points_lie_at_their_values_and_misses_stand_apart(column: str, facts: dict[str, Any]) -> None:
    rows = segmentation_rows()
    drawn = strip_plot(rows, {"organ": {}, "lesion": {}}, column=column, facts=facts, seed=0)
    assert drawn is not None
    marks = re.findall(r'<circle cx="([\d.]+)"[^>]*class="dot (\w+)[^>]*><title>([^<]*)', str(drawn.svg))
    found = {title.split(":")[0]: float(x) for x, kind, title in marks if kind == "point"}
    values = {f"{row['case_id']}, {row['class']}": row[column] for row in rows if row["status"] == "found"}
    shared = [name for name in values if name in found]
    assert len(shared) >= len(values) - 2  # the id that would be a program is escaped here
    slope, start = np.polyfit([values[name] for name in shared], [found[name] for name in shared], 1)
    assert np.allclose([start + slope * values[name] for name in shared], [found[name] for name in shared], atol=0.06)
    apart = [float(x) for x, kind, _ in marks if kind == "apart"]
    assert len(apart) == 2
    worse = max(found.values()) if facts["better"] == "lower" else -min(found.values())
    assert min(apart) > worse if facts["better"] == "lower" else max(apart) < -worse


def test_of_very_many_cases_the_worst_are_always_drawn() -> None:
    rng = np.random.default_rng(2)
    rows: list[dict[str, Any]] = [
        {"case_id": f"c{n}", "class": "organ", "status": "found", "dice": float(value)}
        for n, value in enumerate(rng.random(1500))
    ]
    drawn = strips._drawn(rows, "organ", "dice", HIGHER, seed=1)
    assert len(drawn) == len({row["case_id"] for row in drawn}) == strips.MOST_POINTS
    worst = sorted(rows, key=lambda row: float(row["dice"]))[: strips.MOST_POINTS // 2]
    assert {row["case_id"] for row in worst} <= {row["case_id"] for row in drawn}
    assert drawn == strips._drawn(rows, "organ", "dice", HIGHER, seed=1)


def test_nothing_to_draw_is_nothing() -> None:
    absent: list[dict[str, Any]] = [{"case_id": "c", "class": "organ", "status": "absent", "dice": 1.0}]
    assert strip_plot(absent, {"organ": {}}, column="dice", facts=HIGHER, seed=0) is None
    assert agreement(absent, "organ") is None


def test_bias_and_limits_are_those_of_bland_and_altman() -> None:
    rows = [row for row in segmentation_rows() if row["class"] == "organ"]
    found = agreement(rows, "organ")
    assert found is not None
    differences = np.array([row["predicted_ml"] - row["truth_ml"] for row in rows])
    assert found.bias == pytest.approx(differences.mean())
    assert found.limits == pytest.approx(differences.mean() + np.array([-1.96, 1.96]) * differences.std(ddof=1))
    assert f"bias {found.bias:.3f}".replace("-", "\u2212") in agreement_chart(found, "organ", 0).svg


def test_images_without_a_size_agree_in_voxels() -> None:
    rows = [{**row, "truth_ml": None, "predicted_ml": None} for row in segmentation_rows()]
    found = agreement(rows, "lesion")
    assert found is not None
    assert found.unit == "voxels"
    missed = next(index for index, row in enumerate(found.rows) if row["status"] == "missed")
    assert found.differences[missed] == -float(found.rows[missed]["truth_voxels"])  # type: ignore[arg-type]
