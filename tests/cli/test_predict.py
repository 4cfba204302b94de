"""The words of `hilum predict`: runs, then input and output, and settings wherever they stand."""

from pathlib import Path

import pytest

from hilum import cli
from hilum.cli.predict import divided
from hilum.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "runs", "settings"),
    [
        (["r", "in", "out"], ["r"], []),
        (["r", "s", "t", "in", "out", "predict.overlap=0.25"], ["r", "s", "t"], ["predict.overlap=0.25"]),
        (["r", "runtime.device=cpu", "in", "out"], ["r"], ["runtime.device=cpu"]),
        (["runs/lr=0.1", "./in=1", "/out=2"], ["runs/lr=0.1"], []),
    ],
)
def test_the_last_two_paths_are_input_and_output(words: list[str], runs: list[str], settings: list[str]) -> None:
    *_, source, output = [word for word in words if word not in settings]
    assert divided(words) == ([Path(run) for run in runs], Path(source), Path(output), settings)


def test_too_few_paths_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected three paths at least, received r, in"):
        divided(["r", "in", "predict.overlap=0.25"])


@pytest.mark.parametrize(
    ("words", "hint"),
    [(["--weights", "1,two"], "expected numbers such as 2,1,1"), (["--memory", "much"], "such as 8GB")],
)
def test_options_are_checked_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], words: list[str], hint: str
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["predict", "run", "in", "out", *words])
    assert hint in capsys.readouterr().err


def test_only_two_verbs_work_on_several_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "run"])
    assert "only train and predict work on several processes" in capsys.readouterr().err
