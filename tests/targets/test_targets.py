"""What labels in a table mean: findings in one text or in columns, numbers, and what is refused in which words."""

from __future__ import annotations

import numpy as np
import pytest

from hilum.errors import DataError
from hilum.problem import IGNORE, Problem
from hilum.targets import encoded_label, findings, nowhere_known, numbers, scales_of


def multilabel(**settings: object) -> Problem:
    config = {"separator": "|", "nothing": ("No Finding",), **settings}
    values = (("Edema",), ("Effusion", "fluid"))
    return Problem("multilabel", 2, ("image",), ("Edema", "Effusion"), values, exclusive=False, **config)  # type: ignore[arg-type]


def regression(*names: str) -> Problem:
    units = tuple("years" for _ in names)
    return Problem("regression", 2, ("image",), names, ((),) * len(names), exclusive=False, units=units)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Edema|Effusion", [1, 1]),
        ("fluid", [0, 1]),
        ("No Finding", [0, 0]),
        ("Edema | Edema", [1, 0]),
        ((("Effusion", "1"), ("Edema", "0")), [0, 1]),
        ((("Edema", "Yes"), ("Effusion", "")), [1, IGNORE]),
        ((("Edema", "0.0"), ("Effusion", "TRUE")), [0, 1]),
    ],
)
def test_findings(label: object, expected: list[int]) -> None:
    found = findings(label, multilabel())  # type: ignore[arg-type]
    assert found.tolist() == expected
    assert found.dtype == np.int8


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("Edema|Efusion", ["'Efusion'", "did you mean 'Effusion'", "others: ignore"]),
        ((("Edema", "maybe"), ("Effusion", "0")), ["Edema", "'maybe'", "expected 1 or 0"]),
        ((("Edma", "1"), ("Effusion", "0")), ["'Edma'", "did you mean 'Edema'"]),
        ((("Edema", "1"),), ["no column for Effusion"]),
        ((("Edema", ""), ("Effusion", "")), ["every column is empty"]),
    ],
)
def test_findings_that_nobody_knows_are_refused(label: object, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        encoded_label(label, multilabel())  # type: ignore[arg-type]
    for word in words:
        assert word in str(caught.value)


def test_other_findings_may_be_passed_over() -> None:
    assert findings("Edema|Hernia", multilabel(others=True)).tolist() == [1, 0]


def test_numbers_of_one_column_and_of_several() -> None:
    assert numbers("12.5", regression("age")).tolist() == [12.5]
    both = numbers((("bmi", "22"), ("age", "")), regression("age", "bmi"))
    assert np.isnan(both[0])
    assert both[1] == 22


@pytest.mark.parametrize(
    ("label", "names", "words"),
    [
        ("old", ["age"], ["age: received 'old', expected a number"]),
        ("nan", ["age"], ["received 'nan'"]),
        ("", ["age"], ["no number at all", "{age: years}"]),
        ("3", ["age", "bmi"], ["expected 2", "age, bmi"]),
        ((("agee", "3"),), ["age"], ["did you mean 'age'"]),
    ],
)
def test_labels_that_are_no_numbers_are_refused(label: object, names: list[str], words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        encoded_label(label, regression(*names))  # type: ignore[arg-type]
    for word in words:
        assert word in str(caught.value)


def test_scales_are_those_of_the_known_numbers() -> None:
    values = [np.array([1.0, 5.0]), np.array([3.0, np.nan]), np.array([8.0, 9.0])]
    known, other = scales_of(values, regression("age", "bmi"))
    assert known == pytest.approx((4.0, float(np.std([1, 3, 8]))))
    assert other == (7.0, 2.0)


@pytest.mark.parametrize(("second", "words"), [(np.nan, "unknown in every case"), (5.0, "is 5 in all 2 cases")])
def test_a_number_that_never_varies_cannot_be_learnt(second: float, words: str) -> None:
    values = [np.array([1.0, second]), np.array([3.0, second])]
    with pytest.raises(DataError, match=words):
        scales_of(values, regression("age", "bmi"))


@pytest.mark.parametrize(
    ("problem", "some", "none"),
    [(multilabel(), "1", ("Effusion", "Edema")), (regression("Edema", "Effusion"), "3.5", ("Edema", "Effusion"))],
    ids=["multilabel", "regression"],
)
def test_what_no_label_tells_is_named(problem: Problem, some: str, none: tuple[str, str]) -> None:
    told, silent = none
    labels = [((told, some), (silent, "")), ((told, "0"), (silent, ""))]
    assert nowhere_known(labels, problem) == [silent]
    assert nowhere_known([*labels, ((told, ""), (silent, some))], problem) == []


def test_a_decimal_number_that_never_varies_cannot_be_learnt() -> None:
    """Their mean is not 0.1 to the last bit, so that their standard deviation is not 0."""
    with pytest.raises(DataError, match=r"is 0\.1 in all 3 cases"):
        scales_of([np.array([0.1])] * 3, regression("bmi"))


def test_a_classification_has_one_column() -> None:
    problem = Problem("classification", 2, ("image",), ("a", "b"), (("a",), ("b",)))
    assert encoded_label("b", problem) == 1
    with pytest.raises(DataError, match="a classification needs one"):
        encoded_label((("x", "1"), ("y", "0")), problem)
