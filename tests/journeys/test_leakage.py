"""Nobody scores a network on what it has seen: by another split, another table of patients, or a renamed copy."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from tests.journeys.conftest import Hilum, parts, read_csv, write_csv


def scans(phantoms: Path) -> dict[str, Path]:
    return {file.name.partition(".")[0]: file for file in sorted((phantoms / "images").glob("*.nii.gz"))}


def test_scans_that_were_seen_are_refused_before_anything_is_written(
    hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path
) -> None:
    seen = read_csv(trained / "seen.csv")
    divided, files = parts(trained), scans(phantoms)
    assert {row["case_id"] for row in seen} == divided["train"] | divided["val"]
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for number, part in enumerate(("train", "val", "test")):
        packed = gzip.decompress(files[min(divided[part])].read_bytes())
        (inputs / f"stranger{number}.nii").write_bytes(packed)
    refused = hilum("predict", trained, inputs, tmp_path / "out", "--check-leakage")
    refused.refuses("seen in train", "stranger0", "seen in val", "stranger1", min(divided["train"]))
    assert "stranger2" not in refused.text
    assert not (tmp_path / "out").exists()
    unchecked = hilum("predict", trained, inputs, tmp_path / "out")
    assert unchecked.code == 0, unchecked.text
    assert "seen" not in read_csv(tmp_path / "out" / "results.csv")[0]


def test_scans_that_were_not_seen_are_predicted_and_marked(
    hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path
) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    file = shutil.copy(scans(phantoms)[min(parts(trained)["test"])], inputs)
    (inputs / "broken.nii.gz").write_bytes(b"no image")
    nib.save(nib.Nifti1Image(np.zeros((16, 16, 16), np.float32), np.eye(4)), inputs / "empty.nii.gz")
    done = hilum("predict", trained, inputs, tmp_path / "out", "--check-leakage")
    assert done.code == 3, done.text
    assert "no identical voxels, ids or patients among the 1 compared" in done.out
    assert "of 2, which cannot be read or have no contrast: broken, empty" in done.out
    rows = {row["case_id"]: row["seen"] for row in read_csv(tmp_path / "out" / "results.csv")}
    assert rows == {Path(file).name.partition(".")[0]: "no", "empty": "unknown"}


def test_a_patient_that_was_seen_is_refused_by_name(
    hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path
) -> None:
    file = scans(phantoms)[min(parts(trained)["test"])]
    patient = next(row["patient_id"] for row in read_csv(trained / "seen.csv") if row["part"] == "train")
    manifest = write_csv(tmp_path / "m.csv", [{"case_id": "new", "patient_id": patient, "image": str(file)}])
    hilum("predict", trained, manifest, tmp_path / "out", "--check-leakage").refuses("new", "the patient id of case")


def test_what_was_seen_cannot_be_edited_away(hilum: Hilum, own_run: Path, phantoms: Path, tmp_path: Path) -> None:
    file = next(iter(scans(phantoms).values()))
    table = own_run / "seen.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:1]) + "\n")
    hilum("predict", own_run, file, tmp_path / "out", "--check-leakage").refuses("seen.csv was edited")
    table.unlink()
    hilum("predict", own_run, file, tmp_path / "out", "--check-leakage").refuses("seen.csv is missing")


def test_two_patients_who_turn_out_to_be_one_are_noticed(
    hilum: Hilum, write_config: Callable[..., Path], phantoms: Path, tmp_path: Path
) -> None:
    """The table of patients is mended after training: a patient of train and one of test are the same person."""
    rows = [
        {"image": str(file), "label": str(file).replace("images", "labels"), "patient": name.rpartition("-")[0]}
        for name, file in scans(phantoms).items()
    ]
    table = write_csv(tmp_path / "cases.csv", rows)
    source = f"{{kind: csv_table, file: {table}, patient: patient}}"
    done = hilum("train", write_config(tmp_path, source=source), "train.epochs=1")
    assert done.code == 0, done.text
    run = tmp_path / "runs" / "tiny"
    assert hilum("evaluate", run, "--part", "test").code == 0
    owners = {row["part"]: row["patient_id"] for row in read_csv(run / "split.csv")}
    mended = [{**row, "patient": owners["train"]} if row["patient"] == owners["test"] else row for row in rows]
    write_csv(table, mended)
    hilum("evaluate", run, "--part", "test").refuses("have another patient now")
    # Somebody makes the split agree: the two parts share a patient now, and no hash can hide it.
    split = run / "split.csv"
    split.write_text(split.read_text().replace(f",{owners['test']},", f",{owners['train']},"))
    hilum("evaluate", run, "--part", "test").refuses(f"{owners['train']} (train and test)")
    looks = (run / "test_ledger.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in looks]) == 1


def test_an_edited_split_without_an_overlap_is_noticed_too(hilum: Hilum, own_run: Path) -> None:
    """A whole patient moved from test to train: no patient is shared, and the hash in the checkpoint differs."""
    copy = own_run / "split.csv"
    rows = read_csv(copy)
    patient = next(row["patient_id"] for row in rows if row["part"] == "test")
    shutil.copy(copy, own_run / "split.kept")
    write_csv(copy, [{**row, "part": "train"} if row["patient_id"] == patient else row for row in rows])
    hilum("evaluate", own_run).refuses("is not the split that the network was trained with")
    shutil.copy(own_run / "split.kept", copy)
    assert hilum("evaluate", own_run).code == 0
