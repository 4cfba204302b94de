"""Samples are pure functions of (seed, epoch, index): not of memory, order of calls, or threads."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hilum.case import Case, ImageRef, Sample
from hilum.data.dataset import Dataset, Sampling
from hilum.data.prepared import Prepared
from hilum.data.store import Store
from hilum.errors import DataError
from hilum.problem import IGNORE, Problem

WriteCase = Callable[..., Case]
PATCHES = Sampling(patch=(5, 4, 3), foreground=0.5)


@pytest.fixture
def cases(write_case: WriteCase) -> list[Case]:
    return [write_case(name, seed=seed) for seed, name in enumerate(("a", "b", "c"))]


def dataset(
    cases: list[Case], problem: Problem, folder: Path, sampling: Sampling = PATCHES, *, memory: int = 2**30
) -> Dataset:
    return Dataset(cases, Store(folder / "cache", problem, []), sampling=sampling, seed=3, memory_bytes=memory)


def equal(a: Sample, b: Sample) -> bool:
    return a.id == b.id and torch.equal(a.image, b.image) and torch.equal(a.target, b.target)


def test_a_sample_depends_on_its_arguments_only(cases: list[Case], segmentation: Problem, tmp_path: Path) -> None:
    one, two = (dataset(cases, segmentation, tmp_path) for _ in range(2))
    asked = [(index % 3, index // 4, index) for index in range(24)]
    forward = [one.sample(case, epoch=epoch, index=index) for case, epoch, index in asked]
    with ThreadPoolExecutor(4) as pool:
        backward = list(pool.map(lambda args: two.sample(args[0], epoch=args[1], index=args[2]), asked[::-1]))
    assert all(equal(a, b) for a, b in zip(forward, backward[::-1], strict=True))
    places = {(sample.id, float(sample.image[0, 0, 0, 0])) for sample in forward}
    assert len(places) > 18  # another epoch or index is another patch
    other = Dataset(cases, one.store, sampling=PATCHES, seed=4)
    assert not all(equal(a, other.sample(c, epoch=e, index=i)) for a, (c, e, i) in zip(forward, asked, strict=True))


def mapped(prepared: Prepared) -> bool:
    """Whether the voxels lie in a mapped file, not in memory of their own."""
    address = prepared.image.ctypes.data
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, _, last = line.split(" ")[0].partition("-")
        if int(first, 16) <= address < int(last, 16):
            return ".safetensors" in line
    return False


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc, which Linux has")
def test_cases_with_a_file_are_mapped_and_never_read_whole(
    cases: list[Case], segmentation: Problem, tmp_path: Path
) -> None:
    for _ in ("prepared just now", "there already"):
        data = dataset(cases, segmentation, tmp_path, memory=0)
        data.prepare()
        assert all(mapped(data.prepared(index)) for index in range(3))
        assert data.prepared(0) is data.prepared(0)
    descriptors = [file.resolve().name for file in Path("/proc/self/fd").iterdir()]
    assert not any(name.endswith(".safetensors") for name in descriptors)  # of which a process has few


def test_what_has_been_opened_stays_readable_and_as_it_was(
    cases: list[Case], segmentation: Problem, tmp_path: Path, write_case: WriteCase
) -> None:
    data = dataset(cases, segmentation, tmp_path)
    data.prepare()
    before = [data.sample(index % 3, epoch=0, index=index) for index in range(6)]
    for file in (tmp_path / "cache").iterdir():  # as another run that needs room may do
        file.unlink()
    write_case("a", seed=9)
    assert all(equal(data.sample(index % 3, epoch=0, index=index), before[index]) for index in range(6))


@pytest.fixture
def rows(tmp_path: Path) -> list[Case]:
    """Rows of one array, which get no file of their own."""
    np.savez(tmp_path / "many.npz", images=np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8))
    return [Case(f"r{k}", f"r{k}", (ImageRef(tmp_path / "many.npz", "images", k),), "sick") for k in range(3)]


def test_rows_over_the_memory_limit_are_prepared_anew_and_the_same(
    rows: list[Case], classification: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Sampling()
    size = dataset(rows, classification, tmp_path, whole).prepared(0).num_bytes
    roomy, tight, none = (dataset(rows, classification, tmp_path, whole, memory=m) for m in (2**30, 2 * size, 0))
    for data in (roomy, tight, none):
        data.prepare()
    read: list[str] = []
    get = Store.get

    def counted(store: Store, case: Case) -> Prepared:
        read.append(case.id)
        return get(store, case)

    monkeypatch.setattr(Store, "get", counted)
    samples = [[data.sample(k, epoch=0, index=k) for k in range(3)] for data in (roomy, tight, none)]
    assert len(read) == 0 + 1 + 3
    assert all(equal(a, b) and equal(a, c) for a, b, c in zip(*samples, strict=True))


def test_preparing_tells_how_far_it_is_and_may_be_stopped(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path
) -> None:
    cases = [write_case(f"case{k}") for k in range(3)]
    told: list[tuple[int, int]] = []
    dataset(cases, segmentation, tmp_path).prepare(lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataset(cases * 50, segmentation, tmp_path).prepare(stop)
    assert threading.active_count() == 1


def test_preparing_names_every_case_that_cannot_be_used(
    cases: list[Case], segmentation: Problem, tmp_path: Path
) -> None:
    broken = [replace(case, label=None) for case in cases[:2]]
    with pytest.raises(DataError) as caught:
        dataset([*broken, cases[2]], segmentation, tmp_path).prepare()
    assert [(finding.kind, finding.case) for finding in caught.value.findings] == [("no label", "a"), ("no label", "b")]
    missing = [replace(cases[0], id=f"m{k}", images=(ImageRef(tmp_path / f"{k}.nii"),)) for k in range(25)]
    with pytest.raises(DataError) as caught:
        dataset(missing, segmentation, tmp_path).prepare()
    assert [finding.case for finding in caught.value.findings] == [f"m{k}" for k in range(25)]


# ---------------------------------------------------------------------------------------- what a sample is
def test_a_patch_and_its_target_lie_at_the_same_place(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path
) -> None:
    data = dataset([write_case("a")], segmentation, tmp_path)
    whole = data.prepared(0)
    assert isinstance(whole.target, np.ndarray)
    for index in range(20):
        sample = data.sample(0, epoch=0, index=index)
        assert sample.image.shape == (1, 5, 4, 3)
        assert (sample.image.dtype, sample.target.dtype) == (torch.float32, torch.int64)
        i, j, k = np.unravel_index(int(sample.image[0, 0, 0, 0]) - 1, (12, 10, 8))  # voxels count up from 1
        assert np.array_equal(sample.target, whole.target[0, i : i + 5, j : j + 4, k : k + 3])


def test_padding_is_zero_and_ignored(write_case: WriteCase, segmentation: Problem, tmp_path: Path) -> None:
    data = dataset([write_case("a", (4, 6, 5))], segmentation, tmp_path, Sampling(patch=(8, 6, 7), foreground=0.5))
    for index in range(10):
        sample = data.sample(0, epoch=0, index=index)
        outside = sample.image[0] == 0
        assert int(outside.sum()) == 8 * 6 * 7 - 4 * 6 * 5
        assert torch.equal(sample.target == IGNORE, outside)


def test_without_a_patch_a_sample_is_the_whole_case(cases: list[Case], segmentation: Problem, tmp_path: Path) -> None:
    data = dataset(cases, segmentation, tmp_path, Sampling())
    sample, whole = data.sample(1, epoch=5, index=9), data.prepared(1)
    assert np.array_equal(sample.image, whole.image)
    assert np.array_equal(sample.target[None], np.asarray(whole.target))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("patch", [None, (3, 4)])
def test_slices_are_taken_across_the_axis(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path, axis: int, patch: tuple[int, int] | None
) -> None:
    data = dataset([write_case("a")], segmentation, tmp_path, Sampling(patch=patch, slice_axis=axis, foreground=0.5))
    whole = data.prepared(0)
    assert isinstance(whole.target, np.ndarray)
    seen = set()
    for index in range(60):
        sample = data.sample(0, epoch=0, index=index)
        place = list(np.unravel_index(int(sample.image[0, 0, 0]) - 1, (12, 10, 8)))
        seen.add(int(place[axis]))
        size = list(patch or np.delete((12, 10, 8), axis))
        size.insert(axis, 1)
        window = tuple(slice(p, p + s) for p, s in zip(place, size, strict=True))
        assert np.array_equal(sample.image[0], whole.image[0][window].squeeze(axis))
        assert np.array_equal(sample.target, whole.target[0][window].squeeze(axis))
    assert len(seen) > 5


def test_regions_keep_their_channels(write_case: WriteCase, segmentation: Problem, tmp_path: Path) -> None:
    regions = replace(segmentation, classes=("all", "dot"), values=((1, 2), (2,)), exclusive=False)
    data = dataset([write_case("a", (4, 6, 5))], regions, tmp_path, Sampling(patch=(8, 6, 5)))
    target = data.sample(0, epoch=0, index=0).target
    assert target.shape == (2, 8, 6, 5)
    assert set(target.unique().tolist()) == {IGNORE, 0, 1}


def test_a_class_is_one_number(write_case: WriteCase, classification: Problem, tmp_path: Path) -> None:
    sample = dataset([write_case("a", label="sick")], classification, tmp_path, Sampling()).sample(0, epoch=0, index=0)
    assert (sample.target.shape, sample.target.dtype, int(sample.target)) == ((), torch.int64, 1)


def test_every_case_that_does_not_fit_the_experiment_is_named(
    cases: list[Case], segmentation: Problem, tmp_path: Path, write_case: WriteCase
) -> None:
    def faults(prepared: Prepared) -> list[str]:
        shape = prepared.image.shape[1:]
        return [f"axis {axis} is {length}, which is odd" for axis, length in enumerate(shape) if length % 2]

    store = Store(tmp_path / "cache", segmentation, [])
    several = [*cases, write_case("d", (11, 10, 8)), write_case("e", (12, 10, 7))]
    with pytest.raises(DataError) as caught:
        Dataset(several, store, sampling=Sampling(), seed=3, case_faults=faults).prepare()
    assert str(caught.value).splitlines() == [
        "case d: does not fit; axis 0 is 11, which is odd",
        "case e: does not fit; axis 2 is 7, which is odd",
    ]
