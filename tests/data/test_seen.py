"""What a network has seen is found again by voxels, case and patient; without the training data."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from hilum.case import Case, ImageRef
from hilum.data import store
from hilum.data.seen import Seen, as_csv, incomparable, read_seen, refuse_seen, seen_before, seen_of, table_sha256
from hilum.data.splits.base import PARTS, Split
from hilum.data.store import surroundings
from hilum.errors import CheckpointError, DataError

WriteCase = Callable[..., Case]


@pytest.fixture
def split(write_case: WriteCase) -> Split:
    """Three scans of noise: one each for train, val and test."""
    return Split({part: (write_case(part, label="x", seed=number),) for number, part in enumerate(PARTS)})


def renamed(case: Case, file: Path) -> Case:
    """The same scan under a name and a patient that nobody has seen."""
    return Case("stranger", "stranger", (ImageRef(file),))


def test_training_and_validation_are_seen_and_test_is_not(split: Split) -> None:
    seen = seen_of(split, "mine")
    assert [(row.run, row.part, row.case_id, row.patient_id) for row in seen] == [
        ("mine", "train", "train", "train"),
        ("mine", "val", "val", "val"),
    ]
    assert len({row.voxels for row in seen}) == 2
    assert all(len(row.voxels) == 64 for row in seen)
    assert seen_before(split.part("test"), seen) == []


def test_a_copy_under_another_name_is_found(split: Split, tmp_path: Path) -> None:
    seen = seen_of(split, "mine")
    (case,) = split.part("val")
    source = case.files[0].path
    shutil.copy(source, tmp_path / "copied.nii")
    (tmp_path / "packed.nii.gz").write_bytes(gzip.compress(source.read_bytes()))
    image = nib.load(source)
    assert isinstance(image, nib.Nifti1Image)
    nib.save(nib.Nifti1Image(image.get_fdata(dtype=np.float64), image.affine), tmp_path / "doubled.nii.gz")
    shutil.rmtree(source.parent)  # the training data need not be there any more
    for name in ("copied.nii", "packed.nii.gz", "doubled.nii.gz"):
        (finding,) = seen_before([renamed(case, tmp_path / name)], seen)
        assert (finding.severity, finding.kind, finding.case) == ("error", "seen in val", "stranger")
        assert finding.file == str(tmp_path / name)
        assert "the voxels of case val (patient val)" in finding.received


def test_a_copy_in_another_order_of_axes_is_found(split: Split, tmp_path: Path) -> None:
    """Saved anew in every other orientation of nibabel, and mirrored without telling the affine."""
    seen = seen_of(split, "mine")
    (case,) = split.part("train")
    image = nib.load(case.files[0].path)
    assert isinstance(image, nib.Nifti1Image)
    for codes in ("LPS", "SAR", "PIL", "IRP"):
        turn = nib.orientations.ornt_transform(
            nib.orientations.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes)
        )
        nib.save(image.as_reoriented(turn), tmp_path / f"{codes}.nii.gz")
    nib.save(nib.Nifti1Image(image.get_fdata(dtype=np.float32)[:, ::-1], image.affine), tmp_path / "mirrored.nii.gz")
    for name in ("LPS", "SAR", "PIL", "IRP", "mirrored"):
        (finding,) = seen_before([renamed(case, tmp_path / f"{name}.nii.gz")], seen)
        assert "the voxels, mirrored or turned, of case train" in finding.received
    # The same values in another order are no copy: the hash of a heap alone accuses nobody.
    values = image.get_fdata(dtype=np.float32)
    shuffled = np.random.default_rng(0).permutation(values.reshape(-1)).reshape(values.shape)
    nib.save(nib.Nifti1Image(shuffled, image.affine), tmp_path / "shuffled.nii.gz")
    assert seen_before([renamed(case, tmp_path / "shuffled.nii.gz")], seen) == []


def test_ids_are_enough(split: Split, write_case: WriteCase) -> None:
    seen = seen_of(split, "mine")
    new = write_case("new", label="x", seed=9)
    assert seen_before([new], seen) == []
    assert "the case id of case train" in seen_before([replace(new, id="train")], seen)[0].received
    assert "the patient id of case val" in seen_before([replace(new, patient="val")], seen)[0].received


def test_another_spelling_of_a_patient_is_that_patient(write_case: WriteCase) -> None:
    seen = seen_of(Split({"train": (replace(write_case("a", label="x"), patient="Ann_01"),)}), "mine")
    new = write_case("new", label="x", seed=9)
    (finding,) = seen_before([replace(new, patient="ann 1")], seen)
    assert "the patient id 'ann 1', a spelling of that of case a (patient Ann_01)" in finding.received
    assert seen_before([replace(new, patient="ann 11")], seen) == []
    assert seen_before([replace(new, id="ann 1", patient="ann 1")], seen) == []  # the name of a file


def test_blank_images_are_nobodys_copy(tmp_path: Path) -> None:
    blanks = []
    for name in ("a", "b"):
        nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.float32), np.eye(4)), tmp_path / f"{name}.nii")
        blanks.append(Case(name, name, (ImageRef(tmp_path / f"{name}.nii"),)))
    seen = seen_of(Split({"train": (blanks[0],)}), "mine")
    assert seen[0].voxels == ""
    assert seen_before([blanks[1]], seen) == []


def test_every_case_that_was_seen_is_named(split: Split) -> None:
    cases = [case for part in split.parts.values() for case in part]
    with pytest.raises(DataError, match=r"(?s)case train.*case val") as error:
        refuse_seen(cases, seen_of(split, "mine"))
    assert len(error.value.findings) == 2


def test_the_table_is_read_back_or_refused(tmp_path: Path) -> None:
    rows = [Seen("a, b", "train", "01", 'o"dd', "ab" * 32), Seen("c", "val", "02", "p", "")]
    file = tmp_path / "seen.csv"
    file.write_text(as_csv(rows))
    digest = table_sha256(as_csv(rows))
    assert read_seen(file, sha256=digest) == rows
    with pytest.raises(CheckpointError, match="is missing"):
        read_seen(file, sha256=None)
    file.write_text(file.read_text().replace("02,", "03,"))
    with pytest.raises(CheckpointError, match=r"seen\.csv was edited"):
        read_seen(file, sha256=digest)
    for damage in ("", "run,part\nx,train\n"):
        file.write_text(damage)
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_seen(file, sha256=digest)
    file.unlink()
    with pytest.raises(CheckpointError, match=r"seen\.csv is missing"):
        read_seen(file, sha256=digest)


def test_a_table_without_heaps_is_read_as_well(tmp_path: Path) -> None:
    text = "run,part,case_id,patient_id,voxels\nr,train,1,a,ff\n"
    (tmp_path / "seen.csv").write_text(text)
    assert read_seen(tmp_path / "seen.csv", sha256=table_sha256(text)) == [Seen("r", "train", "1", "a", "ff")]


def test_hashes_of_other_readers_are_said_to_prove_nothing(
    split: Split, write_case: WriteCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, new = seen_of(split, "mine"), write_case("new", label="x", seed=9)
    assert all(row.comparable for row in seen)
    assert incomparable(seen) == ""
    older = [replace(row, reader="") for row in seen]
    assert not any(row.comparable for row in older)
    assert "the hashes of run mine come from other versions" in incomparable(older)
    assert seen_before([replace(new, id="train")], older)  # and ids are compared all the same
    assert incomparable([replace(row, voxels="", heap="") for row in older]) == ""  # blank: nothing to compare
    surroundings.cache_clear()
    monkeypatch.setattr(store, "LIBRARIES", store.LIBRARIES[:-1])
    assert not any(row.comparable for row in seen)
    monkeypatch.undo()
    surroundings.cache_clear()


def test_several_images_of_a_case_are_several_rows(write_case: WriteCase) -> None:
    one, two = (write_case(name, label="x", seed=seed) for seed, name in enumerate(("t1", "t2")))
    case = Case("c", "p", (one.images[0], None, two.images[0]))
    seen = seen_of(Split({"train": (case,)}), "mine")
    assert len(seen) == 2
    alone = Case("other", "q", (two.images[0],))
    assert seen_before([alone], seen)[0].file == str(two.images[0])
