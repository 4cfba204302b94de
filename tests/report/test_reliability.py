"""The reliability diagram: a picture of any number of curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.evaluation.reliability import reliability_of
from hilum.report.reliability import PANEL_INCH, PANELS, reliability_diagram


@pytest.mark.parametrize("num_classes", [2, 3, 9])
def test_each_curve_has_a_panel_up_to_a_limit(tmp_path: Path, num_classes: int) -> None:
    rng = np.random.default_rng(0)
    probabilities, truth = rng.dirichlet(np.ones(num_classes), 50), rng.integers(0, num_classes, 50)
    names, people = [f"class {k}" for k in range(num_classes)], [f"p{k}" for k in range(50)]
    raw = reliability_of(truth, probabilities, classes=names, patients=people)
    reliability_diagram({"raw": raw, "calibrated": raw}, tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.format == "PNG"
        panels = 1 if num_classes == 2 else min(PANELS, num_classes + 1)
        assert abs(picture.width - 200 * (PANEL_INCH * panels + 0.4)) < 60


def test_a_single_case_can_be_drawn(tmp_path: Path) -> None:
    one = reliability_of(np.array([1]), np.array([[0.0, 1.0]]), classes=("no", "yes"), patients=["p"])
    reliability_diagram({"val": one}, tmp_path / "one.png")
    assert (tmp_path / "one.png").stat().st_size > 1000
