"""What is recognised: every layout generated and every data set at hand, and that its source reads it as it says."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.sources.trees import mask, picture, text, volume

from hilum.case import Cohort
from hilum.registry import parse
from hilum.sources.base import SourceConfig
from hilum.sources.layout import Layout, recognise


def cohort(layout: Layout) -> Cohort:
    source = parse("sources", layout.source)
    assert isinstance(source, SourceConfig)
    return source.cohort(layout.task_kind)


def only(root: Path) -> Layout:
    (found,) = recognise(root)
    assert found.trainable
    return found


def settings(layout: Layout, *without: str) -> dict[str, Any]:
    return {key: value for key, value in layout.settings.items() if key not in without}


def test_hippocampus(shared_data: Path) -> None:
    found = only(shared_data / "Task04_Hippocampus")
    assert (found.kind, settings(found, "root")) == ("decathlon", {"patients": {"table": "patients.csv"}})
    assert found.task == {"kind": "segmentation", "classes": {"background": 0, "Anterior": 1, "Posterior": 2}}
    assert found.doubts == ()
    assert len(cohort(found).cases) == 199


def test_chest_films(shared_data: Path) -> None:
    root = shared_data / "nih_cxr14"
    found = only(root)
    assert found.source == {
        "kind": "csv_table",
        "file": str(root / "labels.csv"),
        "root": str(root / "images"),
        "image": "image",
        "label": "label",
        "patient": "patient_id",
    }
    assert found.task == {
        "kind": "classification",
        "classes": {"no_finding": "no_finding", "pneumonia": "pneumonia"},
    }
    assert found.doubts == ()
    assert recognise(root / "labels.csv") == [found]


@pytest.mark.parametrize(
    ("name", "classes", "count"),
    [
        ("breastmnist", {"malignant": 0, "benign": 1}, 780),
        ("pneumoniamnist", {"normal": 0, "pneumonia": 1}, 5856),
        ("vesselmnist3d", {"vessel": 0, "aneurysm": 1}, 1908),
    ],
)
def test_medmnist(name: str, classes: dict[str, int], count: int, shared_data: Path) -> None:
    found = only(shared_data / "medmnist" / f"{name}.npz")
    assert (found.kind, found.task) == ("medmnist", {"kind": "classification", "classes": classes})
    assert any("patients" in doubt for doubt in found.doubts)
    assert len(cohort(found).cases) == count
    assert found in recognise(shared_data / "medmnist")


def test_membranes(shared_data: Path) -> None:
    found = only(shared_data / "isbi2012_em")
    assert (found.kind, found.task_kind) == ("folders", "segmentation")
    assert settings(found, "root") == {"images": "image", "masks": "label", "patients": {"one": "isbi2012_em"}}
    assert set((found.classes or {}).values()) == {0, 255}
    assert len(cohort(found).cases) == 30
    assert any("slices of one stack" in doubt for doubt in found.doubts)


def test_tumours(shared_data: Path) -> None:
    found = only(shared_data / "brats2015")
    assert (found.kind, found.task_kind) == ("folders", "segmentation")
    assert list(found.settings["channels"]) == ["flair", "t1c"]
    assert set((found.classes or {}).values()) <= {0, 1, 2, 3, 4}
    assert [case.missing for case in cohort(found).cases] == [(), ()]
    assert any("brainmask" in doubt for doubt in found.doubts)


@pytest.mark.parametrize(
    ("name", "words"),
    [("dicom", "2 DICOM series"), ("nifti_misc", "14 images .nii.gz"), ("medmnist/../dicom", "DICOM")],
)
def test_images_without_labels_are_only_described(name: str, words: str, shared_data: Path) -> None:
    (found,) = recognise(shared_data / name)
    assert not found.trainable
    assert words in found.evidence
    assert found.doubts


def write_nnunet(root: Path, labels: dict[str, Any], *, channels: int = 2) -> Path:
    for name in ("a_1", "a_2"):
        for channel in range(channels):
            volume(root / f"imagesTr/{name}_{channel:04d}.nii.gz")
        volume(root / f"labelsTr/{name}.nii.gz", 0, 1, 2)
    names = {str(channel): f"c{channel}" for channel in range(channels)}
    content = {"channel_names": names, "labels": labels, "numTraining": 2, "file_ending": ".nii.gz"}
    text(root / "dataset.json", json.dumps(content))
    return root


def test_nnunet(tmp_path: Path) -> None:
    root = write_nnunet(tmp_path / "Dataset001_X", {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3})
    found = only(root)
    assert (found.kind, settings(found, "root")) == ("nnunet", {"patients": {"each_case": True}})
    assert found.task == {"kind": "segmentation", "regions": {"whole": [1, 2], "core": 2}, "ignore": 3}
    assert cohort(found).channels == ("c0", "c1")
    assert recognise(tmp_path) == [found]
    text(root / "whose.csv", "case_id,patient_id\na_1,x\na_2,x\n")
    assert only(root).settings["patients"] == {"table": "whose.csv"}
    write_nnunet(tmp_path / "Dataset002_Y", {"background": 0, "organ": 1})
    assert [layout.classes for layout in recognise(tmp_path)] == [
        {"whole": [1, 2], "core": 2},
        {"background": 0, "organ": 1},
    ]


def test_bids(tmp_path: Path) -> None:
    for name in ("01", "02"):
        for suffix in ("T1w", "FLAIR"):
            volume(tmp_path / f"sub-{name}/anat/sub-{name}_{suffix}.nii.gz")
        volume(tmp_path / f"derivatives/drawn/sub-{name}/anat/sub-{name}_desc-lesion_mask.nii.gz", 0, 1)
    text(tmp_path / "participants.tsv", "participant_id\tage\tdiagnosis\nsub-01\t7\tAD\nsub-02\t8\tCN\n")
    drawn, diagnosed = recognise(tmp_path)
    image = {"channels": {"flair": "FLAIR", "t1w": "T1w"}}
    label = {"derivative": "drawn", "suffix": "mask", "desc": "lesion"}
    assert (drawn.kind, settings(drawn, "root")) == ("bids", {**image, "label": label})
    assert drawn.task == {"kind": "segmentation", "classes": {"background": 0, "foreground": 1}}
    assert (diagnosed.kind, settings(diagnosed, "root")) == ("bids", {**image, "label": "diagnosis"})
    assert diagnosed.task == {"kind": "classification", "classes": {"CN": "CN", "AD": "AD"}}
    for layout in (drawn, diagnosed):
        assert [len(case.files) for case in cohort(layout).cases] == [2, 2]


@pytest.mark.parametrize("parts", [(), ("train", "test")])
def test_a_folder_a_class(parts: tuple[str, ...], tmp_path: Path) -> None:
    for part in parts or ("",):
        for label in ("cat", "dog"):
            for number in range(3):
                picture(tmp_path / part / label / f"{number}.png")
    found = only(tmp_path)
    assert found.source == {"kind": "folders", "root": str(tmp_path), "patients": {"each_case": True}}
    assert found.task == {"kind": "classification", "classes": {"cat": "cat", "dog": "dog"}}
    assert len(cohort(found).cases) == 6 * len(parts or ("",))


@pytest.mark.parametrize(
    ("images", "masks", "part"),
    [("images", "masks", ""), ("Images", "Labels", ""), ("imagesTr", "labelsTr", ""), ("image", "label", "train")],
)
def test_images_beside_masks(images: str, masks: str, part: str, tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        picture(tmp_path / part / images / f"{name}.png")
        mask(tmp_path / part / masks / f"{name}_mask.png", 0, 2, 5)
    picture(tmp_path / part / images / "lone.png")
    found = only(tmp_path)
    assert (found.settings["images"], found.settings["masks"]) == (images, masks)
    assert found.task == {"kind": "segmentation", "classes": {"background": 0, "label_2": 2, "label_5": 5}}
    assert any("1 images without a mask" in doubt for doubt in found.doubts)
    assert len(cohort(found).cases) == 3


def test_a_folder_a_case(tmp_path: Path) -> None:
    for name in ("p_1", "p_2", "p_3"):
        volume(tmp_path / name / f"{name}_t1.nii.gz", seed=1)
        volume(tmp_path / name / f"{name}_t2.nii.gz", seed=2)
        volume(tmp_path / name / f"{name}_seg.nii.gz", 0, 1)
    (tmp_path / "p_2/p_2_t2.nii.gz").unlink()
    found = only(tmp_path)
    assert found.settings["channels"] == {"t1": "*_t1.nii.gz", "t2": "*_t2.nii.gz"}
    assert found.settings["label"] == "*_seg.nii.gz"
    assert found.task == {"kind": "segmentation", "classes": {"background": 0, "foreground": 1}}
    assert [case.missing for case in cohort(found).cases] == [(), (1,), ()]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_lone_table(suffix: str, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, list[Any]] = {
        "uid": [f"u{number}" for number in range(6)],
        "t1": [f"deep/er/{number}_t1.png" for number in range(6)],
        "t2": [*(f"deep/er/{number}_t2.png" for number in range(5)), None],
        "lesion_mask": [f"deep/er/{number}_m.png" for number in range(6)],
        "Subject ID": [1, 1, 2, 3, 4, 5],
        "sex": ["F", "M"] * 3,
        "Diagnosis": ["sick", "healthy"] * 3,
        "part": ["train"] * 4 + ["val", "test"],
    }
    for column in ("t1", "t2"):
        for name in columns[column]:
            if name:
                picture(tmp_path / "data" / name)
    for name in columns["lesion_mask"]:
        mask(tmp_path / "data" / name, 0, 1)
    table, file = pa.table(columns), tmp_path / f"list{suffix}"
    if suffix == ".parquet":
        pq.write_table(table, file)
    else:
        rows = [
            list(columns),
            *([("" if cell is None else str(cell)) for cell in row] for row in zip(*columns.values(), strict=True)),
        ]
        text(file, "\n".join(("\t" if suffix == ".tsv" else ";").join(row) for row in rows))
    drawn, diagnosed = recognise(file)
    shared = {
        "file": str(file),
        "root": str(tmp_path / "data"),
        "image": {"t1": "t1", "t2": "t2"},
        "patient": "Subject ID",
        "part": "part",
    }
    assert drawn.source == {"kind": "csv_table", **shared, "label": "lesion_mask"}
    assert drawn.task == {"kind": "segmentation", "classes": {"background": 0, "foreground": 1}}
    assert diagnosed.source == {"kind": "csv_table", **shared, "label": "Diagnosis"}
    assert diagnosed.task["classes"] == {"healthy": "healthy", "sick": "sick"}
    for layout in (drawn, diagnosed):
        assert [case.missing for case in cohort(layout).cases] == [()] * 5 + [(1,)]


def test_a_table_without_names_that_help(tmp_path: Path) -> None:
    rows = [["f", "a", "b", "note"]]
    for number in range(8):
        picture(tmp_path / f"{number}.png")
        rows.append([f"{number}.png", str(number % 2), "xyz"[number % 3], f"text {number}"])
    text(tmp_path / "t.csv", "\n".join(",".join(row) for row in rows))
    first, second = recognise(tmp_path)
    assert [layout.settings["label"] for layout in (first, second)] == ["a", "b"]
    assert first.classes == {"class_0": 0, "class_1": 1}
    assert second.classes == {"x": "x", "y": "y", "z": "z"}
    assert all(layout.settings["patients"] == {"each_case": True} for layout in (first, second))
    assert any("which column is the class" in doubt for doubt in first.doubts)
    assert len(cohort(first).cases) == 8


def test_numbered_pictures_that_resemble_their_neighbours_are_one_stack(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=(12, 40, 40)), axis=0)
    for number, slice_ in enumerate(walk):
        for root, values in ((tmp_path / "stack", slice_), (tmp_path / "loose", rng.normal(size=(40, 40)))):
            (root / "images").mkdir(parents=True, exist_ok=True)
            scaled = (255 * (values - values.min()) / np.ptp(values)).astype(np.uint8)
            Image.fromarray(scaled).save(root / f"images/{number}.png")
            mask(root / f"masks/{number}.png", 0, 1)
    assert only(tmp_path / "stack").settings["patients"] == {"one": "stack"}
    assert only(tmp_path / "loose").settings["patients"] == {"each_case": True}


def test_what_nobody_can_read(tmp_path: Path) -> None:
    assert recognise(tmp_path) == []
    assert recognise(tmp_path / "none") == []
    assert recognise(text(tmp_path / "a.txt", "x")) == []
    assert recognise(text(tmp_path / "b.csv", "x,y\n1,2\n")) == []
    assert recognise(text(tmp_path / "c.csv", "")) == []
    np.savez(tmp_path / "d.npz", x=np.zeros(3))
    assert recognise(tmp_path / "d.npz") == []
    (lone,) = recognise(picture(tmp_path / "e.png"))
    assert not lone.trainable


def test_several_labels_an_image_are_no_layout(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {}
    for part in ("train", "val", "test"):
        arrays |= {f"{part}_images": np.zeros((2, 4, 4)), f"{part}_labels": np.zeros((2, 14), dtype=np.uint8)}
    np.savez(tmp_path / "chestmnist.npz", **arrays)
    (found,) = recognise(tmp_path / "chestmnist.npz")
    assert not found.trainable
    assert "several labels an image" in found.doubts[0]


def test_what_an_archive_was_unpacked_into(tmp_path: Path, shared_data: Path) -> None:
    shutil.copytree(shared_data / "isbi2012_em", tmp_path / "unpacked" / "isbi")
    assert only(tmp_path / "unpacked").settings["root"] == str(tmp_path / "unpacked" / "isbi")
