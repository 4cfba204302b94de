"""The split object refuses what would make scores untrue, however it was made; it is read back as it was written."""

import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hilum.case import Case
from hilum.data.splits.base import (
    PARTS,
    Part,
    Split,
    contiguous_blocks,
    patients_by_stratum,
    restore,
    shares,
    split_parts,
)
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
        ("case_id,part\n1,train\n", "no column 'patient_id'"),
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


# -------------------------------------------------------------------------------------------- one patient
def test_one_patient_becomes_neighbouring_blocks_with_a_note() -> None:
    cases = [case(f"slice-{k}", "mouse") for k in range(30)]
    split = contiguous_blocks(random.Random(0).sample(cases, 30), val=0.2, test=0.2)
    numbers = {part: [int(c.id.split("-")[1]) for c in split.part(part)] for part in PARTS}
    assert {part: sorted(found) for part, found in numbers.items()} == {
        "train": list(range(18)),
        "val": list(range(18, 24)),
        "test": list(range(24, 30)),
    }
    assert "one patient" in split.notes[0]
    assert "nothing" in split.notes[0] or "no score" in split.notes[0]


def test_a_given_order_goes_before_the_ids() -> None:
    cases = [case(f"{k:02d}", "mouse", order=str(100 - k)) for k in range(10)]
    split = contiguous_blocks(cases, val=0.2, test=0.2)
    assert {c.id for c in split.part("test")} == {"00", "01"}


@pytest.mark.parametrize("order", ["", "nan", "third"])
def test_an_order_that_is_none_is_refused(order: str) -> None:
    with pytest.raises(SplitError, match=f"received the order '{order}', expected a number"):
        contiguous_blocks([case("1", "m", order="1"), case("2", "m", order=order)], val=0.5, test=0)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize(("val", "test"), [(0.2, 0.2), (0.0, 0.5), (0.49, 0.49), (0.3, 0.0)])
def test_few_scans_of_one_patient_still_leave_some_to_train(count: int, val: float, test: float) -> None:
    cases = [case(str(k), "m") for k in range(count)]
    split = contiguous_blocks(cases, val=val, test=test)
    assert sum(len(found) for found in split.parts.values()) == count
    assert bool(split.part("val")) == (val > 0)


# --------------------------------------------------------------------------------------------- strata
def test_strata_are_sets_of_classes_and_hold_every_patient_once(make_cases: MakeCases) -> None:
    cases = make_cases(20, 2)
    labels = {c.id: str((int(c.patient[1:]) + int(c.id[-1])) % 3) for c in cases}
    strata = patients_by_stratum(cases, labels, seed=3)
    assert sorted(patient for found in strata for patient in found) == [f"p{k:03d}" for k in range(20)]
    for found in strata:
        shown = {frozenset(labels[c.id] for c in cases if c.patient == patient) for patient in found}
        assert len(shown) == 1
    assert patients_by_stratum(cases[::-1], labels, seed=3) == strata
    assert patients_by_stratum(cases, labels, seed=4) != strata


@pytest.mark.parametrize("sizes", [[10], [7, 3], [1, 1, 1, 1, 1], [100, 1], [5, 5, 5]])
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.2, 0.5, 1.0])
def test_shares_add_up_and_stay_within_one_of_proportion(sizes: list[int], fraction: float) -> None:
    taken = shares(sizes, fraction)
    wanted = 0 if fraction == 0 else max(1, round(sum(sizes) * fraction))
    assert sum(taken) == wanted
    for size, count in zip(sizes, taken, strict=True):
        assert 0 <= count <= size
        assert abs(count - size * wanted / sum(sizes)) < 1
