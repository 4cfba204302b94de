"""Full disks, lost folders, damaged checkpoints, spoilt steps, too little memory: told, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tests.journeys.conftest import Hilum, parts, read_json, read_log

from hilum.formats import atomic
from hilum.training.trainer import Trainer


def weights(run: Path) -> str:
    return str(read_json(run / "provenance.json")["weights_sha256"])


def same(run: Path, trained: Path) -> bool:
    return weights(run) == weights(trained) and read_log(run) == read_log(trained)


# ---------------------------------------------------------------------------------------------- checkpoints
def test_a_damaged_checkpoint_names_the_one_before(hilum: Hilum, own_run: Path, trained: Path) -> None:
    last, previous = (own_run / "checkpoints" / f"{name}.pt" for name in ("last", "previous"))
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    hilum("train", "--resume", own_run).refuses("last.pt", "The one before is whole (epoch 1", f"--resume {previous}")
    assert last.read_bytes() == content
    resumed = hilum("train", "--resume", previous)
    assert resumed.code == 0, resumed.text
    assert same(own_run, trained)
    assert read_json(own_run / "provenance.json")["lineage"][-1]["epoch"] == 1
    hilum("train", "--resume", own_run / "checkpoints" / "best.pt").refuses("expected the run folder")
    previous.write_bytes(b"")
    last.write_bytes(content)
    damaged = hilum("train", "--resume", own_run)
    damaged.refuses("last.pt")
    assert "one before is whole" not in damaged.text


def test_a_resume_in_the_middle_of_an_epoch_may_extend_the_run(
    hilum: Hilum, write_config: Callable[..., Path], alarm: Path, tmp_path: Path
) -> None:
    """With a constant rate, more epochs change nothing before them: a run of four is the oracle."""
    trigger = tmp_path / "trigger"
    config = write_config(tmp_path, more=f"plugins: [{alarm.name}]\n")
    words = ["schedule=constant", f"data.augment=[noise, {{kind: alarm, trigger: {trigger}}}]"]
    trigger.write_text("sample 6 SIGTERM")
    assert hilum("train", config, *words).code == 143
    run = tmp_path / "runs" / "tiny"
    resumed = hilum("train", "--resume", run, "train.epochs=4")
    assert resumed.code == 0, resumed.text
    assert hilum("train", config, *words, "train.epochs=4", "name=through").code == 0
    assert same(run, tmp_path / "runs" / "through")
    (entry,) = read_json(run / "provenance.json")["lineage"]
    assert entry["overrides"] == ["train.epochs=4"]
    assert entry["step"] > 0


# ---------------------------------------------------------------------------------------------------- disks
def test_a_disk_that_is_full_for_a_while(
    hilum: Hilum, write_config: Callable[..., Path], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, written = tmp_path / "runs" / "tiny", atomic.write_whole
    room = iter([True] * 1)

    def full(path: Path, content: bytes) -> None:
        if path.name == "last.pt" and not next(room, False):
            raise OSError(28, "No space left on device", str(path))
        written(path, content)

    with monkeypatch.context() as patched:
        patched.setattr("hilum.training.checkpoint.write_whole", full)
        stopped = hilum("train", write_config(tmp_path))
    stopped.refuses("last.pt cannot be written: No space left on device", "resume", code=4)
    resumed = hilum("train", "--resume", run)
    assert resumed.code == 0, resumed.text
    assert same(run, trained)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("a small file system needs root and mount")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no small file system here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_real_disk_that_is_full(
    hilum: Hilum, write_config: Callable[..., Path], trained: Path, small_disk: Path, tmp_path: Path
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(1798 * 1024))
    stopped = hilum("train", write_config(tmp_path), f"runs={small_disk}")
    stopped.refuses("No space left on device", "resume", code=4)
    filler.unlink()
    resumed = hilum("train", "--resume", small_disk / "tiny")
    assert resumed.code == 0, resumed.text
    assert same(small_disk / "tiny", trained)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    hilum("train", "--resume", small_disk / "tiny", "train.epochs=3").refuses("cannot be written", "Read-only")


def test_a_folder_that_becomes_read_only(
    hilum: Hilum, write_config: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        raise OSError(30, "Read-only file system", "log.jsonl")

    monkeypatch.setattr("hilum.tracking.jsonl.append", read_only)
    stopped = hilum("train", write_config(tmp_path))
    stopped.refuses("the run folder cannot be written: Read-only file system (log.jsonl)", "--resume", code=4)


def test_training_goes_on_without_tensorboard(
    hilum: Hilum, write_config: Callable[..., Path], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, backward = tmp_path / "runs" / "tiny", Trainer._backward

    def losing(self: Trainer, group: list) -> float:
        shutil.rmtree(run / "tensorboard", ignore_errors=True)
        return backward(self, group)

    monkeypatch.setattr(Trainer, "_backward", losing)
    done = hilum("train", write_config(tmp_path))
    assert done.code == 0, done.text
    assert done.out.count("no more curves in TensorBoard's folder") == 1
    assert same(run, trained)


# -------------------------------------------------------------------------------------------- spoilt steps
def test_the_cases_of_a_spoilt_step_are_written_down(
    hilum: Hilum, write_config: Callable[..., Path], alarm: Path, tmp_path: Path
) -> None:
    trigger, run = tmp_path / "trigger", tmp_path / "runs" / "tiny"
    config = write_config(tmp_path, more=f"plugins: [{alarm.name}]\n")
    words = [f"data.augment=[noise, {{kind: alarm, trigger: {trigger}}}]"]
    trigger.write_text("sample 2 nan")
    assert hilum("train", config, *words).code == 4
    (entry,) = map(json.loads, (run / "spoilt_steps.jsonl").read_text().splitlines())
    assert (entry["step"], entry["what"], entry["value"], entry["then"]) == (0, "loss", "nan", "stopped")
    assert 0 < len(entry["cases"]) <= 2
    assert set(entry["cases"]) <= parts(run)["train"]
    trigger.write_text("sample 2 nan")
    skipped = hilum("train", config, *words, "train.on_nan=skip", "name=skip")
    assert skipped.code == 0, skipped.text
    assert (
        f"skipped a step: the loss became nan in epoch 0, step 0, on the cases {', '.join(entry['cases'])}"
        in skipped.out
    )
    (again,) = map(json.loads, (run.with_name("skip") / "spoilt_steps.jsonl").read_text().splitlines())
    assert again == {**entry, "then": "skipped"}
    assert [line.get("skipped", 0) for line in read_log(run.with_name("skip"))] == [1, 0]


# -------------------------------------------------------------------------------------------------- memory
@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory: 9")]
)
def test_out_of_memory_says_what_to_lower_and_to_what(
    hilum: Hilum,
    write_config: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    def too_much(*_: object) -> float:
        raise error

    monkeypatch.setattr(Trainer, "_backward", too_much)
    config = write_config(tmp_path)
    first = hilum("train", config, "data.batch_size=4", "train.accumulate=3")
    first.refuses("out of memory", "set data.batch_size=2 train.accumulate=6 (", "--resume", code=4)
    estimates = [float(text) for text in re.findall(r"([\d.]+) GiB", first.err)]
    assert estimates[0] >= estimates[2] > 0
    second = hilum("train", config, "data.batch_size=1", "name=small")
    second.refuses("out of memory", "set data.patch.size=[8, 16, 16] (", "in a new run", code=4)
