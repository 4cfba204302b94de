"""Modalities as frames of one 4-D file, as the Decathlon has them: train, predict, and a file with other frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tests.journeys.conftest import Hilum, nifti, read_csv


@pytest.fixture(scope="module")
def decathlon(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom patients as a task of the Decathlon with two modalities, the second the square of the first."""
    root = tmp_path_factory.mktemp("frames") / "Task"
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    pairs, patients = [], ["case_id,patient_id"]
    for row in read_csv(phantoms / "cases.csv"):
        image, mask, name = nifti(phantoms / row["image"]), nifti(phantoms / row["label"]), row["case_id"]
        values = np.asarray(image.dataobj, dtype=np.float32)
        nib.save(
            nib.Nifti1Image(np.stack([values, values**2], axis=-1), image.affine), root / f"imagesTr/{name}.nii.gz"
        )
        nib.save(mask, root / f"labelsTr/{name}.nii.gz")
        pairs.append({"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"})
        patients.append(f"{name},{row['patient_id']}")
    (root / "patients.csv").write_text("\n".join(patients))
    task = {"modality": {"0": "T1", "1": "T2"}, "labels": {"0": "background", "1": "organ", "2": "lesion"}}
    (root / "dataset.json").write_text(json.dumps({**task, "numTraining": len(pairs), "training": pairs}))
    return root


def source_of(root: Path) -> str:
    return f"{{kind: decathlon, root: {root}, patients: {{table: patients.csv}}}}"


def with_a_third_frame(file: Path, other: Path) -> None:
    image = nifti(file)
    values = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(np.concatenate([values, values[..., :1]], axis=-1), image.affine), other)


def test_frames_are_channels_in_training_and_prediction(
    hilum: Hilum, write_config: Callable[..., Path], decathlon: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, source=source_of(decathlon))
    done = hilum("train", config)
    assert done.code == 0, done.text
    one = next((decathlon / "imagesTr").iterdir())
    done = hilum("predict", tmp_path / "runs" / "tiny", one, tmp_path / "out")
    assert done.code == 0, done.text
    assert nifti(tmp_path / "out" / one.name).shape == nifti(one).shape[:3]
    with_a_third_frame(one, tmp_path / "three.nii.gz")
    done = hilum("predict", tmp_path / "runs" / "tiny", tmp_path / "three.nii.gz", tmp_path / "other")
    assert done.code == 3, done.text
    assert "3 frames, expected 2" in read_csv(tmp_path / "other" / "failures.csv")[0]["reason"]


@pytest.mark.parametrize("verb", ["check", "train"])
def test_a_frame_without_a_name_is_refused_before_training(
    hilum: Hilum, write_config: Callable[..., Path], decathlon: Path, tmp_path: Path, verb: str
) -> None:
    for name in ("labelsTr", "patients.csv", "dataset.json"):
        (tmp_path / name).symlink_to(decathlon / name)
    (tmp_path / "imagesTr").mkdir()
    first, *others = sorted((decathlon / "imagesTr").iterdir())
    for image in others:
        (tmp_path / "imagesTr" / image.name).symlink_to(image)
    with_a_third_frame(first, tmp_path / "imagesTr" / first.name)
    config = write_config(tmp_path, source=source_of(tmp_path))
    hilum(verb, config).refuses(first.name, "3 frames, expected 2, one for each channel")
    assert not (tmp_path / "runs" / "tiny").exists()
