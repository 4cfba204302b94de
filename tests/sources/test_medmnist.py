"""MedMNIST files: official parts, classes as text, and downloads only when told to."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.reading import read
from hilum.registry import parse
from hilum.sources import medmnist
from hilum.sources.medmnist import MedmnistConfig
from hilum.sources.patients import UNKNOWN


def write(file: Path, *, shape: tuple[int, ...] = (6, 6), **change: Any) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        arrays[f"{part}_images"] = rng.integers(0, 255, (count, *shape), dtype=np.uint8)
        arrays[f"{part}_labels"] = np.arange(count, dtype=np.uint8)[:, None] % 2
    np.savez_compressed(file, **{key: value for key, value in (arrays | change).items() if value is not None})
    return file


def config(file: Path, **settings: Any) -> MedmnistConfig:
    found = parse("sources", {"kind": "medmnist", "file": str(file), "patients": {"each_case": True}, **settings})
    assert isinstance(found, MedmnistConfig)
    return found


def test_cases_carry_their_official_part(tmp_path: Path) -> None:
    file = write(tmp_path / "tiny.npz")
    cohort = config(file).cohort("classification")
    assert [case.id for case in cohort.cases[3:6]] == ["train-00003", "val-00000", "val-00001"]
    assert [case.part for case in cohort.cases] == ["train"] * 4 + ["val"] * 2 + ["test"] * 3
    assert [case.label for case in cohort.cases] == ["0", "1", "0", "1", "0", "1", "0", "1", "0"]
    assert cohort.cases[1].files == (ImageRef(file, "train_images", 1),)
    assert cohort.cases[1].patient == "train-00001"
    assert (cohort.channels, cohort.notes) == (("image",), (UNKNOWN,))


@pytest.mark.parametrize(
    ("shape", "channels", "grid"),
    [((6, 7, 3), ("red", "green", "blue"), (6, 7, 1)), ((6, 7, 8), ("image",), (6, 7, 8))],
)
def test_colours_and_volumes(
    shape: tuple[int, ...], channels: tuple[str, ...], grid: tuple[int, ...], tmp_path: Path
) -> None:
    cohort = config(write(tmp_path / "tiny.npz", shape=shape)).cohort("classification")
    assert cohort.channels == channels
    assert read(cohort.cases[0].files[0]).grid.shape == grid


def test_patients_have_to_be_told(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="patients"):
        parse("sources", {"kind": "medmnist", "file": str(tmp_path / "tiny.npz")})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"val_labels": None}, "expected the arrays val_images and val_labels, received train_images"),
        (
            {"val_labels": np.zeros((2, 14), dtype=np.uint8)},
            r"val_labels holds 14 labels for each image \(multi-label\), expected one",
        ),
        (
            {"val_labels": np.zeros((3, 1), dtype=np.uint8)},
            r"val_labels has shape \(3, 1\), expected one class for each of 2",
        ),
    ],
)
def test_faults_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        config(write(tmp_path / "tiny.npz", **change)).cohort("classification")


def test_segmentation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="received the task segmentation"):
        config(write(tmp_path / "tiny.npz")).cohort("segmentation")


def test_nothing_is_fetched_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(medmnist, "urlopen", lambda *_, **__: pytest.fail("fetched something"))
    with pytest.raises(DataError, match=r"set `download: true` .* from https://zenodo\.org/.*/breastmnist\.npz"):
        config(tmp_path / "breastmnist.npz").cohort("classification")


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands where downloads come from."""
    (tmp_path / "web").mkdir()
    file = write(tmp_path / "web" / "breastmnist.npz")
    monkeypatch.setattr(medmnist, "DOWNLOADS", f"file://{tmp_path}/web/{{name}}")
    monkeypatch.setitem(medmnist.MD5, "breastmnist", hashlib.md5(file.read_bytes()).hexdigest())
    return file


def test_download_is_kept_once_its_checksum_is_right(offered: Path, tmp_path: Path) -> None:
    source = config(tmp_path / "data" / "breastmnist.npz", download=True)
    assert len(source.cohort("classification").cases) == 9
    assert (tmp_path / "data" / "breastmnist.npz").read_bytes() == offered.read_bytes()
    offered.unlink()
    assert len(source.cohort("classification").cases) == 9


def test_failed_downloads_leave_nothing(offered: Path, tmp_path: Path) -> None:
    source = config(tmp_path / "data" / "breastmnist.npz", download=True)
    offered.write_bytes(b"something else")
    with pytest.raises(DataError, match=r"has md5 [0-9a-f]{32}, expected [0-9a-f]{32}"):
        source.cohort("classification")
    offered.unlink()
    with pytest.raises(DataError, match=r"download from file://.* failed"):
        source.cohort("classification")
    with pytest.raises(DataError, match=r"no MedMNIST file known by this name; there are adrenalmnist3d\.npz"):
        config(tmp_path / "data" / "moonmnist.npz", download=True).cohort("classification")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "counts"),
    [("breastmnist", (546, 78, 156)), ("pneumoniamnist", (4708, 524, 624)), ("vesselmnist3d", (1335, 191, 382))],
)
def test_real_files(name: str, counts: tuple[int, ...], shared_data: Path) -> None:
    file = shared_data / "medmnist" / f"{name}.npz"
    assert hashlib.md5(file.read_bytes()).hexdigest() == medmnist.MD5[name]
    cases = config(file).cohort("classification").cases
    parts = [case.part for case in cases]
    assert tuple(parts.count(part) for part in ("train", "val", "test")) == counts
    with np.load(file) as arrays:
        assert [case.label for case in cases if case.part == "val"] == [str(row[0]) for row in arrays["val_labels"]]
        picked = read(cases[5].files[0])
        assert np.array_equal(picked.tensor.squeeze(), arrays["train_images"][5])
