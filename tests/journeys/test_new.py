"""`hilum new`: data sets as they lie on disk become a configuration that check accepts, or a clear refusal."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
import yaml
from tests.journeys.conftest import Hilum, is_root

Array = npt.NDArray[Any]
SHAPE = (12, 14, 10)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test starts its commands in an empty folder of its own."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)


def scan(seed: int, shape: tuple[int, ...] = SHAPE) -> tuple[Array, Array]:
    """An image of noise with a brighter box in it, and the mask of the box."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, np.uint8)
    start = rng.integers(1, 4, len(shape))
    mask[tuple(slice(first, first + 4) for first in start)] = 1
    return rng.normal(100, 5, shape) + 60 * mask, mask


def write_nifti(file: Path, values: Array, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    kind = np.uint8 if values.dtype == np.uint8 else np.int16
    nib.save(nib.Nifti1Image(values.astype(kind), np.diag([*spacing, 1.0])), file)
    return file


def write_png(file: Path, values: Array) -> Path:
    from PIL import Image

    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(file)
    return file


def decathlon(root: Path) -> Path:
    """Eight scans of 1 x 1 x 2 mm of four patients, whom a table names."""
    import json

    pairs = []
    for number in range(8):
        image, mask = scan(number)
        name = f"organ_{number:03d}.nii.gz"
        write_nifti(root / "imagesTr" / name, image, (1.0, 1.0, 2.0))
        write_nifti(root / "labelsTr" / name, mask, (1.0, 1.0, 2.0))
        pairs.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    description = {"modality": {"0": "MRI"}, "labels": {"0": "background", "1": "organ"}, "training": pairs}
    (root / "dataset.json").write_text(json.dumps(description))
    rows = "".join(f"organ_{number:03d},p{number // 2}\n" for number in range(8))
    (root / "patients.csv").write_text("case_id,patient_id\n" + rows)
    return root


def case_folders(root: Path) -> Path:
    """A folder for each of six patients, with two modalities and a mask."""
    for number in range(6):
        image, mask = scan(number)
        folder = root / f"Müller {number}"
        write_nifti(folder / "t1.nii.gz", image)
        write_nifti(folder / "flair.nii.gz", image[::-1])
        write_nifti(folder / "seg.nii.gz", mask)
    return root


def pictures(root: Path) -> Path:
    """A folder of pictures for each of two classes, one of them rare."""
    for label, count in (("normal", 20), ("tumour", 5)):
        for number in range(count):
            write_png(root / label / f"{label}{number}.png", scan(number + 100 * count, (32, 32))[0])
    return root


def table(root: Path) -> Path:
    """Pictures with a table of classes and patients, two pictures each."""
    root.mkdir(parents=True)
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "patient_id", "label", "sex"])
        for number in range(24):
            write_png(root / "images" / f"x{number}.png", scan(number, (32, 32))[0])
            rows.writerow(
                [f"x{number}.png", f"p{number // 2}", ["no_finding", "pneumonia"][number // 2 % 2], "MF"[number % 2]]
            )
    return root


def medmnist(file: Path) -> Path:
    """An archive of tiny pictures with official parts."""
    file.parent.mkdir(parents=True)
    rng, arrays = np.random.default_rng(1), {}
    for part, count in (("train", 24), ("val", 8), ("test", 8)):
        arrays[f"{part}_images"] = rng.integers(0, 255, (count, 28, 28), np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 2).astype(np.uint8)[:, None]
    np.savez(file, allow_pickle=False, **arrays)
    return file


def read(file: str | Path) -> dict[str, Any]:
    return yaml.safe_load(Path(file).read_text(encoding="utf-8"))


def made(hilum: Hilum, data: Path, *words: str) -> dict[str, Any]:
    """What `hilum new` writes for the data; `hilum check` accepts the file as it is."""
    done = hilum("new", data, "-o", "my konfig é.yaml", *words)
    assert done.code == 0, done.text
    checked = hilum("check", "my konfig é.yaml")
    assert checked.code == 0, checked.text
    assert "estimated for the whole run" in checked.out
    return read("my konfig é.yaml")


def kinds(steps: list[dict[str, Any]]) -> list[str]:
    return [step["kind"] for step in steps]


def test_a_decathlon_of_several_scans_a_patient(hilum: Hilum, tmp_path: Path) -> None:
    root = decathlon(tmp_path / "Task 99 Örgan")
    found = made(hilum, root)
    assert found["name"] == "Task-99-rgan"
    assert found["task"] == {"kind": "segmentation", "classes": {"background": 0, "organ": 1}}
    data = found["data"]
    assert data["source"] == {"kind": "decathlon", "root": str(root), "patients": {"table": "patients.csv"}}
    assert kinds(data["prepare"]) == ["canonical", "spacing", "zscore"]
    assert data["prepare"][1]["mm"] == [1.0, 1.0, 2.0]
    assert data["patch"]["size"] == [12, 14, 10]  # the image, since two poolings leave 6 x 7 x 5 voxels
    assert found["network"]["strides"] == [[2, 2, 1], [1, 1, 2]]  # the coarse axis when the others are as coarse
    assert data["patch"]["foreground"] == 0.33  # 64 of 1680 voxels are organ: between 1 and 20 %
    trained = hilum("train", "my konfig é.yaml", "train.epochs=1", "train.steps_per_epoch=2", "schedule.warmup=1")
    assert trained.code == 0, trained.text
    assert {row.rpartition(",")[0] for row in Path("runs/Task-99-rgan/split.csv").read_text().split()}


def test_case_folders_with_two_modalities(hilum: Hilum, tmp_path: Path) -> None:
    found = made(hilum, case_folders(tmp_path / "brains"))
    source = found["data"]["source"]
    assert source["channels"] == {"flair": "flair.nii.gz", "t1": "t1.nii.gz"}
    assert source["label"] == "seg.nii.gz"
    assert source["patients"] == {"each_case": True}
    assert found["data"]["prepare"][-1]["kind"] == "zscore"  # MRI by the names of its channels


def test_class_folders_of_pictures_with_a_rare_class(hilum: Hilum, tmp_path: Path) -> None:
    found = made(hilum, pictures(tmp_path / "photos"))
    assert found["task"]["classes"] == {"normal": "normal", "tumour": "tumour"}
    assert found["data"]["prepare"] == [{"kind": "window", "low": 0, "high": 255}]
    assert found["loss"] == {"kind": "cross_entropy", "class_weights": "balanced"}  # 20 to 5


def test_a_table_names_classes_and_patients(hilum: Hilum, tmp_path: Path) -> None:
    root = table(tmp_path / "x rays")
    found = made(hilum, root)
    assert found["name"] == "x-rays"
    source = found["data"]["source"]
    assert source == {
        "kind": "csv_table",
        "file": str(root / "labels.csv"),
        "root": str(root / "images"),
        "image": "image",
        "label": "label",
        "patient": "patient_id",
    }
    assert list(found["task"]["classes"]) == ["no_finding", "pneumonia"]
    assert found["loss"] == "cross_entropy"
    assert made_of_file(hilum, root / "labels.csv")["data"]["source"] == source


def made_of_file(hilum: Hilum, file: Path) -> dict[str, Any]:
    assert hilum("new", file, "-o", "again.yaml").code == 0
    return read("again.yaml")


def test_an_archive_keeps_its_official_parts(hilum: Hilum, tmp_path: Path) -> None:
    found = made(hilum, medmnist(tmp_path / "d" / "toymnist.npz"))
    assert found["name"] == "toymnist"
    assert found["data"]["split"] == "predefined"


def test_a_dash_prints_yaml_and_nothing_else(hilum: Hilum, tmp_path: Path) -> None:
    root = decathlon(tmp_path / "organ")
    done = hilum("new", root, "-o", "-")
    assert done.code == 0, done.text
    assert yaml.safe_load(done.out)["name"] == "organ"
    assert "8 cases of 4 patients" in done.err
    assert list(Path().iterdir()) == []


def test_what_exists_is_replaced_only_when_asked(hilum: Hilum, tmp_path: Path) -> None:
    root = decathlon(tmp_path / "organ")
    Path("organ.yaml").write_text("mine")
    hilum("new", root).refuses("organ.yaml exists", "--overwrite")
    assert Path("organ.yaml").read_text() == "mine"
    assert hilum("new", root, "--overwrite").code == 0
    assert read("organ.yaml")["name"] == "organ"


def empty(root: Path) -> Path:
    root.mkdir()
    return root


def no_labels(root: Path) -> Path:
    image, mask = scan(1)
    write_nifti(root / "t2.nii.gz", image)
    write_nifti(root / "t2_lesions.nii.gz", mask)
    return root


def two_sets(root: Path) -> Path:
    decathlon(root / "one")
    case_folders(root / "other")
    return root


def broken_archive(root: Path) -> Path:
    root.mkdir()
    (root / "a.npz").write_bytes(b"PK\x03\x04 and no more")
    return root / "a.npz"


def broken_scan(root: Path) -> Path:
    root.mkdir()
    (root / "a.nii.gz").write_bytes(b"no gzip")
    return root / "a.nii.gz"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: root.with_name("dat"), ("no such file or folder", "did you mean")),
        (empty, ("holds no image", "it is empty")),
        (no_labels, ("t2.nii.gz,t2_lesions.nii.gz,PATIENT", "may be a mask", "needed")),
        (two_sets, ("2 data sets", "hilum new")),
        (broken_archive, ("a.npz",)),
        (broken_scan, ("a.nii.gz",)),
        (lambda root: case_folders(root) / "Müller 1", ("but", "hilum new")),
    ],
    ids=["absent", "empty", "no labels", "two sets", "broken archive", "broken scan", "one case"],
)
def test_what_no_one_can_learn_from_is_refused(
    hilum: Hilum, tmp_path: Path, make: Callable[[Path], Path], words: tuple[str, ...]
) -> None:
    (tmp_path / "date").mkdir()
    hilum("new", make(tmp_path / "data"), "-o", "x.yaml").refuses(*words)
    assert list(Path().iterdir()) == []


def test_an_output_that_cannot_be_written_is_named(hilum: Hilum, tmp_path: Path) -> None:
    root = decathlon(tmp_path / "organ")
    Path("file").write_text("no folder")
    hilum("new", root, "-o", "file/x.yaml").refuses("file/x.yaml cannot be written", "is no folder")
    hilum("new", "").refuses("empty path")
    hilum("new", root, "--name", "a/b").refuses("--name")
    if not is_root():
        Path("locked").mkdir(mode=0o500)
        hilum("new", root, "-o", Path("locked") / "x.yaml").refuses("locked", "read-only")
