"""What `hilum predict` writes besides labels: probabilities, DICOM segmentation objects and pictures; and restarts."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.stats import entropy
from tests.formats.conftest import write_series
from tests.journeys.conftest import Hilum, nifti, read_csv

from hilum.case import ImageRef
from hilum.formats.reading import read_header
from hilum.training import checkpoint

ALL = ("--probabilities", "--overlays", "--dicom-seg")
EXTRAS = {"probabilities", "dicom_seg", "overlay"}


@pytest.fixture(scope="module")
def inputs(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scans as NIfTI and one as a DICOM series."""
    import SimpleITK

    folder = tmp_path_factory.mktemp("extras") / "in"
    folder.mkdir()
    first, second, third, *_ = sorted((phantoms / "images").glob("*.nii.gz"))
    shutil.copy(first, folder / "a.nii.gz")
    shutil.copy(second, folder / "b.nii.gz")
    image = SimpleITK.ReadImage(str(third))
    directions = np.reshape(image.GetDirection(), (3, 3)).T
    write_series(
        folder / "series",
        SimpleITK.GetArrayFromImage(image),
        positions=[image.TransformIndexToPhysicalPoint((0, 0, k)) for k in range(image.GetSize()[2])],
        directions=directions[:2].ravel().tolist(),
        changes={
            "PixelSpacing": [image.GetSpacing()[1], image.GetSpacing()[0]],
            "StudyInstanceUID": "1.2.3",
            "FrameOfReferenceUID": "1.2.5",
        },
    )
    return folder


@pytest.fixture(scope="module")
def plain(hilum: Hilum, trained: Path, inputs: Path) -> Path:
    """Labels alone."""
    out = inputs.parent / "plain"
    assert hilum("predict", trained, inputs, out).code == 0
    return out


@pytest.fixture(scope="module")
def full(command: Hilum, trained: Path, inputs: Path) -> Path:
    """All that can be asked for, by the installed command; to be read only."""
    pytest.importorskip("highdicom", reason="needs highdicom: pip install 'hilum[dicom-seg]'")
    out = inputs.parent / "full"
    done = command("predict", trained, inputs, out, *ALL)
    assert done.code == 0, done.text
    assert "DICOM segmentation objects are for 1 of 3 cases: the others are no DICOM" in done.out
    return out


@pytest.fixture
def own(full: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(full, tmp_path / "own"))


def rows(out: Path) -> dict[str, dict[str, str]]:
    return {row["case_id"]: row for row in read_csv(out / "results.csv")}


def values(file: Path) -> npt.NDArray[Any]:
    return np.asarray(nifti(file).dataobj)


def test_labels_are_the_same_bytes_whatever_is_written_besides(plain: Path, full: Path) -> None:
    ours, alone = rows(full), rows(plain)
    assert {name: row["output_sha256"] for name, row in ours.items()} == {
        name: row["output_sha256"] for name, row in alone.items()
    }
    assert not EXTRAS & set(alone["a"])


def test_each_file_is_named_and_hashed_in_its_row(full: Path) -> None:
    table = rows(full)
    assert [bool(table[case]["dicom_seg"]) for case in ("a", "b", "series")] == [False, False, True]
    for row in table.values():
        for name in EXTRAS:
            if row[name]:
                content = (full / row[name]).read_bytes()
                assert row[f"{name}_sha256"] == hashlib.sha256(content).hexdigest(), name
    made = {path.relative_to(full).as_posix() for path in full.glob("*/*") if path.parent.name != ".hilum"}
    assert made == {row[name] for row in table.values() for name in EXTRAS if row[name]}


def test_probabilities_are_those_that_the_labels_come_from(full: Path, inputs: Path) -> None:
    for name, row in rows(full).items():
        probabilities, labels = values(full / row["probabilities"]), values(full / row["output"])
        assert probabilities.dtype == np.float32
        assert np.array_equal(probabilities.argmax(3), labels)
        assert np.abs(probabilities.sum(3) - 1).max() < 1e-5
        written, labelled = nifti(full / row["probabilities"]), nifti(full / row["output"])
        assert written.affine.tobytes() == labelled.affine.tobytes(), name
        assert written.header.get_xyzt_units()[0] == labelled.header.get_xyzt_units()[0]


