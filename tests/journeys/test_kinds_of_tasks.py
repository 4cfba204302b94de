"""Segmentations of every kind from training to files: regions, ignored voxels, several channels, slices, pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from tests.journeys.conftest import Hilum, nifti, parts, read_csv, write_csv

IGNORED = 255


def load(file: Path) -> npt.NDArray[Any]:
    return np.asarray(nifti(file).dataobj)


@pytest.fixture(scope="session")
def two_channels(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The phantom patients with a second modality, its negative, and a stripe of every mask that nobody drew."""
    folder = tmp_path_factory.mktemp("channels")
    rows = []
    for row in read_csv(phantoms / "cases.csv"):
        image, mask = nifti(phantoms / row["image"]), nifti(phantoms / row["label"])
        name = row["case_id"]
        values = np.asarray(image.dataobj, dtype=np.float32)
        nib.save(nib.Nifti1Image(values, image.affine), folder / f"{name}_t1.nii.gz")
        nib.save(nib.Nifti1Image(-values, image.affine), folder / f"{name}_t2.nii.gz")
        drawn = np.asarray(mask.dataobj).astype(np.uint8)
        drawn[:, : drawn.shape[1] // 3] = IGNORED
        nib.save(nib.Nifti1Image(drawn, image.affine), folder / f"{name}_mask.nii.gz")
        files = {column: f"{name}_{column}.nii.gz" for column in ("t1", "t2", "mask")}
        rows.append({"case_id": name, "patient_id": row["patient_id"], **files})
    write_csv(folder / "cases.csv", rows)
    return folder


def source_of(folder: Path) -> str:
    return (
        f"{{kind: csv_table, file: {folder}/cases.csv, image: {{first: t1, second: t2}}, label: mask,"
        " patient: patient_id, id: case_id}"
    )


@pytest.fixture(scope="session")
def regions(
    hilum: Hilum, write_config: Callable[..., Path], two_channels: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run on two channels with overlapping regions and a label value that nobody sees."""
    folder = tmp_path_factory.mktemp("regions")
    config = write_config(folder, source=source_of(two_channels))
    task = f"task={{kind: segmentation, regions: {{whole: [1, 2], lesion: 2}}, ignore: {IGNORED}}}"
    done = hilum("train", config, task, "train.epochs=1")
    assert done.code == 0, done.text
    return folder / "runs" / "tiny"


def test_regions_are_scored_on_what_was_drawn(hilum: Hilum, regions: Path, two_channels: Path, tmp_path: Path) -> None:
    """Every row of cases.csv, by numpy alone from the written labels, without the ignored stripe."""
    cases = {row["case_id"]: row for row in read_csv(two_channels / "cases.csv")}
    val = parts(regions)["val"]
    listed = [
        {"case_id": case, "second": two_channels / cases[case]["t2"], "first": two_channels / cases[case]["t1"]}
        for case in sorted(val)
    ]
    done = hilum("predict", regions, write_csv(tmp_path / "val.csv", listed), tmp_path / "out")
    assert done.code == 0, done.text
    rows = read_csv(regions / "cases.csv")
    assert {(row["case_id"], row["class"]) for row in rows} == {
        (case, name) for case in val for name in ("whole", "lesion")
    }
    members = {"whole": [1, 2], "lesion": [2]}
    for row in rows:
        truth, predicted = (
            load(two_channels / cases[row["case_id"]]["mask"]),
            load(tmp_path / "out" / f"{row['case_id']}.nii.gz"),
        )
        assert set(np.unique(predicted)) <= {0, 1, 2}
        seen = truth != IGNORED
        a, b = np.isin(truth, members[row["class"]]) & seen, np.isin(predicted, members[row["class"]]) & seen
        total = a.sum() + b.sum()
        assert float(row["dice"]) == pytest.approx(2 * (a & b).sum() / total if total else 1.0, abs=1e-9)
        assert int(row["truth_voxels"]) == a.sum()
    results = {row["case_id"]: row for row in read_csv(tmp_path / "out" / "results.csv")}
    for case, row in results.items():
        ml = abs(np.linalg.det(nifti(tmp_path / "out" / f"{case}.nii.gz").affine)) / 1000
        whole = (load(tmp_path / "out" / f"{case}.nii.gz") > 0).sum() * ml
        assert float(row["whole_ml"]) == pytest.approx(whole, rel=1e-6)


def test_several_images_a_case_need_a_manifest_with_their_names(
    hilum: Hilum, regions: Path, two_channels: Path, tmp_path: Path
) -> None:
    hilum("predict", regions, two_channels, tmp_path / "out").refuses("first, second")
    row = read_csv(two_channels / "cases.csv")[0]
    first, second = two_channels / row["t1"], two_channels / row["t2"]
    hilum("predict", regions, write_csv(tmp_path / "a.csv", [{"t1": first, "t2": second}]), tmp_path / "out").refuses(
        "first"
    )
    moved = nifti(second)
    nib.save(nib.Nifti1Image(load(second)[:-1], moved.affine), tmp_path / "moved.nii.gz")
    rows = [
        {"case_id": "good", "first": first, "second": second},
        {"case_id": "other_grid", "first": first, "second": tmp_path / "moved.nii.gz"},
    ]
    assert hilum("predict", regions, write_csv(tmp_path / "b.csv", rows), tmp_path / "out").code == 3
    (failure,) = read_csv(tmp_path / "out" / "failures.csv")
    assert failure["case_id"] == "other_grid"
    assert "different grids" in failure["reason"]
    assert nifti(tmp_path / "out" / "good.nii.gz").affine.tobytes() == nifti(first).affine.tobytes()


def test_several_images_a_case_may_be_told_by_their_numbers(
    hilum: Hilum, regions: Path, two_channels: Path, tmp_path: Path
) -> None:
    """Files as nnU-Net names them give the labels that a manifest gives."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    rows = read_csv(two_channels / "cases.csv")[:2]
    for number, row in enumerate(rows):
        for channel, column in enumerate(("t1", "t2")):
            name = f"{row['case_id']}_{channel:04d}.nii.gz"
            (tmp_path / "in" / ("deep" if number else "") / name).symlink_to(two_channels / row[column])
    assert hilum("predict", regions, tmp_path / "in", tmp_path / "out").code == 0
    listed = [
        {"case_id": row["case_id"], "first": two_channels / row["t1"], "second": two_channels / row["t2"]}
        for row in rows
    ]
    assert hilum("predict", regions, write_csv(tmp_path / "in.csv", listed), tmp_path / "other").code == 0
    for row in rows:
        ours, theirs = (tmp_path / name / f"{row['case_id']}.nii.gz" for name in ("out", "other"))
        assert ours.read_bytes() == theirs.read_bytes()


def test_a_value_that_no_region_has_is_refused(
    hilum: Hilum, write_config: Callable[..., Path], two_channels: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, source=source_of(two_channels))
    task = "task={kind: segmentation, regions: {whole: [1, 2], lesion: 2}}"
    hilum("check", config, task).refuses(str(IGNORED), "lesion")


def test_a_two_dimensional_network_labels_volumes_slice_by_slice(
    hilum: Hilum, write_config: Callable[..., Path], phantoms: Path, tmp_path: Path
) -> None:
    done = hilum("train", write_config(tmp_path), "data.patch.size=[16, 16]", "data.slice_axis=1", "train.epochs=1")
    assert done.code == 0, done.text
    run = tmp_path / "runs" / "tiny"
    rows = read_csv(run / "cases.csv")
    assert len(rows) == 2 * len(parts(run)["val"])  # whole cases, not slices
    assert hilum("predict", run, phantoms / "images", tmp_path / "out").code == 0
    for image in (phantoms / "images").iterdir():
        written = nifti(tmp_path / "out" / image.name)
        assert written.shape == nifti(image).shape
        assert written.affine.tobytes() == nifti(image).affine.tobytes()


def test_pictures_are_segmented_in_pixels(hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path) -> None:
    """One stack of one animal: contiguous blocks with a warning, masks of 0 and 255, PNG in and PNG out."""
    rng = np.random.default_rng(1)
    rows = []
    for number in range(8):
        mask = np.zeros((40, 36), np.uint8)
        mask[8:28, 10 : 14 + number] = 255
        Image.fromarray((mask // 2 + rng.integers(0, 60, mask.shape)).astype(np.uint8)).save(
            tmp_path / f"i{number}.png"
        )
        Image.fromarray(mask).save(tmp_path / f"m{number}.png")
        rows.append({"image": f"i{number}.png", "label": f"m{number}.png", "animal": "fly-1", "z": number})
    write_csv(tmp_path / "cases.csv", rows)
    source = f"{{kind: csv_table, file: {tmp_path}/cases.csv, patient: animal, order: z}}"
    words = ["data.prepare=[zscore]", "data.patch.size=[16, 16]", "task.classes={out: 0, cell: 255}", "train.epochs=1"]
    done = hilum(
        "train", write_config(tmp_path, source=source), *words, "data.augment=[{kind: flip, axes: [vertical]}]"
    )
    assert done.code == 0, done.text
    assert "one patient" in done.out
    run = tmp_path / "runs" / "tiny"
    split = parts(run)
    assert max(split["train"]) < min(split["val"]) <= max(split["val"]) < min(split["test"])
    assert {row["unit"] for row in read_csv(run / "cases.csv")} == {"pixel"}
    assert hilum("predict", run, tmp_path / "i7.png", tmp_path / "out").code == 0
    written = np.asarray(Image.open(tmp_path / "out" / "i7.png"))
    assert written.shape == (40, 36)
    assert set(np.unique(written)) <= {0, 255}
    (row,) = read_csv(tmp_path / "out" / "results.csv")
    assert float(row["cell_pixels"]) == (written == 255).sum()
