"""What patients are told apart by: classes, columns, bins of numbers; and columns that cannot be used."""

import pytest
from pydantic import ValidationError

from hilum.case import Case
from hilum.data.splits.kfold import KFoldConfig
from hilum.data.splits.strata import NONE, ColumnConfig, patients_of, values_of
from hilum.errors import SplitError
from hilum.registry import parse


def cohort(cells: dict[str, list[str]], column: str = "site") -> list[Case]:
    """Cases of patients with these cells, a scan a cell."""
    return [
        Case(f"{patient}-{scan}", patient, (), metadata={column: cell})
        for patient, found in cells.items()
        for scan, cell in enumerate(found)
    ]


def strata(cases: list[Case], *columns: str | ColumnConfig) -> dict[str, tuple[str, ...]]:
    return {patient.id: patient.stratum for patient in patients_of(cases, {}, columns)}


def test_a_patient_has_all_values_of_their_scans_as_one() -> None:
    cases = cohort({"a": ["x"], "b": ["y", "x"], "c": ["x", "y", "x"], "d": ["y"]})
    assert strata(cases, "site") == {"a": ("x",), "b": ("x + y",), "c": ("x + y",), "d": ("y",)}
    assert [patient.scans for patient in patients_of(cases, {}, ["site"])] == [1, 2, 3, 1]


def test_empty_cells_are_a_value_of_their_own_unless_another_scan_knows() -> None:
    cases = cohort({"a": [""], "b": ["", "x"], "c": ["  "]})
    cases.append(Case("d", "d", ()))
    assert strata(cases, "site") == {"a": (NONE,), "b": ("x",), "c": (NONE,), "d": (NONE,)}


def test_the_class_is_the_default_where_there_is_one() -> None:
    cases = cohort({"a": ["x"], "b": ["x"]})
    labels = {"a-0": "sick", "b-0": "healthy"}
    assert [patient.stratum for patient in patients_of(cases, labels, None)] == [("sick",), ("healthy",)]
    assert [patient.stratum for patient in patients_of(cases, {}, None)] == [(), ()]
    assert [patient.stratum for patient in patients_of(cases, labels, [])] == [(), ()]
    both = patients_of(cases, labels, ["site", "label"])
    assert [patient.stratum for patient in both] == [("x", "sick"), ("x", "healthy")]


def test_numbers_are_cut_at_quantiles_of_the_patients() -> None:
    ages = {f"p{k}": [str(20 + k)] for k in range(8)}
    cases = cohort({**ages, "many": ["10", "12"], "unknown": [""]}, "age")
    found = strata(cases, ColumnConfig(column="age", bins=3))
    bins = [found[name][0] for name in ("many", *ages)]
    assert bins == ["1: 11 to 21"] * 3 + ["2: 22 to 24"] * 3 + ["3: 25 to 27"] * 3
    assert found["unknown"] == (NONE,)
    assert values_of(cases, {}, [ColumnConfig(column="age", bins=3)])["age"]["many-1"] == "1: 11 to 21"


def test_few_different_numbers_make_fewer_bins() -> None:
    cases = cohort({f"p{k}": [str(k % 2)] for k in range(9)}, "age")
    assert set(strata(cases, ColumnConfig(column="age", bins=4)).values()) == {("1: 0 to 0",), ("2: 1 to 1",)}
    one = cohort({f"p{k}": ["5"] for k in range(3)}, "age")
    assert set(strata(one, ColumnConfig(column="age", bins=2)).values()) == {("1: 5 to 5",)}
    none = cohort({"a": [""], "b": [""]}, "age")
    assert set(strata(none, ColumnConfig(column="age", bins=2)).values()) == {(NONE,)}


def test_a_measurement_asks_for_bins_unless_its_numbers_are_names() -> None:
    cases = cohort({f"p{k}": [str(k)] for k in range(11)}, "age")
    with pytest.raises(
        SplitError, match=r"'age' holds 11 different numbers.*\{column: age, bins: 4\}.*\{column: age\}"
    ):
        strata(cases, "age")
    assert len(set(strata(cases, ColumnConfig(column="age")).values())) == 11
    assert len(set(strata(cases[:10], "age").values())) == 10


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["stie"], r"no column 'stie'; did you mean 'site'\? \(the cases have site\)"),
        (["site", "site"], "'site' stands there twice"),
        ([ColumnConfig(column="site", bins=2)], "'site' of case a-0: received 'x', expected a number"),
        (["label"], "no column 'label'"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(columns: list[str | ColumnConfig], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        patients_of(cohort({"a": ["x"], "b": ["y"]}), {}, columns)


def test_a_cohort_without_columns_says_so() -> None:
    with pytest.raises(SplitError, match="no class and no other columns"):
        patients_of([Case("1", "a", ())], {}, ["site"])


@pytest.mark.parametrize("given", ["site", ["site"], [{"column": "site"}], {"column": "site"}])
def test_one_column_needs_no_list(given: object) -> None:
    config = KFoldConfig.model_validate({"stratify": given})
    assert config.stratify in (("site",), (ColumnConfig(column="site"),))
    assert parse("splits", config.model_dump(mode="json")) == config


def test_one_bin_is_refused() -> None:
    with pytest.raises(ValidationError):
        KFoldConfig.model_validate({"stratify": [{"column": "age", "bins": 1}]})


def test_a_patient_whose_class_changes_is_a_stratum_of_their_own() -> None:
    cases = [Case(f"{p}-{s}", p, (), "sick" if s else "healthy") for p in "abcdefgh" for s in range(1 + (p < "e"))]
    labels = {case.id: str(case.label) for case in cases}
    folds = [run.assign(cases, labels=labels).part("test") for run in KFoldConfig(folds=4, val=0).runs(cases)]
    for fold in folds:
        assert sorted(len([c for c in fold if c.patient == p]) for p in {c.patient for c in fold}) == [1, 2]
