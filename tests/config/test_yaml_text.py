"""YAML 1.2 as plain data: what scalars mean, where keys stand, what is refused, and that dumping loses nothing."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hilum.errors import ConfigError
from hilum.yaml_text import Document, dump, parse, plain, scalar


def document(text: str) -> Document:
    found = Document(Path("a.yaml"), {})
    found.data = parse(text, found)
    return found


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, Document(Path("a.yaml"), {}))
    (fault,) = caught.value.faults
    return str(fault)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-17", -17),
        ("+5", 5),
        ("3e-3", 0.003),
        ("1.5", 1.5),
        (".5", 0.5),
        (".inf", math.inf),
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("FALSE", False),
    ],
)
def test_scalars_of_the_core_schema(text: str, value: Any) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


@pytest.mark.parametrize(
    "text", ["001", "00", "-01", "01.5", "yes", "no", "on", "1_000", "12:30", "2024-05-01", "0o17"]
)
def test_ids_dates_and_the_norway_problem_stay_text(text: str) -> None:
    assert scalar(text) == text
    assert plain(f"{{key: {text}}}" if ":" not in text else f"'{text}'") in ({"key": text}, text)


def test_keys_stay_text() -> None:
    assert plain("{001: a, 2: b, true: c, null: d}") == {"001": "a", "2": "b", "true": "c", "null": "d"}


def test_places_are_lines() -> None:
    found = document("a: 1\nb:\n  c:\n    - x\n    - {d: 2}\n")
    assert found.where(("a",)) == "a.yaml:1"
    assert found.where(("b", "c", 1, "d")) == "a.yaml:5"
    assert found.where(("b", "nothing")) == "a.yaml:2"


def test_a_duplicate_key_names_both_lines() -> None:
    (fault,) = document("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n").faults
    assert str(fault) == "a.yaml:5: b.c: duplicate key; the first stands at a.yaml:3: remove one of them"


@pytest.mark.parametrize(
    "text",
    ["a: !!python/object/apply:os.system [ls]", "a: !mine 3", "a: !!str 5", "a: !!int 5", "a: !!binary aGk=", "a: ! 5"],
)
def test_every_tag_is_refused(text: str) -> None:
    (fault,) = document(text).faults
    assert fault.field == "a"
    assert "tags are refused" in fault.message


def test_anchors_and_merge_keys() -> None:
    found = document("base: &b {lr: 1, kind: x}\nother: &o {lr: 5, z: 6}\nmine:\n  <<: [*b, *o]\n  lr: 2\nagain: *b\n")
    assert found.data["mine"] == {"kind": "x", "lr": 2, "z": 6}
    assert found.data["again"] == {"lr": 1, "kind": "x"}
    assert found.where(("mine", "lr")) == "a.yaml:5"
    assert found.where(("mine", "z")) == "a.yaml:2"
    assert found.faults == []


def test_a_merge_key_of_no_mapping_and_a_mapping_as_key_are_refused() -> None:
    assert "expected a mapping such as" in document("a:\n  <<: 3\n").faults[0].message
    assert "as a key, expected text" in document("? [1, 2]\n: 3\n").faults[0].message


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a:\n\tb: 1\n", 2, "tab"),
        ("a: 1\nb: [1, 2\n", 3, "not closed"),
        ("a: 1\n b: 2\n", 2, "indentation"),
        ("a: b: c\n", 1, "quote text"),
        ("a: 'open\n", 2, "not closed"),
        ("a: 1\n---\nb: 2\n", 2, "one document"),
        ("a: *nobody\n", 1, "undefined alias"),
        ("a: 1\nb: \x00\n", 2, "U+0000"),
        ("a: @x\n", 1, "needs quotes"),
    ],
)
def test_broken_yaml_names_the_line_and_the_likely_cause(text: str, line: int, words: str) -> None:
    message = refused(text)
    assert message.startswith(f"a.yaml:{line}: broken YAML: ")
    assert words in message


def test_great_depth_is_refused() -> None:
    assert "nested deeper than 40 levels" in refused("[" * 5000)
    assert "nested deeper than 40 levels" in refused("\n".join("  " * depth + "a:" for depth in range(200)))


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "aliases expand to more than" in refused("\n".join(lines))


def test_an_alias_of_itself_is_refused() -> None:
    assert "aliases expand to more than" in refused("a: &a [*a]\n")
    assert "merges a mapping into itself" in refused("a: &a {<<: *a, b: 1}\n")


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
lookalikes = st.sampled_from(
    ["001", "1e5", "yes", "null", "~", "", "0x1f", "1_0", "<<", "=", "2024-05-01", "- a", "a: b", "#"]
)
numbers = st.integers() | st.floats(allow_nan=False)
scalars = st.none() | st.booleans() | numbers | texts | lookalikes
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | lookalikes, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(texts | lookalikes, trees, max_size=5))
def test_what_is_dumped_reads_back_as_the_same(data: dict[str, Any]) -> None:
    text = dump(data)
    assert repr(plain(text)) == repr(data)


@given(st.dictionaries(st.text("abc", min_size=1), lookalikes, max_size=4))
def test_readers_of_yaml_1_1_agree_about_text(data: dict[str, str]) -> None:
    assert yaml.safe_load(dump(data)) == data
