"""What an export is proved on: every case becomes NIfTI files that hold the same voxels, or a drawn volume serves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.exporting.conftest import PREPARE, affine, classifier, problem, scan, segmenter

from hilum.case import Case, ImageRef
from hilum.errors import DataError
from hilum.exporting.cases import DEFAULT_CASES, drawn_case, given_cases, validation_cases
from hilum.inference.predictor import Predictor
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.crop_foreground import CropForegroundConfig
from hilum.prepare.window import WindowConfig


def test_nifti_files_are_taken_as_they_are(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        scan(tmp_path / name)
    proof = given_cases([tmp_path], segmenter(), frames=[None], folder=tmp_path / "copies")
    assert [case.images for case in proof.cases] == [(ImageRef(tmp_path / f"{name}.nii.gz"),) for name in "ab"]
    with pytest.raises(DataError, match="two images of one name"):
        given_cases([tmp_path, tmp_path / "a.nii.gz"], segmenter(), frames=[None], folder=tmp_path / "copies")


def test_pictures_are_copied_with_their_voxels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    subject = Predictor(classifier().model, problem("classification", 2, channels=3), [CanonicalConfig()])
    (case,) = given_cases([tmp_path / "picture.png"], subject, frames=[None], folder=tmp_path).cases
    assert all(ref.path.name.endswith(".nii.gz") for ref in case.files)
    picture = subject.read([ImageRef(tmp_path / "picture.png")])
    copy = subject.prepared(subject.read(case.images))
    assert torch.equal(copy.tensor, subject.prepared(picture).tensor)


def test_one_frame_of_a_series_is_copied(tmp_path: Path) -> None:
    import nibabel as nib

    series = np.random.default_rng(0).normal(size=(9, 8, 7, 3)).astype(np.float32)
    nib.Nifti1Image(series, affine()).to_filename(tmp_path / "series.nii")
    frame = Case("frame", "frame", (ImageRef(tmp_path / "series.nii", index=1),))
    proof = validation_cases([frame], segmenter(), folder=tmp_path)
    assert proof is not None
    (case,) = proof.cases
    assert case.files[0].path != tmp_path / "series.nii"
    assert torch.equal(segmenter().read(case.images).tensor, torch.from_numpy(series[None, ..., 1]))


def test_a_few_validation_cases_are_enough_and_absent_files_none(tmp_path: Path) -> None:
    files = [scan(tmp_path / f"{number}.nii.gz") for number in range(DEFAULT_CASES + 1)]
    cases = [Case(file.name, file.name, (ImageRef(file),)) for file in files]
    proof = validation_cases(cases, segmenter(), folder=tmp_path)
    assert proof is not None
    assert len(proof.cases) == DEFAULT_CASES
    files[0].unlink()
    assert validation_cases(cases, segmenter(), folder=tmp_path) is None
    assert validation_cases([], segmenter(), folder=tmp_path) is None


DRAWN = {
    "windows": segmenter(),
    "channels": segmenter(channels=2),
    "CT": segmenter(prepare=[*PREPARE[:2], CropForegroundConfig(threshold=30.0), WindowConfig(low=-160, high=240)]),
    "slices": segmenter(2, slice_axis=0),
    "classes": classifier(3),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_volume_passes_the_preparation(name: str, tmp_path: Path) -> None:
    subject = DRAWN[name]
    proof = drawn_case(subject, folder=tmp_path)
    assert "drawn" in proof.said
    image = subject.read(proof.cases[0].images)
    prepared = subject.prepared(image).tensor
    assert prepared.isfinite().all()
    assert prepared.std() > 0.01
    answer = subject.classify(image) if subject.problem.kind == "classification" else subject.segment(image).tensor
    assert answer.isfinite().all()
