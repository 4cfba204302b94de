"""The folder of prepared cases: its bound, who has to go, what is cleared away, and what a run keeps meanwhile."""

import os
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hilum.case import Case
from hilum.data.cache import LEFTOVER_S, CacheFullError, Entry, Room, contents, is_marked, make_folder, prune, touch
from hilum.data.dataset import Dataset, Sampling
from hilum.data.prepared import prepare_case
from hilum.data.store import Store
from hilum.problem import Problem

WriteCase = Callable[..., Case]


def named(name: str) -> str:
    """A name with a hash in place of its first word: of `a.safetensors`, `fit-a.json`, `.a.safetensors.1.part`."""
    return re.sub(r"^(\.?(?:fit-)?)([a-z]+[0-9]*)", lambda word: word[1] + word[2].encode().hex().ljust(64, "0"), name)


def put(folder: Path, name: str, *, num_bytes: int = 100, age_s: float = 0) -> Path:
    """A file of a size that was last used some time ago, with a hash in its name."""
    return foreign(folder, named(name), num_bytes=num_bytes, age_s=age_s)


def foreign(folder: Path, name: str, *, num_bytes: int = 100, age_s: float = 0) -> Path:
    """The same with any name."""
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"x" * num_bytes)
    os.utime(file, (time.time() - age_s, time.time() - age_s))
    return file


def word(file: Path) -> str:
    """The name of a file, its hash read as the word that it stands for."""
    return re.sub("[0-9a-f]{64}", lambda digest: bytes.fromhex(digest[0]).rstrip(b"\0").decode(), file.name)


def names(folder: Path) -> list[str]:
    return sorted(map(word, folder.iterdir()))


def words(entries: Iterable[Entry]) -> list[str]:
    return [word(entry.path) for entry in entries]


NOT_OURS = [
    "model.safetensors",
    "ubuntu.iso.part",
    "a" * 63 + ".safetensors",
    "A" * 64 + ".safetensors",
    "a" * 64 + ".part",
    "a" * 64 + ".zz.ab.part",
    "fit-results.json",
    "looks/model.safetensors",
    "looks/notes.12.part",
]


def test_contents_are_cases_looks_fits_and_leftovers_by_last_use(tmp_path: Path) -> None:
    put(tmp_path, "b.safetensors", age_s=5)
    put(tmp_path, "a.safetensors", age_s=50)
    put(tmp_path, "c.12.ab.part", num_bytes=7)
    put(tmp_path / "looks", "d.safetensors", num_bytes=11, age_s=20)
    put(tmp_path / "looks", ".e.safetensors.12.part", num_bytes=8)
    put(tmp_path, "fit-f.json", num_bytes=13, age_s=60)
    put(tmp_path, ".fit-f.json.12.part", num_bytes=9)
    foreign(tmp_path, "hashes.txt")
    for name in NOT_OURS:
        foreign(tmp_path, name)
    found = contents(tmp_path)
    assert words(found.cases) == ["a.safetensors", "b.safetensors"]
    assert words(found.remembered) == ["fit-f.json", "d.safetensors"]
    assert words(found.whole) == ["fit-f.json", "a.safetensors", "d.safetensors", "b.safetensors"]
    assert sorted(words(found.leftovers)) == [".e.safetensors.12.part", ".fit-f.json.12.part", "c.12.ab.part"]
    assert found.num_bytes == 200 + 24 + 24
    assert contents(tmp_path / "none").num_bytes == 0


def test_files_of_others_are_never_deleted(tmp_path: Path) -> None:
    """A cache in a folder of models, or of downloads: nothing there goes, however old, under whatever bound."""
    theirs = [foreign(tmp_path, name, age_s=1e6) for name in NOT_OURS]
    folder = foreign(tmp_path, "b" * 64 + ".safetensors/inside", age_s=1e6)
    Room(tmp_path, 200).make(100, used=set())
    assert prune(tmp_path, bound_bytes=0, leftover_s=0) == ()
    assert all(file.exists() for file in (*theirs, folder))


