"""From cases to patients: aggregates against their closed forms, and what the true class of a patient is."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import DataError
from hilum.evaluation.aggregates.base import AggregateConfig
from hilum.evaluation.aggregates.mean import MeanAggregate
from hilum.evaluation.aggregates.noisy_or import NoisyOrAggregate
from hilum.evaluation.decide_section import DecideConfig
from hilum.evaluation.decision import FindingPoints, OperatingPoint, points_from
from hilum.evaluation.operating_points.base import Threshold
from hilum.evaluation.patient_answers import answer_faults, patient_answers
from hilum.evaluation.patients import label_faults, patient_rows, patient_truth
from hilum.evaluation.summary import summarise
from hilum.metrics.mae import MaeMetric
from hilum.problem import Problem
from hilum.registry import kinds, parse

GRADES = Problem("classification", 2, ("grey",), ("none", "mild", "severe"), values=((0,), (1,), (2,)))
LUNGS = Problem("classification", 2, ("grey",), ("normal", "ill"), values=((0,), (1,)))
SHARES = [0.1, 0.5, 0.8, 0.3]


def made(kind: str, **settings: Any) -> AggregateConfig:
    aggregate = parse("aggregates", {"kind": kind, **settings})
    assert isinstance(aggregate, AggregateConfig)
    return aggregate


def of(aggregate: AggregateConfig, shares: list[float]) -> list[float]:
    """Aggregated probabilities of two classes, the second of them positive."""
    return aggregate.combined(np.array([[1 - share, share] for share in shares]), 1).tolist()


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        (made("mean"), 1.7 / 4),
        (made("max"), 0.8),
        (made("noisy_or"), 1 - 0.9 * 0.5 * 0.2 * 0.7),
        (made("top_k", k=2), 0.65),
        (made("top_k", k=1), 0.8),
        (made("top_k", k=9), 1.7 / 4),
    ],
    ids=lambda each: getattr(each, "kind", ""),
)
def test_each_aggregate_is_its_formula(aggregate: AggregateConfig, expected: float) -> None:
    assert of(aggregate, SHARES) == pytest.approx([1 - expected, expected])


@given(shares=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_noisy_or_is_the_product_of_the_complements(shares: list[float]) -> None:
    expected = 1 - prod(1 - share for share in shares)
    assert NoisyOrAggregate().of_positive(np.array(shares)) == pytest.approx(expected, abs=1e-12)


def test_noisy_or_keeps_what_is_smaller_than_rounding() -> None:
    tiny = NoisyOrAggregate().of_positive(np.full(1000, 1e-20))
    assert tiny == pytest.approx(1e-17, rel=1e-6)  # 1 - prod(1 - p) in float64 gives 0


@pytest.mark.parametrize("kind", kinds("aggregates"))
@given(logits=st.lists(st.tuples(*[st.floats(-30, 30)] * 3), min_size=1, max_size=6), positive=st.integers(0, 2))
def test_probabilities_of_a_patient_add_up_to_1(kind: str, logits: list[tuple[float, ...]], positive: int) -> None:
    scaled = np.exp(np.array(logits))
    probabilities = scaled / scaled.sum(axis=1, keepdims=True)
    combined = made(kind).combined(probabilities, positive)
    assert combined.sum() == pytest.approx(1)
    assert (combined >= 0).all()
    if len(probabilities) == 1:  # one case says what its patient has
        assert combined == pytest.approx(probabilities[0], abs=1e-12)
    others = [index for index in range(3) if index != positive]
    mean = probabilities.mean(axis=0)
    left, right = (combined[others[index]] * mean[others[1 - index]] for index in (0, 1))
    assert left == pytest.approx(right, abs=1e-12)  # the others keep their proportion


def case(problem: Problem, patient: str, truth: str | None, *shares: float) -> dict[str, Any]:
    known = {} if truth is None else {"part": "val", "truth": truth}
    named = {f"p_{name}": share for name, share in zip(problem.classes, shares, strict=True)}
    return {"case_id": "x", "patient_id": patient, **known, **named}


def test_a_row_a_patient_in_the_order_of_the_cases() -> None:
    decide = DecideConfig.model_validate({"positive": "severe", "patient": {"aggregate": "max", "labels": "any"}})
    rows = [
        case(GRADES, "7", "none", 0.8, 0.1, 0.1),
        case(GRADES, "03", "mild", 0.2, 0.7, 0.1),
        case(GRADES, "7", "severe", 0.2, 0.2, 0.6),
    ]
    at = OperatingPoint("severe", Threshold(0.7, 1, 1, 1, 1), {"kind": "youden"})
    first, second = patient_rows(rows, GRADES, decide=decide)
    assert list(first) == ["patient_id", "part", "cases", "truth", "predicted", "p_none", "p_mild", "p_severe"]
    assert [first[key] for key in ("patient_id", "cases", "truth", "predicted")] == ["7", 2, "severe", "severe"]
    assert [first[f"p_{name}"] for name in GRADES.classes] == pytest.approx([0.4 * 1 / 1.3, 0.4 * 0.3 / 1.3, 0.6])
    assert [second[key] for key in ("patient_id", "cases", "predicted")] == ["03", 1, "mild"]
    above = patient_rows(rows, GRADES, decide=decide, point=at)
    assert [(row["predicted"], row["threshold"]) for row in above] == [("none", 0.7), ("mild", 0.7)]


def test_predicted_cases_need_no_truth() -> None:
    decide = DecideConfig.model_validate({"patient": {}})
    cases = [case(LUNGS, "a", None, 0.4, 0.6), case(LUNGS, "a", None, 0.9, 0.1)]
    (row,) = patient_rows(cases, LUNGS, decide=decide)
    assert row == {
        "patient_id": "a",
        "cases": 2,
        "predicted": "normal",
        "p_normal": pytest.approx(0.65),
        "p_ill": pytest.approx(0.35),
    }


def test_what_a_patient_has() -> None:
    assert patient_truth("p", ["a", "a"], rule="same", positive="b") == "a"
    assert patient_truth("p", ["a", "b", "c"], rule="any", positive="b") == "b"
    assert patient_truth("p", ["a", "b", "a"], rule="majority", positive="b") == "a"
    for labels, rule, words in (
        (["a", "b", "a"], "same", "received 2 cases of a, 1 case of b, expected one class for all"),
        (["a", "c"], "any", "expected one of them to be b, or one class for all"),
        (["a", "b"], "majority", "expected one class to have more cases than every other"),
    ):
        with pytest.raises(DataError, match="patient p: ") as error:
            patient_truth("p", labels, rule=rule, positive="b")  # type: ignore[arg-type]
        assert words in str(error.value)
    assert label_faults([("p", "a"), ("q", "a"), ("p", "a")], rule="same", positive="b") == []
    assert len(label_faults([("p", "a"), ("q", "a"), ("p", "b")], rule="same", positive="b")) == 1


FINDINGS = Problem("multilabel", 2, ("grey",), ("edema", "mass"), values=((0,), (1,)), exclusive=False)
AGES = Problem("regression", 2, ("grey",), ("age",), values=((),), exclusive=False, units=("years",))


def findings_of(patient: str, truth: tuple[int | None, int | None], *shares: float) -> dict[str, Any]:
    named: dict[str, Any] = {f"truth_{name}": true for name, true in zip(FINDINGS.classes, truth, strict=True)}
    for name, share in zip(FINDINGS.classes, shares, strict=True):
        named |= {f"p_{name}": share, f"predicted_{name}": int(share > 0.5)}
    return {"case_id": "x", "patient_id": patient, "part": "val", **named}


def test_each_finding_of_a_patient_is_put_together_by_itself() -> None:
    decide = DecideConfig.model_validate({"patient": {"aggregate": "noisy_or", "labels": "any"}})
    rows = [findings_of("7", (0, None), 0.4, 0.2), findings_of("7", (1, None), 0.3, 0.1)]
    (row,) = patient_answers(rows, FINDINGS, decide=decide)
    assert row == {
        "patient_id": "7",
        "part": "val",
        "cases": 2,
        "truth_edema": 1,
        "truth_mass": None,
        "p_edema": pytest.approx(1 - 0.6 * 0.7),
        "predicted_edema": 1,
        "p_mass": pytest.approx(1 - 0.8 * 0.9),
        "predicted_mass": 0,
    }
    points = FindingPoints({"edema": OperatingPoint("edema", Threshold(0.6, 1, 1, 1, 1), {"kind": "youden"})})
    (row,) = patient_answers(rows, FINDINGS, decide=decide, point=points)
    assert (row["predicted_edema"], row["threshold_edema"], row["predicted_mass"]) == (0, 0.6, 0)
    assert points_from(points.record) == points
    same = DecideConfig.model_validate({"patient": {}})
    with pytest.raises(DataError, match="patient 7: edema: received 0, 1, expected the same in all"):
        patient_answers(rows, FINDINGS, decide=same)


def test_numbers_of_a_patient_have_a_mean() -> None:
    rows = [
        {"case_id": str(k), "patient_id": "a", "truth_age": true, "predicted_age": found, "unit_age": "years"}
        for k, (true, found) in enumerate([(60.0, 55.0), (62.0, 65.0), (None, 60.0)])
    ]
    (row,) = patient_answers(rows, AGES, decide=DecideConfig.model_validate({"patient": {"labels": "mean"}}))
    assert row == {"patient_id": "a", "cases": 3, "truth_age": 61.0, "predicted_age": 60.0, "unit_age": "years"}
    vectors = [("a", np.array([60.0])), ("a", np.array([62.0])), ("b", np.array([np.nan]))]
    assert answer_faults(vectors, AGES, rule="mean") == []
    (fault,) = answer_faults(vectors, AGES, rule="same")
    assert fault.startswith("patient a: age: received 60, 62, expected the same in all")
    summed = summarise([{**row, "case_id": "a", "part": "val"}], AGES, metrics=[MaeMetric()], bootstrap=None)
    assert summed["overall"]["mae"]["value"] == pytest.approx(1.0)


def test_the_mean_does_not_ask_which_class_is_positive() -> None:
    assert [kind for kind, cls in kinds("aggregates").items() if not getattr(cls, "needs_positive", True)] == ["mean"]
    probabilities = np.array([[0.1, 0.9], [0.5, 0.5]])
    for positive in (0, 1):
        assert MeanAggregate().combined(probabilities, positive).tolist() == [0.3, 0.7]
