"""What `hilum predict` makes of its options."""

from pathlib import Path
from typing import Any

import pytest

from hilum.cli import main
from hilum.pipeline import prediction
from hilum.pipeline.prediction import Batch


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Keyword arguments that a prediction was called with; nothing is predicted."""
    received: dict[str, Any] = {}

    def predict(*_: object, **options: Any) -> Batch:
        received.update(options)
        return Batch((), ())

    monkeypatch.setattr(prediction, "predict", predict)
    return received


@pytest.mark.parametrize(
    ("size", "gigabytes"), [("8GB", "8"), ("0.5", "0.5"), ("512MB", "0.5"), ("8 g", "8"), ("1536mb", "1.5")]
)
def test_a_budget_of_memory_is_a_setting(called: dict[str, Any], tmp_path: Path, size: str, gigabytes: str) -> None:
    folders = [str(tmp_path / name) for name in ("run", "in", "out")]
    assert main(["predict", *folders, "--memory", size, "runtime.device=cpu"]) == 0
    assert called["overrides"] == ["runtime.device=cpu", f"predict.memory_gb={gigabytes}"]


@pytest.mark.parametrize("size", ["lots", "8TB", "0", "-1GB", ""])
def test_a_size_that_is_none_is_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["predict", "run", "in", "out", f"--memory={size}"])
    assert stopped.value.code == 2
    assert "expected a size such as 8GB or 500MB" in capsys.readouterr().err
