"""The words of `hilum predict`: runs, then input and output, and settings wherever they stand."""

from pathlib import Path
from typing import Any

import pytest

from hilum import cli
from hilum.cli.predict import divided
from hilum.errors import ConfigError
from hilum.pipeline import predicting
from hilum.pipeline.predicting import Batch


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
    [(["--weights", "1,two"], "expected numbers such as 2,1,1"), (["--weights", ""], "expected numbers")],
)
def test_options_are_checked_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], words: list[str], hint: str
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["predict", "run", "in", "out", *words])
    assert hint in capsys.readouterr().err


def test_few_verbs_work_on_several_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "run"])
    assert "only train, predict, crossval work on several processes" in capsys.readouterr().err


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Keyword arguments that a prediction was called with; nothing is predicted."""
    received: dict[str, Any] = {}

    def predict(*_: object, **options: Any) -> Batch:
        received.update(options)
        return Batch((), ())

    monkeypatch.setattr(predicting, "predict", predict)
    return received


@pytest.mark.parametrize(
    ("size", "gigabytes"), [("8GB", "8"), ("0.5", "0.5"), ("512MB", "0.5"), ("8 g", "8"), ("1536mb", "1.5")]
)
def test_a_budget_of_memory_is_a_setting(called: dict[str, Any], tmp_path: Path, size: str, gigabytes: str) -> None:
    folders = [str(tmp_path / name) for name in ("run", "in", "out")]
    assert cli.main(["predict", *folders, "--memory", size, "runtime.device=cpu"]) == 0
    assert called["overrides"] == ["runtime.device=cpu", f"predict.memory_gb={gigabytes}"]


@pytest.mark.parametrize("size", ["lots", "8TB", "0", "-1GB", ""])
def test_a_size_that_is_none_is_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["predict", "run", "in", "out", f"--memory={size}"])
    assert stopped.value.code == 2
    assert "expected a size such as 8GB or 500MB" in capsys.readouterr().err


def test_what_is_written_besides_labels_is_a_setting_which_the_words_may_refine(
    called: dict[str, Any], tmp_path: Path
) -> None:
    folders = [str(tmp_path / name) for name in ("run", "in", "out")]
    options = ["--overlays", "predict.probabilities=uint8", "--probabilities", "--dicom-seg"]
    assert cli.main(["predict", *folders, *options]) == 0
    asked = ["predict.probabilities=true", "predict.dicom_seg=true", "predict.overlays=true"]
    assert called["overrides"] == [*asked, "predict.probabilities=uint8"]
