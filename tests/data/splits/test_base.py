"""The split object refuses what would make scores untrue, however it was made; it is read back as it was written."""

import copy
import pickle
import random
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from hilum.case import Case, ImageRef
from hilum.data.splits.base import Part, Split, restore, split_parts
from hilum.data.splits.blocks import contiguous_blocks
from hilum.errors import SplitError

MakeCases = Callable[..., list[Case]]


def case(id_: str, patient: str, **metadata: str) -> Case:
    return Case(id_, patient, (), metadata=metadata)


def test_a_patient_in_two_parts_is_refused_and_named() -> None:
    with pytest.raises(SplitError, match=r"ann \(train and test\).*All scans of a patient belong to one part"):
        Split({"train": (case("1", "ann"),), "val": (case("2", "bob"),), "test": (case("3", "ann"),)})


def test_no_way_around_the_refusal() -> None:
    good = Split({"train": (case("1", "ann"), case("2", "bob"))})
    shared: dict[Part, tuple[Case, ...]] = {"train": (case("1", "ann"), case("2", "bob")), "val": (case("3", "bob"),)}
    with pytest.raises(SplitError, match="bob"):
        replace(good, parts=shared)
    with pytest.raises(SplitError, match="bob"):
        Split(shared, one_patient=True)


def test_two_spellings_of_one_patient_are_refused() -> None:
    with pytest.raises(SplitError, match=r"P-001 or p1 \(train and test\).*give one person one id"):
        Split({"train": (case("1", "p1"), case("2", "bob")), "test": (case("3", "P-001"),)})
    blocks: dict[Part, tuple[Case, ...]] = {"train": (case("1", "p1"),), "test": (case("2", "P1"),)}
    assert Split(blocks, one_patient=True).part("test")


def test_a_forged_pickle_and_a_copy_are_checked_as_well() -> None:
    """A pickle that was written past the checks: its bytes name one patient for both parts."""
    good = Split({"train": (case("1", "ann"),), "test": (case("2", "bob"),)})
    with pytest.raises(SplitError, match=r"ann \(train and test\)"):
        pickle.loads(pickle.dumps(good).replace(b"bob", b"ann"))
    object.__setattr__(good.part("test")[0], "patient", "ann")
    for again in (copy.copy, copy.deepcopy):
        with pytest.raises(SplitError, match=r"ann \(train and test\)"):
            again(good)


def test_nothing_can_be_added_to_a_split() -> None:
    good = Split({"train": (case("1", "ann"),)})
    with pytest.raises(TypeError):
        good.parts["test"] = (case("2", "ann"),)  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        good.parts = {}  # type: ignore[misc]


