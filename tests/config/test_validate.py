"""Finding every fault of a document at once, each at its own line, and going on with what is left."""

from pathlib import Path
from typing import Literal

from pydantic import PositiveInt

from hilum.config import Reading, validate
from hilum.prepare.base import PrepareConfig
from hilum.settings import Settings
from hilum.yaml_text import Document, parse


class Inner(Settings):
    """A section."""

    size: tuple[int, int]
    """Two numbers."""
    device: Literal["auto", "cpu"] = "auto"
    """A name."""


class Outer(Settings):
    """A configuration."""

    name: str
    """What it is called."""
    inner: Inner | None = None
    """A section that may be missing."""
    count: PositiveInt = 3
    """How many."""
    share: float = 0.5
    """A share."""
    on: bool = False
    """A switch."""
    axes: tuple[str | int, ...] = ()
    """Names or numbers."""
    columns: str | dict[str, str] = "image"
    """One column or several."""
    prepare: tuple[PrepareConfig, ...] = ()
    """Steps."""


def reading_of(text: str) -> Reading[Outer]:
    document = Document(Path("a.yaml"), {})
    document.data = parse(text, document)
    return validate(document, Outer)


def faults_of(text: str) -> list[str]:
    return [str(fault) for fault in reading_of(text).faults]


def test_without_faults_the_model_is_complete() -> None:
    reading = reading_of("name: x\ninner: {size: [1, 2]}\n")
    assert reading.faults == []
    assert reading.model == Outer(name="x", inner=Inner(size=(1, 2)))


def test_all_faults_at_once_each_with_its_line() -> None:
    text = "name: 17\ncuont: 2\nshare: much\ninner:\n  size: [1]\n  device: cpuu\nprepare:\n- zscor\n- spacing\n"
    expected = """\
a.yaml:1: name: received 17, expected text: put it in quotes
a.yaml:2: cuont: unknown key 'cuont'; did you mean 'count'? (known here: name, inner, count,
a.yaml:3: share: received 'much', expected a number
a.yaml:5: inner.size: received [1], expected a list of 2 values
a.yaml:6: inner.device: received 'cpuu', expected 'auto' or 'cpu'; did you mean 'cpu'?
a.yaml:8: prepare.0.kind: received 'zscor', expected one of canonical, crop_foreground,
a.yaml:9: prepare.1.mm: is required and missing: Voxel size along""".splitlines()
    found = sorted(faults_of(text))
    assert len(found) == len(expected)
    assert all(fault.startswith(start) for fault, start in zip(found, expected, strict=True)), found
    assert found[5].endswith("; did you mean 'zscore'?")


def test_what_is_at_fault_does_not_hide_what_is_checked_later() -> None:
    reading = reading_of("inner: {device: cpu}\ncount: 0\n")
    fields = {fault.field for fault in reading.faults}
    assert fields == {"name", "inner.size", "count"}
    assert reading.model is not None
    assert reading.model.inner is None
    assert reading.model.count == 3
    assert not reading.knows(("inner", "device"))
    assert reading.knows(("share",))


def test_numbers_of_list_items_stay_those_of_the_file() -> None:
    reading = reading_of("name: x\nprepare:\n- nonsense\n- zscore\n- {kind: window, low: 3, high: 1}\n")
    assert [fault.where for fault in reading.faults] == ["a.yaml:3", "a.yaml:5"]
    assert [fault.field for fault in reading.faults] == ["prepare.0.kind", "prepare.2.high"]
    assert reading.model is not None
    assert [step.kind for step in reading.model.prepare] == ["zscore"]
    assert reading.original(("prepare", 0)) == ("prepare", 1)


def test_a_misspelt_required_key_is_one_fault() -> None:
    (fault,) = faults_of("nmae: x\n")
    assert "did you mean 'name'" in fault


def test_true_and_quoted_text_are_no_numbers() -> None:
    assert faults_of("name: x\ncount: true\n") == ["a.yaml:2: count: received true, expected a number"]
    assert faults_of("name: x\ncount: '3'\n") == [
        "a.yaml:2: count: received the text '3', expected a number: remove the quotes"
    ]
    assert faults_of("name: x\non: yes\n") == ["a.yaml:2: on: received the text 'yes', expected true or false"]
    assert faults_of("name: x\non: 1\n") == ["a.yaml:2: on: received 1, expected true or false"]
    assert "expected a finite number" in faults_of("name: x\nshare: .inf\n")[0]
    assert "expected a finite number" in faults_of("name: x\nshare: .nan\n")[0]
    assert "expected a whole number" in faults_of("name: x\ncount: 2.5\n")[0]


def test_an_empty_section_says_how_to_have_the_default() -> None:
    assert faults_of("name: x\ncount:\n") == [
        "a.yaml:2: count: received nothing, expected a whole number: remove the key to have the default"
    ]


def test_members_of_a_union_make_one_fault() -> None:
    assert faults_of("name: x\naxes: [1.5]\n") == ["a.yaml:2: axes.0: received 1.5, expected text or a whole number"]
    assert faults_of("name: x\ncolumns: {t1: 5}\n") == [
        "a.yaml:2: columns.t1: received 5, expected text: put it in quotes"
    ]


def test_wrong_shapes() -> None:
    assert faults_of("name: x\nprepare: zscore\n") == ["a.yaml:2: prepare: received 'zscore', expected a list"]
    assert faults_of("name: x\ninner: 3\n") == ["a.yaml:2: inner: received 3, expected a mapping of settings"]
    (fault,) = faults_of("name: x\nprepare: [{mm: [1, 1, 1]}]\n")
    assert fault.startswith("a.yaml:2: prepare.0.kind: is required and missing, expected one of canonical, ")
