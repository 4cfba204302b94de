"""The proof: differences are found where they are, and too large ones are an error of exit code 1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tests.exporting.conftest import answering, classifier, point, scan, segmenter

from hilum.case import ImageRef
from hilum.evaluation.decision import FindingPoints
from hilum.exporting.parity import CaseParity, ParityError, compare_answers, compare_labels, judge, run_alone
from hilum.formats.writing import write_mask_like


def test_one_other_voxel_is_seen(tmp_path: Path) -> None:
    subject, file = segmenter(), scan(tmp_path / "scan.nii.gz")
    image = subject.read([ImageRef(file)])
    labels = subject.segment(image).tensor[0].numpy().copy()
    write_mask_like(labels, file, tmp_path / "same.nii.gz")
    assert compare_labels("a", image, tmp_path / "same.nii.gz", predictor=subject) == CaseParity("a", 1.0, None, 1.0)
    where = tuple(np.argwhere(labels == 4)[0])
    labels[where] = 0
    write_mask_like(labels, file, tmp_path / "other.nii.gz")
    found = compare_labels("a", image, tmp_path / "other.nii.gz", predictor=subject)
    organ = int((labels == 4).sum())
    assert found.same == pytest.approx(1 - 1 / labels.size)
    assert found.lowest_dice == pytest.approx(2 * organ / (2 * organ + 1))


def test_labels_on_another_grid_are_refused(tmp_path: Path) -> None:
    subject, file = segmenter(), scan(tmp_path / "scan.nii.gz")
    image = subject.read([ImageRef(file)])
    nib.Nifti1Image(np.zeros(image.grid.shape, np.uint8), np.eye(4)).to_filename(tmp_path / "other.nii.gz")
    with pytest.raises(ParityError, match="a: the exported network wrote labels on another grid"):
        compare_labels("a", image, tmp_path / "other.nii.gz", predictor=subject)


def test_classes_are_compared_by_name(tmp_path: Path) -> None:
    subject = classifier()
    image = subject.read([ImageRef(scan(tmp_path / "scan.nii.gz"))])
    classes, found = subject.problem.classes, subject.classify(image).tolist()
    likely = {f"p_{name}": value for name, value in zip(classes, found, strict=True)}
    likeliest, least = max(zip(found, classes, strict=True))[1], min(zip(found, classes, strict=True))[1]
    theirs = {**dict(reversed(likely.items())), "predicted": likeliest}
    assert compare_answers("a", image, theirs, predictor=subject) == CaseParity("a", 1.0, 0.0, of="class")
    reached = point(min(found) / 2, least)
    assert compare_answers("a", image, theirs, predictor=subject, point=reached) == CaseParity("a", 0, 0, of="class")
    other = {**theirs, "predicted": least, f"p_{likeliest}": 0.0}
    assert compare_answers("a", image, other, predictor=subject) == CaseParity("a", 0.0, max(found), of="class")


def test_findings_are_compared_as_they_are_decided_and_numbers_in_their_spread(tmp_path: Path) -> None:
    file = scan(tmp_path / "scan.nii.gz")
    findings = answering("multilabel")
    image = findings.read([ImageRef(file)])
    one, two = findings.classify(image).tolist()
    said = {"p_one": one, "predicted_one": int(one > 0.5), "p_two": two - 0.25, "predicted_two": int(two > 0.5)}
    found = compare_answers("a", image, said, predictor=findings)
    assert found == CaseParity("a", 1.0, pytest.approx(0.25), of="findings")  # type: ignore[arg-type]
    points = FindingPoints({"one": point(one / 2, "one"), "two": point((1 + two) / 2, "two")})
    found = compare_answers(
        "a", image, said | {"predicted_one": 1, "predicted_two": 1}, predictor=findings, point=points
    )
    assert found.same == 0.5
    numbers = answering("regression")  # of which the first has a standard deviation of 12, the second of 200
    years, ml = numbers.classify(image).tolist()
    theirs = {"predicted_one": years + 3, "unit_one": "years", "predicted_two": ml - 100, "unit_two": "ml"}
    found = compare_answers("a", image, theirs, predictor=numbers)
    assert found == CaseParity("a", 1.0, pytest.approx(0.5), of="numbers")  # type: ignore[arg-type]


def test_what_is_too_far_off_is_named() -> None:
    good, bad = CaseParity("good", 0.9995, 1e-5, 0.99), CaseParity("bad", 0.9, 1e-5, 0.5)
    assert judge([good, bad], least=None, largest=None)["least_agreement"] == 0.9
    for case in (bad, replace(good, case="bad", difference=2e-3), replace(good, case="bad", difference=float("nan"))):
        with pytest.raises(ParityError, match=r"in 1 case; nothing was written(.|\n)*bad: same labels") as error:
            judge([good, case], least=0.999, largest=1e-3)
        assert error.value.exit_code == 1
        assert "good" not in str(error.value)
    found = judge([good], least=0.999, largest=1e-3)
    assert found["largest_probability_difference"] == 1e-5
    assert found["cases"] == [{"case": "good", "same": 0.9995, "difference": 1e-5, "lowest_dice": 0.99, "of": ""}]


def test_what_a_program_died_of_is_told(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match=r"exit code 1(.|\n)*KeyError: 'first'(.|\n)*second"):
        run_alone(["-c", "try: {}['first']\nexcept KeyError as e: raise ValueError('second') from e"], folder=tmp_path)
