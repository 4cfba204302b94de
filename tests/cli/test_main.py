"""The command: help, exit codes, and errors without tracebacks; `hilum list` and `hilum schema`."""

import argparse
import json
import types
from pathlib import Path

import pytest

from hilum import cli
from hilum.errors import CheckpointError, ConfigError, Fault, TrainingError
from hilum.field_docs import field_docs
from hilum.registry import FAMILIES, kinds, summary


def output_of(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> str:
    assert cli.main([str(word) for word in words]) == code
    said = capsys.readouterr()
    return said.out if code == 0 else said.err


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([verb, "--help"])
    assert left.value.code == 0
    assert cli.VERBS[verb][1:20] in " ".join(capsys.readouterr().out.split())


def test_help_names_every_verb_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    out = capsys.readouterr().out
    for word in (*cli.VERBS, "exit codes", "143"):
        assert word in out
    assert "hilum 0." in output_of(capsys, "--version")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("wrong"), 2, "wrong\n"),
        (ConfigError([Fault("a:1", "b", "c"), Fault("a:2", "", "d")]), 2, "a:1: b: c\na:2: d\n2 problems found\n"),
        (CheckpointError("no weights"), 2, "hilum list: no weights\n"),
        (TrainingError("NaN"), 4, "hilum list: NaN\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (PermissionError(13, "Permission denied", "x.csv"), 2, "hilum list: Permission denied: x.csv\n"),
    ],
)
def test_errors_are_messages_with_exit_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    def run(_: object) -> int:
        raise error

    verb = types.SimpleNamespace(add_arguments=lambda parser: None, run=run)
    monkeypatch.setattr("hilum.cli.importlib.import_module", lambda name: verb)
    assert output_of(capsys, "list", code=code) == said


def test_a_defect_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: object) -> int:
        raise ZeroDivisionError

    verb = types.SimpleNamespace(add_arguments=lambda parser: None, run=run)
    monkeypatch.setattr("hilum.cli.importlib.import_module", lambda name: verb)
    with pytest.raises(ZeroDivisionError):
        cli.main(["list"])


def test_list_shows_families_kinds_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    everything = output_of(capsys, "list")
    for family in FAMILIES:
        assert family in everything.splitlines()
        for kind, component in kinds(family).items():
            assert any(line.split() == [kind, *summary(component).split()] for line in everything.splitlines())
    assert "unet" in output_of(capsys, "list", "networks")
    shown = output_of(capsys, "list", "networks", "unet")
    for name in kinds("networks")["unet"].model_fields:
        assert f"  {name} (" in shown
        assert field_docs(kinds("networks")["unet"])[name].splitlines()[0] in shown


@pytest.mark.parametrize(
    ("words", "overrides"),
    [
        (["train", "x.yaml", "--overwrite", "a=1", "b=2"], ["a=1", "b=2"]),
        (["train", "x.yaml", "a=1", "--overwrite", "b=2"], ["a=1", "b=2"]),
        (["evaluate", "RUN", "--part", "test", "a=1"], ["a=1"]),
    ],
)
def test_settings_may_follow_options(monkeypatch: pytest.MonkeyPatch, words: list[str], overrides: list[str]) -> None:
    received: list[list[str]] = []

    def guarded(parsed: argparse.Namespace) -> int:
        received.append(parsed.overrides)
        return 0

    monkeypatch.setattr(cli, "_guarded", guarded)
    assert cli.main(words) == 0
    assert received == [overrides]


@pytest.mark.parametrize(
    "words", [["train", "x.yaml", "--overwrit", "a=1"], ["schema", "a=1"], ["list", "a", "b", "c"]]
)
def test_what_no_verb_takes_is_refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([*words, "--strange"])
    assert left.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"), [(["network"], "networks"), (["networks", "unett"], "unet"), (["losses", "dicee"], "dice")]
)
def test_list_names_the_nearest(capsys: pytest.CaptureFixture[str], words: list[str], hint: str) -> None:
    assert f"did you mean '{hint}'?" in output_of(capsys, "list", *words, code=2)


def test_schema_goes_to_a_file_and_holds_plugins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        '"""A plugin."""\nfrom hilum.losses.base import LossConfig\n\n\n'
        'class MineConfig(LossConfig, kind="schema_test"):\n    """Mine alone."""\n\n'
        '    strength: float = 1.0\n    """How strong mine is."""\n'
    )
    file = tmp_path / "hilum.schema.json"
    try:
        output_of(capsys, "schema", "--plugin", plugin, "-o", file)
        printed = output_of(capsys, "schema", "--plugin", plugin)
        assert "Mine alone." in output_of(capsys, "list", "losses", "--plugin", plugin)
    finally:
        from hilum import registry

        registry._REGISTRY["losses"].pop("schema_test", None)
    schema = json.loads(file.read_text(encoding="utf-8"))
    assert json.loads(printed) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert '"const": "schema_test"' in json.dumps(schema)
    assert "How strong mine is." in json.dumps(schema)
