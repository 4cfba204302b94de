"""A batch that is killed, divided or out of disk: nothing lost, nothing twice, nothing half-written."""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib.metadata
import io
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tests.journeys.conftest import Hilum, nifti, read_csv, read_json

KILLS = 6
POLL_S = 0.0005
PATIENCE_S = 60.0
GOOD, SIZE = 12, 12


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny volumes in nested folders, and files that are broken in one way each."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "ward").mkdir()
    rng, affine = np.random.default_rng(5), np.diag([4.0, 4.0, 4.0, 1.0])
    for number in range(GOOD):
        voxels = rng.normal(size=(SIZE, SIZE, SIZE + number % 3)).astype(np.float32)
        nib.save(nib.Nifti1Image(voxels, affine), folder / ("ward" if number % 2 else "") / f"v{number:02d}.nii.gz")
    voxels = np.asarray(nifti(folder / "v00.nii.gz").dataobj)
    content = (folder / "v00.nii.gz").read_bytes()

    def save(name: str, values: np.ndarray, matrix: np.ndarray = affine) -> None:
        nib.save(nib.Nifti1Image(values, matrix), folder / name)

    (folder / "a_truncated.nii.gz").write_bytes(content[: len(content) // 2])
    (folder / "b_empty.nii").write_bytes(b"")
    (folder / "c_text.nii.gz").write_bytes(gzip.compress(b"not an image at all" * 40))
    (folder / "v03b_damaged.nii.gz").write_bytes(content[:200] + bytes(20) + content[220:])
    save("v04b_nan.nii.gz", np.full_like(voxels, np.nan))
    save("v05b_metres.nii.gz", voxels, np.diag([400.0, 400.0, 400.0, 1.0]))
    save("v06b_specks.nii.gz", np.concatenate([voxels, voxels]), np.diag([1e-4, 1e-4, 1e-4, 1.0]))
    save("v07b_slice.nii.gz", voxels[:, :, :1])
    save("v08b_vectors.nii.gz", np.stack([voxels, voxels], axis=-1)[:, :, :, None])
    (folder / "v09b_gone.nii.gz").symlink_to(folder / "nowhere.nii.gz")
    return folder


@pytest.fixture(scope="module")
def undisturbed(hilum: Hilum, trained: Path, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of a batch that ran through."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    done = hilum("predict", trained, archive, out)
    assert done.code == 3, done.text
    assert f"{GOOD} predicted, 10 failed" in done.out
    return out


def forked(*words: object) -> int:
    """`hilum WORD...` in a process of its own that has loaded all libraries already; gives its number."""
    from hilum.cli import main

    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with redirect_stdout(io.StringIO()):
            code = main([str(word) for word in words])
    finally:  # whatever happens, it is not a second pytest
        os._exit(code)


def ended(child: int) -> int:
    """The exit code of a process. Kills it where it takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_S)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def untimed(table: Path) -> list[dict[str, str]]:
    return [{name: cell for name, cell in row.items() if name != "seconds"} for row in read_csv(table)]


def assert_same(out: Path, expected: Path) -> None:
    """Outputs to the byte, and tables but for what a clock says; nothing unfinished is left."""
    volumes = {file.name: file.read_bytes() for file in expected.glob("*.nii.gz")}
    assert {file.name: file.read_bytes() for file in out.glob("*.nii.gz")} == volumes
    for table in ("results.csv", "failures.csv"):
        assert untimed(out / table) == untimed(expected / table), table
    assert [str(file) for file in out.rglob("*") if file.name.endswith(".part")] == []
    assert read_json(out / "provenance.json")["complete"]


def finished(out: Path) -> list[str]:
    """The cases that the journals call finished, as often as they do."""
    lines = [line for file in (out / ".hilum").glob("*.jsonl") for line in file.read_text().splitlines()]
    entries = [json.loads(line) for line in lines]
    return [entry["row"]["case_id"] for entry in entries if "row" in entry]


def tables_are_readable(out: Path) -> None:
    for file in out.rglob("*.csv"):
        with file.open(newline="") as stream:
            assert all(None not in row and None not in row.values() for row in csv.DictReader(stream)), file


def kill_at(child: int, out: Path, lines: int, delay_s: float, part: str = "1-of-1") -> bool:
    """Kill a process with -9 a moment after its journal has grown by so many lines; False where it ended before."""
    journal = out / ".hilum" / f"{part}.jsonl"
    before = journal.read_bytes().count(b"\n") if journal.exists() else 0
    deadline = time.monotonic() + PATIENCE_S
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        grown = journal.read_bytes().count(b"\n") - before if journal.exists() else 0
        if grown >= lines or time.monotonic() > deadline:
            time.sleep(delay_s)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True
        time.sleep(POLL_S)
    return False


def test_killed_at_any_instant(hilum: Hilum, trained: Path, archive: Path, undisturbed: Path, tmp_path: Path) -> None:
    out, rng = tmp_path / "out", random.Random(7)
    places: dict[str, tuple[int, int]] = {}
    killed = 0
    for _ in range(KILLS):
        child = forked("predict", trained, archive, out)
        killed += kill_at(child, out, lines=rng.randrange(2, 28), delay_s=rng.uniform(0, 0.02))
        tables_are_readable(out)
        for name in finished(out):
            stat = (out / f"{name}.nii.gz").stat()
            assert places.setdefault(name, (stat.st_ino, stat.st_mtime_ns)) == (stat.st_ino, stat.st_mtime_ns), name
    assert killed > KILLS / 2
    assert places
    done = hilum("predict", trained, archive, out)
    assert done.code == 3, done.text
    assert_same(out, undisturbed)
    for name, place in places.items():
        stat = (out / f"{name}.nii.gz").stat()
        assert (stat.st_ino, stat.st_mtime_ns) == place, f"{name} was finished and was predicted again"
    assert sorted(finished(out)) == sorted({*finished(out)})
    assert len(finished(out)) == GOOD


def test_the_origin_of_a_batch_is_told(trained: Path, archive: Path, undisturbed: Path) -> None:
    facts = read_json(undisturbed / "provenance.json")
    (network,) = facts["setup"]["networks"]
    assert network["weights_sha256"] == read_json(trained / "provenance.json")["weights_sha256"]
    assert (network["run"], facts["input"]) == (str(trained), str(archive))
    assert network["predict"]["overlap"] == 0.5
    assert facts["setup"]["precision"] == "float32"
    (session,) = facts["sessions"]
    assert session["versions"]["torch"] == importlib.metadata.version("torch")
    assert (session["predicted"], session["kept"], session["failed"]) == (GOOD, 0, 10)
    assert session["started"] <= session["ended"]
    rows = read_csv(undisturbed / "results.csv")
    assert {row["setup_sha256"] for row in rows} == {facts["setup_sha256"]}
    for row in rows:
        written = (undisturbed / row["output"]).read_bytes()
        assert row["output_sha256"] == hashlib.sha256(written).hexdigest()


def test_a_restart_does_what_has_changed(
    hilum: Hilum, trained: Path, archive: Path, undisturbed: Path, tmp_path: Path
) -> None:
    inputs, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(archive, inputs, symlinks=True)
    shutil.copytree(undisturbed, out)
    again = hilum("predict", trained, inputs, out)
    assert f"{GOOD} cases finished before" in again.out
    assert finished(out) == finished(undisturbed)

    shutil.copy(
        inputs / "v00.nii.gz", inputs / "v02.nii.gz"
    )  # another image, a mended one, a broken one, a lost output
    shutil.copy(inputs / "v00.nii.gz", inputs / "a_truncated.nii.gz")
    shutil.copy(inputs / "b_empty.nii", inputs / "v04.nii.gz")
    (out / "v06.nii.gz").unlink()
    done = hilum("predict", trained, inputs, out)
    assert done.code == 3
    assert finished(out)[GOOD:] == ["a_truncated", "v02", "v06"]
    assert (out / "v02.nii.gz").read_bytes() == (undisturbed / "v00.nii.gz").read_bytes()
    assert (out / "v06.nii.gz").read_bytes() == (undisturbed / "v06.nii.gz").read_bytes()
    assert not (out / "v04.nii.gz").exists()  # it was that of another image
    assert "v04" in {row["case_id"] for row in read_csv(out / "failures.csv")}

    assert hilum("predict", trained, inputs, out, "predict.overlap=0.25").code == 3
    assert len(finished(out)) == 2 * GOOD + 3
    assert hilum("predict", trained, inputs, out, "predict.overlap=0.25", "--redo").code == 3
    assert len(finished(out)) == 3 * GOOD + 3


def test_a_case_at_which_processes_die_comes_last(
    hilum: Hilum, trained: Path, archive: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / ".hilum").mkdir(parents=True)
    (out / ".hilum" / "1-of-1.jsonl").write_text('{"begun": "v00"}\n{"begun": "v02"}\n{"begun": "v00"}\n')
    done = hilum("predict", trained, archive, out)
    told = [line.split()[1] for line in done.out.splitlines() if line.endswith("done")]
    assert told[-2:] == ["v02", "v00"]
    assert_same(out, undisturbed)


@pytest.mark.parametrize("count", [2, 4])
def test_parts_side_by_side_are_one_batch(
    trained: Path, archive: Path, undisturbed: Path, tmp_path: Path, count: int
) -> None:
    out = tmp_path / "out"
    children = [
        forked("predict", trained, archive, out, "--shard", f"{number}/{count}") for number in range(1, count + 1)
    ]
    assert {ended(child) for child in children} <= {0, 3}
    assert_same(out, undisturbed)
    assert sorted(finished(out)) == sorted(finished(undisturbed))
    parts = [read_csv(folder / "results.csv") for folder in (out / "shards").iterdir()]
    assert sum(map(len, parts)) == GOOD
    assert set(read_json(out / "provenance.json")["parts"]) == {f"{number}/{count}" for number in range(1, count + 1)}


def test_a_part_that_was_killed_is_started_again(
    trained: Path, archive: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("predict", trained, archive, out, "--shard")
    assert kill_at(forked(*words, "1/2"), out, lines=6, delay_s=0, part="1-of-2")
    before = {name: (out / f"{name}.nii.gz").stat().st_mtime_ns for name in finished(out)}
    assert before
    assert ended(forked(*words, "2/2")) in (0, 3)
    assert not (out / "results.csv").exists()  # which would look like all of the batch
    assert ended(forked(*words, "1/2")) in (0, 3)
    assert_same(out, undisturbed)
    assert sorted(finished(out)) == sorted(finished(undisturbed))
    assert {name: (out / f"{name}.nii.gz").stat().st_mtime_ns for name in before} == before


def test_another_division_takes_over_what_is_finished(
    hilum: Hilum, trained: Path, archive: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = hilum("predict", trained, archive, out, "--shard", "1/2")
    assert "the last part to end writes" in first.out
    assert not (out / "results.csv").exists()
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert "as torchrun says" in hilum("predict", trained, archive, out).out
    monkeypatch.undo()
    whole = hilum("predict", trained, archive, out)
    assert "finished before" in whole.out
    assert_same(out, undisturbed)
    assert sorted(finished(out)) == sorted(finished(undisturbed))
    assert not (out / "shards").exists()
    hilum("predict", trained, archive, out, "--shard", "3/2").refuses("from 1/8 to 8/8")


def test_two_processes_do_not_do_the_same(hilum: Hilum, trained: Path, archive: Path, tmp_path: Path) -> None:
    import fcntl

    out = tmp_path / "out"
    (out / ".hilum").mkdir(parents=True)
    with (out / ".hilum" / "1-of-1.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        hilum("predict", trained, archive, out).refuses("another process predicts", "wait for it or stop it")
        hilum("predict", trained, archive, out, "--shard", "1/2").refuses("part 1/1", "divide the batch in one way")
    assert list(out.glob("*.csv")) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a file system of so many KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("a small file system needs root and mount")

    def make(kib: int) -> Path:
        words = [mount or "", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)]
        made = subprocess.run(words, capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.skip(f"no small file system here: {made.stderr.strip()}")
        return place

    yield make
    if place.is_mount():
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_stops_and_keeps_what_is_done(
    hilum: Hilum, trained: Path, archive: Path, undisturbed: Path, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(120)
    filler = disk / "filler"
    filler.write_bytes(bytes(72 * 1024))
    out = disk / "out"
    stopped = hilum("predict", trained, archive, out)
    stopped.refuses("cannot be written any more: No space left on device", "the same command again", code=4)
    done = {file.name: file.read_bytes() for file in out.glob("*.nii.gz")}
    assert 0 < len(done) < GOOD
    assert all(content == (undisturbed / name).read_bytes() for name, content in done.items())
    assert {row["output"] for row in read_csv(out / "results.csv")} <= set(done)
    tables_are_readable(out)
    filler.unlink()
    kept = finished(out)
    assert hilum("predict", trained, archive, out).code == 3
    assert_same(out, undisturbed)
    assert sorted(finished(out)) == sorted(finished(undisturbed))
    assert finished(out)[: len(kept)] == kept


def test_several_runs_are_an_ensemble(
    hilum: Hilum, trained: Path, own_run: Path, archive: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """Twins answer as one of them does and do not disagree; folds in a folder are the same ensemble."""
    out = tmp_path / "out"
    done = hilum("predict", trained, own_run, archive, out, "--weights", "1,3")
    assert done.code == 3, done.text
    assert "an ensemble of 2 networks: tiny 0.25, tiny 0.75" in done.out
    for file in undisturbed.glob("*.nii.gz"):
        assert (out / file.name).read_bytes() == file.read_bytes()
    assert {row["disagreement"] for row in read_csv(out / "results.csv")} == {"0.0"}
    for number, run in enumerate((trained, own_run)):
        shutil.copytree(run, tmp_path / "cv" / f"fold-{number}")
    again = hilum("predict", tmp_path / "cv", archive, out, "--weights", "1,3")
    assert f"{GOOD} cases finished before" in again.out  # the same networks, in other folders
    hilum("predict", trained, trained, archive, out).refuses("named twice")
