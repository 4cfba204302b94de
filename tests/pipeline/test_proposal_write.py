"""The text of a proposal: it reads back as the data it stands for, whatever names and paths hold."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from hilum.pipeline.proposal.write import WIDTH, Entry, Step, flow, yaml_text
from hilum.yaml_text import Document, parse, plain

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    [
        "no",
        "001",
        "12:30",
        "1e-3",
        "null",
        "a: b",
        "x #y",
        "- z",
        "{a}",
        "it's",
        "",
        " ",
        "~",
        "=",
        "<<",
        "\ufeff",
        "\n",
    ]
)
numbers = st.booleans() | st.none() | st.integers(-(10**9), 10**9) | st.sampled_from([0.1, 3e-3, 1.0, 1e-05, 2.5e7])
data = st.recursive(
    numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def read(text: str) -> Any:
    document = Document(Path("new.yaml"), {})
    content = parse(text, document)
    assert document.faults == []
    return content


@given(data)
def test_a_line_reads_back_here_and_in_yaml_1_1(value: Any) -> None:
    line = flow(value)
    assert "\n" not in line
    assert plain(line) == value
    assert yaml.safe_load(f"x: {line}")["x"] == value


@given(texts, texts, texts)
def test_comments_change_nothing(key: str, value: str, why: str) -> None:
    entries = [
        Entry("first", value, why),
        Entry("second", (Entry(key, [value], why), Entry("list", (Step({key: value}, why), Step(value, why)))), why),
    ]
    expected = {"first": value, "second": {key: [value], "list": [{key: value}, value]}}
    if key == "list":
        return  # a key that is there twice is for nobody to write
    assert read(yaml_text(why, entries)) == expected


def test_reasons_stand_beside_or_above_and_long_lines_are_folded() -> None:
    long = {f"key{number}": "a text of some length" for number in range(8)}
    text = yaml_text("Heading", [Entry("a", 1, "short"), Entry("b", 2, "long " * 40), Entry("c", long, "why")])
    lines = text.splitlines()
    assert lines[0] == "# Heading"
    assert "a: 1   # short" in lines
    assert lines[lines.index("b: 2") - 1].startswith("# long")
    assert "  key7: a text of some length" in lines
    assert max(map(len, lines)) <= WIDTH
    assert read(text) == {"a": 1, "b": 2, "c": long}
