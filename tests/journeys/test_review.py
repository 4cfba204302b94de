"""Review flags from training to the table: what is planted is flagged and said, what is like training is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from tests.journeys.conftest import Hilum, nifti, parts, read_csv, read_json

from hilum.experiment import load
from hilum.pipeline.training_faults import training_faults

GEOMETRY = ("spacing", "field of view", "orientation", "intensity")


def scans_of(phantoms: Path, run: Path, part: str) -> list[Path]:
    return [phantoms / "images" / f"{case}.nii.gz" for case in sorted(parts(run)[part])]


def save(file: Path, voxels: npt.NDArray[Any], affine: npt.NDArray[np.float64]) -> None:
    nib.save(nib.Nifti1Image(np.ascontiguousarray(voxels, dtype=np.float32), affine), file)


@pytest.fixture
def odd_scans(phantoms: Path, trained: Path, tmp_path: Path) -> Path:
    """A training scan as it is, and changed in one way each."""
    folder = tmp_path / "odd"
    folder.mkdir()
    image = nib.as_closest_canonical(nifti(scans_of(phantoms, trained, "train")[0]))
    voxels, affine = np.asarray(image.dataobj, dtype=np.float32), np.diag([*image.header.get_zooms(), 1.0])
    save(folder / "as-it-was.nii.gz", voxels, affine)
    save(folder / "stretched.nii.gz", voxels, affine @ np.diag([1, 1, 2.5, 1.0]))
    save(folder / "cut.nii.gz", voxels[:, :, : voxels.shape[2] // 3], affine)
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    turn = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    save(folder / "turned.nii.gz", voxels, turn @ affine)
    save(folder / "inverted.nii.gz", voxels.max() - voxels, affine)
    return folder


def test_what_was_planted_is_flagged_and_nothing_else(
    hilum: Hilum, trained: Path, odd_scans: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = hilum("predict", trained, odd_scans, out, "--memory", "16GB")  # of which other tests took some
    assert done.code == 0, done.text
    rows = {row["case_id"]: row for row in read_csv(out / "results.csv")}
    found = {name: [flag for flag in row["flags"].split("; ") if flag in GEOMETRY] for name, row in rows.items()}
    assert found["as-it-was"] == []
    assert "spacing" in found["stretched"]
    assert "field of view" in found["cut"]
    assert found["turned"] == ["orientation"]
    assert "intensity" in found["inverted"]
    assert "turned by 30 degrees out of the patient's axes, in training by" in rows["turned"]["flag_reasons"]
    assert list(rows["cut"])[:5] == ["case_id", "patient_id", "status", "flags", "flag_reasons"]
    assert float(rows["turned"]["tilt_degrees"]) == pytest.approx(30, abs=0.1)
    assert 0 < float(rows["as-it-was"]["organ_confidence"]) <= 1
    flagged = sum(bool(row["flags"]) for row in rows.values())
    assert f"{flagged} of 5 cases flagged (" in done.out
    assert re.search(r"turned: estimated [\d.]+ GB to read and prepare, [\d.]+ GB to predict", done.out)
    (session,) = read_json(out / "provenance.json")["sessions"]
    assert 0.1 < session["peak_memory_gb"] < 16
    assert f"peak of memory: {session['peak_memory_gb']:g} GB of 16 allowed" in done.out

    again = hilum("predict", trained, odd_scans, out, "predict.review={tilt_degrees: 45, margin: 3}")
    assert again.code == 0, again.text
    assert "5 cases finished before" in again.out, "other settings of flags predict nothing anew"
    rows = {row["case_id"]: row for row in read_csv(out / "results.csv")}
    assert not any(flag in row["flags"] for row in rows.values() for flag in GEOMETRY)


def test_a_run_keeps_what_its_training_part_was_like_and_how_validation_is_flagged(trained: Path) -> None:
    kept = read_json(trained / "fingerprint.json")
    train, val = (len(parts(trained)[part]) for part in ("train", "val"))
    assert (kept["cases"], kept["of"]) == (train, train)
    assert kept["directions"] == ["RAS"]
    assert kept["training"]["organ_ml"]["cases"] == train
    assert kept["validation"]["cases"] == val
    assert 0 <= kept["validation"]["flagged"] <= val
    assert kept["weights_sha256"] == read_json(trained / "provenance.json")["weights_sha256"]


def test_a_run_without_a_fingerprint_says_that_flags_cannot_be_made(
    hilum: Hilum, own_run: Path, phantoms: Path, tmp_path: Path
) -> None:
    (own_run / "fingerprint.json").unlink()
    (scan,) = scans_of(phantoms, own_run, "test")[:1]
    done = hilum("predict", own_run, scan, tmp_path / "out")
    assert done.code == 0, done.text
    assert "review flags cannot be made" in done.out
    assert f"hilum train --resume {own_run}" in done.out
    assert "flags" not in read_csv(tmp_path / "out" / "results.csv")[0]
    hilum("predict", own_run, scan, tmp_path / "out", "predict.skip_air=true").refuses("has no test for air")


def test_no_flags_where_none_are_wanted(hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path) -> None:
    done = hilum("predict", trained, scans_of(phantoms, trained, "test")[0], tmp_path / "out", "predict.review=null")
    assert done.code == 0, done.text
    assert "flagged" not in done.out
    assert "flags" not in read_csv(tmp_path / "out" / "results.csv")[0]


def test_windows_of_air_are_passed_over_and_structures_stay(
    hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path
) -> None:
    source = nifti(scans_of(phantoms, trained, "train")[0])
    voxels = np.asarray(source.dataobj, dtype=np.float32)
    wide = np.pad(voxels, ((0, 0), (0, 0), (0, 40)), constant_values=float(np.percentile(voxels, 1)))
    save(tmp_path / "wide.nii.gz", wide, source.affine)
    labels = []
    for setting in ("false", "true"):
        done = hilum("predict", trained, tmp_path / "wide.nii.gz", tmp_path / setting, f"predict.skip_air={setting}")
        assert done.code == 0, done.text
        labels.append(np.asarray(nifti(tmp_path / setting / "wide.nii.gz").dataobj))
    inside = voxels.shape[2] - 8
    assert (labels[0] != labels[1])[:, :, :inside].mean() < 0.02
    assert not labels[1][:, :, -16:].any(), "what is passed over is background"


def test_passing_over_windows_needs_windows(trained: Path) -> None:
    experiment = load(trained / "config.yaml", ["predict.skip_air=true", "data.patch=null"])
    faults = dict(training_faults(experiment, experiment.provisional_problem(), num_val=9))
    assert "without data.patch there are none" in faults["predict", "skip_air"]
