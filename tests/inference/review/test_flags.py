"""Which numbers are flagged, against ranges worked out by hand; and that cases like those of training are not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hilum.inference.review.fingerprint import Fingerprint, Spread, spreads_of
from hilum.inference.review.flags import FLAGS, Flagging, flag_counts, shared_flags, told_flags
from hilum.inference.review.numbers import Numbers
from hilum.inference.review.section import ReviewConfig
from hilum.problem import Problem

PROBLEM = Problem("segmentation", 3, ("ct",), ("background", "liver", "cyst"), ((0,), (1,), (2,)))
CLASSES = Problem("classification", 2, ("ct",), ("benign", "malignant"), ((0,), (1,)))
USUAL: Numbers = {
    **{f"spacing_{axis}": 1.0 for axis in "xyz"},
    **{f"extent_{axis}": 300.0 for axis in "xyz"},
    "tilt_degrees": 0.0,
    "directions": "RAS",
    **{f"ct_p{percent}": percent / 100 for percent in (1, 25, 50, 75, 99)},
    "liver_ml": 1500.0,
    "liver_parts": 1,
    "cyst_ml": 5.0,
    "cyst_parts": 1,
}


def training(count: int = 40) -> list[Numbers]:
    """Livers of 1000 to 2000 ml, half of the cases with cysts, of which some have several."""
    rows = []
    for number in range(count):
        cyst = float(number % 2) * (2.0 + number % 3)
        row = {**USUAL, "liver_ml": 1000 + 1000 * number / (count - 1), "cyst_ml": cyst, "cyst_parts": number % 4}
        rows.append({**row, "spacing_z": 1.0 if number % 2 else 3.0, "ct_p50": 0.4 + 0.2 * number / (count - 1)})
    return rows


def flagging(settings: ReviewConfig = ReviewConfig(), problem: Problem = PROBLEM, **surest: Spread) -> Flagging:  # noqa: B008
    return Flagging(replace(Fingerprint.of(training()), surest=surest), settings, problem)


def named(found: Flagging, **changes: Any) -> list[str]:
    return [flag.name for flag in found.flags({**USUAL, **changes})]


def test_the_cases_of_training_are_like_training() -> None:
    assert [flagging().flags(row) for row in training()] == [[]] * 40


def test_other_cases_of_the_same_kind_are_hardly_ever_flagged() -> None:
    """Sizes, voxels and intensities drawn from one distribution: 20 for training, 500 to be told."""
    rng = np.random.default_rng(6)

    def drawn() -> Numbers:
        low, high = sorted(rng.normal([0.0, 1.0], 0.1))
        steps = {f"ct_p{percent}": low + (high - low) * percent / 100 for percent in (1, 25, 50, 75, 99)}
        sizes = {f"{name}_ml": float(rng.lognormal(mean, 0.35)) for name, mean in (("liver", 7.3), ("cyst", 1.0))}
        geometry = {f"{what}_{axis}": float(rng.lognormal(0, 0.15)) for what in ("spacing", "extent") for axis in "xyz"}
        return {**USUAL, **steps, **sizes, **geometry}

    found = Flagging(Fingerprint.of([drawn() for _ in range(20)]), ReviewConfig(), PROBLEM)
    flagged = sum(bool(found.flags(drawn())) for _ in range(500))
    assert flagged <= 15


@pytest.mark.parametrize(
    ("changes", "flag", "reason"),
    [
        ({"spacing_x": 1.11}, "spacing", "voxels of 1.11 mm from right to left, in training 1 to 1 mm"),
        ({"spacing_z": 1.5}, "", ""),  # between the two kinds of training
        ({"extent_y": 100.0}, "field of view", "a field of view of 100 mm from back to front, in training 300 to 300"),
        ({"tilt_degrees": 25.0}, "orientation", "turned by 25 degrees out of the patient's axes, in training by 0"),
        ({"tilt_degrees": 9.0}, "", ""),
        ({"directions": "LAS"}, "orientation", "the network gets axes that point to LAS, in training RAS"),
        ({"ct_p99": 1.11}, "intensity", "ct: after preparation 99 % of the voxels are below 1.11, in training 0.99"),
        # Quartiles .45 and .55: three ranges beyond them, and a tenth of 0.01 to 0.99.
        ({"ct_p50": 0.94}, "", ""),
        ({"ct_p50": 0.96}, "intensity", "in training 0.4 to 0.6"),
        # Quartiles 1250 and 1750: 1750 * 1.4 ** 3 * 1.1 = 5282, 1250 / 1.4 ** 3 / 1.1 = 414.
        ({"liver_ml": 5280.0}, "", ""),
        ({"liver_ml": 5290.0}, "volume", "liver: 5290 ml, in training 1000 to 2000 ml"),
        ({"liver_ml": 410.0}, "volume", "liver: 410 ml"),
        ({"liver_ml": 0.0}, "volume", "liver: nothing found, every training case has it"),
        ({"cyst_ml": 0.0}, "", ""),
        ({"liver_parts": 3}, "components", "liver: 3 parts, one in training"),
        ({"cyst_parts": 3}, "", ""),
        ({"disagreement": 0.31}, "disagreement", "the networks disagree by 0.31, accepted are 0.3"),
        ({"disagreement": 0.3}, "", ""),
    ],
)
def test_what_lies_beyond_the_ranges_is_flagged_and_said(changes: Numbers, flag: str, reason: str) -> None:
    found = flagging().flags({**USUAL, **changes})
    assert [each.name for each in found] == ([flag] if flag else [])
    assert all(reason in each.reason for each in found)


def test_settings_widen_and_narrow() -> None:
    wide = ReviewConfig(margin=0.5, spread=0.0, tilt_degrees=30.0, disagreement=0.6)
    assert named(flagging(wide), spacing_x=1.4, tilt_degrees=25.0, liver_ml=2900.0, disagreement=0.5) == []
    narrow = ReviewConfig(margin=0.0, spread=0.0, tilt_degrees=0.0, disagreement=0.1)
    found = named(flagging(narrow), spacing_x=1.01, tilt_degrees=1.0, liver_ml=2001.0, cyst_ml=3.0, disagreement=0.2)
    assert found == ["spacing", "orientation", "volume", "disagreement"]


def test_confidence_is_held_against_the_validation_cases() -> None:
    surest = spreads_of([{"liver_confidence": value} for value in (0.9, 0.92, 0.94, 0.96, 0.98)])
    found = flagging(liver_confidence=surest["liver_confidence"])
    assert found.least_confidence("liver") == pytest.approx(0.92 - 1.5 * 0.04)
    assert named(found, liver_confidence=0.861) == []
    (flag,) = found.flags({**USUAL, "liver_confidence": 0.859, "cyst_confidence": 0.1})  # of cysts nothing is known
    assert (flag.name, flag.reason) == (
        "confidence",
        "liver: the network is sure to 0.859 only, at least 0.860 is usual on validation",
    )
    few = flagging(liver_confidence=Spread.of([0.9, 0.91, 0.92, 0.93]))
    assert few.least_confidence("liver") is None
    asked = flagging(ReviewConfig(confidence=0.7))
    assert named(asked, cyst_confidence=0.69, liver_confidence=0.71) == ["confidence"]


def test_a_classification_is_flagged_by_its_image_and_its_probability() -> None:
    row = {name: value for name, value in USUAL.items() if not name.startswith(("liver", "cyst"))}
    found = replace(flagging(ReviewConfig(confidence=0.6), CLASSES), fingerprint=Fingerprint.of([row, row]))
    assert [flag.name for flag in found.flags({**row, "spacing_y": 3.0, "confidence": 0.55})] == [
        "spacing",
        "confidence",
    ]


def test_a_grid_in_pixels_is_unlike_one_in_mm() -> None:
    row = {name: value for name, value in USUAL.items() if name not in ("directions", "tilt_degrees")}
    assert [flag.name for flag in flagging().flags(row)] == ["spacing"]


def test_a_fingerprint_comes_back_from_its_json() -> None:
    fingerprint = replace(Fingerprint.of(training()), surest={"liver_confidence": Spread.of([0.9, 0.8])})
    assert Fingerprint.from_record(json.loads(json.dumps(fingerprint.record))) == fingerprint


def test_an_ensemble_accepts_what_one_of_its_trainings_had() -> None:
    small, large = (
        Flagging(Fingerprint.of([{**row, "extent_x": size} for row in training()]), ReviewConfig(), PROBLEM)
        for size in (200.0, 400.0)
    )
    found = {size: shared_flags([small, large], {**USUAL, "extent_x": size}) for size in (200.0, 300.0, 400.0)}
    assert {size: [flag.name for flag in flags] for size, flags in found.items()} == {
        200.0: [],
        300.0: ["field of view"],
        400.0: [],
    }


def test_counts_are_told_in_the_order_of_the_flags() -> None:
    counts = flag_counts([["volume", "volume", "spacing"], ["volume"], []])
    assert list(counts.items()) == [("spacing", 1), ("volume", 2)]
    assert told_flags(3, 2, counts) == "2 of 3 cases flagged (spacing 1, volume 2)"
    assert told_flags(1, 0, {}, of="validation case") == "0 of 1 validation case flagged"
    assert set(counts) <= set(FLAGS)
