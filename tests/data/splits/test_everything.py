"""All patients train, and every report says that nothing can be scored."""

from collections.abc import Callable

from hilum.case import Case
from hilum.data.splits.everything import AllConfig


def test_all_patients_train_with_a_note(make_cases: Callable[..., list[Case]]) -> None:
    cases = make_cases(3, 2)
    split = AllConfig().assign(cases[::-1], labels={})
    assert split.part("train") == tuple(cases)
    assert split.part("val") == split.part("test") == ()
    assert "no score" in split.notes[0]
