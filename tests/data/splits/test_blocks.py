"""A cohort of one patient is cut into neighbouring blocks of scans, and says so."""

import random

import pytest

from hilum.case import Case
from hilum.data.splits.base import PARTS
from hilum.data.splits.blocks import contiguous_blocks
from hilum.errors import SplitError


def case(id_: str, patient: str, **metadata: str) -> Case:
    return Case(id_, patient, (), metadata=metadata)


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
