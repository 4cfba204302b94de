"""Hashes of files: those of their content, remembered only as long as nothing about a file changed."""

import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.formats.conftest import write_series

from hilum.case import Case, ImageRef
from hilum.data import hashes
from hilum.data.hashes import MEMORY_NAME, SMALL_BYTES, Hashes, data_sha256, file_sha256
from hilum.errors import DataError

TICK_S = 0.02
"""Longer than a tick of the clock that files are stamped with."""


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose content was read, each time; files count as settled at once."""
    found: list[Path] = []
    read = file_sha256

    def counted(path: Path) -> str:
        found.append(path)
        return read(path)

    monkeypatch.setattr(hashes, "file_sha256", counted)
    monkeypatch.setattr(hashes, "SETTLED_NS", -(10**12))
    return found


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_in_place(file: Path, content: bytes) -> None:
    """Other content in the same file of the same time, as a tool that preserves times writes it."""
    before = file.stat()
    with file.open("r+b") as stream:
        stream.write(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("size", [0, 3, SMALL_BYTES - 1, SMALL_BYTES, 2 * SMALL_BYTES + 5])
def test_a_hash_is_that_of_the_content(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "a").write_bytes(content[:size])
    assert Hashes(tmp_path).of(tmp_path / "a") == sha256(content[:size])


def test_a_file_is_read_once_for_all_processes(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / 'with "quotes" and\nlines é'
    file.write_bytes(b"abc")
    assert {Hashes(tmp_path).of(file) for _ in range(3)} == {sha256(b"abc")}
    assert reads == [file]


def test_a_file_of_the_same_size_and_time_with_other_content_is_noticed(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    mtime_ns = file.stat().st_mtime_ns
    memory = Hashes(tmp_path)
    assert memory.of(file) == sha256(b"abc")
    time.sleep(TICK_S)
    write_in_place(file, b"xyz")
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (3, mtime_ns)
    assert memory.of(file) == sha256(b"xyz")  # its time of change in the file system is another
    assert Hashes(tmp_path).of(file) == sha256(b"xyz")


def test_rehash_reads_again_what_no_time_tells(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    monkeypatch.setattr(hashes, "_state", lambda path: "3 1 1 7")  # a file system that tells nothing
    assert Hashes(tmp_path).of(file) == sha256(b"abc")
    write_in_place(file, b"xyz")
    assert Hashes(tmp_path).of(file) == sha256(b"abc")
    again = Hashes(tmp_path, rehash=True)
    assert again.of(file) == sha256(b"xyz")
    assert again.of(file) == sha256(b"xyz")
    assert len(reads) == 2  # once in a run is enough
    assert Hashes(tmp_path).of(file) == sha256(b"xyz")


def test_a_file_that_may_still_change_within_a_tick_is_not_remembered(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "SETTLED_NS", 10**12)
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    for _ in range(2):
        Hashes(tmp_path).of(file)
    assert len(reads) == 2
    assert not (tmp_path / MEMORY_NAME).exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "joined", "nonsense"])
def test_a_damaged_memory_never_gives_another_hash(tmp_path: Path, reads: list[Path], damage: str) -> None:
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file in files:
        file.write_bytes(file.name.encode())
        Hashes(tmp_path).of(file)
    memory = tmp_path / MEMORY_NAME
    whole = memory.read_bytes()
    assert len(whole.splitlines()) == 3
    for place in range(0, len(whole), 11):
        rest = whole[place + 1 :]
        flipped = whole[:place] + bytes([whole[place] ^ 1]) + rest
        broken = {
            "cut": whole[:place],
            "flipped": flipped,
            "joined": whole[:place] + whole,
            "nonsense": b"\xff\0" + rest,
        }
        memory.write_bytes(broken[damage])
        assert [Hashes(tmp_path).of(file) for file in files] == [sha256(file.name.encode()) for file in files]


def test_writers_side_by_side_lose_nothing(tmp_path: Path, reads: list[Path]) -> None:
    files = [tmp_path / f"file{number}" for number in range(60)]
    for file in files:
        file.write_text(file.name)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda file: Hashes(tmp_path).of(file), files))
    reads.clear()
    memory = Hashes(tmp_path)
    assert [memory.of(file) for file in files] == [sha256(file.name.encode()) for file in files]
    assert reads == []


def test_without_a_folder_nothing_is_remembered_and_nothing_fails(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    for folder in (None, tmp_path / "none"):
        assert Hashes(folder).of(file) == sha256(b"abc")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with pytest.raises(DataError, match=r"none cannot be read: No such file"):
        Hashes(tmp_path).of(tmp_path / "none")


def test_the_memory_is_written_anew_when_most_of_it_is_old(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "SUPERSEDED_LINES", 10)
    file = tmp_path / "a"
    for number in range(20):
        file.write_text(str(number))
        os.utime(file, (number, number))
        Hashes(tmp_path).of(file)
    assert len((tmp_path / MEMORY_NAME).read_text().splitlines()) <= 13
    reads.clear()
    assert Hashes(tmp_path).of(file) == sha256(b"19")
    assert reads == []


def test_files_that_are_gone_are_forgotten(tmp_path: Path, reads: list[Path]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        Hashes(tmp_path).of(tmp_path / name)
    (tmp_path / "a").unlink()
    assert Hashes(tmp_path).forget_missing() == 1
    reads.clear()
    Hashes(tmp_path).of(tmp_path / "b")
    assert reads == []
    assert len((tmp_path / MEMORY_NAME).read_text().splitlines()) == 1


# ---------------------------------------------------------------------------------- what an image depends on
def test_the_data_file_of_a_header_counts(tmp_path: Path) -> None:
    header = "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = a.raw\n"
    (tmp_path / "a.mhd").write_text(header)
    (tmp_path / "a.raw").write_bytes(bytes(range(8)))
    case = Case("a", "a", (ImageRef(tmp_path / "a.mhd"),), "sick")
    before = Hashes(None).of_image(case.files[0]), data_sha256([case])
    (tmp_path / "a.raw").write_bytes(bytes(range(1, 9)))
    after = Hashes(None).of_image(case.files[0]), data_sha256([case])
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_the_order_of_data_files_counts_and_that_of_slices_does_not(tmp_path: Path) -> None:
    header = "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = LIST\n"
    keys = []
    for name, contents in (("one", (b"abcd", b"efgh")), ("two", (b"efgh", b"abcd"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mhd").write_text(f"{header}s0.raw\ns1.raw\n")
        for number, content in enumerate(contents):
            (tmp_path / name / f"s{number}.raw").write_bytes(content)
        ref = ImageRef(tmp_path / name / "a.mhd")
        keys.append((Hashes(None).of_image(ref), data_sha256([Case("a", "a", (ref,), "sick")])))
    assert keys[0][0] != keys[1][0]
    assert keys[0][1] != keys[1][1]
    slices = write_series(tmp_path / "ct", np.arange(24, dtype="uint16").reshape(2, 3, 4))
    before = Hashes(None).of_image(ImageRef(tmp_path / "ct"))
    slices[0].rename(tmp_path / "ct" / "zzz.dcm")
    slices[1].rename(slices[0])
    assert Hashes(None).of_image(ImageRef(tmp_path / "ct")) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_bytes(b"axc"),
        lambda file: file.write_bytes(b"abcd"),
        lambda file: file.replace(file.with_name("moved")),
    ],
)
def test_a_remembered_file_that_changes_is_not_what_it_was(
    tmp_path: Path, reads: list[Path], change: Callable[[Path], object]
) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"abc")
    memory = Hashes(tmp_path)
    assert memory.of(file) == sha256(b"abc")
    time.sleep(TICK_S)
    change(file)
    if file.exists():
        assert memory.of(file) == sha256(file.read_bytes())
    else:
        with pytest.raises(DataError, match="cannot be read"):
            memory.of(file)
