"""`hilum doctor`: what this machine can do, and what lies in the folders of prepared cases."""

from __future__ import annotations

import importlib.metadata
import os
import time
from pathlib import Path

import pytest

from hilum import __version__
from hilum.cli import main
from hilum.data.cache import make_folder
from hilum.data.hashes import Hashes


def put(file: Path, num_bytes: int, *, age_s: float = 0) -> None:
    file.write_bytes(b"x" * num_bytes)
    os.utime(file, (time.time() - age_s, time.time() - age_s))


def named(number: int) -> str:
    return f"{number:064x}.safetensors"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three prepared cases of 1, 2 and 3 MiB, the smallest unused for longest, two incomplete files, and a look."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / ".cache"
    make_folder(folder)
    for number in (1, 2, 3):
        put(folder / named(number), number * 2**20, age_s=100_000 * (4 - number))
    put(folder / f"{4:064x}.77.ab.part", 2**19, age_s=7200)
    put(folder / f"{5:064x}.78.ab.part", 2**19)
    (folder / "looks").mkdir()
    put(folder / "looks" / named(6), 2**18, age_s=500_000)
    return folder


def doctor(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["doctor", *words]) == 0
    return capsys.readouterr().out


def test_versions_machine_and_the_usual_cache(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(cache.iterdir())
    lines = [line.split(maxsplit=1) for line in doctor(capsys).splitlines() if line.startswith("  ")]
    said = dict(lines)
    assert said["hilum"] == __version__
    for library in ("torch", "numpy", "nibabel", "safetensors"):
        assert said[library].split()[0] == importlib.metadata.version(library)
    assert said["usable"].startswith(f"{len(os.sched_getaffinity(0))} cores, ")
    assert "device " in said["auto"]
    assert sorted(cache.iterdir()) == before


def test_the_size_of_the_cache_and_when_it_was_used(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = doctor(capsys)
    assert "cache runs/.cache" in out
    words = " ".join(out.split())
    assert "prepared cases 3, 6.0 MiB" in words
    assert "looks and fitted settings 1, 0.2 MiB" in words
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() - 300_000))
    assert f"first {day}" in out
    assert "2, 1.0 MiB: being written, or left by a run that was killed" in out
    assert "data.cache_gb" in out
    assert "free on its disk" in out


def test_several_folders_and_one_that_is_not_there(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = doctor(capsys, "--cache", str(cache), "--cache", str(tmp_path / "none" / "here"))
    assert f"cache {cache}" in out
    assert "none yet: there is no such folder" in out
    assert not (tmp_path / "none").exists()


def test_pruning_clears_leftovers_and_forgets_files_that_are_gone(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilum.data.hashes.SETTLED_NS", -(10**12))
    (tmp_path / "gone.nii").write_bytes(b"x")
    Hashes(cache).of(tmp_path / "gone.nii")
    (tmp_path / "gone.nii").unlink()
    assert "deleted 1 files (0.5 MiB), forgot 1 hashes of files that are gone" in doctor(capsys, "--prune")
    assert sorted(file.name for file in cache.glob("*.part")) == [f"{5:064x}.78.ab.part"]
    assert len(list(cache.glob("*.safetensors"))) == 3


def test_pruning_to_a_size_takes_the_longest_unused(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "deleted 3 files (1.8 MiB)" in doctor(capsys, "--prune", "0.005")  # 5.12 MiB: 2 and 3 fit
    assert sorted(file.name for file in cache.glob("*.safetensors")) == [named(2), named(3)]
    assert "deleted 2 files" in doctor(capsys, "--prune", "0")


def test_a_folder_of_somebody_else_is_not_pruned_nor_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hf").mkdir()
    files = [tmp_path / "hf" / name for name in ("model.safetensors", named(1), "hashes.txt", "big.iso.part")]
    for file in files:
        put(file, 100, age_s=1e6)
    assert main(["doctor", "--cache", "hf", "--prune", "0"]) == 2
    assert "hf: has no CACHEDIR.TAG of hilum" in capsys.readouterr().err
    assert sorted((tmp_path / "hf").iterdir()) == sorted(files)
    assert all(file.read_bytes() == b"x" * 100 for file in files)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--prune", "-1"], "received -1, expected a size in GB of at least 0"),
        (["--prune", "nan"], "received nan"),
        (["--cache", "nowhere", "--prune"], "no such folder of prepared cases"),
    ],
)
def test_what_cannot_be_pruned_is_refused(
    cache: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["doctor", *words]) == 2
    assert message in capsys.readouterr().err
    assert len(list(cache.iterdir())) == 7