def test_looks_and_fits_make_room_by_age_as_well(tmp_path: Path) -> None:
    put(tmp_path / "looks", "old.safetensors", age_s=50)
    put(tmp_path, "fit-older.json", age_s=60)
    put(tmp_path, "middle.safetensors", age_s=40)
    put(tmp_path / "looks", "new.safetensors", age_s=30)
    put(tmp_path / "looks", ".killed.safetensors.9.part", age_s=LEFTOVER_S + 60)
    Room(tmp_path, 400).make(100, used=set())  # 400 + 100 > 400: down to 360 with the new one
    assert names(tmp_path / "looks") == ["new.safetensors"]
    assert names(tmp_path) == ["looks", "middle.safetensors"]


def test_a_folder_of_our_own_is_marked_for_backups_and_one_of_others_is_not(tmp_path: Path) -> None:
    own, empty, older, theirs = (tmp_path / name for name in ("a/own", "empty", "older", "theirs"))
    foreign(tmp_path / "sums", "hashes.txt")
    empty.mkdir()
    put(older, "a.safetensors")  # made before folders were marked
    foreign(theirs, "model.safetensors")
    for folder in (own, empty, older, theirs, own, tmp_path / "sums"):
        make_folder(folder)
    assert [is_marked(folder) for folder in (own, empty, older, theirs)] == [True, True, True, False]
    # https://bford.info/cachedir/: the first 43 octets of the file
    assert (own / "CACHEDIR.TAG").read_bytes()[:43] == b"Signature: 8a477f597d28d172789f06886806bc55"
    assert names(theirs) == ["model.safetensors"]
    assert names(tmp_path / "sums") == ["hashes.txt"]  # whose, nobody knows
    foreign(theirs, "CACHEDIR.TAG")  # of another program
    assert not is_marked(theirs)


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    files = [
        put(tmp_path, f"{name}.safetensors", age_s=age) for name, age in zip("abcdef", range(60, 0, -10), strict=True)
    ]
    touch(files[0])  # used again
    Room(tmp_path, 600).make(100, used=set())  # 600 + 100 > 600: down to 540 with the new one
    assert names(tmp_path) == ["a.safetensors", "d.safetensors", "e.safetensors", "f.safetensors"]


def test_a_folder_within_its_bound_and_one_without_lose_nothing(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path, f"{name}.safetensors", age_s=1e6)
    Room(tmp_path, 400).make(100, used=set())
    Room(tmp_path, None).make(10**12, used=set())
    assert len(names(tmp_path)) == 3


def test_what_a_run_uses_stays_and_a_run_too_large_is_told(tmp_path: Path) -> None:
    for name, age in (("a", 40), ("b", 30), ("c", 20)):
        put(tmp_path, f"{name}.safetensors", num_bytes=2**20, age_s=age)
    room = Room(tmp_path, int(3.5 * 2**20))
    used = {named("a.safetensors"), named("b.safetensors")}
    room.make(2**20, used=used)
    assert names(tmp_path) == ["a.safetensors", "b.safetensors"]
    put(tmp_path, "d.safetensors", num_bytes=2**20)
    with pytest.raises(
        CacheFullError, match=r"data\.cache_gb=0\.00341797: .* 0\.00293 GiB and the next one 0\.000977 GiB"
    ):
        room.make(2**20, used={*used, named("d.safetensors")})
    assert len(names(tmp_path)) == 3


def test_what_other_processes_write_meanwhile_counts(tmp_path: Path) -> None:
    room = Room(tmp_path, 1000)
    room.make(100, used=set())
    put(tmp_path, "mine.safetensors", num_bytes=100)
    for number in range(9):
        put(tmp_path, f"other{number}.safetensors", num_bytes=100, age_s=100 - number)
    room.make(100, used={named("mine.safetensors")})  # by now 100 bytes were written, 5 % of the bound: it looks again
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 800
    assert (tmp_path / named("mine.safetensors")).exists()


