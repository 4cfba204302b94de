"""The demo with fewer, coarser patients: everything that it points at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.journeys.conftest import Hilum, nifti, parts, read_csv

TINY = [
    "data.source.patients=6",
    "data.source.spacing_mm=4",
    "data.prepare.1.mm=[4, 4, 4]",
    "data.patch.size=[16, 16, 16]",
]
QUICK = ["network.channels=[4, 8]", "train.epochs=1", "schedule.warmup=0", "runtime.threads=1"]


def test_the_demo_from_patients_to_labelled_volumes(
    hilum: Hilum, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # an earlier demo is replaced
        done = hilum("demo", "look", *TINY, *QUICK)
        assert done.code == 0, done.text
    listed = re.findall(r"^  (look\S*)", done.out, flags=re.MULTILINE)
    assert len(listed) == 7
    assert all(Path(place).exists() for place in listed)
    test = parts(tmp_path / "look" / "runs" / "demo")["test"]
    assert {row["case_id"] for row in read_csv(Path("look/predictions/results.csv"))} == test
    for case in test:
        written = nifti(Path(f"look/predictions/{case}.nii.gz"))
        source = nifti(Path(f"look/phantom/images/{case}.nii.gz"))
        assert written.affine.tobytes() == source.affine.tobytes()
        assert written.shape == source.shape
