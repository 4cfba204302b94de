"""Kinds are found by name, in short and long form, and a user's plugin file adds its own."""

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from hilum import registry
from hilum.errors import PluginError
from hilum.field_docs import field_docs
from hilum.losses.base import LossConfig
from hilum.registry import FAMILIES, kinds, load_plugin, parse, summary

PLUGIN = '''"""A plugin."""
from hilum.losses.base import LossConfig


class {name}Config(LossConfig, kind="{kind}"):
    """A loss of {kind}."""

    strength: float = 0.25
    """How strong it is."""
'''


@pytest.fixture(autouse=True)
def _registry_as_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test's plugin enters is known to that test alone."""
    for family in FAMILIES:
        monkeypatch.setitem(registry._REGISTRY, family, dict(kinds(family)))


def plugin(folder: Path, kind: str, *, file: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / (file or f"{kind}.py")
    path.write_text(PLUGIN.format(name=kind.title(), kind=kind))
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_kinds_with_a_summary(family: str) -> None:
    members = kinds(family)
    assert members
    assert list(members) == sorted(members)
    for kind, member in members.items():
        assert member.kind == kind
        assert summary(member).endswith((".", ")"))
        assert field_docs(member).keys() == member.model_fields.keys()


def test_short_and_long_form_are_the_same() -> None:
    assert parse("losses", "dice_ce") == parse("losses", {"kind": "dice_ce"})
    made = parse("losses", {"kind": "focal"})
    assert parse("losses", made) is made


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_component_dumps_describes_it(family: str) -> None:
    for kind, member in kinds(family).items():
        try:
            component = member()
        except ValidationError:
            continue
        data = component.model_dump(mode="json")
        assert data["kind"] == kind
        assert parse(family, data) == component


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("dice_cee", "received 'dice_cee', expected one of bce, boundary, cldice, cross_entropy, dice"),
        ("dice_cee", "did you mean 'dice_ce'?"),
        ({"weight": 1}, "is required and missing, expected one of"),
        (3, "received 3, expected a mapping with a kind"),
        (None, "received nothing, expected a mapping with a kind"),
        ({"kind": ["dice"]}, "received ['dice'], expected one of"),
        ({"kind": "dice", "smoth": 1}, "unknown key 'smoth'; did you mean 'smooth'?"),
    ],
)
def test_what_no_component_is_described_by(value: object, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse("losses", value)
    assert words in caught.value.errors()[0]["msg"]


def test_a_component_is_frozen() -> None:
    loss = parse("losses", "dice")
    with pytest.raises(ValidationError, match="frozen"):
        loss.kind2 = 1  # type: ignore[attr-defined]


def test_a_plugin_adds_a_kind(tmp_path: Path) -> None:
    file = plugin(tmp_path, "mild_surprise")
    module = load_plugin(file)
    assert kinds("losses")["mild_surprise"].__module__ == module.__name__
    loss = parse("losses", {"kind": "mild_surprise", "strength": 0.5})
    assert isinstance(loss, LossConfig)
    assert load_plugin(file) is module


def test_plugins_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    load_plugin(plugin(tmp_path / "a", "first_of_two", file="mine.py"))
    load_plugin(plugin(tmp_path / "b", "second_of_two", file="mine.py"))
    assert {"first_of_two", "second_of_two"} <= set(kinds("losses"))


def test_a_kind_that_exists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="'dice' of losses exists already"):
        load_plugin(plugin(tmp_path, "dice"))
    assert kinds("losses")["dice"].__module__ == "hilum.losses.dice"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_that_name\n", "broken.py:1: ModuleNotFoundError"),
        ("a = 1\nb = a / 0\n", "broken.py:2: ZeroDivisionError"),
        ("def f(:\n", "SyntaxError"),
        ("import sys\nsys.exit(0)\n", "broken.py:2: SystemExit"),
    ],
)
def test_a_broken_plugin_names_its_line_and_leaves_nothing_behind(tmp_path: Path, text: str, words: str) -> None:
    before = set(sys.modules)
    file = tmp_path / "broken.py"
    file.write_text(text)
    with pytest.raises(PluginError) as caught:
        load_plugin(file)
    assert words in str(caught.value)
    assert not [name for name in set(sys.modules) - before if "plugin" in name]


def test_a_plugin_that_fails_after_its_class_is_forgotten(tmp_path: Path) -> None:
    file = plugin(tmp_path, "half_done")
    file.write_text(file.read_text() + "\nraise RuntimeError('too late')\n")
    with pytest.raises(PluginError, match=r"half_done.py:\d+: RuntimeError while importing it: too late"):
        load_plugin(file)
    assert "half_done" not in kinds("losses")


def test_a_missing_plugin_and_one_that_is_no_python(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no such file"):
        load_plugin(tmp_path / "no.py")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(PluginError, match=r"ending in .py"):
        load_plugin(tmp_path / "notes.txt")


def test_a_changed_plugin_and_a_copy_of_it_take_its_place(tmp_path: Path) -> None:
    file = plugin(tmp_path, "in_versions")
    load_plugin(file)
    text = file.read_text()
    file.write_text(text.replace("0.25", "0.75"))
    load_plugin(file)
    assert parse("losses", "in_versions").model_dump()["strength"] == 0.75
    copy = tmp_path / "run" / file.name
    copy.parent.mkdir()
    copy.write_text(text)
    load_plugin(copy)
    assert parse("losses", "in_versions").model_dump()["strength"] == 0.25
    load_plugin(file)
    assert parse("losses", "in_versions").model_dump()["strength"] == 0.75


def test_a_kind_of_another_plugin_is_refused(tmp_path: Path) -> None:
    load_plugin(plugin(tmp_path, "claimed", file="one.py"))
    with pytest.raises(PluginError, match="'claimed' of losses exists already"):
        load_plugin(plugin(tmp_path, "claimed", file="two.py"))
