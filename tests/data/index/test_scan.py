"""The headers of a cohort: all of them read, in order, by one or several threads, and what is wrong with any told."""

import os
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from hilum.case import Case, Cohort, ImageRef
from hilum.data.index import scan
from hilum.data.index.headers import case_findings
from hilum.errors import Finding
from hilum.formats.base import Header
from hilum.volume import Grid


def write(path: Path, shape: tuple[int, ...] = (4, 5, 6), affine: np.ndarray | None = None) -> ImageRef:
    nib.save(nib.Nifti1Image(np.ones(shape, np.uint8), np.eye(4) if affine is None else affine), path)
    return ImageRef(path)


def cohort(folder: Path, count: int) -> Cohort:
    cases = [
        Case(f"c{number}", f"p{number}", (write(folder / f"c{number}.nii"),), write(folder / f"m{number}.nii"))
        for number in range(count)
    ]
    return Cohort(tuple(cases), ("image",))


def test_every_header_is_read_and_told_of(tmp_path: Path) -> None:
    several, told = cohort(tmp_path, 40), list[tuple[int, int]]()
    index = scan(several, progress=lambda done, total: told.append((done, total)))
    assert told == [(number, 40) for number in range(1, 41)]
    assert index.complete
    assert index.findings == ()
    assert {ref.path.name for ref in index.headers} == {path.name for path in tmp_path.iterdir()}
    assert all(header.grid.shape == (4, 5, 6) for header in index.headers.values())
    assert index.readable(several.cases) == several.cases


def test_files_on_a_slow_disk_are_read_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, threads = import_module("hilum.data.index.scan"), set[int]()
    read: Callable[[ImageRef], Header] = module.read_header

    def slowly(ref: ImageRef) -> Header:
        threads.add(threading.get_ident())
        time.sleep(0.002)
        return read(ref)

    monkeypatch.setattr(module, "read_header", slowly)
    several = cohort(tmp_path, 64)
    index = scan(several)
    assert len(threads) > 2
    assert index.findings == ()
    assert list(index.headers) == [ref for case in several.cases for ref in (*case.files, case.label)]


def test_a_scan_may_be_cut_short_or_stopped(tmp_path: Path) -> None:
    several = cohort(tmp_path, 3)
    index = scan(several, seconds=0)
    assert not index.complete
    assert index.readable(several.cases) == several.cases[:1]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(several, progress=stop)


def test_what_is_wrong_is_found_in_every_case_at_once(tmp_path: Path) -> None:
    several = cohort(tmp_path, 6)
    (tmp_path / "c1.nii").write_bytes(b"")
    (tmp_path / "m2.nii").write_bytes(b"no image at all")
    write(tmp_path / "m3.nii", (4, 5, 7))
    write(tmp_path / "c4.nii", (4, 5, 6, 2))
    index = scan(several)
    assert [(found.case, Path(found.file).name, found.kind) for found in index.findings] == [
        ("c1", "c1.nii", "empty file"),
        ("c2", "m2.nii", "unreadable file"),
        ("c3", "m3.nii", "shape differs"),
        ("c4", "c4.nii", "4-D series"),
    ]
    assert all(found.severity == "error" and found.received and found.fix for found in index.findings)
    assert [case.id for case in index.readable(several.cases)] == ["c0", "c3", "c4", "c5"]


def test_pipes_and_devices_are_not_opened(tmp_path: Path) -> None:
    several = cohort(tmp_path, 3)
    (tmp_path / "c0.nii").unlink()
    os.mkfifo(tmp_path / "c0.nii")
    (tmp_path / "m1.nii").unlink()
    (tmp_path / "m1.nii").symlink_to("/dev/zero")
    assert [(found.case, found.kind) for found in scan(several).findings] == [
        ("c0", "not a file"),
        ("c1", "not a file"),
    ]


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "m1.nii")  # as it is for all but root
    (found,) = scan(cohort(tmp_path, 2)).findings
    assert (found.case, found.kind, found.received) == ("c1", "no permission", "mode -rw-r--r--")


def test_the_findings_of_the_source_come_along(tmp_path: Path) -> None:
    odd = Finding("warning", "similar case ids", received="'a', 'A'")
    several = cohort(tmp_path, 2)
    assert scan(Cohort(several.cases, ("image",), (), (odd,))).findings == (odd,)


def test_the_unlike_among_many(tmp_path: Path) -> None:
    several = cohort(tmp_path, 6)
    for name in ("c2.nii", "m2.nii"):
        write(tmp_path / name, affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    for name in ("c5.nii", "m5.nii"):
        write(tmp_path / name, (4, 5, 1))
    kinds = {(found.case, found.kind): found for found in scan(several).findings}
    assert set(kinds) == {("c2", "unusual spacing"), ("c5", "images and volumes mixed")}
    assert kinds["c2", "unusual spacing"].expected == "about 1 x 1 x 1 mm as the middle case has"
    assert kinds["c5", "images and volumes mixed"].severity == "error"
    sliced = {(found.case, found.kind): found for found in scan(several, sliced=True).findings}
    assert sliced["c5", "images and volumes mixed"].severity == "warning"


def test_missing_modalities_are_not_other_channels(tmp_path: Path) -> None:
    refs = [write(tmp_path / f"{number}.nii") for number in range(4)]
    cases = Case("a", "a", (refs[0], refs[1])), Case("b", "b", (refs[2], None)), Case("c", "c", (None, refs[3]))
    assert scan(Cohort(cases, ("t1", "t2"))).findings == ()


def test_one_file_for_two_patients_through_a_link(tmp_path: Path) -> None:
    first = write(tmp_path / "a.nii")
    (tmp_path / "b.nii").symlink_to("a.nii")
    cases = Case("a", "p", (first,)), Case("b", "q", (ImageRef(tmp_path / "b.nii"),))
    (found,) = scan(Cohort(cases, ("image",))).findings
    assert (found.severity, found.kind, found.case) == ("error", "one file, several patients", "b")
    assert "case a" in found.received


@pytest.mark.parametrize(
    ("facts", "kinds"),
    [
        ({"orientation_tag": "6"}, ["picture to be turned"] * 2),
        ({"slice_gap": "slices 10 mm apart and 5 mm thick"}, ["slices may be missing"] * 2),
        ({"photometric": "MINISWHITE"}, ["mask in which white is 0"]),
    ],
)
def test_what_a_file_tells_of_itself_is_a_warning(facts: dict[str, str], kinds: list[str], tmp_path: Path) -> None:
    image, mask = ImageRef(tmp_path / "a.tif"), ImageRef(tmp_path / "m.tif")
    header = Header(Grid((3, 4, 1), np.eye(4), "pixel"), 1, facts=facts)
    found = list(case_findings(Case("c", "c", (image,), mask), {image: header, mask: header}))
    assert sorted((finding.severity, finding.kind) for finding in found) == [("warning", kind) for kind in kinds]
    assert all(any(value in finding.received for value in facts.values()) for finding in found)
