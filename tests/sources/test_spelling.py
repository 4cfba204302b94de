"""Ids that a person would take for one, and those that nobody would."""

import itertools

import pytest

from hilum.sources.spelling import similar_ids, spelling_findings


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hip_1", "hip_001"),
        ("Hip_1", "hip_1"),
        ("hip 1", "hip1"),
        ("hip-1", "hip_1"),
        ("P07 ", "p7"),
        ("7.0", "7"),
        ("007", "7"),
        ("John Smith", "john_smith"),
        ("Müller", "Mu\u0308ller"),
        ("sub-01_ses-02", "sub-1_ses-2"),
        ("\uff21\uff11", "A1"),
        ("p1", "P01"),
        ("p-1", "p1"),
        ("2", "2.0"),
        ("P01a", "P1a"),
        ("1-05", "1-5"),
        ("01.5", "1.5"),
        ("A00-B1", "a00b1"),
        ("\u0661", "1"),
        ("9" * 5001, "0" + "9" * 5001),
    ],
)
def test_spellings_of_one_id(one: str, other: str) -> None:
    assert similar_ids([other, "else", one]) == [tuple(sorted([one, other]))]


def test_different_ids_stay_apart() -> None:
    ids = [
        "1-11",
        "11-1",
        "111",
        "1.5",
        "15",
        "p1",
        "q1",
        "p1a",
        "p11",
        "p1_1",
        "a1b2",
        "a12b",
        "_",
        "-",
        "é",
        "e",
        "10",
        "100",
    ]
    for one, other in itertools.combinations(ids, 2):
        assert similar_ids([one, other]) == [], (one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a00b1c", "a0b01c"),
        ("00a1", "0a01"),
        ("a00b1", "a0b01"),
        ("P+", "P-"),
        ("P", "P-"),
        ("P+", "P"),
        ("1.5", "1-05"),
        ("1.5", "1.05"),
        ("1.5", "1-5"),
        ("P*", "P#"),
        ("\u0915\u093f", "\u0915\u093e"),
        ("9" * 5001, "9" * 5002),
    ],
)
def test_pseudonyms_that_look_alike_stay_apart(one: str, other: str) -> None:
    assert similar_ids([one, other]) == []


def test_words_of_one_length_are_the_same_only_by_case() -> None:
    """All words of four letters and digits: zeros are taken away where that makes them shorter, nowhere else."""
    words = ["".join(letters) for letters in itertools.product("0a1B", repeat=4)]
    assert similar_ids(words) == []
    assert similar_ids([*words, "A0A0"]) == [("A0A0", "a0a0")]


def test_equal_ids_are_no_spellings() -> None:
    assert similar_ids(["a1", "a1", "b"]) == []


def test_groups_come_sorted_and_each_is_a_warning() -> None:
    ids = ["b2", "a1", "b02", "A1", "B-2", "c"]
    assert similar_ids(ids) == [("A1", "a1"), ("B-2", "b02", "b2")]
    assert similar_ids(reversed(ids)) == similar_ids(ids)
    found = spelling_findings(ids, "patient")
    assert [(one.severity, one.kind, one.received) for one in found] == [
        ("warning", "similar patient ids", "'A1', 'a1'"),
        ("warning", "similar patient ids", "'B-2', 'b02', 'b2'"),
    ]


def test_many_ids_take_no_time() -> None:
    ids = [f"case_{number:06d}" for number in range(20_000)]
    assert similar_ids([*ids, "case_7"]) == [("case_000007", "case_7")]
