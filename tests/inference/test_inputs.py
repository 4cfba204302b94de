"""What is to be predicted: every case found once, under an id of its own, or a message that helps."""

import errno
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from tests.formats.conftest import write_series

from hilum.case import Case, ImageRef
from hilum.errors import DataError
from hilum.formats.reading import read
from hilum.inference.inputs import find_inputs, frames_of


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(source: Path) -> dict[str, Path]:
    cases = find_inputs(source, ("image",), frames=[None])
    assert len({case.id for case in cases}) == len(cases)
    return {case.id: case.files[0].path for case in cases}


@pytest.mark.parametrize(("name", "id_"), [("scan.nii.gz", "scan"), ("a.b.png", "a.b"), ("odd.xyz", "odd.xyz")])
def test_a_file_is_one_case(tmp_path: Path, name: str, id_: str) -> None:
    touch(tmp_path, name)
    assert found(tmp_path / name) == {id_: tmp_path / name}


def test_a_folder_gives_its_images_at_any_depth_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.nii", "a.nii.gz", "deep/er/c.png", "notes.txt", ".hidden.nii", "._b.nii")
    assert list(found(tmp_path).items()) == [
        ("a", tmp_path / "a.nii.gz"),
        ("b", tmp_path / "b.nii"),
        ("c", tmp_path / "deep/er/c.png"),
    ]


def test_linked_folders_are_gone_through_once_and_hidden_ones_not(tmp_path: Path) -> None:
    touch(tmp_path, "archive/a.nii.gz", "archive/.snapshot/a.nii.gz", "elsewhere/b.nii.gz", "elsewhere/deep/c.nii.gz")
    archive = tmp_path / "archive"
    (archive / "linked").symlink_to(tmp_path / "elsewhere")
    (archive / "linked-again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(archive)
    (archive / "lost.nii").symlink_to(tmp_path / "nowhere.nii")
    assert found(archive) == {
        "a": archive / "a.nii.gz",
        "b": archive / "linked" / "b.nii.gz",
        "c": archive / "linked" / "deep" / "c.nii.gz",
        "lost": archive / "lost.nii",
    }


def test_a_folder_that_may_not_be_looked_into_is_no_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.nii", "locked/b.nii")
    scandir = os.scandir

    def locked(path: str) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(DataError, match=r"locked: cannot be listed \(Permission denied\): make it readable"):
        found(tmp_path)


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    touch(tmp_path, "ann/t1.nii.gz", "bob/t1.nii.gz", "bob/other.nii")
    assert set(found(tmp_path)) == {"ann_t1", "bob_t1", "other"}


def test_files_of_one_name_in_one_folder_keep_their_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "scan.nii", "scan.nii.gz", "scan.png")
    assert set(found(tmp_path)) == {"scan.nii", "scan.nii.gz", "scan.png"}


