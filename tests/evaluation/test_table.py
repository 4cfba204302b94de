"""What the printed table has to show."""

from __future__ import annotations

import re

from hilum.evaluation.table import table


def score(value: float, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


SEGMENTATION = {
    "task": "segmentation",
    "patients": 5,
    "cases": 10,
    "interval": {"level": 0.95, "resamples": 1000},
    "notes": ["missed structures count"],
    "unit": "mm",
    "metrics": {"dice": {"unit": ""}, "hd95": {"unit": "mm"}},
    "overall": {"dice": score(0.75, 0.7, 0.8), "hd95": score(6.0, 5.0, 7.0)},
    "classes": {
        "liver": {"cases": 10, "found": 10, "missed": 0, "invented": 0, "absent": 0}
        | {"dice": score(0.9, 0.85, 0.95), "hd95": score(2.0, 1.0, 3.0)},
        "tumour": {"cases": 10, "found": 6, "missed": 3, "invented": 1, "absent": 0}
        | {"dice": score(0.6, 0.5, 0.7), "hd95": score(10.0, 8.0, 12.0)},
    },
}


def test_segmentation_shows_patients_misses_intervals_units_and_rules() -> None:
    lines = table(SEGMENTATION)
    assert lines[0].startswith("5 patients, 10 cases; in brackets 95% intervals from 1000 resamples")
    fields = [re.split(r" {2,}", line.strip()) for line in lines[2:6]]
    assert fields[0] == ["cases", "found", "missed", "invented", "absent", "dice", "hd95 (mm)"]
    assert fields[2] == ["tumour", "10", "6", "3", "1", "0", "0.600 [0.500, 0.700]", "10.000 [8.000, 12.000]"]
    assert fields[3] == ["mean", "20", "16", "3", "1", "0", "0.750 [0.700, 0.800]", "6.000 [5.000, 7.000]"]
    assert lines[-1] == "note: missed structures count"
    assert len({line.index("[") for line in lines[3:6]}) == 1


def test_classification_shows_class_sizes_and_what_is_undefined() -> None:
    lines = table(
        {
            "task": "classification",
            "patients": 1,
            "cases": 2,
            "interval": None,
            "notes": [],
            "metrics": {},
            "classes": {"normal": {"cases": 0}, "ill": {"cases": 2}},
            "overall": {"auroc": score(0.5) | {"value": None, "note": "undefined: so"}, "accuracy": score(0.5)},
        }
    )
    assert lines[0] == "1 patient, 2 cases"
    assert "cases a class: normal 0, ill 2" in lines
    assert "auroc     undefined: so" in lines
    assert "accuracy  0.500" in lines