def test_many_threads_keep_the_bound_together(tmp_path: Path) -> None:
    room = Room(tmp_path, 5000)

    def write(number: int) -> None:
        room.make(100, used=set())
        (tmp_path / named(f"w{number}.safetensors")).write_bytes(b"x" * 100)  # may be deleted by another at once
        room.settle(100)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(300)))
    assert contents(tmp_path).num_bytes <= 5000


def test_leftovers_of_killed_runs_go_and_those_being_written_stay(tmp_path: Path) -> None:
    put(tmp_path, "old.1.aa.part", age_s=LEFTOVER_S + 60)
    put(tmp_path, "new.2.bb.part", age_s=LEFTOVER_S - 60)
    Room(tmp_path, None).make(1, used=set())
    assert names(tmp_path) == ["new.2.bb.part"]


def test_pruning_deletes_leftovers_and_the_longest_unused_beyond_a_size(tmp_path: Path) -> None:
    put(tmp_path, "old.1.aa.part", age_s=LEFTOVER_S + 60)
    for name, age in (("a", 30), ("b", 20), ("c", 10)):
        put(tmp_path, f"{name}.safetensors", age_s=age)
    assert words(prune(tmp_path)) == ["old.1.aa.part"]
    assert words(prune(tmp_path, bound_bytes=250)) == ["a.safetensors"]
    assert words(prune(tmp_path, bound_bytes=0)) == ["b.safetensors", "c.safetensors"]
    assert prune(tmp_path / "none") == ()


# ---------------------------------------------------------------------------------------------- a run and its bound
def size_of_one(write_case: WriteCase, problem: Problem, folder: Path) -> int:
    Store(folder, problem, []).get(write_case("size"))
    (entry,) = contents(folder).cases
    return entry.num_bytes


def test_room_that_another_thread_was_promised_counts(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / named(f"{name}.safetensors")).write_bytes(bytes(100))
    room = Room(tmp_path, 500)
    room.make(100, used=set())  # promised to a thread that has not written yet
    room.make(100, used=set())  # 300 + 100 + 100 = 500: looks at the folder, which still shows 300
    room.make(100, used=set())  # 600 > 500: makes room for all three
    assert contents(tmp_path).num_bytes <= 200


def test_a_run_keeps_reading_what_another_run_evicts(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path
) -> None:
    size, cache = size_of_one(write_case, segmentation, tmp_path / "other"), tmp_path / "cache"
    bound = int(3.5 * size)
    runs = [
        Dataset(
            [write_case(f"{run}{number}", seed=10 * number + ord(run)) for number in range(3)],
            Store(cache, segmentation, [], bound_bytes=bound),
            sampling=Sampling(),
            seed=1,
        )
        for run in "ab"
    ]
    runs[0].prepare()
    before = [runs[0].sample(index, epoch=0, index=index) for index in range(3)]
    runs[1].prepare()  # needs the room
    assert contents(cache).num_bytes <= bound
    for index, case in enumerate(runs[0].cases):
        assert np.array_equal(runs[0].sample(index, epoch=0, index=index).image, before[index].image)
        # And whoever opens a case for the first time has it made again.
        fresh = prepare_case(case, segmentation, [])
        assert np.array_equal(Store(cache, segmentation, []).get(case).image, fresh.image)


def test_a_run_whose_cases_do_not_fit_is_told_before_training(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path
) -> None:
    size, cache = size_of_one(write_case, segmentation, tmp_path / "other"), tmp_path / "cache"
    store = Store(cache, segmentation, [], bound_bytes=int(2.5 * size))
    cases = [write_case(f"case{number}", seed=number) for number in range(4)]
    with pytest.raises(CacheFullError, match=r"do not fit into data\.cache_gb=.*raise data\.cache_gb"):
        Dataset(cases, store, sampling=Sampling(), seed=1).prepare()
    assert contents(cache).num_bytes <= 2.5 * size
