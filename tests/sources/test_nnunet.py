"""Raw folders of nnU-Net: channels by number, regions and the ignore label, and everything that does not match."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from tests.sources.trees import volume

from hilum.case import ImageRef
from hilum.errors import DataError, Finding
from hilum.formats.reading import read_image
from hilum.registry import parse
from hilum.sources.base import cohort_for
from hilum.sources.nnunet import NnunetConfig
from hilum.sources.patients import UNKNOWN
from hilum.tasks.segmentation import SegmentationConfig

LABELS = {"background": 0, "PZ": 1, "TZ": 2}


def write(root: Path, *, cases: int = 3, channels: int = 2, **change: Any) -> Path:
    for number in range(cases):
        for channel in range(channels):
            volume(root / f"imagesTr/prostate_{number:02d}_{channel:04d}.nii.gz", seed=10 * number + channel)
        volume(root / f"labelsTr/prostate_{number:02d}.nii.gz", 0, 1, 2)
    content = {
        "channel_names": {str(channel): name for channel, name in enumerate(["T2", "ADC"][:channels])},
        "labels": LABELS,
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    content = {key: value for key, value in (content | change).items() if value is not None}
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def config(root: Path, **patients: Any) -> NnunetConfig:
    found = parse("sources", {"kind": "nnunet", "root": str(root), "patients": patients or {"each_case": True}})
    assert isinstance(found, NnunetConfig)
    return found


def faults(root: Path) -> list[tuple[str, str]]:
    with pytest.raises(DataError) as caught:
        config(root).cohort("segmentation")
    return [(finding.kind, finding.case or Path(finding.file).name) for finding in caught.value.findings]


def kinds(findings: tuple[Finding, ...]) -> list[tuple[str, str, str]]:
    return [(finding.severity, finding.kind, finding.case or Path(finding.file).name) for finding in findings]


def test_channels_by_number_and_masks_by_case(tmp_path: Path) -> None:
    cohort = config(write(tmp_path), regex=r"_(\d+)").cohort("segmentation")
    assert [(case.id, case.patient) for case in cohort.cases] == [
        (f"prostate_{number:02d}", f"{number:02d}") for number in range(3)
    ]
    case = cohort.cases[1]
    assert case.images == tuple(ImageRef(tmp_path / f"imagesTr/prostate_01_000{channel}.nii.gz") for channel in (0, 1))
    assert case.label == ImageRef(tmp_path / "labelsTr/prostate_01.nii.gz")
    assert (cohort.channels, cohort.notes, cohort.findings) == (("T2", "ADC"), (), ())
    assert config(tmp_path).cohort("segmentation").notes == (UNKNOWN,)


def test_a_channel_without_file_is_a_missing_modality(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "imagesTr/prostate_00_0000.nii.gz").unlink()
    (tmp_path / "imagesTr/prostate_02_0001.nii.gz").unlink()
    cohort = config(tmp_path).cohort("segmentation")
    assert [case.missing for case in cohort.cases] == [(0,), (), (1,)]


def test_cases_that_do_not_match_are_named(tmp_path: Path) -> None:
    write(tmp_path, cases=4)
    (tmp_path / "labelsTr/prostate_01.nii.gz").rename(tmp_path / "labelsTr/prostate_1.nii.gz")
    (tmp_path / "imagesTr/prostate_00_0001.nii.gz").rename(tmp_path / "imagesTr/prostate_00_0002.nii.gz")
    (tmp_path / "imagesTr/prostate_02_0001.nii.gz").rename(tmp_path / "imagesTr/prostate_02_b.nii.gz")
    assert faults(tmp_path) == [
        ("unknown channel", "prostate_00_0002.nii.gz"),
        ("unknown channel", "prostate_02_b.nii.gz"),
        ("mask without image", "prostate_1"),
    ]
    for name in ("imagesTr/prostate_00_0002", "imagesTr/prostate_02_b", "labelsTr/prostate_1"):
        (tmp_path / f"{name}.nii.gz").unlink()
    volume(tmp_path / "imagesTr/prostate_09_0000.nii")
    cohort = config(tmp_path).cohort("segmentation")
    assert [case.id for case in cohort.cases] == ["prostate_00", "prostate_02", "prostate_03"]
    assert kinds(cohort.findings) == [
        ("warning", "other file", "prostate_09_0000.nii"),
        ("warning", "no mask", "prostate_01"),
        ("warning", "other number of cases", "dataset.json"),
    ]


def test_cases_listed_in_the_description(tmp_path: Path) -> None:
    write(tmp_path, cases=2)
    (tmp_path / "labelsTr").rename(tmp_path / "elsewhere")
    entries = {
        name: {
            "images": [f"imagesTr/prostate_{name}_0000.nii.gz", f"{tmp_path}/imagesTr/prostate_{name}_0001.nii.gz"],
            "label": f"./elsewhere/prostate_{name}.nii.gz",
        }
        for name in ("01", "00")
    }
    write(tmp_path, cases=0, numTraining=2, dataset=entries)
    cohort = config(tmp_path).cohort("segmentation")
    assert [case.id for case in cohort.cases] == ["00", "01"]
    assert cohort.cases[0].files[1] == ImageRef(tmp_path / "imagesTr/prostate_00_0001.nii.gz")
    assert cohort.findings == ()
    entries["00"]["label"] = "gone.nii.gz"
    write(tmp_path, cases=0, dataset=entries)
    assert faults(tmp_path) == [("missing file", "00")]


def test_colours_in_one_file_are_channels(tmp_path: Path) -> None:
    for folder, shape in (("imagesTr", (4, 5, 3)), ("labelsTr", (4, 5))):
        (tmp_path / folder).mkdir()
        for name in ("a", "b"):
            end = "_0000" if folder == "imagesTr" else ""
            Image.fromarray(np.zeros(shape, dtype=np.uint8)).save(tmp_path / folder / f"{name}{end}.png")
    names = {"0": "red", "1": "green", "2": "blue"}
    write(tmp_path, cases=0, channel_names=names, file_ending=".png", numTraining=2)
    cohort = config(tmp_path).cohort("segmentation")
    assert [len(case.images) for case in cohort.cases] == [1, 1]
    assert cohort.channels == ("red", "green", "blue")
    assert read_image(cohort.cases[0].files).tensor.shape == (3, 4, 5, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channel_names": None}, "expected a mapping 'channel_names'"),
        ({"channel_names": {"1": "T2"}}, "expected a mapping 'channel_names'"),
        ({"channel_names": {"0": 1}}, "expected a mapping 'channel_names'"),
        ({"channel_names": None, "modality": {"0": "MRI"}}, "kind: decathlon"),
        ({"file_ending": None}, "expected 'file_ending'"),
        ({"file_ending": "nii.gz"}, "expected 'file_ending'"),
        ({"labels": None}, "expected a mapping 'labels'"),
        ({"labels": {"0": "background", "1": "PZ"}}, "goes from values to names"),
        ({"labels": {"background": 0, "PZ": "1"}}, "label 'PZ' has '1'"),
        ({"labels": {"background": 0, "PZ": []}}, r"label 'PZ' has \[\]"),
        ({"labels": {"background": 0, "PZ": True}}, "label 'PZ' has True"),
        ({"dataset": []}, "expected a mapping 'dataset'"),
        ({"dataset": {"a": {"images": "a.nii.gz", "label": "b.nii.gz"}}}, "case a under 'dataset'"),
        ({"dataset": {"a": {"images": ["a.nii.gz"]}}}, "case a under 'dataset'"),
        ({"dataset": {"a": {"images": ["1", "2", "3"], "label": "b"}}}, "has 3 images, expected 2"),
    ],
)
def test_faults_of_the_description_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"dataset\.json.*{message}"):
        config(write(tmp_path, cases=1, **change)).cohort("segmentation")


def test_missing_folders_and_another_task_are_named(tmp_path: Path) -> None:
    write(tmp_path, cases=0)
    with pytest.raises(DataError, match="no folder imagesTr and no folder labelsTr"):
        config(tmp_path).cohort("segmentation")
    with pytest.raises(DataError, match="received the task classification"):
        config(tmp_path).cohort("classification")
    with pytest.raises(ValidationError, match="patients"):
        parse("sources", {"kind": "nnunet", "root": str(tmp_path)})


def labels_differ(root: Path, **task: Any) -> list[str]:
    """What is said about a task's classes."""
    problem = SegmentationConfig.model_validate(task).problem(channels=("T2", "ADC"), dims=3, size=None)
    cohort = cohort_for(config(root), problem)
    assert {(finding.severity, finding.kind) for finding in cohort.findings} <= {("warning", "labels differ")}
    return [finding.received for finding in cohort.findings]


