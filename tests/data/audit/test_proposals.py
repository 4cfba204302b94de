"""Patients are proposed from headers and names, with their evidence, and not where nothing speaks for them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from hilum.case import ImageRef
from hilum.data.audit import Proposal, propose_patients
from hilum.formats.reading import read_header


def proposed(folder: Path, types: Mapping[str, type]) -> list[Proposal]:
    """The proposals for files of these names and voxel types."""
    for name, kind in types.items():
        nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), dtype=kind), np.eye(4)), folder / f"{name}.nii")
    images = {name: ImageRef(folder / f"{name}.nii") for name in types}
    return propose_patients(images, {ref: read_header(ref) for ref in images.values()})


def test_pairs_of_numbers_with_one_voxel_type_are_proposed(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    kinds = [np.uint8 if draw.random() < 0.4 else np.float32 for _ in range(30)]
    (best, *_) = proposed(tmp_path, {f"scan_{number:03d}": kinds[(number - 1) // 2] for number in range(1, 61)})
    assert best.patients["scan_007"] == best.patients["scan_008"] != best.patients["scan_009"]
    assert best.count == 30
    changes = sum(one is not other for one, other in pairwise(kinds))
    assert f"the type of voxels differs in 0 of 30 such pairs and {changes} of 29 others" in best.evidence
    assert dict(best.config) == {"table": "patients.csv"}
    assert best.as_csv().splitlines()[:2] == ["case_id,patient_id", "scan_001,001"]


@pytest.mark.parametrize("seed", range(3))
def test_voxel_types_by_chance_or_in_blocks_propose_nothing(seed: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(seed)
    chance = {f"scan_{number}": np.uint8 if draw.random() < 0.4 else np.float32 for number in range(1, 41)}
    assert proposed(tmp_path, chance) == []
    blocks = {f"scan_{number}": np.uint8 if number // 10 % 2 else np.float32 for number in range(1, 41)}
    assert proposed(tmp_path, blocks) == []


@pytest.mark.parametrize(
    ("names", "patient"),
    [
        (["sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1"], "sub-01"),
        (["p12_a", "p12_b", "p7_a"], "p12"),
        (["NORMAL-patient3-x", "COVID-patient3-y", "NORMAL-patient4-x"], "patient3"),
    ],
)
def test_a_name_that_several_cases_share(names: list[str], patient: str, tmp_path: Path) -> None:
    (best,) = proposed(tmp_path, dict.fromkeys(names, np.uint8))
    assert [best.patients[name] for name in names[:2]] == [patient] * 2
    assert (best.count, best.confidence) == (2, "guess")


def test_the_two_sides_of_a_hippocampus_are_proposed_to_be_one_patient(shared_data: Path) -> None:
    root = shared_data / "Task04_Hippocampus"
    images = {file.name[:-7]: ImageRef(file) for file in sorted((root / "imagesTr").glob("hippo*.nii.gz"))}
    (best, *_) = propose_patients(images, {ref: read_header(ref) for ref in images.values()})
    with (root / "patients.csv").open(newline="") as stream:
        known = {row["case_id"]: int(row["patient_id"].strip("p_hH")) for row in csv.DictReader(stream)}
    assert {name: int(patient) for name, patient in best.patients.items()} == {name: known[name] for name in images}
    assert "the type of voxels differs in 0 of 66 such pairs" in best.evidence
    assert "the origin differs in 0 of 66 such pairs" in best.evidence
