"""Predicting: any input, each on its own grid to the last bit, and no case that ends a batch."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from tests.journeys.conftest import Hilum, nifti, parts, read_csv, write_csv

from hilum.inference.predictor import Predictor
from hilum.volume import Grid, Volume

GEOMETRY = (
    *("pixdim", "xyzt_units", "sform_code", "qform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)


def scan(phantoms: Path, number: int = 0) -> Path:
    return sorted((phantoms / "images").glob("*.nii.gz"))[number]


def raw_header(file: Path) -> npt.NDArray[Any]:
    """The 348 bytes of a NIfTI-1 header as they stand in the file, which nibabel would mend while loading."""
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
        return np.frombuffer(stream.read(348), dtype=nib.Nifti1Header.template_dtype)[0]


def assert_same_geometry(output: Path, source: Path) -> None:
    written, read = raw_header(output), raw_header(source)
    for field in GEOMETRY:
        assert written[field].tobytes() == read[field].tobytes(), f"{source.name}: {field}"
    assert nifti(output).shape == nifti(source).shape
    assert nifti(output).affine.tobytes() == nifti(source).affine.tobytes()


def labels(file: Path) -> npt.NDArray[np.integer]:
    return np.asarray(nifti(file).dataobj)


def oblique(affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    c, s = np.cos(0.3), np.sin(0.3)
    turn = np.array([[c, -s, 0, 5], [s, c, 0, -7], [0, 0, 1, 11], [0, 0, 0, 1.0]])
    return turn @ affine


@pytest.fixture
def odd_scans(phantoms: Path, tmp_path: Path) -> Path:
    """One scan, stored in the ways that scanners and tools store scans."""
    folder = tmp_path / "odd"
    folder.mkdir()
    image = nib.as_closest_canonical(nifti(scan(phantoms)))
    voxels, affine = np.asarray(image.dataobj, dtype=np.float32), image.affine

    def save(
        name: str, values: npt.NDArray[Any], matrix: npt.NDArray[Any], sform: int, qform: int, **units: str
    ) -> Any:
        stored = nib.Nifti1Image(values, matrix)
        stored.set_sform(matrix if sform else None, code=sform)
        stored.set_qform(matrix, code=qform)
        stored.header.set_xyzt_units(**units or {"xyz": "mm", "t": "sec"})
        nib.save(stored, folder / name)

    save("plain.nii.gz", voxels, affine, 1, 1)
    save("oblique.nii.gz", voxels, oblique(affine), 2, 1)
    save("qform_only.nii.gz", voxels, affine, 0, 3)
    save("sform_only.nii", voxels, affine, 4, 0)
    save("no_unit.nii.gz", voxels, affine, 1, 1, xyz="unknown", t="unknown")
    micron = np.diag([1000.0, 1000.0, 1000.0, 1.0]) @ affine
    save("micron.nii.gz", voxels, micron, 1, 1, xyz="micron", t="msec")
    flip = affine @ np.array([[-1, 0, 0, voxels.shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    save("flipped.nii.gz", voxels[::-1], flip, 1, 1)
    save("permuted.nii.gz", voxels.transpose(2, 0, 1), affine[:, [2, 0, 1, 3]], 1, 0)
    save("one_frame.nii.gz", voxels[..., None], affine, 1, 1)
    return folder


def test_labels_lie_on_the_grid_of_their_input_to_the_last_bit(hilum: Hilum, trained: Path, odd_scans: Path) -> None:
    out = odd_scans.parent / "out"
    done = hilum("predict", trained, odd_scans, out)
    assert done.code == 0, done.text
    rows = {row["case_id"]: row for row in read_csv(out / "results.csv")}
    for source in odd_scans.iterdir():
        if source.name != "one_frame.nii.gz":  # a mask has no time axis
            assert_same_geometry(out / rows[source.name.partition(".")[0]]["output"], source)
    written = {name: labels(out / row["output"]) for name, row in rows.items()}
    plain = written["plain"]
    assert plain.any()
    assert np.array_equal(written["flipped"][::-1], plain)
    assert np.array_equal(written["permuted"].transpose(1, 2, 0), plain)
    for name in ("sform_only", "no_unit", "micron", "one_frame"):
        assert np.array_equal(written[name].reshape(plain.shape), plain), name
    changed = float((written["oblique"] != plain).mean())
    assert changed < 0.02  # canonical axes only: a turned scan is prepared along its own, nearest axes
    for name, row in rows.items():
        ml = abs(np.linalg.det(nifti(out / rows["plain"]["output"]).affine)) / 1000
        assert float(row["organ_ml"]) == pytest.approx(ml * (written[name] == 1).sum(), rel=1e-4), name


@pytest.fixture
def cohort_of_inputs(phantoms: Path, tmp_path: Path) -> Path:
    """Nested folders with equal names, one truncated file, and things that are no images."""
    folder = tmp_path / "inputs"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    shutil.copy(scan(phantoms, 0), folder / "a" / "scan.nii.gz")
    shutil.copy(scan(phantoms, 1), folder / "b" / "scan.nii.gz")
    shutil.copy(scan(phantoms, 2), folder / "last.nii.gz")
    content = scan(phantoms, 3).read_bytes()
    (folder / "b" / "truncated.nii.gz").write_bytes(content[: len(content) // 2])
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.nii.gz").write_bytes(b"")
    return folder


def test_a_broken_file_does_not_end_the_batch(command: Hilum, trained: Path, cohort_of_inputs: Path) -> None:
    out = cohort_of_inputs.parent / "deep" / "out"
    done = command("predict", trained, cohort_of_inputs, out)
    assert done.code == 3, done.text
    assert "Traceback" not in done.text
    assert "3 predicted, 1 failed" in done.out
    (failure,) = read_csv(out / "failures.csv")
    assert failure["case_id"] == "truncated"
    assert failure["stage"] == "reading"
    assert "truncated.nii.gz" in failure["reason"]
    rows = {row["case_id"]: row for row in read_csv(out / "results.csv")}
    assert sorted(rows) == ["a_scan", "b_scan", "last"]
    for case, source in (("a_scan", "a/scan.nii.gz"), ("b_scan", "b/scan.nii.gz"), ("last", "last.nii.gz")):
        content = (cohort_of_inputs / source).read_bytes()
        assert rows[case]["input_sha256"] == hashlib.sha256(content).hexdigest()
        assert rows[case]["status"] == "done"
        assert float(rows[case]["seconds"]) > 0
        assert_same_geometry(out / rows[case]["output"], cohort_of_inputs / source)
    tables = {"results.csv", "failures.csv", "provenance.json", ".hilum"}
    expected = {*(row["output"] for row in rows.values()), *tables}
    assert {file.name for file in out.iterdir()} == expected


def test_predicting_twice_gives_the_same_bytes_and_forgets_mended_failures(
    hilum: Hilum, trained: Path, cohort_of_inputs: Path, phantoms: Path
) -> None:
    out = cohort_of_inputs.parent / "out"
    assert hilum("predict", trained, cohort_of_inputs, out).code == 3
    first = {file.name: file.read_bytes() for file in out.glob("*.nii.gz")}
    shutil.copy(scan(phantoms, 3), cohort_of_inputs / "b" / "truncated.nii.gz")
    assert hilum("predict", trained, cohort_of_inputs, out).code == 0
    assert not (out / "failures.csv").exists()
    assert {name: (out / name).read_bytes() for name in first} == first
    assert len(read_csv(out / "results.csv")) == 4


def test_a_batch_in_which_all_fails_leaves_no_results_of_an_earlier_one(
    hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert hilum("predict", trained, scan(phantoms), out).code == 0
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"nothing")
    assert hilum("predict", trained, broken, out).code == 3
    assert not (out / "results.csv").exists()


def test_a_manifest_names_its_cases(hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path) -> None:
    shutil.copy(scan(phantoms, 0), tmp_path / "a.nii.gz")
    shutil.copy(scan(phantoms, 1), tmp_path / "b.nii.gz")
    rows = [
        {"case_id": "001", "patient_id": "p1", "image": "a.nii.gz"},
        {"case_id": "002", "patient_id": "p1", "image": "b.nii.gz"},
        {"case_id": "003", "patient_id": "p2", "image": "absent.nii.gz"},
    ]
    done = hilum("predict", trained, write_csv(tmp_path / "cases.csv", rows), tmp_path / "out")
    assert done.code == 3
    found = read_csv(tmp_path / "out" / "results.csv")
    assert [(row["case_id"], row["patient_id"]) for row in found] == [("001", "p1"), ("002", "p1")]
    assert {file.name for file in (tmp_path / "out").glob("*.nii.gz")} == {"001.nii.gz", "002.nii.gz"}
    assert read_csv(tmp_path / "out" / "failures.csv")[0]["case_id"] == "003"
    twice = write_csv(tmp_path / "twice.csv", [rows[0], rows[0]])
    hilum("predict", trained, twice, tmp_path / "out2").refuses("001", "twice")
    climbing = write_csv(tmp_path / "climbing.csv", [rows[0] | {"case_id": "../001"}])
    hilum("predict", trained, climbing, tmp_path / "out2").refuses("slashes")


def test_a_batch_that_is_stopped_keeps_what_it_has(
    hilum: Hilum, trained: Path, cohort_of_inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = Predictor.labels

    def stopped(self: Predictor, prepared: Volume, source: Grid, **more: Any) -> Volume:
        os.kill(os.getpid(), signal.SIGTERM)
        return labels(self, prepared, source, **more)

    monkeypatch.setattr(Predictor, "labels", stopped)
    out = cohort_of_inputs.parent / "out"
    assert hilum("predict", trained, cohort_of_inputs, out).code == 143
    assert len(read_csv(out / "results.csv")) == 1
    assert len(list(out.glob("*.nii.gz"))) == 1


def test_other_volumes_than_it_was_trained_for_are_failures(hilum: Hilum, trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    rng = np.random.default_rng(0)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    nib.save(nib.Nifti1Image(rng.normal(size=(8, 8, 8, 3)).astype(np.float32), affine), folder / "series.nii.gz")
    holes = rng.normal(size=(8, 8, 8)).astype(np.float32)
    holes[2, 2, 2] = np.inf
    nib.save(nib.Nifti1Image(holes, affine), folder / "infinite.nii.gz")
    nib.save(nib.Nifti1Image(rng.normal(size=(1, 2, 40)).astype(np.float32), affine), folder / "thin.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((9, 9, 9), np.int16), affine), folder / "constant.nii.gz")
    done = hilum("predict", trained, folder, tmp_path / "out")
    assert done.code == 3, done.text
    failures = {row["case_id"]: row["reason"] for row in read_csv(tmp_path / "out" / "failures.csv")}
    assert sorted(failures) == ["infinite"]
    assert "NaN or infinite" in failures["infinite"]
    frames = {f"series_frame-{number:03d}" for number in range(3)}  # a case each, for a network of one channel
    assert {row["case_id"] for row in read_csv(tmp_path / "out" / "results.csv")} == {*frames, "thin", "constant"}
    assert labels(tmp_path / "out" / "thin.nii.gz").shape == (1, 2, 40)


def test_mistakes_are_messages(hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    image = scan(phantoms)
    hilum("predict", trained, image.with_name("phantom-000-00.nii.gz"), out).refuses("did you mean", image.name)
    empty = tmp_path / "empty"
    empty.mkdir()
    hilum("predict", trained, empty, out).refuses("holds no image")
    hilum("predict", trained, image, image.parent).refuses("choose another folder")
    (tmp_path / "file").write_text("")
    hilum("predict", trained, image, tmp_path / "file").refuses("cannot be written")
    hilum("predict", tmp_path, image, out).refuses("is not a run folder")
    hilum("predict", trained, image, out, "predict.overlap=1.5").refuses("predict.overlap")
    hilum("predict", trained, image, out, "predict.flips=[left_rigth]").refuses("left_right")
    assert not out.exists()


def test_written_labels_score_as_evaluated(
    hilum: Hilum, trained: Path, phantoms: Path, tmp_path: Path, write_config: Callable[..., Path]
) -> None:
    """Dice and volume of the files on the disk, by numpy alone, are those in cases.csv."""
    rows = [row for row in read_csv(phantoms / "cases.csv") if row["case_id"] in parts(trained)["val"]]
    listed = [{"case_id": row["case_id"], "image": phantoms / row["image"]} for row in rows]
    assert hilum("predict", trained, write_csv(tmp_path / "val.csv", listed), tmp_path / "out").code == 0
    truths = {row["case_id"]: phantoms / row["label"] for row in rows}
    values = {"organ": 1, "lesion": 2}
    evaluated = read_csv(trained / "cases.csv")
    assert len(evaluated) == 2 * len(rows)
    for row in evaluated:
        predicted = labels(tmp_path / "out" / f"{row['case_id']}.nii.gz") == values[row["class"]]
        truth_image = nifti(truths[row["case_id"]])
        truth = np.asarray(truth_image.dataobj) == values[row["class"]]
        total = truth.sum() + predicted.sum()
        expected = 2 * (truth & predicted).sum() / total if total else 1.0
        assert float(row["dice"]) == pytest.approx(expected, abs=1e-9)
        ml = abs(np.linalg.det(truth_image.affine)) / 1000
        assert float(row["truth_ml"]) == pytest.approx(truth.sum() * ml, rel=1e-6)
        assert float(row["predicted_ml"]) == pytest.approx(predicted.sum() * ml, rel=1e-6)
