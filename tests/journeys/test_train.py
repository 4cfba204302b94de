"""Training: what a run leaves behind, what it never touches, and how it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from tests.journeys.conftest import Hilum, is_root, nifti, parts, read_csv, read_json, read_log


def test_the_installed_command_trains_then_refuses_then_overwrites(
    command: Hilum, hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    config = write_config(tmp_path)
    first = command("train", config, "train.epochs=1")
    run = tmp_path / "runs" / "tiny"
    assert first.code == 0, first.text
    assert first.out.splitlines()[-1] == f"run folder: {run}"
    assert len(read_log(run)) == 1
    left = {file.name for file in run.iterdir()}
    assert left >= {"config.yaml", "provenance.json", "split.csv", "log.jsonl", "tensorboard", "checkpoints"}
    assert left >= {"cases.csv", "summary.json", "learning_curves.png", "cases_val.png"}
    hilum("train", config, "train.epochs=2").refuses("--resume", "--overwrite", str(run))
    assert len(read_log(run)) == 1
    again = hilum("train", config, "train.epochs=2", "--overwrite")
    assert again.code == 0, again.text
    assert len(read_log(run)) == 2


def test_overwrite_leaves_a_folder_that_is_no_run(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    precious = tmp_path / "runs" / "tiny" / "thesis.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("ten years of work")
    hilum("train", write_config(tmp_path), "--overwrite").refuses("not a run folder")
    assert precious.read_text() == "ten years of work"


def test_training_scores_no_test_case(trained: Path) -> None:
    split = parts(trained)
    assert all(split.values())
    rows = read_csv(trained / "cases.csv")
    assert {row["part"] for row in rows} == {"val"}
    assert {row["case_id"] for row in rows} == split["val"]
    assert set(read_json(trained / "summary.json")) == {"val"}
    assert not (trained / "test_ledger.jsonl").exists()
    assert not [file.name for file in trained.iterdir() if "test" in file.name]


def test_no_patient_is_in_two_parts(trained: Path) -> None:
    owners: dict[str, set[str]] = {}
    for row in read_csv(trained / "split.csv"):
        owners.setdefault(row["patient_id"], set()).add(row["part"])
    assert len(owners) == 6
    assert all(len(found) == 1 for found in owners.values())


def test_checkpoints_hold_tensors_and_text_only(trained: Path) -> None:
    for name in ("best", "last"):
        content = torch.load(trained / "checkpoints" / f"{name}.pt", weights_only=True)
        assert isinstance(content["facts"], str)


def test_the_resolved_configuration_gives_the_same_weights(hilum: Hilum, trained: Path, tmp_path: Path) -> None:
    again = hilum("train", trained / "config.yaml", f"runs={tmp_path}")
    assert again.code == 0, again.text
    first, second = read_json(trained / "provenance.json"), read_json(tmp_path / "tiny" / "provenance.json")
    for key in ("weights_sha256", "split_sha256", "data_sha256"):
        assert second[key] == first[key]
    assert read_log(tmp_path / "tiny") == read_log(trained)


def test_provenance_says_what_a_paper_needs(trained: Path) -> None:
    facts = read_json(trained / "provenance.json")
    assert facts["seed"] == 17
    assert facts["device"] == "cpu"
    assert facts["precision"] == "float32"
    assert facts["versions"]["torch"] == torch.__version__
    assert sum(facts["parts"].values()) == len(read_csv(trained / "split.csv"))
    assert "phantom patients: generated, not measured" in facts["notes"]


def test_another_seed_gives_other_weights(
    hilum: Hilum, write_config: Callable[..., Path], trained: Path, tmp_path: Path
) -> None:
    done = hilum("train", write_config(tmp_path), "runtime.seed=18")
    assert done.code == 0, done.text
    other = read_json(tmp_path / "runs" / "tiny" / "provenance.json")
    assert other["weights_sha256"] != read_json(trained / "provenance.json")["weights_sha256"]
    assert other["split_sha256"] == read_json(trained / "provenance.json")["split_sha256"]


def test_more_workers_change_nothing(
    hilum: Hilum, write_config: Callable[..., Path], trained: Path, tmp_path: Path
) -> None:
    done = hilum("train", write_config(tmp_path), "data.workers=1", "data.memory_gb=1e-9", f"data.cache={tmp_path}")
    assert done.code == 0, done.text
    other = read_json(tmp_path / "runs" / "tiny" / "provenance.json")
    assert other["weights_sha256"] == read_json(trained / "provenance.json")["weights_sha256"]


def broken_cohort(phantoms: Path, folder: Path, change: Callable[[Path, Path], None]) -> str:
    """A source of the phantom patients in which the image and the mask of one case were changed."""
    shutil.copytree(phantoms, folder)
    change(folder / "images" / "phantom-000-0.nii.gz", folder / "labels" / "phantom-000-0.nii.gz")
    return f"{{kind: csv_table, file: {folder}/cases.csv, patient: patient_id, id: case_id}}"


def put_nan(image: Path, mask: Path) -> None:
    loaded = nifti(image)
    values = np.asarray(loaded.dataobj, dtype=np.float32)
    values[0, 0, 0] = np.nan
    nib.save(nib.Nifti1Image(values, loaded.affine), image)


def truncate_image(image: Path, mask: Path) -> None:
    image.write_bytes(image.read_bytes()[:500])


def empty_mask_file(image: Path, mask: Path) -> None:
    mask.write_bytes(b"")


def write_text_as_mask(image: Path, mask: Path) -> None:
    mask.write_bytes(b"this is no NIfTI file")


def add_label_nine(image: Path, mask: Path) -> None:
    loaded = nifti(mask)
    values = np.asarray(loaded.dataobj).copy()
    values[1, 1, 1] = 9
    nib.save(nib.Nifti1Image(values, loaded.affine), mask)


def move_mask(image: Path, mask: Path) -> None:
    loaded = nifti(mask)
    affine = loaded.affine.copy()
    affine[0, 3] += 40
    nib.save(nib.Nifti1Image(np.asarray(loaded.dataobj), affine), mask)


def remove_image(image: Path, mask: Path) -> None:
    image.unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put_nan, ["phantom-000-0", "NaN"]),
        (truncate_image, ["phantom-000-0.nii.gz"]),
        (empty_mask_file, ["labels/phantom-000-0.nii.gz"]),
        (write_text_as_mask, ["labels/phantom-000-0.nii.gz"]),
        (add_label_nine, ["phantom-000-0", "[9]", "organ: 1"]),
        (move_mask, ["phantom-000-0", "origin differs", "voxels off"]),
        (remove_image, ["phantom-000-0.nii.gz", "does not exist"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_case_is_named(
    hilum: Hilum,
    write_config: Callable[..., Path],
    phantoms: Path,
    tmp_path: Path,
    change: Callable[[Path, Path], None],
    words: list[str],
) -> None:
    config = write_config(tmp_path, source=broken_cohort(phantoms, tmp_path / "cohort", change))
    words = [word for word in words if word]
    everyone = "data.split={kind: holdout, val: 0.0, test: 0.0}"
    hilum("train", config, everyone).refuses(*words)
    checked = hilum("check", config)
    checked.refuses(*words, "tiny.yaml:")


@pytest.mark.skipif(is_root(), reason="root may write everywhere")
def test_a_folder_without_permission_is_a_message(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    hilum("train", write_config(tmp_path), f"runs={locked}/runs").refuses("cannot be written")


def test_a_file_in_place_of_the_runs_folder_is_a_message(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    hilum("train", write_config(tmp_path), f"runs={tmp_path}/file").refuses("file")


def test_all_patients_can_train_without_a_score(
    hilum: Hilum, write_config: Callable[..., Path], trained: Path, tmp_path: Path
) -> None:
    done = hilum("train", write_config(tmp_path), "data.split=all", "train.epochs=1")
    run = tmp_path / "runs" / "tiny"
    assert done.code == 0, done.text
    assert {row["part"] for row in read_csv(run / "split.csv")} == {"train"}
    assert not (run / "cases.csv").exists()
    assert "val_dice" not in read_log(run)[0]
    hilum("evaluate", run).refuses("no val part")
