"""The folder of prepared cases: its bound, who has to go, what is cleared away, and what a run keeps meanwhile."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hilum.case import Case
from hilum.data.cache import LEFTOVER_S, CacheFullError, Room, contents, prune, touch
from hilum.data.dataset import Dataset, Sampling
from hilum.data.prepared import prepare_case
from hilum.data.store import Store
from hilum.problem import Problem

WriteCase = Callable[..., Case]


def put(folder: Path, name: str, *, num_bytes: int = 100, age_s: float = 0) -> Path:
    """A file of a size that was last used some time ago."""
    file = folder / name
    file.write_bytes(b"x" * num_bytes)
    os.utime(file, (time.time() - age_s, time.time() - age_s))
    return file


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_contents_are_cases_by_last_use_and_leftovers(tmp_path: Path) -> None:
    put(tmp_path, "b.safetensors", age_s=5)
    put(tmp_path, "a.safetensors", age_s=50)
    put(tmp_path, "c.12.ab.part", num_bytes=7)
    put(tmp_path, "hashes.txt")
    put(tmp_path, "fit-1.json")
    found = contents(tmp_path)
    assert [entry.path.name for entry in found.cases] == ["a.safetensors", "b.safetensors"]
    assert [(entry.path.name, entry.num_bytes) for entry in found.leftovers] == [("c.12.ab.part", 7)]
    assert found.num_bytes == 207
    assert contents(tmp_path / "none").num_bytes == 0


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
    used = {"a.safetensors", "b.safetensors"}
    room.make(2**20, used=used)
    assert set(names(tmp_path)) == used
    put(tmp_path, "d.safetensors", num_bytes=2**20)
    with pytest.raises(
        CacheFullError, match=r"data\.cache_gb=0\.00341797: .* 0\.00293 GiB and the next one 0\.000977 GiB"
    ):
        room.make(2**20, used={*used, "d.safetensors"})
    assert len(names(tmp_path)) == 3


def test_what_other_processes_write_meanwhile_counts(tmp_path: Path) -> None:
    room = Room(tmp_path, 1000)
    room.make(100, used=set())
    put(tmp_path, "mine.safetensors", num_bytes=100)
    for number in range(9):
        put(tmp_path, f"other{number}.safetensors", num_bytes=100, age_s=100 - number)
    room.make(100, used={"mine.safetensors"})  # by now 100 bytes were written, 5 % of the bound: it looks again
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 800
    assert (tmp_path / "mine.safetensors").exists()


def test_many_threads_keep_the_bound_together(tmp_path: Path) -> None:
    room = Room(tmp_path, 5000)

    def write(number: int) -> None:
        room.make(100, used=set())
        (tmp_path / f"{number}.safetensors").write_bytes(b"x" * 100)  # may be deleted by another at once

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(300)))
    assert contents(tmp_path).num_bytes <= 5000 + 8 * 100  # those just being written


def test_leftovers_of_killed_runs_go_and_those_being_written_stay(tmp_path: Path) -> None:
    put(tmp_path, "old.1.aa.part", age_s=LEFTOVER_S + 60)
    put(tmp_path, "new.2.bb.part", age_s=LEFTOVER_S - 60)
    Room(tmp_path, None).make(1, used=set())
    assert names(tmp_path) == ["new.2.bb.part"]


def test_pruning_deletes_leftovers_and_the_longest_unused_beyond_a_size(tmp_path: Path) -> None:
    put(tmp_path, "old.1.aa.part", age_s=LEFTOVER_S + 60)
    for name, age in (("a", 30), ("b", 20), ("c", 10)):
        put(tmp_path, f"{name}.safetensors", age_s=age)
    assert [entry.path.name for entry in prune(tmp_path)] == ["old.1.aa.part"]
    assert [entry.path.name for entry in prune(tmp_path, bound_bytes=250)] == ["a.safetensors"]
    assert [entry.path.name for entry in prune(tmp_path, bound_bytes=0)] == ["b.safetensors", "c.safetensors"]
    assert prune(tmp_path / "none") == ()


# ---------------------------------------------------------------------------------------------- a run and its bound
def size_of_one(write_case: WriteCase, problem: Problem, folder: Path) -> int:
    Store(folder, problem, []).get(write_case("size"))
    (entry,) = contents(folder).cases
    return entry.num_bytes


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
