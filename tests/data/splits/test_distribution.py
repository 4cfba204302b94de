"""Amounts by part and value, counted by hand."""

from hilum.case import Case
from hilum.data.splits.base import Split
from hilum.data.splits.distribution import Amount, of_parts, of_tests


def test_patients_and_cases_are_counted_for_every_value() -> None:
    cases = [Case("1", "a", ()), Case("2", "a", ()), Case("3", "b", ()), Case("4", "c", ())]
    split = Split({"train": tuple(cases[:3]), "test": (cases[3],)})
    shown = of_parts(split, {"label": {"1": "x", "2": "y", "3": "x"}})
    assert shown.rows == {"train": Amount(2, 3), "test": Amount(1, 1)}
    assert shown.values("label") == ["(none)", "x", "y"]
    assert shown.columns["label"]["train"] == {"(none)": Amount(0, 0), "x": Amount(2, 2), "y": Amount(1, 1)}
    assert shown.columns["label"]["test"] == {"(none)": Amount(1, 1), "x": Amount(0, 0), "y": Amount(0, 0)}


def test_the_test_parts_of_several_runs_stand_side_by_side() -> None:
    a, b = Case("1", "a", ()), Case("2", "b", ())
    splits = {"fold-0": Split({"train": (a,), "test": (b,)}), "fold-1": Split({"train": (b,), "test": (a,)})}
    shown = of_tests(splits, {})
    assert shown.rows == {"fold-0": Amount(1, 1), "fold-1": Amount(1, 1)}
    assert shown.total == Amount(2, 2)


def test_a_patient_in_several_rows_counts_once_in_all() -> None:
    one = [Case(str(k), "mouse", ()) for k in range(3)]
    shown = of_parts(Split({"train": (one[0], one[1]), "val": (one[2],)}, one_patient=True), {})
    assert shown.rows == {"train": Amount(1, 2), "val": Amount(1, 1)}
    assert shown.total == Amount(1, 3)