def test_only_a_cohort_of_one_patient_may_be_cut() -> None:
    blocks: dict[Part, tuple[Case, ...]] = {"train": (case("1", "ann"),), "test": (case("2", "ann"),)}
    assert Split(blocks, one_patient=True).part("test")
    with pytest.raises(SplitError):
        Split(blocks)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": (case("1", "a"),), "val": (case("1", "a"),)}, "both in train and in val"),
        ({"train": (case("1", "a"), case("1", "a"))}, "twice in train"),
        ({"train": (), "val": (case("1", "a"),)}, "no case is left for training"),
        ({"train": (case("1", "a"),), "tset": (case("2", "a"),)}, "part 'tset'.*did you mean 'test'"),
    ],
)
def test_other_impossible_splits_are_refused(parts: dict[str, tuple[Case, ...]], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        Split(parts)  # type: ignore[arg-type]


def test_the_order_of_the_cohort_does_not_reach_the_samples(make_cases: MakeCases) -> None:
    cases = make_cases(5, 2)
    shuffled = random.Random(0).sample(cases, len(cases))
    straight, mixed = Split({"train": tuple(cases)}), Split({"train": tuple(shuffled)})
    assert straight.part("train") == mixed.part("train")
    assert (straight.as_csv(), straight.sha256) == (mixed.as_csv(), mixed.sha256)


def test_a_split_crosses_process_borders(make_cases: MakeCases) -> None:
    split = Split({"train": tuple(make_cases(3))}, fold=1, notes=("note",))
    assert pickle.loads(pickle.dumps(split)) == split


def test_the_hash_tells_one_moved_patient(make_cases: MakeCases) -> None:
    a, b, c = make_cases(3)
    assert Split({"train": (a, b), "val": (c,)}).sha256 != Split({"train": (a, c), "val": (b,)}).sha256


def scan(id_: str, patient: str, path: str, *, key: str | None = None, index: int | None = None) -> Case:
    return Case(id_, patient, (ImageRef(Path(path), key, index),))


@pytest.mark.parametrize("other", ["scans/a.nii", "scans/../scans/a.nii", "./scans/a.nii"])
def test_one_image_under_two_names_in_two_parts_is_refused(other: str) -> None:
    with pytest.raises(SplitError, match=r"a\.nii belongs to case 1 in train and to case 2 in test"):
        Split({"train": (scan("1", "ann", "scans/a.nii"),), "test": (scan("2", "bob", other),)})


def test_images_that_share_a_file_are_different_images() -> None:
    rows = [scan(str(k), f"p{k}", "all.npz", key="images", index=k) for k in range(3)]
    assert Split({"train": (rows[0],), "val": (rows[1],), "test": (rows[2],)}).part("val") == (rows[1],)
    with pytest.raises(SplitError, match=r"all\.npz\[images\]\[1\]"):
        Split({"train": (rows[0], rows[1]), "val": (replace(rows[1], id="again", patient="other"),)})


# ------------------------------------------------------------------------------------------- read back
def written(split: Split, folder: Path) -> Path:
    file = folder / "split.csv"
    file.write_text(split.as_csv(), encoding="utf-8")
    return file


@pytest.mark.parametrize("fold", [None, 0, 3])
def test_restore_gives_the_same_split_from_a_reordered_cohort(
    make_cases: MakeCases, tmp_path: Path, fold: int | None
) -> None:
    cases = make_cases(6, 2)
    cases[0] = case('odd, "quoted" name', "p000")
    split = Split({"train": tuple(cases[:6]), "val": tuple(cases[6:8]), "test": tuple(cases[8:])}, fold=fold)
    file = written(split, tmp_path)
    again = restore(file, random.Random(1).sample(cases, len(cases)), notes=())
    assert again == split
    assert again.sha256 == split.sha256
    assert split_parts(file) == {"train", "val", "test"}


def test_restore_keeps_the_blocks_of_one_patient(tmp_path: Path) -> None:
    cases = [case(f"slice-{k}", "mouse") for k in range(10)]
    split = contiguous_blocks(cases, val=0.2, test=0.2)
    assert restore(written(split, tmp_path), cases, notes=split.notes) == split


def test_restore_leaves_out_cases_that_came_later(make_cases: MakeCases, tmp_path: Path) -> None:
    cases = make_cases(4)
    split = Split({"train": tuple(cases[:2]), "val": (cases[2],)})
    assert restore(written(split, tmp_path), cases, notes=()) == split


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case_id,patient_id,part,fold\n1,a,train,\n9,a,train,\n", "no longer in the data, such as 9"),
        ("case_id,patient_id,part,fold\n1,b,train,\n", "another patient now, such as 1"),
        ("case_id,patient_id,part,fold\n1,a,trian,\n", "received part 'trian'.*did you mean 'train'"),
        ("case_id,patient_id,part,fold\n1,a,train,\n1,a,train,\n", "more than once"),
        ("case_id,patient_id,part,fold\n1,a,train,one\n", "one fold number"),
        ("case_id,patient_id,part,fold\n1,a,train,0\n2,b,train,1\n", "one fold number"),
        ("case_id,part\n1,train\n", "missing column: expected a column 'patient_id'"),
        ("", "is empty"),
    ],
)
def test_restore_refuses_a_damaged_or_foreign_table(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "split.csv").write_text(text, encoding="utf-8")
    with pytest.raises(SplitError, match=message):
        restore(tmp_path / "split.csv", [case("1", "a"), case("2", "b")], notes=())


def test_restore_refuses_a_patient_moved_by_hand(tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("case_id,patient_id,part,fold\n1,a,train,\n2,a,val,\n3,b,train,\n")
    with pytest.raises(SplitError, match=r"a \(train and val\)"):
        restore(tmp_path / "split.csv", [case("1", "a"), case("2", "a"), case("3", "b")], notes=())


def test_restore_without_a_table_says_so(tmp_path: Path) -> None:
    with pytest.raises(SplitError, match=r"split\.csv: cannot be read"):
        restore(tmp_path / "split.csv", [], notes=())
