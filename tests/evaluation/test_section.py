"""The evaluate section: what its settings mean, and which columns it refuses before anything is computed."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hilum.case import Case, Cohort
from hilum.evaluation.intervals import Bootstrap
from hilum.evaluation.section import EvaluateConfig
from hilum.pipeline.group_columns import group_columns, values_by, with_columns


def cohort() -> Cohort:
    cases = [
        Case(f"c{n}", f"p{n}", (), "ill" if n % 2 else "well", metadata={"site": "AB"[n % 2], "age": str(40 + n)})
        for n in range(12)
    ]
    return Cohort(tuple(cases), ("image",))


def test_settings_are_those_of_the_bootstrap() -> None:
    section = EvaluateConfig(interval="bca", level=0.9, resamples=300, seed=4)
    assert section.bootstrap == Bootstrap(300, 0.9, 4, "bca")
    assert EvaluateConfig().bootstrap == Bootstrap()
    with pytest.raises(ValidationError):
        EvaluateConfig(resamples=10)


def test_columns_are_found_before_anything_is_computed() -> None:
    assert EvaluateConfig(by="site").faults(cohort()) == []  # type: ignore[arg-type] # one name stands for a list
    for column, message in (("sight", "did you mean 'site'?"), ("age", "bins")):
        ((where, said),) = EvaluateConfig(by=(column,)).faults(cohort())
        assert where == ("evaluate", "by")
        assert message in said


def test_rows_get_the_values_of_their_cases() -> None:
    values = values_by(cohort(), ("site", "label", EvaluateConfig(by={"column": "age", "bins": 2}).by[0]))  # type: ignore[arg-type]
    rows = with_columns([{"case_id": "c3", "part": "val", "dice": 1.0}], values)
    assert list(rows[0]) == ["case_id", "part", "by_site", "by_label", "by_age", "dice"]
    assert (rows[0]["by_site"], rows[0]["by_label"], rows[0]["by_age"]) == ("B", "ill", "1: 40 to 45")
    assert group_columns(rows) == ["by_site", "by_label", "by_age"]
    assert with_columns([{"case_id": "c3"}], {}) == [{"case_id": "c3"}]
