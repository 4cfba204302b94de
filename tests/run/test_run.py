"""The run folder: made once, replaced only when it certainly is one, and whole after every write."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hilum.config import read
from hilum.errors import CheckpointError, ConfigError, DataError, TrainingError
from hilum.evaluation.ledger import count_looks
from hilum.evaluation.rows import Row
from hilum.run import Run, create, lock, now, open_run, write_text
from hilum.training import checkpoint


def made(folder: Path) -> Run:
    run = create(folder, overwrite=False)
    run.write_config({"name": "x", "train": {"epochs": 3}})
    run.write_json(run.provenance, {"seed": 17})
    return run


def look(run: Run) -> int:
    return run.record_look("test", config_sha256="c", checkpoint_sha256="w", scores={"dice": 0.5})


# ------------------------------------------------------------------------------------------------ create
def test_a_new_folder_is_made_with_its_parents(run_folder: Path) -> None:
    run = create(run_folder, overwrite=False)
    assert run == Run(run_folder)
    assert run.checkpoint("best").parent.is_dir()


def test_an_empty_folder_may_be_used(run_folder: Path) -> None:
    run_folder.mkdir(parents=True)
    create(run_folder, overwrite=False)


def test_an_existing_run_is_refused_with_the_ways_on(run_folder: Path) -> None:
    run = made(run_folder)
    with pytest.raises(ConfigError) as caught:
        create(run_folder, overwrite=False)
    for way in (f"--resume {run_folder}", "--overwrite", "name="):
        assert way in str(caught.value)
    assert run.config.exists()


def test_overwriting_leaves_nothing_but_the_ledger(run_folder: Path) -> None:
    run = made(run_folder)
    assert look(run) == 1
    run.record({"epoch": 0})
    run.save("last", tensors={"model": {}}, facts={})
    again = create(run_folder, overwrite=True)
    assert sorted(path.name for path in run_folder.iterdir()) == ["checkpoints", "test_ledger.jsonl"]
    assert not again.checkpoint("last").exists()
    assert count_looks(run_folder / "test_ledger.jsonl") == 1
    assert look(again) == 2  # looks at the test part are not forgotten by starting over


def test_a_start_that_was_killed_is_in_nobodys_way(run_folder: Path) -> None:
    run = create(run_folder, overwrite=False)
    run.write_config({"name": "x"})
    with pytest.raises(CheckpointError, match="stopped before the run was there: start it again"):
        open_run(run_folder)
    assert create(run_folder, overwrite=False) == run
    assert not run.config.exists()


def test_overwriting_needs_nothing_to_be_there(run_folder: Path) -> None:
    assert create(run_folder, overwrite=True).folder.is_dir()


@pytest.mark.parametrize("content", [{"thesis.tex": "years"}, {"config.yaml": "name: mine\n"}])
def test_overwrite_never_removes_what_is_no_run(run_folder: Path, content: dict[str, str]) -> None:
    run_folder.mkdir(parents=True)
    for name, text in content.items():
        (run_folder / name).write_text(text)
    with pytest.raises(ConfigError, match=r"not a run folder .* left as it is"):
        create(run_folder, overwrite=True)
    assert {path.name: path.read_text() for path in run_folder.iterdir()} == content


def test_overwrite_never_removes_a_file_or_what_a_link_leads_to(tmp_path: Path) -> None:
    run = made(tmp_path / "real")
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(run.folder)
    for name in ("file", "link"):
        with pytest.raises(ConfigError, match="not a folder of its own"):
            create(tmp_path / name, overwrite=True)
        with pytest.raises(ConfigError, match="exists already"):
            create(tmp_path / name, overwrite=False)
    assert run.config.exists()


def test_overwrite_never_removes_the_folder_one_stands_in(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(run_folder)
    monkeypatch.chdir(run.folder / "checkpoints")
    with pytest.raises(ConfigError, match="started inside"):
        create(run_folder, overwrite=True)
    assert run.config.exists()


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ConfigError, match=r"cannot be written: Not a directory; choose another with runs=FOLDER"):
        create(tmp_path / "runs" / "x", overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_read_only_place_is_explained(run_folder: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    if overwrite:
        made(run_folder)
        monkeypatch.setattr(shutil, "rmtree", refused)
    else:
        monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(ConfigError, match=r"cannot be written: Permission denied; choose another with runs="):
        create(run_folder, overwrite=overwrite)


# -------------------------------------------------------------------------------------------------- open
def test_a_run_is_opened(run_folder: Path) -> None:
    assert open_run(made(run_folder).folder) == Run(run_folder)


def test_what_is_no_run_is_refused_with_the_runs_beside_it(tmp_path: Path) -> None:
    made(tmp_path / "hippocampus")
    made(tmp_path / "pneumonia")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"no such folder.*hippocampus, pneumonia.*did you mean 'hippocampus'"):
        open_run(tmp_path / "hipocampus")
    with pytest.raises(CheckpointError, match=r"it has no config\.yaml"):
        open_run(tmp_path / "empty")
    with pytest.raises(CheckpointError, match=r"no such folder$"):
        open_run(tmp_path / "nowhere" / "x")


# ----------------------------------------------------------------------------------------------- content
def test_the_configuration_reads_back_as_it_was(run_folder: Path) -> None:
    data = {"name": "001", "flag": "no", "lr": 1e-3, "nested": {"list": [1, 2.5, None], "text": "a: b"}}
    run = create(run_folder, overwrite=False)
    run.write_config(data)
    assert read(run.config).data == data


def test_json_reads_back_and_is_empty_before(run_folder: Path) -> None:
    run = create(run_folder, overwrite=False)
    assert run.read_json(run.provenance) == {}
    run.write_json(run.provenance, {"device": "cpu", "name": "é", "value": 0.1 + 0.2})
    assert run.read_json(run.provenance) == {"device": "cpu", "name": "é", "value": 0.1 + 0.2}


def test_the_log_goes_back_to_an_epoch(run_folder: Path) -> None:
    run = made(run_folder)
    run.forget_after(0, 0)
    for epoch in range(4):
        run.record({"epoch": epoch})
    run.forget_after(2, 0)
    assert run.log.read_text() == '{"epoch": 0}\n{"epoch": 1}\n'


def row(case: str, part: str, **scores: float) -> Row:
    return {"case_id": case, "patient_id": case, "part": part, "class": "organ", **scores}


def test_rows_of_a_part_replace_those_of_the_same_part(run_folder: Path) -> None:
    run = made(run_folder)
    run.write_rows([row("1", "val", dice=0.5)], "val")
    run.write_rows([row("2", "test", dice=0.25)], "test")
    run.write_rows([row("1", "val", dice=0.75)], "val")
    assert run.read_rows("val") == [row("1", "val", dice=0.75)]
    assert run.read_rows("test") == [row("2", "test", dice=0.25)]


def test_rows_of_other_metrics_are_not_mixed(run_folder: Path) -> None:
    run = made(run_folder)
    run.write_rows([row("1", "val", dice=0.5)], "val")
    with pytest.raises(ConfigError, match="holds the part val scored with other metrics"):
        run.write_rows([row("2", "test", iou=0.5)], "test")
    assert run.read_rows("val") == [row("1", "val", dice=0.5)]


def test_no_rows_empty_a_part_and_make_no_table(run_folder: Path) -> None:
    run = made(run_folder)
    with pytest.raises(DataError, match="0 rows"):
        run.write_rows([], "val")
    run.write_rows([row("1", "val", dice=0.5), row("2", "test", dice=0.5)], "val")
    run.write_rows([], "test")
    assert run.read_rows("test") == []
    assert run.read_rows("val") == [row("1", "val", dice=0.5)]


def test_summaries_stand_side_by_side(run_folder: Path) -> None:
    run = made(run_folder)
    run.write_summary({"dice": 0.5}, "val")
    run.write_summary({"dice": 0.25}, "test")
    run.write_summary({"dice": 0.75}, "val")
    assert run.read_json(run.summary) == {"val": {"dice": 0.75}, "test": {"dice": 0.25}}


def test_the_best_checkpoint_is_scored_where_there_is_one(run_folder: Path) -> None:
    run = made(run_folder)
    run.save("last", tensors={"w": torch.ones(1)}, facts={"epoch": 1})
    assert run.scored_checkpoint == run.checkpoint("last")
    run.save("best", tensors={"w": torch.zeros(1)}, facts={"epoch": 0})
    assert run.scored_checkpoint == run.checkpoint("best")
    tensors, facts = checkpoint.load(run.scored_checkpoint)
    assert (tensors["w"].item(), facts) == (0.0, {"epoch": 0})


def test_a_text_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "split.csv"
    write_text(file, "before\r\n")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match=r"split\.csv cannot be written: No space left"):
        write_text(file, "after")
    assert file.read_bytes() == b"before\r\n"
    assert list(tmp_path.iterdir()) == [file]


def test_the_time_is_in_utc() -> None:
    assert now().endswith("+00:00")


def test_a_run_folder_is_trained_in_by_one_process_at_a_time(run_folder: Path) -> None:
    code = "import sys; from pathlib import Path; from hilum.run import lock\nwith lock(Path(sys.argv[1])): pass"
    words = [sys.executable, "-c", code, str(run_folder)]
    with lock(run_folder):
        other = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "another process is training" in other.stderr
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_a_crash_leaves_no_lock(run_folder: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from hilum.run import lock\n"
        "with lock(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(run_folder)], check=False).returncode == -9
    with lock(run_folder):
        pass


def test_the_last_checkpoint_but_one_is_kept(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(run_folder)
    kept = []
    for epoch in range(3):
        run.save("last", tensors={"w": torch.full((1,), epoch)}, facts={"epoch": epoch})
        kept.append(
            [
                run.checkpoint(name).exists() and checkpoint.load(run.checkpoint(name))[1]["epoch"]
                for name in ("previous", "last")
            ]
        )
    assert kept == [[False, 0], [0, 1], [1, 2]]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TrainingError, match="No space left"):
        run.save("last", tensors={"w": torch.zeros(1)}, facts={"epoch": 3})
    monkeypatch.undo()
    assert [checkpoint.load(run.checkpoint(name))[1]["epoch"] for name in ("previous", "last")] == [1, 2]
    assert sorted(file.name for file in (run_folder / "checkpoints").iterdir()) == ["last.pt", "previous.pt"]


def test_without_hard_links_the_last_but_one_is_a_copy(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", unsupported)
    run = made(run_folder)
    for epoch in range(2):
        run.save("last", tensors={}, facts={"epoch": epoch})
    assert checkpoint.load(run.checkpoint("previous"))[1] == {"epoch": 0}


def test_a_damaged_json_file_is_named(run_folder: Path) -> None:
    run = made(run_folder)
    run.summary.write_text("{")
    with pytest.raises(CheckpointError, match=r"summary\.json is damaged"):
        run.read_json(run.summary)
