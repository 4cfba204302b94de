"""The rows and the summary of a restoration."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.errors import DataError
from hilum.evaluation.by_image import restoration_row
from hilum.evaluation.intervals import Bootstrap
from hilum.evaluation.rows import CaseKey
from hilum.evaluation.summary import summarise
from hilum.evaluation.table import table
from hilum.metrics.mae import MaeMetric
from hilum.metrics.psnr import PsnrMetric
from hilum.problem import Problem

PROBLEM = Problem("restoration", 2, ("image",), ("image",), ((),), exclusive=False, units=("",))
METRICS = (PsnrMetric(), MaeMetric())


def test_answers_stand_beside_their_inputs() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        truth = rng.uniform(0, 100, (1, 12, 12, 1))
        given = truth + 4.0
        restored = truth if number == 0 else truth + 1.0  # the first without any error: its PSNR is undefined
        key = CaseKey(f"c{number}", f"p{number}", "test")
        rows.append(restoration_row(key, truth, restored=restored, given=given, metrics=METRICS))
    summary = summarise(rows, PROBLEM, metrics=METRICS, bootstrap=Bootstrap(resamples=200))
    assert summary["overall"]["mae"]["value"] == pytest.approx(11 / 12)
    assert summary["overall"]["mae_input"]["value"] == pytest.approx(4.0)
    defined = [float(str(row["psnr"])) for row in rows[1:]]
    assert summary["overall"]["psnr"]["value"] == pytest.approx(np.mean(defined))
    assert any("psnr: undefined in 1 case" in note for note in summary["notes"])
    low, high = summary["overall"]["mae"]["low"], summary["overall"]["mae"]["high"]
    assert low <= 11 / 12 <= high
    assert any(line.split()[:1] == ["mae"] and " 4" in line for line in table(summary))


def test_images_of_other_shapes_are_refused() -> None:
    image = np.zeros((1, 3, 3, 1))
    with pytest.raises(DataError, match="received images"):
        restoration_row(CaseKey("c", "p", "val"), image, restored=image, given=image[:, :2], metrics=METRICS)
