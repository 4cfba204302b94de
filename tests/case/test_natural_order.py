"""The order of names with numbers in them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hilum.case import natural_order


@given(st.lists(st.tuples(st.sampled_from(["a", "slice-", ""]), st.integers(0, 10**30)), unique=True))
def test_numbers_after_the_same_word_are_in_their_order(names: list[tuple[str, int]]) -> None:
    expected = [f"{word}{number}" for word, number in sorted(names, key=lambda pair: (pair[0] != "", *pair))]
    assert sorted((f"{word}{number}" for word, number in names), key=natural_order) == expected


def test_any_text_has_its_place() -> None:
    names = ["", "2", "02", "10", "1" * 5001, "a", "a2", "a10", "a²", "grade1²"]
    assert sorted([*names[5:], *names[:5]], key=natural_order) == names
    assert natural_order(Path("x") / "2") < natural_order(Path("x") / "10")