def test_names_that_still_collide_are_numbered(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.nii", "b/x.nii", "a_x.nii", "a/x.nii.gz", "c/a_x.nii")
    assert len(found(tmp_path)) == 5


def test_nothing_to_predict_is_said(tmp_path: Path) -> None:
    touch(tmp_path, "images/notes.txt")
    with pytest.raises(DataError, match=r"holds no image that hilum reads \(\.nii"):
        found(tmp_path / "images")
    with pytest.raises(DataError, match=r"no such file or folder; did you mean 'images'\?"):
        found(tmp_path / "imagse")
    with pytest.raises(DataError, match=r"no such file or folder$"):
        found(tmp_path / "nowhere" / "images")


# ---------------------------------------------------------------------------------------------- manifest
def manifest(folder: Path, text: str) -> Path:
    file = folder / "cases.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_manifest_names_cases_patients_and_paths_beside_it(tmp_path: Path) -> None:
    absolute = tmp_path / "elsewhere" / "c.nii"
    text = f"case_id,patient_id,image\n001,ann,scans/a.nii.gz\n,,scans/b.nii.gz\n003,,{absolute}\n"
    cases = find_inputs(manifest(tmp_path, text), ("image",), frames=[None])
    assert [(case.id, case.patient) for case in cases] == [("001", "ann"), ("b", "b"), ("003", "003")]
    assert [case.files[0].path for case in cases] == [
        tmp_path / "scans/a.nii.gz",
        tmp_path / "scans/b.nii.gz",
        absolute,
    ]


def test_several_images_a_case_come_in_the_order_of_the_channels(tmp_path: Path) -> None:
    file = manifest(tmp_path, "t2,case_id,t1\na2.nii,a,a1.nii\n")
    (case,) = find_inputs(file, ("t1", "t2"), frames=[None, None])
    assert case.images == (ImageRef(tmp_path / "a1.nii"), ImageRef(tmp_path / "a2.nii"))
    touch(tmp_path, "folder/a1.nii")
    with pytest.raises(DataError, match="takes 2 images a case; expected a manifest CSV with the columns t1, t2"):
        find_inputs(tmp_path / "folder", ("t1", "t2"), frames=[None, None])


def test_a_colour_image_is_one_file(tmp_path: Path) -> None:
    touch(tmp_path, "photo.png")
    (case,) = find_inputs(tmp_path / "photo.png", ("red", "green", "blue"), frames=[None])
    assert len(case.images) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case_id,file\n1,a.nii\n", "missing column: expected a column 'image'"),
        ("case_id,image\n1,\n", "csv:2: empty cell: expected something in column 'image'"),
        ("case_id,image\n", "no row: there is nothing to predict"),
        ("case_id,image\n1,a.nii\n1,b.nii\n", "1 ids occur twice, such as 1: give each row its own case_id"),
        ("image\na/x.nii\nb/x.nii\n", "such as x: give each row its own case_id"),
        ("case_id,image\n../../x,a.nii\n", r"cannot hold slashes, received \.\./\.\./x"),
        ("case_id,image\n..,a.nii\n", "cannot hold slashes"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_inputs(manifest(tmp_path, text), ("image",), frames=[None])


def test_a_four_dimensional_file_is_read_frame_by_frame_as_in_training(tmp_path: Path) -> None:
    file = tmp_path / "brain.nii.gz"
    file.write_bytes(b"")
    trained = Case("a", "p", tuple(ImageRef(Path("a.nii.gz"), index=index) for index in range(3)))
    (case,) = find_inputs(file, ("flair", "t1", "t2"), frames=frames_of(trained))
    assert case.images == tuple(ImageRef(file, index=index) for index in range(3))


def test_a_series_of_slices_is_one_case(tmp_path: Path) -> None:
    slices = np.zeros((3, 4, 5), dtype="int16")
    write_series(tmp_path / "ann" / "t1", slices)
    for path in write_series(tmp_path / "bob" / "1.2.840.99", slices):
        path.rename(path.with_suffix(""))
    touch(tmp_path, "cleo.mha", "cleo.tif", "cleo.raw", "cleo.npz")
    assert found(tmp_path) == {
        "t1": tmp_path / "ann" / "t1",
        "1.2.840.99": tmp_path / "bob" / "1.2.840.99",
        "cleo.mha": tmp_path / "cleo.mha",
        "cleo.tif": tmp_path / "cleo.tif",
    }
    assert found(tmp_path / "ann" / "t1") == {"t1": tmp_path / "ann" / "t1"}


def test_series_of_one_folder_are_told_apart(tmp_path: Path) -> None:
    slices = np.zeros((3, 4, 5), dtype="int16")
    for uid, description in (("1.2.1", "T1 post"), ("1.2.2", "T2"), ("1.2.3", "T2")):
        changes = {"SeriesInstanceUID": uid, "SeriesDescription": description}
        write_series(tmp_path, slices, changes=changes, prefix=uid)
    lone = write_series(tmp_path, slices[:1], changes={"SeriesInstanceUID": "1.2.4"}, prefix="lone")[0]
    cases = find_inputs(tmp_path, ("image",), frames=[None])
    assert {case.id: case.images[0] for case in cases} == {
        "T1_post": ImageRef(tmp_path, "1.2.1"),
        "T2": ImageRef(tmp_path, "1.2.2"),
        "T2_2": ImageRef(tmp_path, "1.2.3"),
        "lone000": ImageRef(lone),
    }


def test_a_broken_slice_is_a_case_that_will_fail(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "s", np.zeros((3, 4, 5), dtype="int16"))
    paths[0].write_bytes(b"broken")
    assert set(found(tmp_path).values()) == {tmp_path / "s", paths[0]}
    with pytest.raises(DataError, match=f"{paths[0].name}: not a readable DICOM file"):
        read(ImageRef(tmp_path / "s"))  # the rest must not pass for a whole series


def test_a_table_may_be_separated_by_tabs(tmp_path: Path) -> None:
    file = tmp_path / "cases.tsv"
    file.write_text("case_id\timage\n7\tscans/a, b.nii\n")
    assert found(file) == {"7": tmp_path / "scans" / "a, b.nii"}


# ------------------------------------------------------------------------------------ numbers for channels
def by_number(source: Path) -> dict[str, tuple[ImageRef | None, ...]]:
    cases = find_inputs(source, ("t1", "t2"), frames=[None, None])
    assert len({case.id for case in cases}) == len(cases)
    return {case.id: case.images for case in cases}


def test_channels_are_told_by_the_number_at_the_end(tmp_path: Path) -> None:
    touch(tmp_path, "a_0001.nii.gz", "a_0000.nii.gz", "b_0001.nii.gz", "deep/a_0000.nii", "deep/a_0001.nii", "x.txt")
    a, deep = tmp_path, tmp_path / "deep"
    assert by_number(tmp_path) == {
        "a": (ImageRef(a / "a_0000.nii.gz"), ImageRef(a / "a_0001.nii.gz")),
        "b": (None, ImageRef(a / "b_0001.nii.gz")),
        "deep_a": (ImageRef(deep / "a_0000.nii"), ImageRef(deep / "a_0001.nii")),
    }


def test_names_that_tell_no_channel_are_refused_with_what_to_do(tmp_path: Path) -> None:
    touch(tmp_path, "a_0000.nii", "a_0001.nii")
    for odd in ("b_0002.nii", "c.nii", "d_001.nii"):
        touch(tmp_path, odd)
        with pytest.raises(DataError, match=rf"1 of 3 images .*_0000 \(t1\), _0001 \(t2\), such as .*{odd}"):
            by_number(tmp_path)
        (tmp_path / odd).unlink()
    touch(tmp_path, "a_0001.nii.gz")
    with pytest.raises(DataError, match="same channel of one case"):
        find_inputs(tmp_path, ("t1", "t2"), frames=[None, None])


# ---------------------------------------------------------------------------------------------- series
def write_frames(file: Path, count: int) -> None:
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6, count), np.int16), np.eye(4)), file)


