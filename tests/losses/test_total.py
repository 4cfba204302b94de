"""Several losses as one: the sum that torch's own losses give, from a list in YAML, which the schema allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pydantic import TypeAdapter
from torch.nn import functional

from hilum.config import read, validate
from hilum.losses.base import LossConfig
from hilum.losses.total import Loss, TotalLossConfig, loss_faults
from hilum.problem import Problem
from hilum.settings import Settings

CLASSES = Problem("segmentation", 2, ("image",), ("background", "organ"), ((0,), (1,)))
LOSS: TypeAdapter[LossConfig] = TypeAdapter(Loss)


class Section(Settings):
    loss: Loss


def test_a_list_is_the_weighted_sum_of_its_losses() -> None:
    logits = torch.randn(2, 2, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = torch.randint(0, 2, (2, 5, 4), generator=torch.Generator().manual_seed(1))
    total = LOSS.validate_python([{"kind": "dice", "weight": 2.0}, {"kind": "cross_entropy", "weight": 0.5}])
    p, t = logits.softmax(1)[:, 1], (targets == 1).double()
    overlap, volumes = (p * t).sum((1, 2)), p.sum((1, 2)) + t.sum((1, 2))
    dice = (1 - (2 * overlap + 1e-5) / (volumes + 1e-5)).mean()
    expected = 2.0 * dice + 0.5 * functional.cross_entropy(logits, targets)
    assert float(total.build(CLASSES)(logits, targets)) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("given", ["dice_ce", {"kind": "dice"}, ["dice", {"kind": "focal", "weight": 0.25}]])
def test_what_is_written_out_reads_back_as_the_same(given: Any) -> None:
    section = Section(loss=given)
    dumped = section.model_dump(mode="json")
    assert isinstance(dumped["loss"], type(given) if isinstance(given, list) else dict)
    assert Section(**yaml.safe_load(yaml.safe_dump(dumped))) == section


def test_faults_are_placed_in_the_list(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("loss:\n  - {kind: dice, wieght: 2}\n  - {kind: cross_entrpy}\n  - {kind: bce, weight: -1}\n")
    found = [str(fault) for fault in validate(read(file), Section).faults]
    assert len(found) == 3
    for fault, line, words in zip(
        found, (2, 3, 4), ("did you mean 'weight'", "'cross_entropy'", "received -1"), strict=True
    ):
        assert fault.startswith(f"{file}:{line}: loss.{line - 2}."), fault
        assert words in fault


def test_the_schema_takes_one_loss_or_a_list() -> None:
    forms = Section.model_json_schema()["properties"]["loss"]["anyOf"]
    assert {"array"} == {form["type"] for form in forms if form.get("type") == "array"}


def test_each_loss_has_to_suit_the_task() -> None:
    total = LOSS.validate_python(["dice", "bce"])
    assert loss_faults(total, CLASSES) == [
        "loss 'bce' is for regions; for classes that exclude each other take 'cross_entropy'"
    ]
    nothing = LOSS.validate_python([{"kind": "dice", "weight": 0}, {"kind": "focal", "weight": 0}])
    assert loss_faults(nothing, CLASSES) == ["weight: is 0 for every loss, at least one has to be above"]


def test_a_weight_needs_something_to_be_weighed_against() -> None:
    (fault,) = loss_faults(LOSS.validate_python({"kind": "dice", "weight": 0.5}), CLASSES)
    assert fault.startswith("weight: received 0.5 for the only loss")
    assert loss_faults(LOSS.validate_python("dice"), CLASSES) == []


def test_balanced_weights_are_found_for_those_that_ask() -> None:
    total = LOSS.validate_python(["dice", {"kind": "cross_entropy", "class_weights": "balanced"}])
    assert total.needs_fit
    fitted = total.fitted_to(np.array([30, 10]), np.array([40, 40]), CLASSES)
    assert isinstance(fitted, TotalLossConfig)
    assert not fitted.needs_fit
    assert fitted.losses[1].model_dump()["class_weights"] == {"background": 0.666667, "organ": 2.0}
