"""What is fitted to the outputs of a network, voxels drawn from them, and what a run may be asked for afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss, roc_curve

from hilum.case import Case
from hilum.data.splits.base import Split
from hilum.errors import ConfigError
from hilum.evaluation.decide_section import DecideConfig
from hilum.pipeline.calibrating import Output, chosen, of_image, sampled
from hilum.pipeline.deciding import decision_of
from hilum.pipeline.decision_faults import decision_faults
from hilum.problem import IGNORE, Problem
from hilum.run import Run

LUNGS = Problem("classification", 2, ("grey",), ("normal", "ill"), values=(("0",), ("1",)))
REGIONS = Problem("segmentation", 3, ("scan",), ("whole", "core"), values=((1, 2), (2,)), exclusive=False)


def section(**settings: Any) -> DecideConfig:
    return DecideConfig.model_validate(settings)


def outputs(cases: int = 60, *, sure: float = 2.5) -> list[Output]:
    """Two cases a patient of one class, from a network that is `sure` times as certain as it should be."""
    rng = np.random.default_rng(7)
    made = []
    for number in range(cases):
        score = rng.normal(0, 1.5)
        truth = rng.random() < 1 / (1 + np.exp(-score))
        for scan in range(2):
            logits = np.array([[0.0, sure * (score + rng.normal(0, 0.5))]])
            shares = softmax(logits, axis=1).astype(np.float32)
            made.append(Output(f"{number}-{scan}", f"p{number}", np.array([int(truth)]), shares))
    return made


def test_what_is_chosen_is_what_its_parts_say() -> None:
    asked = section(calibrate=True, operating_point="youden", patient={"aggregate": "max"})
    made, content = outputs(), json.loads(json.dumps(chosen(outputs(), LUNGS, asked)))
    truth = np.array([int(one.truth[0]) for one in made])
    raw = np.concatenate([one.probabilities for one in made]).astype(np.float64)
    calibrated = softmax(np.log(raw) / content["temperature"], axis=1)
    assert content["temperature"] > 1
    assert content["validation"]["raw"]["nll"] == pytest.approx(log_loss(truth, raw[:, 1]), rel=1e-6)
    assert content["validation"]["calibrated"]["nll"] == pytest.approx(log_loss(truth, calibrated[:, 1]), rel=1e-6)
    assert content["validation"]["calibrated"]["nll"] < content["validation"]["raw"]["nll"]
    of_case, of_patient = content["operating_points"]["case"], content["operating_points"]["patient"]
    found = calibrated[:, 1] >= of_case["threshold"]
    assert (of_case["tp"], of_case["fp"]) == (int((found & (truth == 1)).sum()), int((found & (truth == 0)).sum()))
    highest = calibrated[:, 1].reshape(-1, 2).max(axis=1) >= of_patient["threshold"]
    assert of_patient["tp"] == int((highest & (truth[::2] == 1)).sum())
    assert of_patient["tp"] + of_patient["fn"] + of_patient["fp"] + of_patient["tn"] == content["patients"] == 60
    youden = [np.mean(highest[truth[::2] == one] == one) for one in (0, 1)]
    for threshold in np.unique(calibrated[:, 1]):
        other = calibrated[:, 1].reshape(-1, 2).max(axis=1) >= threshold
        assert sum(np.mean(other[truth[::2] == one] == one) for one in (0, 1)) <= sum(youden) + 1e-9


def test_each_finding_has_a_threshold_of_its_own() -> None:
    problem = Problem("multilabel", 2, ("grey",), ("edema", "mass"), values=((0,), (1,)), exclusive=False)
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, (40, 2))
    likely = np.clip(0.2 * truth + np.array([0.5, 0.1]) + rng.uniform(0, 0.25, (40, 2)), 0.01, 0.99).astype(np.float32)
    truth[:4, 1] = IGNORE
    made = [Output(str(k), str(k), *of_image(truth[k], likely[k][None])) for k in range(40)]
    content = json.loads(json.dumps(chosen(made, problem, section(calibrate=True, operating_point="youden"))))
    known = truth != IGNORE
    assert content["validation"]["raw"]["nll"] == pytest.approx(
        log_loss(truth[known], likely[known].astype(np.float64)), rel=1e-6
    )
    assert content["validation"]["calibrated"]["nll"] < content["validation"]["raw"]["nll"]
    odds = np.log(likely / (1 - likely)) / content["temperature"]
    points = content["operating_points"]["case"]["findings"]
    for column, name in enumerate(problem.classes):
        own, share = known[:, column], (1 / (1 + np.exp(-odds[:, column])))
        rates, hits, _ = roc_curve(truth[own, column], share[own])
        worth = points[name]["sensitivity"] + points[name]["specificity"]
        assert worth == pytest.approx((hits - rates).max() + 1)
        assert points[name]["tp"] + points[name]["fn"] == int((truth[own, column] == 1).sum())


def test_a_finding_that_no_validation_case_has_is_named() -> None:
    problem = Problem("multilabel", 2, ("grey",), ("edema", "mass"), values=((0,), (1,)), exclusive=False)
    labels = ["edema", "", "edema|mass", ""]
    cases = tuple(Case(f"c{k}", f"p{k // 2}", (None,), label) for k, label in enumerate(labels))
    trained = (Case("t", "t", (None,), ""),)
    asked = section(operating_point="youden", patient={"labels": "any"})
    alone = section(operating_point="youden")
    assert list(decision_faults(alone, problem, Split({"train": trained, "val": cases}))) == []
    (fault,) = decision_faults(asked, problem, Split({"train": trained, "val": cases}))
    assert fault == (("decide", "patient"), fault[1])  # every patient has an image with edema
    assert "but for edema (in 2 of 2)" in fault[1]
    (fault,) = decision_faults(section(patient={}), problem, Split({"train": trained, "val": cases[:2]}))
    assert "patient p0: edema: received 1, 0" in fault[1]
    (fault,) = decision_faults(asked, problem, Split({"train": trained, "val": cases[:2]}))
    assert fault[0] == ("decide", "operating_point")
    assert "mass (in 0 of 2)" in fault[1]


def test_nothing_is_made_up_where_everything_is_right() -> None:
    made = [Output(str(k), str(k), np.array([k % 2]), np.array([[1 - k % 2, k % 2]], np.float32)) for k in range(6)]
    content = chosen(made, LUNGS, section(calibrate=True))
    assert content["temperature"] == 1
    assert "predicted right" in content["temperature_note"]
    assert content["operating_points"] == {}


def test_regions_are_fitted_one_by_one() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(-1, 2, (2, 20, 20, 20))
    target = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    target[:, :2] = IGNORE
    shares = (1 / (1 + np.exp(-2 * logits))).astype(np.float32)  # twice as sure as right
    truth, drawn = sampled(target, shares, exclusive=False, rng=np.random.default_rng(0), most=10**9)
    assert truth.shape == (2 * 18 * 20 * 20,)
    assert set(truth.tolist()) == {0, 1}
    content = chosen([Output("a", "a", truth.astype(np.int64), drawn)], REGIONS, section(calibrate=True))
    assert content["temperature"] == pytest.approx(2, rel=0.1)
    assert content["voxels"] == len(truth)
    assert list(content["reliability"]["raw"]) == ["inside"]


def test_drawn_voxels_are_few_known_and_keep_their_probabilities() -> None:
    target = np.arange(5).repeat(40).reshape(1, 10, 10, 2) - 1
    shares = np.stack([np.full(target.shape[1:], one / 6, np.float32) for one in range(4)])
    shares[0] = target[0]
    truth, drawn = sampled(target, shares, exclusive=True, rng=np.random.default_rng(0), most=50)
    assert drawn.shape == (50, 4)
    assert IGNORE not in truth
    assert (drawn[:, 0] == truth).all()
    everything, _ = sampled(target, shares, exclusive=True, rng=np.random.default_rng(0), most=10**6)
    assert sorted(everything) == sorted(target[target != IGNORE])


@dataclass
class Asked:
    """The one section of an experiment that is looked at."""

    decide: DecideConfig


def kept(folder: Path, asked: DecideConfig) -> Run:
    run = Run(folder)
    content = {"weights_sha256": "abc", "settings": asked.model_dump(mode="json"), **chosen(outputs(), LUNGS, asked)}
    run.write_json(run.calibration, content)
    return run


def test_what_was_chosen_is_read_back_whole(tmp_path: Path) -> None:
    asked = section(calibrate=True, operating_point={"kind": "sensitivity", "at_least": 0.9}, patient={})
    run = kept(tmp_path, asked)
    made = decision_of(run, Asked(asked), "abc")  # type: ignore[arg-type]
    content = run.read_json(run.calibration)
    assert made.temperature == content["temperature"]
    assert made.of_cases is not None
    assert made.of_patients is not None
    assert made.of_cases.record == content["operating_points"]["case"]
    assert [line.partition(":")[0] for line in made.notes] == [
        "probabilities calibrated on the validation patients",
        "operating point of a case, chosen on the validation patients",
        "operating point of a patient, chosen on the validation patients",
    ]
    other = decision_of(run, Asked(asked), "other")  # type: ignore[arg-type]
    assert (other.temperature, other.of_cases, other.of_patients) == (1.0, None, None)
    assert "not chosen for these weights" in other.notes[0]
    plain = decision_of(run, Asked(section(patient={})), "abc")  # type: ignore[arg-type]
    assert (plain.temperature, plain.notes) == (1.0, ())
    scaled = decision_of(run, Asked(section(calibrate=True)), "abc")  # type: ignore[arg-type]
    assert (scaled.temperature, scaled.of_cases) == (made.temperature, None)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"operating_point": "youden"}, "decide.calibrate: received False, but the run was calibrated with True"),
        ({"calibrate": True, "operating_point": "youden", "patient": {"aggregate": "max"}}, "decide.patient=..."),
        (
            {"calibrate": True, "operating_point": {"kind": "sensitivity"}},
            "decide.operating_point=argmax needs no choice",
        ),
    ],
)
def test_what_was_not_chosen_is_refused(tmp_path: Path, wanted: dict[str, Any], words: str) -> None:
    run = kept(tmp_path, section(calibrate=True, operating_point="youden"))
    with pytest.raises(ConfigError, match="hilum train --resume") as error:
        decision_of(run, Asked(section(**wanted)), "abc")  # type: ignore[arg-type]
    assert words in str(error.value)


def test_what_the_patients_cannot_give_is_told_before_training() -> None:
    def split(*validation: tuple[str, str]) -> Split:
        cases = [Case(f"c{k}", patient, (None,), label) for k, (patient, label) in enumerate(validation)]
        return Split({"train": (Case("t", "t", (None,), "1"),), "val": tuple(cases)})

    def faults(asked: DecideConfig, *validation: tuple[str, str]) -> list[str]:
        return [
            f"{'.'.join(map(str, where))}: {message}"
            for where, message in decision_faults(asked, LUNGS, split(*validation))
        ]

    good = [("a", "0"), ("b", "ill")]
    asked = section(calibrate=True, operating_point="youden", patient={})
    assert faults(asked, *good) == []
    assert [fault.partition(":")[0] for fault in faults(asked)] == ["decide.calibrate", "decide.operating_point"]
    assert "0 of 2 are ill" in faults(asked, ("a", "0"), ("b", "normal"))[0]
    conflict = [*good, ("b", "0")]
    assert faults(asked, *conflict)[0].startswith("decide.patient.labels: patient b: received 1 case of ill")
    assert faults(section(patient={"labels": "any"}), *conflict) == []
    assert "majority" in faults(asked, *conflict)[0]
    assert faults(section(patient={"labels": "majority"}), *conflict, ("b", "ill")) == []
