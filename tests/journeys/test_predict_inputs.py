"""Whatever is given to the installed command: nested folders of everything, series by the folder, series over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from tests.formats.conftest import image_dataset, save_dicom, write_series
from tests.journeys.conftest import Hilum, nifti, read_csv, write_csv

SHAPE = (9, 8, 7)


def voxels(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 500, SHAPE).astype(np.int16)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it grows in a hospital: formats, series and films, each in a place of its own, and other things."""
    import SimpleITK

    root = tmp_path_factory.mktemp("archive") / "in"
    for folder in ("a/deep", "b", "two", "us"):
        (root / folder).mkdir(parents=True)
    affine = np.diag([4.0, 4.0, 5.0, 1.0])
    nib.save(nib.Nifti1Image(voxels(0), affine), root / "a" / "deep" / "one.nii")
    nib.save(nib.Nifti1Image(np.stack([voxels(1), voxels(2)], -1), affine), root / "cine.nii.gz")
    for suffix in ("mha", "nrrd"):
        image = SimpleITK.GetImageFromArray(voxels(3).T)
        image.SetSpacing((4.0, 4.0, 5.0))
        SimpleITK.WriteImage(image, str(root / "b" / f"other.{suffix}"))
    film = SimpleITK.JoinSeries([SimpleITK.GetImageFromArray(voxels(number).T) for number in (4, 5)])
    SimpleITK.WriteImage(film, str(root / "b" / "film.nrrd"))
    for number, name in enumerate(("t1", "t2")):
        changes = {"SeriesInstanceUID": f"1.2.{number + 1}", "SeriesDescription": name}
        write_series(root / "two", voxels(6 + number).T, changes=changes, prefix=name)
    write_series(root / "series", voxels(8).T)
    save_dicom(root / "us" / "us.dcm", image_dataset(voxels(9)[:2], multi=True))
    Image.fromarray(voxels(9)[..., 0].astype(np.uint8)).save(root / "scout.png")
    (root / "report.pdf").write_text("not an image")
    return root


def test_a_folder_of_everything(command: Hilum, trained: Path, archive: Path) -> None:
    out = archive.parent / "out"
    done = command("predict", trained, archive, out)
    assert done.code == 3, done.text
    assert "Traceback" not in done.text
    frames = {f"{name}_frame-{number:03d}" for name in ("cine", "film") for number in range(2)}
    expected = {"one", *frames, "other.mha", "other.nrrd", "t1", "t2", "series"}
    found = {row["case_id"]: row for row in read_csv(out / "results.csv")}
    assert {name.replace("b_", "") for name in found} == expected
    for row in found.values():
        assert nifti(out / row["output"]).shape == SHAPE
        assert nifti(out / row["output"]).get_data_dtype() == np.uint8
    reasons = {row["case_id"]: row["reason"] for row in read_csv(out / "failures.csv")}
    assert all("is a single slice, this network takes volumes" in reason for reason in reasons.values())
    assert sorted(reasons) == ["scout", "us_frame-000", "us_frame-001"]


def test_a_manifest_of_series_frames_and_files(hilum: Hilum, trained: Path, archive: Path, tmp_path: Path) -> None:
    listed: list[dict[str, Any]] = [
        {"case_id": "s", "patient_id": "p1", "image": archive / "series"},
        {"case_id": "c", "patient_id": "p1", "image": archive / "cine.nii.gz"},
        {"case_id": "n", "patient_id": "p2", "image": archive / "b" / "other.nrrd"},
        {"case_id": "two", "patient_id": "p2", "image": archive / "two"},
    ]
    done = hilum("predict", trained, write_csv(tmp_path / "cases.csv", listed), tmp_path / "out")
    assert done.code == 3, done.text
    found = [(row["case_id"], row["patient_id"]) for row in read_csv(tmp_path / "out" / "results.csv")]
    assert found == [("s", "p1"), ("c_frame-000", "p1"), ("c_frame-001", "p1"), ("n", "p2")]
    (failure,) = read_csv(tmp_path / "out" / "failures.csv")
    assert "holds 2 series, name the one that is meant" in failure["reason"]
