"""Phantom patients: hard enough to mean something, the same from the same seed, and on grids of every kind."""

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from hilum.case import Case, ImageRef
from hilum.errors import DataError
from hilum.formats.reading import read, read_mask
from hilum.sources.phantom import PhantomConfig
from hilum.sources.phantom_anatomy import LESION, ORGAN


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> PhantomConfig:
    return PhantomConfig(folder=tmp_path_factory.mktemp("data") / "phantom", patients=10, seed=3)


@pytest.fixture(scope="module")
def cases(source: PhantomConfig) -> tuple[Case, ...]:
    return source.cohort("segmentation").cases


def labels_of(case: Case) -> npt.NDArray[np.int32]:
    assert isinstance(case.label, ImageRef)
    return np.asarray(read_mask(case.label).tensor[0].numpy())


def dice(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def largest_component(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    numbered, count = ndimage.label(mask)
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)
    sizes[0] = 0
    return np.asarray(numbered == sizes.argmax())


@pytest.mark.parametrize("with_lesions", [False, True])
def test_no_global_threshold_finds_the_organ(cases: tuple[Case, ...], with_lesions: bool) -> None:
    """Neither one threshold for the whole cohort nor the best of every single scan reaches a Dice of 0.6."""
    shares = np.linspace(0.02, 0.98, 33)
    scores = np.empty((len(cases), len(shares)))
    for row, case in enumerate(cases):
        voxels = read(case.files[0]).tensor[0].numpy()
        levels = np.quantile(voxels, shares)
        labels = labels_of(case)
        organ = labels >= ORGAN if with_lesions else labels == ORGAN
        scores[row] = [dice(largest_component(voxels > level), organ) for level in levels]
    assert scores.mean(axis=0).max() < 0.5
    assert scores.max(axis=1).mean() < 0.6


def test_look_alikes_share_the_brightness_of_what_is_sought(cases: tuple[Case, ...]) -> None:
    """Voxels as bright as the organ lie mostly outside it, and so do voxels as bright as lesions."""
    for case in cases:
        voxels, labels = read(case.files[0]).tensor[0].numpy(), labels_of(case)
        for value in set(np.unique(labels)) - {0}:
            low, high = np.quantile(voxels[labels == value], [0.1, 0.9])
            alike = (voxels >= low) & (voxels <= high)
            assert (alike & (labels != value)).sum() > 1.5 * (alike & (labels == value)).sum()


def test_scans_of_a_patient_show_the_same_anatomy_on_other_grids(cases: tuple[Case, ...]) -> None:
    scans = defaultdict(list)
    for case in cases:
        scans[case.patient].append(case)
    several = [group for group in scans.values() if len(group) > 1]
    assert several
    for group in several:
        images = [nib.load(case.files[0].path) for case in group]
        assert len({image.affine.tobytes() for image in images}) == len(group)  # type: ignore[attr-defined]
        volumes, centres = [], []
        for case, image in zip(group, images, strict=True):
            affine = image.affine  # type: ignore[attr-defined]
            organ = np.argwhere(labels_of(case) == ORGAN)
            volumes.append(len(organ) * abs(np.linalg.det(affine)) / 1000)
            centres.append(nib.affines.apply_affine(affine, organ.mean(axis=0)))
        assert np.ptp(volumes) < 0.06 * np.mean(volumes)
        assert np.linalg.norm(centres[0] - centres[1]) < 0.5


def test_grids_are_of_every_kind(cases: tuple[Case, ...]) -> None:
    images: list[Any] = [nib.load(case.files[0].path) for case in cases]
    forms = {(int(image.header["sform_code"]), int(image.header["qform_code"])) for image in images}
    assert {(1, 1), (1, 0)} <= forms
    assert len({nib.aff2axcodes(image.affine) for image in images}) > 4
    assert any(max(image.header.get_zooms()) > 1.4 * min(image.header.get_zooms()) for image in images)
    assert any(np.abs(nib.affines.obliquity(image.affine)).max() > 0.05 for image in images)
    for case, image in zip(cases, images, strict=True):
        assert image.header.get_xyzt_units()[0] == "mm"
        assert isinstance(case.label, ImageRef)
        assert np.array_equal(nib.load(case.label.path).affine, image.affine)  # type: ignore[attr-defined]
        assert max(image.shape) <= 52


def test_lesions_lie_in_the_organ_and_span_several_voxels(cases: tuple[Case, ...]) -> None:
    for case in cases:
        labels = labels_of(case)
        assert (labels == ORGAN).sum() > 500
        lesion = labels == LESION
        assert lesion.any() == (case.metadata["finding"] == "lesion")
        if lesion.any():
            extent = [int(np.ptp(axis)) + 1 for axis in np.nonzero(lesion)]
            assert min(extent) >= 2
            assert max(extent) >= 4
            inside = ndimage.binary_fill_holes(ndimage.binary_closing(labels == ORGAN, iterations=4))
            assert (lesion & inside).sum() > 0.5 * lesion.sum()


def test_classification_has_the_finding(source: PhantomConfig, cases: tuple[Case, ...]) -> None:
    found = source.cohort("classification")
    assert [case.label for case in found.cases] == [case.metadata["finding"] for case in cases]
    assert len({case.patient for case in found.cases if case.label == "lesion"}) == 7  # 0.7 of 10 patients
    assert found.notes == ("phantom patients: generated, not measured",)
    assert found.channels == ("image",)


def fingerprint(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_writes_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("first", 5), ("again", 5), ("other", 6)):
        PhantomConfig(folder=tmp_path / name, patients=1, scans_per_patient=1, spacing_mm=6.0, seed=seed).write()
    first, again, other = (fingerprint(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert first != other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "first", "other"]


def test_a_cohort_is_written_once_and_never_over_something_else(tmp_path: Path) -> None:
    source = PhantomConfig(folder=tmp_path / "phantom", patients=1, scans_per_patient=1, spacing_mm=6.0)
    (tmp_path / "phantom").mkdir()  # an empty folder is as good as none
    source.write()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "phantom").rglob("*")}
    source.write()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "phantom").rglob("*")} == before
    with pytest.raises(DataError, match="holds phantom patients of other settings"):
        source.model_copy(update={"seed": 18}).write()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("five years of work")
    with pytest.raises(DataError, match="exists and holds no phantom patients"):
        source.model_copy(update={"folder": tmp_path / "mine"}).write()


def test_two_processes_may_write_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that finishes second finds the other's cohort and drops its own."""
    source = PhantomConfig(folder=tmp_path / "phantom", patients=1, scans_per_patient=1, spacing_mm=6.0)
    rename = Path.rename

    def after_the_other(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "rename", rename)
        source.write()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", after_the_other)
    source.write()
    assert [path.name for path in tmp_path.iterdir()] == ["phantom"]
    assert len(source.cohort("segmentation").cases) == 1
