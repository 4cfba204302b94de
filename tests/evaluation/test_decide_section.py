"""The section `decide`: what fits, and what does not suit the task."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hilum.evaluation.decide_section import DecideConfig
from hilum.experiment import diagnose, load
from hilum.problem import Problem

PICTURES = """\
name: pictures
task: {kind: classification, classes: CLASSES}
data:
  source: {kind: csv_table, file: cases.csv, patient: person}
network: resnet
loss: cross_entropy
metrics: [auroc]
"""
SCANS = """\
name: scans
task: {kind: segmentation, classes: [background, organ]}
data: {source: {kind: phantom}}
network: unet
loss: dice
metrics: [dice]
"""
TWO, THREE = "[normal, ill]", "[normal, mild, severe]"


def faults(folder: Path, text: str, decide: str) -> list[str]:
    file = folder / "a.yaml"
    file.write_text(text)
    return [str(fault).removeprefix(f"{file}:") for fault in diagnose(file, [f"decide={decide}"]).faults]


@pytest.mark.parametrize(
    ("classes", "decide"),
    [
        (TWO, "{}"),
        (TWO, "{calibrate: true, operating_point: youden, patient: {aggregate: mean}}"),
        (TWO, "{operating_point: {kind: sensitivity, at_least: 0.95}, patient: {}}"),
        (TWO, "{positive: normal, operating_point: {kind: cost, false_negative: 5, false_positive: 1}}"),
        (TWO, "{patient: {aggregate: {kind: top_k, k: 5}, labels: majority}}"),
        (TWO, "{slices: noisy_or}"),
        (THREE, "{calibrate: true, patient: {aggregate: mean, labels: majority}}"),
        (THREE, "{positive: severe, operating_point: {kind: specificity, at_least: 0.9}}"),
    ],
)
def test_what_fits(tmp_path: Path, classes: str, decide: str) -> None:
    assert faults(tmp_path, PICTURES.replace("CLASSES", classes), decide) == []
    assert faults(tmp_path, SCANS, "{calibrate: true}") == []


@pytest.mark.parametrize(
    ("classes", "decide", "field", "words"),
    [
        (TWO, "{calibrat: true}", "decide.calibrat", "did you mean 'calibrate'?"),
        (TWO, "{operating_point: youdn}", "decide.operating_point.kind", "did you mean 'youden'?"),
        (TWO, "{operating_point: {kind: sensitivity, at_least: 95}}", "decide.operating_point.at_least", "received 95"),
        (TWO, "{operating_point: {kind: cost}}", "decide.operating_point.false_negative", "is required"),
        (TWO, "{operating_point: youden, positive: il}", "decide.positive", "did you mean 'ill'?"),
        (TWO, "{positive: ill}", "decide.positive", "nothing in this section depends on it"),
        (TWO, "{positive: ill, calibrate: true, patient: {}}", "decide.positive", "remove it"),
        (TWO, "{patient: {aggregate: noisyor}}", "decide.patient.aggregate.kind", "did you mean 'noisy_or'?"),
        (TWO, "{patient: {labels: all}}", "decide.patient.labels", "'same', 'any', 'majority' or 'mean'"),
        (TWO, "{patient: {aggregate: {kind: top_k, k: 0}}}", "decide.patient.aggregate.k", "received 0"),
        (THREE, "{operating_point: youden}", "decide", "positive is required by operating_point: one of normal, mild"),
        (THREE, "{patient: {aggregate: max}}", "decide", "positive is required by patient.aggregate"),
        (THREE, "{patient: {labels: any}}", "decide", "positive is required by patient.labels"),
    ],
)
def test_what_does_not_fit_a_classification(tmp_path: Path, classes: str, decide: str, field: str, words: str) -> None:
    found = faults(tmp_path, PICTURES.replace("CLASSES", classes), decide)
    assert any(f": {field}: " in fault and words in fault for fault in found), found


@pytest.mark.parametrize("key", ["operating_point: youden", "patient: {}", "slices: max", "positive: organ"])
def test_a_segmentation_has_a_temperature_only(tmp_path: Path, key: str) -> None:
    found = faults(tmp_path, SCANS, f"{{{key}}}")
    field = f"decide.{key.partition(':')[0]}"
    assert any(f": {field}: " in fault and "is for classification" in fault for fault in found), found


FOUND = PICTURES.replace("{kind: classification, classes: CLASSES}", "{kind: multilabel, classes: [edema, mass]}")
AGES = (
    PICTURES.replace("{kind: classification, classes: CLASSES}", "{kind: regression, targets: age}")
    .replace("loss: cross_entropy", "loss: mae")
    .replace("[auroc]", "[mae]")
)


@pytest.mark.parametrize(
    ("text", "decide", "field", "words"),
    [
        (
            FOUND,
            "{calibrate: true, operating_point: youden, slices: max, patient: {aggregate: max, labels: any}}",
            "",
            "",
        ),
        (FOUND, "{positive: mass, operating_point: youden}", "decide.positive", "is for classification, the task is"),
        (FOUND, "{patient: {labels: mean}}", "decide.patient.labels", "findings have no mean"),
        (AGES, "{patient: {labels: mean}}", "", ""),
        (AGES, "{patient: {labels: any}}", "decide.patient.labels", "'any' is for classes"),
        (AGES, "{patient: {aggregate: max}}", "decide.patient.aggregate", "'max' is for probabilities: take mean"),
        (AGES, "{calibrate: true}", "decide.calibrate", "is for classification and multilabel and segmentation"),
        (AGES, "{operating_point: youden}", "decide.operating_point", "is for classification and multilabel"),
        (AGES, "{slices: max}", "decide.slices", "is for classification and multilabel"),
    ],
)
def test_what_suits_findings_and_numbers(tmp_path: Path, text: str, decide: str, field: str, words: str) -> None:
    text = text.replace("loss: cross_entropy", "loss: bce")
    found = faults(tmp_path, text, decide)
    assert any(f": {field}: " in fault and words in fault for fault in found) if field else found == [], found


def test_the_default_decides_nothing_new(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SCANS)
    decide = load(tmp_path / "a.yaml").decide
    assert decide == DecideConfig()
    assert not decide.chooses
    assert (decide.operating_point.kind, decide.slices.kind, decide.patient) == ("argmax", "mean", None)


def test_slices_become_a_volume() -> None:
    problem = Problem("classification", 2, ("ct",), ("normal", "bleeding"), values=((0,), (1,)))
    slices = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    pool = DecideConfig.model_validate({"slices": "noisy_or"}).slice_pool(problem)
    assert pool is not None
    assert pool(slices).tolist() == pytest.approx([0.18, 0.82])
    assert DecideConfig().slice_pool(problem) is None
