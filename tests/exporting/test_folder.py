"""The folder of an export appears complete or not at all, and replaces nothing but an export."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from hilum.errors import ConfigError
from hilum.exporting.folder import MARK, appearing, refuse_taken
from hilum.training.interrupt import Interrupted


def export(folder: Path, content: str = "1") -> None:
    with appearing(folder) as part:
        (part / MARK).write_text(content)


def test_a_folder_appears_once_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out"
    with appearing(target) as part:
        (part / MARK).write_text("{}")
        assert not target.exists()
    assert [file.name for file in target.iterdir()] == [MARK]
    assert target.stat().st_mode & 0o777 == target.parent.stat().st_mode & 0o777
    assert list(target.parent.iterdir()) == [target]


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    export(tmp_path / "out", "before")
    with pytest.raises(RuntimeError), appearing(tmp_path / "out") as part:  # noqa: PT012 (what fails is in the middle)
        (part / MARK).write_text("half")
        raise RuntimeError
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / MARK).read_text() == "before"


def test_nothing_is_left_where_the_process_is_told_to_end(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as stopped, appearing(tmp_path / "out"):
        os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.value.exit_code == 143
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_export_is_replaced_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "out"
    export(target, "old")
    with pytest.raises(ConfigError, match="exists already: replace it with --overwrite"):
        refuse_taken(target, overwrite=False)
    refuse_taken(target, overwrite=True)
    export(target, "new")
    assert (target / MARK).read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_anything_else_is_left_as_it_is(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in (MARK, "config.yaml"):
        (run / name).touch()
    (tmp_path / "photos").mkdir()
    (tmp_path / "file").touch()
    for name in ("run", "photos", "file"):
        with pytest.raises(ConfigError, match="is no export of hilum"):
            refuse_taken(tmp_path / name, overwrite=True)
    refuse_taken(tmp_path / "absent", overwrite=False)
