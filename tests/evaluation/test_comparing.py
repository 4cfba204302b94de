"""Comparisons against plain loops over drawn patients, and what must be the same before anything is compared."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score as sk_r2
from sklearn.metrics import roc_auc_score

from hilum.errors import DataError
from hilum.evaluation.comparing import NONE_SHOWN, compare
from hilum.evaluation.comparison_table import comparison_table
from hilum.evaluation.intervals import Bootstrap
from hilum.evaluation.pairing import Scored, distinct_cases, paired
from hilum.evaluation.rows import Row
from hilum.metrics.accuracy import AccuracyMetric
from hilum.metrics.auroc import AurocMetric
from hilum.metrics.base import MetricConfig
from hilum.metrics.brier import BrierMetric
from hilum.metrics.dice import DiceMetric
from hilum.metrics.hd95 import Hd95Metric
from hilum.metrics.mae import MaeMetric
from hilum.metrics.nsd import NsdMetric
from hilum.metrics.psnr import PsnrMetric
from hilum.metrics.r2 import R2Metric
from hilum.problem import Problem

ORGANS = Problem("segmentation", 3, ("ct",), ("none", "liver", "tumour"), values=((0,), (1,), (2,)))
LUNGS = Problem("classification", 2, ("grey",), ("well", "ill"), values=((0,), (1,)))
CASES = [f"c{number}" for number in range(24)]
PATIENT = {case: f"p{number // 2}" for number, case in enumerate(CASES)}
DRAWS = Bootstrap(400, method="bca")
ORGAN_METRICS = (DiceMetric(), Hd95Metric())


def segmented(name: str, gain: float = 0.0, *, seed: int = 0, metrics: Any = ORGAN_METRICS) -> Scored:
    """Two scans a patient of equal difficulty for every method, and what the method adds."""
    hard, own = np.random.default_rng(5), np.random.default_rng(seed)
    rows: list[Row] = []
    for case in CASES:
        for structure in ORGANS.foreground:
            dice = float(np.clip(hard.normal(0.7, 0.1) + gain + own.normal(0, 0.02), 0, 1))
            row = {"case_id": case, "patient_id": PATIENT[case], "part": "test", "class": structure, "status": "found"}
            rows.append({**row, "unit": "mm", "truth_voxels": 50, "dice": dice, "hd95": 10 * (1 - dice)})
    return Scored(name, tuple(rows), ORGANS, tuple(metrics))


def classified(name: str, noise: float, *, seed: int = 0, metrics: Any = None) -> Scored:
    truth = np.random.default_rng(1).integers(0, 2, len(CASES))
    ill = 1 / (1 + np.exp(-np.random.default_rng(seed).normal(2.0 * truth - 1, noise)))
    rows: list[Row] = [
        {
            "case_id": case,
            "patient_id": PATIENT[case],
            "part": "test",
            "truth": LUNGS.classes[true],
            "predicted": LUNGS.classes[int(p > 0.5)],
            "p_well": 1 - p,
            "p_ill": p,
        }
        for case, true, p in zip(CASES, truth.tolist(), ill.tolist(), strict=True)
    ]
    wanted: tuple[MetricConfig, ...] = metrics or (AurocMetric(), AccuracyMetric(), BrierMetric())
    return Scored(name, tuple(rows), LUNGS, wanted)


def lines_of(result: dict[str, Any], score: str, structure: str = "") -> list[dict[str, Any]]:
    return [line for line in result["comparisons"] if (line["score"], line["structure"]) == (score, structure)]


def values_of(side: Scored, score: str, structure: str) -> np.ndarray:
    return np.array([float(row[score] or 0) for row in side.rows if row["class"] == structure])


def test_differences_are_those_of_drawn_patients_and_ranks_of_patients() -> None:
    a, b = segmented("a", 0.05, seed=1), segmented("b", seed=2)
    result = compare({"a": [a], "b": [b]}, DRAWS)
    assert (result["patients"], result["cases"]) == (12, 24)
    gap = values_of(a, "dice", "liver") - values_of(b, "dice", "liver")
    by_patient = gap.reshape(12, 2).mean(1)
    (line,) = lines_of(result, "dice", "liver")
    assert line["difference"] == pytest.approx(gap.mean())
    assert line["value_a"] == pytest.approx(values_of(a, "dice", "liver").mean())
    assert line["p"] == pytest.approx(stats.wilcoxon(by_patient, method="exact").pvalue)
    drawn = DRAWS.counts(12) @ by_patient / 12
    assert line["low"] == pytest.approx(np.quantile(drawn, 0.025), abs=0.003)
    assert line["high"] == pytest.approx(np.quantile(drawn, 0.975), abs=0.003)
    (whole,) = lines_of(result, "dice")
    both = np.mean([values_of(a, "dice", name) - values_of(b, "dice", name) for name in ORGANS.foreground], axis=0)
    assert whole["difference"] == pytest.approx(both.mean())
    assert (whole["test"], whole["verdict"]) == ("wilcoxon", "a better")
    (distance,) = lines_of(result, "hd95")
    assert (distance["difference"] < 0, distance["verdict"]) == (True, "a better")
    assert [place["method"] for place in result["rankings"]["hd95"]["places"]] == ["a", "b"]
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_a_method_does_not_beat_itself() -> None:
    result = compare({"a": [segmented("a")], "again": [segmented("again")]}, DRAWS)
    for line in result["comparisons"]:
        assert (line["difference"], line["p"], line["verdict"]) == (0, 1, NONE_SHOWN)
    assert {place["rank"] for place in result["rankings"]["dice"]["places"]} == {1}


def test_a_classifier_is_tested_by_delong_mcnemar_and_the_bootstrap() -> None:
    a, b = classified("a", 0.6, seed=1), classified("b", 2.5, seed=2)
    result = compare({"a": [a], "b": [b]}, DRAWS)
    truth = [row["truth"] == "ill" for row in a.rows]
    areas = [roc_auc_score(truth, [row["p_ill"] for row in side.rows]) for side in (a, b)]
    (line,) = lines_of(result, "auroc")
    assert (line["test"], line["value_a"], line["value_b"]) == ("delong", *map(pytest.approx, areas))
    (line,) = lines_of(result, "accuracy")
    right = [np.array([row["truth"] == row["predicted"] for row in side.rows]).astype(int) for side in (a, b)]
    assert line["test"] == "mcnemar"
    assert line["difference"] == pytest.approx((right[0] - right[1]).mean())
    (line,) = lines_of(result, "brier")
    assert (line["test"], line["verdict"]) == ("bootstrap", "a better")


def test_seeds_of_a_method_are_averaged() -> None:
    seeds = [segmented(f"a-{seed}", 0.03, seed=seed) for seed in range(3)]
    result = compare({"a": seeds, "b": [segmented("b", seed=9)]}, DRAWS)
    means = [np.mean([values_of(side, "dice", name).mean() for name in ORGANS.foreground]) for side in seeds]
    told = result["methods"]["a"]["scores"]["dice"]
    assert told["value"] == pytest.approx(np.mean(means))
    assert told["runs"] == pytest.approx(means)
    assert told["std_of_runs"] == pytest.approx(np.std(means, ddof=1))
    assert lines_of(result, "dice")[0]["value_a"] == pytest.approx(np.mean(means))
    mixed = compare({"a": [classified("a", 1, seed=1), classified("b", 1, seed=2)], "c": [classified("c", 2)]}, DRAWS)
    assert {line["test"] for line in lines_of(mixed, "auroc")} == {"delong"}


def test_many_pairs_are_corrected_for() -> None:
    sides = {
        name: [segmented(name, gain, seed=number)]
        for number, (name, gain) in enumerate([("a", 0.0), ("b", 0.01), ("c", 0.02)])
    }
    lines = lines_of(compare(sides, DRAWS), "dice")
    assert [(line["a"], line["b"]) for line in lines] == [("a", "b"), ("a", "c"), ("b", "c")]
    raw = sorted(line["p"] for line in lines)
    assert min(line["p_holm"] for line in lines) == pytest.approx(min(3 * raw[0], 1))
    shown = "\n".join(comparison_table({"part": "test", **compare(sides, DRAWS)}))
    assert "corrected (Holm) for the 3 pairs" in shown
    assert "ranking by dice: 1. c" in shown


def test_what_is_undefined_in_one_is_left_out_in_both() -> None:
    a, b = segmented("a", 0.1), segmented("b")
    holed = replace(a, rows=({**a.rows[0], "dice": float("nan")}, *a.rows[1:]))
    result = compare({"a": [holed], "b": [b]}, DRAWS)
    gap = values_of(a, "dice", "liver") - values_of(b, "dice", "liver")
    assert lines_of(result, "dice", "liver")[0]["difference"] == pytest.approx(gap[1:].mean())
    assert any("dice: undefined in 1 structures" in note for note in result["notes"])


def test_other_patients_are_named_with_the_side_that_lacks_them() -> None:
    a, b = segmented("runs/a"), segmented("runs/b")
    fewer = replace(b, rows=tuple(row for row in b.rows if row["patient_id"] not in ("p3", "p7")))
    with pytest.raises(DataError, match=r"runs/b lacks 2 patients that runs/a has \(p3, p7\)"):
        paired([a, fewer])
    one_case = replace(b, rows=tuple(row for row in b.rows if row["case_id"] != "c4"))
    with pytest.raises(DataError, match=r"runs/b lacks 1 case that runs/a has \(c4\)"):
        paired([a, one_case])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patient_id": "p9"}, "is of patient p0 in a and of p9 in b"),
        ({"truth_voxels": 51}, "truth_voxels is 50 in a and 51 in b"),
    ],
)
def test_other_truths_and_patients_of_a_case_are_refused(change: dict[str, Any], message: str) -> None:
    a, b = segmented("a"), segmented("b")
    changed = tuple({**row, **change} if row["case_id"] == "c0" else row for row in b.rows)
    with pytest.raises(DataError, match=message):
        paired([a, replace(b, rows=changed)])


def test_other_tasks_and_scores_are_refused_or_told() -> None:
    with pytest.raises(DataError, match="the task of a and b differ"):
        paired([segmented("a"), classified("b", 1)])
    _, notes = paired([segmented("a"), segmented("b", metrics=(DiceMetric(),))])
    assert notes == ["hd95: not compared, since not all have it with the same settings"]
    other = segmented("b", metrics=(NsdMetric(),))
    with pytest.raises(DataError, match="no score is the same in a and b"):
        paired([segmented("a"), other])


def test_rows_in_another_order_are_put_in_order() -> None:
    a = segmented("a", seed=1)
    turned = replace(segmented("b", seed=1), rows=tuple(reversed(segmented("b", seed=1).rows)))
    result = compare({"a": [a], "b": [turned]}, DRAWS)
    assert {line["difference"] for line in result["comparisons"]} == {0}


def test_repeats_of_a_case_are_told_apart() -> None:
    rows: list[Row] = [{"case_id": "c", "class": name, "patient_id": "p"} for name in ("x", "y", "x", "y")]
    assert [row["case_id"] for row in distinct_cases(rows)] == ["c", "c", "c (2)", "c (2)"]


def test_one_patient_or_one_method_is_nothing_to_compare() -> None:
    a, b = segmented("a"), segmented("b")
    alone = [replace(side, rows=tuple({**row, "patient_id": "p"} for row in side.rows)) for side in (a, b)]
    with pytest.raises(DataError, match="all cases are of one patient"):
        compare({"a": [alone[0]], "b": [alone[1]]}, DRAWS)
    with pytest.raises(DataError, match="received 1 method"):
        compare({"a": [a]}, DRAWS)


FINDINGS = Problem("multilabel", 2, ("grey",), ("edema", "mass"), values=((0,), (1,)), exclusive=False)
NUMBERS = Problem("regression", 2, ("grey",), ("age", "weight"), values=((), ()), exclusive=False, units=("y", "kg"))
IMAGES = Problem("restoration", 2, ("grey",), ("grey",), values=((),), exclusive=False, units=("",))


def keyed(case: str) -> dict[str, Any]:
    return {"case_id": case, "patient_id": PATIENT[case], "part": "test"}


def found_in(name: str, noise: float, *, seed: int) -> Scored:
    """Two findings; of the second one nobody knows whether the first case has it."""
    truth = np.random.default_rng(3).integers(0, 2, (len(CASES), 2))
    logits = np.random.default_rng(seed).normal(2.0 * truth - 1, noise)
    rows: list[Row] = []
    for number, case in enumerate(CASES):
        row = keyed(case)
        for column, finding in enumerate(FINDINGS.classes):
            true = int(truth[number, column])
            share = float(1 / (1 + np.exp(-logits[number, column])))
            known = number or not column
            row |= {f"truth_{finding}": true if known else None, f"p_{finding}": share}
            row |= {f"predicted_{finding}": int(share > 0.5)}
        rows.append(row)
    return Scored(name, tuple(rows), FINDINGS, (AurocMetric(), BrierMetric()))


def numbered(name: str, noise: float, *, seed: int, problem: Problem = NUMBERS) -> Scored:
    truth = np.random.default_rng(3).normal(50, 10, (len(CASES), 2))
    answers = truth + np.random.default_rng(seed).normal(0, noise, truth.shape)
    rows: list[Row] = []
    for case, true, found in zip(CASES, truth.tolist(), answers.tolist(), strict=True):
        row = keyed(case)
        for column, one in enumerate(problem.classes):
            row |= {f"truth_{one}": true[column], f"predicted_{one}": found[column]}
        rows.append(row)
    return Scored(name, tuple(rows), problem, (MaeMetric(), R2Metric()))


def restored(name: str, gain: float, *, seed: int, noise_seed: int = 3) -> Scored:
    given = np.random.default_rng(noise_seed).normal(20, 2, len(CASES))
    found = given + gain + np.random.default_rng(seed).normal(0, 0.5, len(CASES))
    rows: list[Row] = [
        {**keyed(case), "psnr": after, "psnr_input": before}
        for case, before, after in zip(CASES, given.tolist(), found.tolist(), strict=True)
    ]
    return Scored(name, tuple(rows), IMAGES, (PsnrMetric(),))


def test_findings_are_compared_by_their_mean_area_and_one_by_one() -> None:
    a, b = found_in("a", 0.7, seed=1), found_in("b", 2.5, seed=2)
    result = compare({"a": [a], "b": [b]}, DRAWS)
    areas = {}
    for side in (a, b):
        for finding in FINDINGS.classes:
            known = [row for row in side.rows if row[f"truth_{finding}"] is not None]
            truth = [row[f"truth_{finding}"] for row in known]
            areas[side.name, finding] = roc_auc_score(truth, [row[f"p_{finding}"] for row in known])
    for finding in FINDINGS.classes:
        (line,) = lines_of(result, "auroc", finding)
        assert line["difference"] == pytest.approx(areas["a", finding] - areas["b", finding])
        assert line["test"] == "delong"
    (whole,) = lines_of(result, "auroc")
    assert whole["value_a"] == pytest.approx(np.mean([areas["a", finding] for finding in FINDINGS.classes]))
    assert whole["low"] < whole["difference"] < whole["high"]
    assert (whole["test"], whole["verdict"]) == ("delong", "a better")
    assert lines_of(result, "brier", "mass")[0]["test"] == "bootstrap"
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_errors_of_numbers_are_tested_by_patient() -> None:
    a, b = numbered("a", 1.0, seed=1), numbered("b", 4.0, seed=2)
    result = compare({"a": [a], "b": [b]}, DRAWS)
    assert not lines_of(result, "mae"), "years and kilograms have no mean"
    errors = [
        np.array([abs(float(row["predicted_age"] or 0) - float(row["truth_age"] or 0)) for row in side.rows])
        for side in (a, b)
    ]
    (line,) = lines_of(result, "mae_age")
    assert line["difference"] == pytest.approx((errors[0] - errors[1]).mean())
    by_patient = (errors[0] - errors[1]).reshape(12, 2).mean(1)
    assert (line["test"], line["p"]) == ("wilcoxon", pytest.approx(stats.wilcoxon(by_patient, method="exact").pvalue))
    drawn = DRAWS.counts(12) @ by_patient / 12
    assert line["low"] == pytest.approx(np.quantile(drawn, 0.025), abs=0.1 * abs(line["difference"]))
    assert line["verdict"] == "a better"
    (share,) = lines_of(result, "r2")
    each = [
        [sk_r2([row[f"truth_{one}"] for row in side.rows], [row[f"predicted_{one}"] for row in side.rows])
         for one in NUMBERS.classes]
        for side in (a, b)
    ]  # fmt: skip
    assert share["difference"] == pytest.approx(np.mean(each[0]) - np.mean(each[1]))
    same = replace(NUMBERS, units=("y", "y"))
    told = compare(
        {"a": [numbered("a", 1, seed=1, problem=same)], "b": [numbered("b", 4, seed=2, problem=same)]}, DRAWS
    )
    assert {line["structure"] for line in told["comparisons"] if line["score"] == "mae"} == {"", "age", "weight"}
    with pytest.raises(DataError, match="units of a and b differ"):
        compare({"a": [a], "b": [numbered("b", 4.0, seed=2, problem=same)]}, DRAWS)


def test_restored_images_are_compared_case_by_case() -> None:
    a, b = restored("a", 6, seed=1), restored("b", 5, seed=2)
    result = compare({"a": [a], "b": [b]}, DRAWS)
    gap = np.array([float(one["psnr"] or 0) - float(two["psnr"] or 0) for one, two in zip(a.rows, b.rows, strict=True)])
    (line,) = result["comparisons"]
    assert (line["score"], line["difference"]) == ("psnr", pytest.approx(gap.mean()))
    assert line["p"] == pytest.approx(stats.wilcoxon(gap.reshape(12, 2).mean(1), method="exact").pvalue)
    assert not result["notes"]
    other = compare({"a": [a], "b": [restored("b", 5, seed=2, noise_seed=4)]}, DRAWS)
    assert other["notes"] == ["b: not the same input images as a"]


def test_other_true_findings_are_refused() -> None:
    a, b = found_in("a", 1, seed=1), found_in("b", 1, seed=2)
    turned = replace(b, rows=({**b.rows[0], "truth_edema": 1 - int(b.rows[0]["truth_edema"] or 0)}, *b.rows[1:]))
    with pytest.raises(DataError, match="case c0: truth_edema"):
        compare({"a": [a], "b": [turned]}, DRAWS)
