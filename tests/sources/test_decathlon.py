"""Decathlon folders: labelled pairs, channels of several modalities, and patients that have to be told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.nifti import write_volume
from hilum.formats.reading import read_image
from hilum.registry import parse
from hilum.sources.base import cohort_for
from hilum.sources.decathlon import DecathlonConfig
from hilum.sources.patients import UNKNOWN
from hilum.tasks.segmentation import SegmentationConfig


def write(root: Path, *, modality: dict[str, str] | None = None, cases: int = 3) -> dict[str, Any]:
    """A folder of small cases; what its dataset.json says."""
    names = [f"liver_{number:03d}.nii.gz" for number in range(cases)]
    pairs = [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names]
    modality = modality or {"0": "CT"}
    shape = (3, 4, 5) if len(modality) == 1 else (3, 4, 5, len(modality))
    for pair in pairs:
        voxels = np.random.default_rng(0).integers(0, 99, shape).astype(np.int16)
        write_volume(root / pair["image"], voxels, np.eye(4))
        write_volume(root / pair["label"], np.zeros((3, 4, 5), dtype=np.uint8), np.eye(4))
    content: dict[str, Any] = {
        "modality": modality,
        "labels": {"0": "background"},
        "training": pairs,
        "test": ["./x.nii.gz"],
    }
    (root / "dataset.json").write_text(json.dumps(content))
    return content


def config(root: Path, **patients: Any) -> DecathlonConfig:
    found = parse("sources", {"kind": "decathlon", "root": str(root), "patients": patients or {"each_case": True}})
    assert isinstance(found, DecathlonConfig)
    return found


def test_cases_in_the_order_of_the_file(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "whose.csv").write_text("case_id,patient_id\nliver_000,a\nliver_001,a\nliver_002,b\n")
    cohort = config(tmp_path, table="whose.csv").cohort("segmentation")
    assert [(case.id, case.patient) for case in cohort.cases] == [
        ("liver_000", "a"),
        ("liver_001", "a"),
        ("liver_002", "b"),
    ]
    assert cohort.cases[1].files == (ImageRef(tmp_path / "imagesTr/liver_001.nii.gz"),)
    assert cohort.cases[1].label == ImageRef(tmp_path / "labelsTr/liver_001.nii.gz")
    assert (cohort.channels, cohort.notes) == (("CT",), ())
    assert config(tmp_path).cohort("segmentation").notes == (UNKNOWN,)


def test_modalities_are_frames_of_one_file(tmp_path: Path) -> None:
    write(tmp_path, modality={str(number): f"channel {number}" for number in (10, 0, 2)})
    cohort = config(tmp_path).cohort("segmentation")
    assert cohort.channels == ("channel 0", "channel 2", "channel 10")
    assert read_image(cohort.cases[0].files).tensor.shape == (3, 3, 4, 5)


def test_patients_have_to_be_told(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="patients"):
        parse("sources", {"kind": "decathlon", "root": str(tmp_path)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": []}, "no case: expected at least one"),
        ({"training": None}, "expected a list 'training'"),
        ({"training": [{"image": "a.nii"}]}, "expected a list 'training' of pairs"),
        ({"training": [{"image": 1, "label": "b.nii"}]}, "expected a list 'training' of pairs"),
        ({"modality": None}, "expected a mapping 'modality'"),
        ({"modality": {"0": 1}}, "expected a mapping 'modality'"),
        ({"modality": {"zero": "CT"}}, "expected a mapping 'modality'"),
        ({"training": [{"image": "a.txt", "label": "b.nii"}]}, r"dataset\.json: .*a\.txt: unknown kind of file"),
        ({"training": 1, "channel_names": {}}, "expected a list 'training'"),
        (
            {"training": [{"image": "a.nii", "label": "b.nii"}]},
            r"case a: .*a\.nii: missing file.*\n.*b\.nii: missing file",
        ),
    ],
)
def test_faults_of_the_description_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    content = write(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(DataError, match=message):
        config(tmp_path).cohort("segmentation")


def test_a_missing_or_broken_description_and_another_task_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dataset\.json: cannot be read"):
        config(tmp_path).cohort("segmentation")
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DataError, match=r"dataset\.json: cannot be read"):
        config(tmp_path).cohort("segmentation")
    with pytest.raises(DataError, match="received the task classification"):
        config(tmp_path).cohort("classification")


def test_raw_data_of_nnunet_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}}')
    with pytest.raises(DataError, match="kind: nnunet"):
        config(tmp_path).cohort("segmentation")


def test_images_of_the_test_list_are_left_alone(tmp_path: Path) -> None:
    content = write(tmp_path)
    assert content["test"] == ["./x.nii.gz"]
    assert len(config(tmp_path).cohort("segmentation").cases) == 3


def test_classes_that_are_not_the_labels_are_warned_about(shared_data: Path) -> None:
    source = config(shared_data / "Task04_Hippocampus", table="patients.csv")
    for classes, expected in (
        ({"background": 0, "anterior": 1, "posterior": 2}, []),
        ({"background": 0, "anterior": 2, "posterior": 1}, ["the class anterior with the value 2"]),
        ({"background": 0, "anterior": 1}, ["no class for the values 2"]),
        ({"background": 0, "hippocampus": [1, 2, 3]}, ["classes with the values 3, which it does not name"]),
    ):
        problem = SegmentationConfig.model_validate({"classes": classes}).problem(channels=("MRI",), dims=3, size=None)
        found = cohort_for(source, problem).findings
        assert [finding.received for finding in found][:1] == expected
        assert {(finding.severity, finding.kind) for finding in found} <= {("warning", "labels differ")}


@pytest.mark.parametrize("labels", [None, {}, {"tumour": 1}, "x"])
def test_labels_written_otherwise_declare_nothing(labels: Any, tmp_path: Path) -> None:
    content = write(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({**content, "labels": labels}))
    assert config(tmp_path).declared_labels() is None


def test_hippocampus_pairs_sides_of_a_subject(shared_data: Path) -> None:
    cohort = config(shared_data / "Task04_Hippocampus", table="patients.csv").cohort("segmentation")
    assert len(cohort.cases) == 199
    by_id = {case.id: case.patient for case in cohort.cases}
    assert by_id["hippocampus_003"] == by_id["hippocampus_004"] != by_id["hippocampus_006"]
    assert cohort.channels == ("MRI",)