def test_each_frame_of_a_series_is_a_case_for_a_network_of_one_channel(tmp_path: Path) -> None:
    write_frames(tmp_path / "cine.nii.gz", 12)
    write_frames(tmp_path / "still.nii.gz", 1)
    (tmp_path / "zbroken.nii.gz").write_bytes(b"broken")
    cases = find_inputs(tmp_path, ("image",), frames=[None])
    assert [case.id for case in cases] == [*(f"cine_frame-{number:03d}" for number in range(12)), "still", "zbroken"]
    assert [case.images[0] for case in cases[:12]] == [
        ImageRef(tmp_path / "cine.nii.gz", index=number) for number in range(12)
    ]
    assert {case.patient for case in cases[:12]} == {"cine"}


def test_a_series_is_one_case_for_a_network_that_takes_all_frames(tmp_path: Path) -> None:
    write_frames(tmp_path / "brain.nii.gz", 3)
    (case,) = find_inputs(tmp_path, ("flair", "t1", "t2"), frames=[0, 1, 2])
    assert case.id == "brain"


def test_a_frame_does_not_take_the_name_of_a_file(tmp_path: Path) -> None:
    write_frames(tmp_path / "cine.nii.gz", 2)
    write_frames(tmp_path / "cine_frame-001.nii.gz", 1)
    with pytest.raises(DataError, match="cine_frame-001 is the name of a file and of a frame"):
        find_inputs(tmp_path, ("image",), frames=[None])