def test_classes_that_are_not_the_labels_are_warned_about(tmp_path: Path) -> None:
    write(tmp_path, cases=1)
    assert labels_differ(tmp_path, classes=["background", "peripheral", "transition"]) == []
    assert labels_differ(tmp_path, classes={"background": 0, "gland": [1, 2]}) == []
    assert labels_differ(tmp_path, classes={"background": 0, "pz": 1}) == ["no class for the values 2"]
    assert labels_differ(tmp_path, classes={"background": 0, "a": 1, "b": 2, "c": 3}, ignore=4) == [
        "classes with the values 3, 4, which it does not name"
    ]
    assert labels_differ(tmp_path, classes={"background": 0, "TZ": 1, "PZ": 2}) == [
        "the class TZ with the value 1",
        "the class PZ with the value 2",
    ]


def test_regions_and_the_ignore_label(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4}
    write(tmp_path, cases=1, labels=labels, regions_class_order=[1, 2, 3])
    declared = config(tmp_path).declared_labels()
    assert declared is not None
    assert (declared.regions, declared.ignore) == (True, 4)
    assert declared.classes == {"whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    assert labels_differ(tmp_path, regions=declared.classes, ignore=declared.ignore) == []
    assert labels_differ(tmp_path, regions={"whole": [1, 2, 3]}) == ["no class for the values 4"]
    write(tmp_path, cases=1, labels={"background": 0, "PZ": 1, "ignore": [2, 3]})
    with pytest.raises(DataError, match="label 'ignore' has"):
        config(tmp_path).declared_labels()