def test_the_segmentation_object_lies_over_the_series(full: Path, inputs: Path) -> None:
    from highdicom.seg import segread
    from tests.formats.test_dicom_seg import in_place

    row, series = rows(full)["series"], ImageRef(inputs / "series")
    seg = segread(full / row["dicom_seg"])
    labels = values(full / row["output"])
    assert labels.shape == read_header(series).grid.shape
    assert np.array_equal(in_place(seg, series), [labels == 1, labels == 2])
    assert [one.SegmentLabel for one in seg.SegmentSequence] == ["organ", "lesion"]


def test_overlays_are_pictures(full: Path) -> None:
    for row in rows(full).values():
        with Image.open(full / row["overlay"]) as picture:
            assert picture.format == "PNG"
            assert picture.width > picture.height > 300


def test_the_legend_of_an_overlay_tells_sizes(
    hilum: Hilum, trained: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Voxels counted in the labels, times the size of a voxel."""
    from hilum.report.overlay import Overlay

    drawn: list[Overlay] = []

    def keep(overlay: Overlay, problem: object, out: Path) -> None:
        drawn.append(overlay)
        out.parent.mkdir()
        out.write_bytes(b"a picture")

    monkeypatch.setattr("hilum.pipeline.predicting.extras.write_overlay", keep)
    out = tmp_path / "out"
    assert hilum("predict", trained, inputs / "a.nii.gz", out, "--overlays").code == 0
    assert {"organ_ml", "organ_parts"} <= rows(out)["a"].keys()
    labels = nifti(out / "a.nii.gz")
    voxel_ml = abs(np.linalg.det(labels.affine[:3, :3])) / 1000
    counts = {name: int((values(out / "a.nii.gz") == value).sum()) for name, value in (("organ", 1), ("lesion", 2))}
    assert drawn[0].sizes == {name: f"{count * voxel_ml:.3g} ml" for name, count in counts.items()}


def test_a_case_is_done_again_where_one_of_its_files_is_missing_or_changed(
    hilum: Hilum, trained: Path, inputs: Path, full: Path, own: Path
) -> None:
    before = rows(full)
    (own / before["a"]["probabilities"]).unlink()
    (own / before["b"]["overlay"]).write_bytes(b"scribbled over")
    done = hilum("predict", trained, inputs, own, *ALL)
    assert done.code == 0, done.text
    assert "1 case finished before" in done.out
    for case, row in rows(own).items():
        for name in ("output", "probabilities", "overlay"):
            assert row[f"{name}_sha256"] == before[case][f"{name}_sha256"], (case, name)
            assert hashlib.sha256((own / row[name]).read_bytes()).hexdigest() == row[f"{name}_sha256"]


def test_what_is_not_asked_for_is_not_missed(hilum: Hilum, trained: Path, inputs: Path, own: Path) -> None:
    shutil.rmtree(own / "overlays")
    done = hilum("predict", trained, inputs, own, "--probabilities")
    assert "3 cases finished before" in done.out
    assert not {"overlay", "dicom_seg", "overlay_sha256"} & set(rows(own)["a"])
    before = values(own / "probabilities" / "a.nii.gz")
    smaller = hilum("predict", trained, inputs, own, "predict.probabilities=uint8")
    assert "finished before" not in smaller.out
    written = nifti(own / rows(own)["a"]["probabilities"])
    assert written.get_data_dtype() == np.uint8
    assert np.abs(np.asarray(written.dataobj) - before).max() <= 0.5 / 255 + 1e-7


def test_another_scan_of_that_name_leaves_no_pictures_of_the_first(
    hilum: Hilum, trained: Path, inputs: Path, own: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(inputs / "b.nii.gz", other / "a.nii.gz")
    assert hilum("predict", trained, other, own).code == 0
    assert not (own / "overlays" / "a.png").exists()
    assert not (own / "probabilities" / "a.nii.gz").exists()
    assert (own / "overlays" / "b.png").exists()  # of the earlier batch, as its labels are


def test_an_ensemble_writes_the_mean(hilum: Hilum, trained: Path, inputs: Path, full: Path, tmp_path: Path) -> None:
    """Of a network and one with other weights: the mean of what the two say alone, by numpy."""
    twin = Path(shutil.copytree(trained, tmp_path / "twin"))
    tensors, facts = checkpoint.load(twin / "checkpoints" / "best.pt")
    for weights in (tensors.get("average") or tensors["model"]).values():
        if weights.is_floating_point():
            weights.mul_(2)
    checkpoint.save(twin / "checkpoints" / "best.pt", tensors=tensors, facts=facts)
    source, alone = inputs / "a.nii.gz", tmp_path / "alone"
    assert hilum("predict", twin, source, alone, "--probabilities").code == 0
    words = ("--probabilities", "--disagreement", "--weights", "3,1")
    done = hilum("predict", trained, twin, source, tmp_path / "both", *words)
    assert done.code == 0, done.text
    one, other = values(full / "probabilities" / "a.nii.gz"), values(alone / "probabilities" / "a.nii.gz")
    assert np.abs(one - other).max() > 0.01
    found = values(tmp_path / "both" / "probabilities" / "a.nii.gz")
    assert np.allclose(found, 0.75 * one + 0.25 * other, atol=1e-5)
    assert np.array_equal(found.argmax(3), values(tmp_path / "both" / "a.nii.gz"))
    entropies = [entropy(each, axis=3) for each in (one, other, found)]
    apart = (entropies[2] - 0.75 * entropies[0] - 0.25 * entropies[1]) / entropy([3, 1])
    written = values(tmp_path / "both" / rows(tmp_path / "both")["a"]["disagreement_map"])
    assert np.abs(written[..., 0] - apart).max() < 0.5 / 255 + 1e-4
    assert written.max() > 0.05


def test_what_a_killed_process_began_to_write_is_removed(hilum: Hilum, trained: Path, inputs: Path, own: Path) -> None:
    left = own / "probabilities" / ".a.nii.gz.12345.part"
    left.write_bytes(b"half")
    assert hilum("predict", trained, inputs, own, "--probabilities").code == 0
    assert not left.exists()


def test_mistakes_are_told_before_anything_is_computed(
    hilum: Hilum, trained: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    scan, series = inputs / "a.nii.gz", inputs / "series"
    hilum("predict", trained, scan, out, "--dicom-seg").refuses("none of the 1 cases is DICOM", "leave it away")
    hilum("predict", trained, scan, out, "--disagreement").refuses("one network has none to disagree with")
    hilum("predict", trained, scan, out, "predict.probabilities=float16").refuses("predict.probabilities", "uint8")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "highdicom" else found(name))
    hilum("predict", trained, series, out, "--dicom-seg").refuses("pip install 'hilum[dicom-seg]'")
    assert not out.exists()


def test_a_series_that_cannot_be_referred_to_fails_before_it_is_predicted(
    hilum: Hilum, trained: Path, inputs: Path, full: Path, tmp_path: Path
) -> None:
    import pydicom

    series = Path(shutil.copytree(inputs / "series", tmp_path / "in" / "series"))
    for file in series.iterdir():
        dataset = pydicom.dcmread(file)
        del dataset.StudyInstanceUID
        dataset.save_as(file)
    assert hilum("predict", trained, series, tmp_path / "out", "--dicom-seg").code == 3
    (failure,) = read_csv(tmp_path / "out" / "failures.csv")
    assert failure["stage"] == "reading"
    assert "lacks StudyInstanceUID" in failure["reason"]
    assert not (tmp_path / "out" / "series.nii.gz").exists()


def test_a_disk_without_room_for_probabilities_ends_the_batch_in_order(
    hilum: Hilum, trained: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hilum.pipeline.predicting.probabilities._fill", full_disk)
    done = hilum("predict", trained, inputs / "a.nii.gz", tmp_path / "out", "--probabilities")
    done.refuses("cannot be written any more: No space left on device", code=4)
