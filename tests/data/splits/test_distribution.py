"""Amounts by part and value, counted by hand."""

from hilum.case import Case
from hilum.data.splits.base import Split
from hilum.data.splits.distribution import Amount, distribution, of_parts, of_tests, shortened


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


def test_the_rarest_of_many_values_are_counted_together() -> None:
    """Site k has 20 - k cases, all of patients with two; a patient with two rare sites counts once among the others."""
    sites = [f"site {k}" for k in range(1, 12) for _ in range(20 - k)]
    cases = [Case(str(k), str(k // 2), ()) for k in range(len(sites))]
    found = distribution("parts", {"train": cases}, {"site": {str(k): site for k, site in enumerate(sites)}})
    assert found.values("site") == [*(f"site {k}" for k in range(1, 7)), "5 others"]
    rare = [case for case, site in zip(cases, sites, strict=True) if int(site[5:]) > 6]
    assert found.columns["site"]["train"]["5 others"] == Amount(len({case.patient for case in rare}), len(rare))
    assert sum(amount.cases for amount in found.columns["site"]["train"].values()) == len(cases)


def test_numbers_in_values_are_sorted_as_numbers() -> None:
    cases = [Case(str(k), str(k), ()) for k in range(3)]
    found = distribution("parts", {"train": cases}, {"site": {"0": "site 10", "1": "site 9", "2": "A"}})
    assert found.values("site") == ["A", "site 9", "site 10"]


def test_long_names_are_cut_and_stay_apart() -> None:
    names = ["Atelectasis and Edema", "Atelectasis and Effusion", "Atelectasis", "Pneumonia of both"]
    assert list(shortened(names, 12).values()) == ["Atelectasi…1", "Atelectasi…2", "Atelectasis", "Pneumonia o…"]
