"""The folder of outputs: one process a part, one division at a time, and nothing half-written that stays."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from hilum.case import Case, ImageRef
from hilum.errors import ConfigError, DataError, OutputError
from hilum.pipeline.predicting.folder import OutputFolder, alone_in, clear_parts, open_output, writing_to
from hilum.pipeline.predicting.shards import WHOLE, Shard


def opened(folder: Path, shard: Shard = WHOLE) -> OutputFolder:
    return open_output(folder / "out", folder / "in", [], shard)


def test_a_part_is_done_by_one_process(tmp_path: Path) -> None:
    output = opened(tmp_path, Shard(1, 2))
    with alone_in(output) as locked:
        assert locked
        with pytest.raises(ConfigError, match="part 1/2"), alone_in(output):
            pass
        with alone_in(opened(tmp_path, Shard(2, 2))):  # another part of the same division
            pass
        with (
            pytest.raises(ConfigError, match=r"part 1/2 .* this one was to do 1/3"),
            alone_in(opened(tmp_path, Shard(1, 3))),
        ):
            pass
        with pytest.raises(ConfigError, match="divide the batch in one way"), alone_in(opened(tmp_path)):
            pass
    with alone_in(opened(tmp_path)):  # who has ended holds no lock
        pass


def test_a_file_system_without_locks_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", none)
    with alone_in(opened(tmp_path)) as locked:
        assert not locked


def touch(folder: Path, *names: str) -> set[str]:
    for name in names:
        (folder / name).touch()
    return set(names)


def left(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if file.is_file()}


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    output = opened(tmp_path)
    kept = touch(output.path, "a.nii.gz", ".hidden", "b.part", ".c.part")
    touch(output.path, ".a.nii.gz.123.part", ".results.csv.7.part")
    assert clear_parts(output, ["a"]) == 2
    assert left(output.path) == kept


def test_what_other_parts_are_writing_stays(tmp_path: Path) -> None:
    output = opened(tmp_path, Shard(1, 2))
    kept = touch(output.path, ".theirs.nii.gz.123.part", ".a.nii.gz.9.part", ".results.csv.7.part")
    touch(output.path, ".ours.nii.gz.123.part", ".dotted.x.png.4.part")
    touch(output.tables, ".results.csv.8.part")
    assert clear_parts(output, ["ours", "dotted.x"]) == 3
    assert left(output.path) == kept
    assert left(output.tables) == set()


def test_outputs_do_not_lie_among_inputs(tmp_path: Path) -> None:
    case = Case("a", "a", (ImageRef(tmp_path / "in" / "a.nii"),))
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match="holds the images"):
        open_output(tmp_path / "in", tmp_path / "cases.csv", [case], WHOLE)
    with pytest.raises(DataError, match="take outputs for inputs"):
        open_output(tmp_path / "in" / "out", tmp_path / "in", [case], WHOLE)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").touch()
    with pytest.raises(DataError, match="is a run folder"):
        open_output(tmp_path / "run", tmp_path / "in", [case], WHOLE)


def test_a_folder_that_fails_is_said_with_what_to_do(tmp_path: Path) -> None:
    output, full = opened(tmp_path), OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(OutputError, match=r"No space left on device.*the same command again") as raised,
        writing_to(output),
    ):
        raise full
    assert raised.value.exit_code == 4
