"""Stored cases stand for all that they were made of: content, settings, code, libraries; and are made once."""

import ast
import importlib.metadata
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import hilum
from hilum.case import Case, ImageRef
from hilum.data import hashes, store
from hilum.data.cache import contents
from hilum.data.dataset import Dataset, Sampling
from hilum.data.prepared import Prepared, prepare_case
from hilum.data.store import CODE, LIBRARIES, Store, fingerprint
from hilum.errors import DataError
from hilum.prepare.base import PrepareConfig
from hilum.prepare.dataset_zscore import ChannelRange, DatasetZscoreConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.prepare.zscore import ZscoreConfig
from hilum.problem import Problem
from hilum.volume import Volume

WriteCase = Callable[..., Case]


@pytest.fixture
def surroundings() -> Iterator[None]:
    """What is remembered of hilum's code and libraries is found anew, now and for later tests."""
    store.surroundings.cache_clear()
    yield
    store.surroundings.cache_clear()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cases that are prepared, each time."""
    found: list[str] = []

    def counted(case: Case, *rest: object) -> Prepared:
        found.append(case.id)
        return prepare_case(case, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "prepare_case", counted)
    return found


# ------------------------------------------------------------------------------------------------- what it stands for
@pytest.mark.parametrize("library", LIBRARIES)
def test_another_version_of_a_library_makes_other_entries(
    segmentation: Problem, library: str, monkeypatch: pytest.MonkeyPatch, surroundings: None
) -> None:
    before = fingerprint(segmentation, [])
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.1" if name == library else version(name))
    store.surroundings.cache_clear()
    assert fingerprint(segmentation, []) != before


@pytest.mark.parametrize("name", CODE)
def test_the_code_that_prepares_belongs_to_the_entry(
    segmentation: Problem, name: str, monkeypatch: pytest.MonkeyPatch, surroundings: None
) -> None:
    place = Path(hilum.__file__).parent / name
    before = fingerprint(segmentation, [])
    read, touched = hashes.file_sha256, []

    def edited(path: Path) -> str:
        if path.is_relative_to(place):
            touched.append(path)
            return "edited"
        return read(path)

    monkeypatch.setattr(store, "file_sha256", edited)
    store.surroundings.cache_clear()
    assert fingerprint(segmentation, []) != before
    assert touched


CANNOT_MATTER = {
    "augment/base.py": "classes of settings, which data/section.py names",
    "data/findings.py": "words of errors, which are not stored",
    "data/section.py": "classes of settings",
    "data/splits/base.py": "who is in which part: the case is given",
    "data/splits/people.py": "the same",
    "errors.py": "records without work",
    "field_docs.py": "words about settings",
    "hardware.py": "how many cores work side by side",
    "registry.py": "finds the classes of steps, whose settings and code belong to the entry by themselves",
    "yaml_text.py": "where a setting stands in a file",
    "settings.py": "the root of settings, whose values belong to the entry by themselves",
    "sources/base.py": "how cases are found: the case is given",
    "sources/labels.py": "the same",
    "sources/parquet.py": "the same",
    "sources/spelling.py": "the same",
    "sources/tables.py": "the same",
}


def test_all_code_that_prepares_a_case_belongs_to_the_entry() -> None:
    """Followed by the imports, from `prepare_case` on."""
    package = Path(hilum.__file__).parent
    found, left = set[str](), [package / "data" / "prepared.py"]
    while left:
        file = left.pop()
        name = file.relative_to(package).as_posix()
        if name not in found:
            found.add(name)
            left += imported(file, package.parent)
    covered = {name for name in found if any(Path(name).is_relative_to(code) for code in CODE)}
    assert {"data/patches.py", "data/voxels.py", "volume.py", "formats/reading.py", "prepare/base.py"} <= covered
    assert found - covered - {"__init__.py"} == set(CANNOT_MATTER)


def imported(file: Path, root: Path) -> Iterator[Path]:
    """The files of hilum that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("hilum"):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                place = root.joinpath(*name.split("."))
                yield from (one for one in (place.with_suffix(".py"), place / "__init__.py") if one.is_file())


def test_fitted_values_settings_and_their_order_belong_to_the_entry(segmentation: Problem) -> None:
    first, second = (DatasetZscoreConfig(fitted=(ChannelRange(low=0, high=9, mean=m, std=1),)) for m in (4, 5))
    spacing = SpacingConfig(mm=(1.0, 1.0, 2.0))
    several: list[list[PrepareConfig]] = [
        [],
        [first],
        [second],
        [ZscoreConfig()],
        [ZscoreConfig(nonzero=True)],
        [spacing, first],
        [first, spacing],
        [spacing.model_copy(update={"antialias": False}), first],
    ]
    assert len({fingerprint(segmentation, steps) for steps in several}) == len(several)


def test_classes_regions_and_the_ignored_value_belong_to_the_entry_names_of_runs_do_not(segmentation: Problem) -> None:
    others = [
        segmentation,
        replace(segmentation, values=((0,), (2,), (1,))),
        replace(segmentation, classes=("background", "cube", "dot")),
        replace(segmentation, classes=("all", "dot"), values=((1, 2), (2,)), exclusive=False),
        replace(segmentation, classes=("background", "box"), values=((0,), (1,)), ignore=2),
    ]
    assert len({fingerprint(problem, []) for problem in others}) == len(others)
    assert fingerprint(replace(segmentation, dims=2, size=(8, 8)), []) == fingerprint(segmentation, [])


def test_image_mask_label_frame_and_missing_channels_belong_to_the_key(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path
) -> None:
    a, b = write_case("a"), write_case("b", seed=1)
    (image,), cache = a.files, Store(tmp_path / "cache", segmentation, [])
    several = [
        a,
        b,
        replace(a, label=a.files[0]),
        replace(a, label="sick"),
        replace(a, label="healthy"),
        replace(a, images=(image, b.files[0])),
        replace(a, images=(b.files[0], image)),
        replace(a, images=(image, None)),
        replace(a, images=(None, image)),
        replace(a, images=(ImageRef(image.path, index=0),)),
        replace(a, images=(ImageRef(image.path, index=1),)),
    ]
    assert len({cache.key(case) for case in several}) == len(several)
    renamed = replace(a, id="other", patient="someone", metadata={"site": "north"})
    assert cache.key(renamed) == cache.key(a)


def test_a_mask_that_changes_in_place_is_noticed_between_runs(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path, made: list[str]
) -> None:
    case = write_case("a")
    for _ in range(2):
        Store(tmp_path / "cache", segmentation, []).get(case)
    assert made == ["a"]
    assert isinstance(case.label, ImageRef)
    content = bytearray(case.label.path.read_bytes())
    content[-2] = 1  # the last voxel but one
    with case.label.path.open("r+b") as stream:
        stream.write(content)
    found = Store(tmp_path / "cache", segmentation, []).get(case)
    assert made == ["a", "a"]
    assert isinstance(found.target, np.ndarray)
    assert int((found.target == 1).sum()) == 19


def test_rehash_finds_what_the_times_of_a_file_hide(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes, "_state", lambda path: "1 1 1 1")  # a file system that tells nothing
    cache, case = tmp_path / "cache", write_case("a")
    before = Store(cache, segmentation, []).get(case).image
    write_case("a", seed=4)
    assert np.array_equal(Store(cache, segmentation, []).get(case).image, before)
    rehashed = Store(cache, segmentation, [], hashes=hashes.Hashes(cache, rehash=True))
    assert not np.array_equal(rehashed.get(case).image, before)
    assert not np.array_equal(Store(cache, segmentation, []).get(case).image, before)


# ---------------------------------------------------------------------------------------------------- while it is made
class Overwrite(PrepareConfig):
    """A step during which somebody else writes the image."""

    file: Path

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        content = bytearray(self.file.read_bytes())
        content[-1] ^= 1
        self.file.write_bytes(content)
        return image, label


def test_a_file_that_changes_while_it_is_read_is_refused_and_nothing_is_kept(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path
) -> None:
    case = write_case("a")
    with pytest.raises(DataError, match="case a: its files changed while they were read"):
        Store(tmp_path / "cache", segmentation, [Overwrite(file=case.files[0].path)]).get(case)
    assert contents(tmp_path / "cache").num_bytes == 0


class Threads(PrepareConfig):
    """A step that writes down by how many threads torch computes."""

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        return Volume(torch.full_like(image.tensor, torch.get_num_threads()), image.grid), label


def test_a_case_does_not_depend_on_the_threads_of_the_run(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        found = Store(tmp_path / "cache", segmentation, [Threads()]).get(write_case("a"))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert float(found.image.max()) == 1


def test_preparing_goes_on_where_it_was_stopped(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path, made: list[str]
) -> None:
    cases = [write_case(f"case{number}", seed=number) for number in range(12)]

    def dataset() -> Dataset:
        return Dataset(cases, Store(tmp_path / "cache", segmentation, []), sampling=Sampling(), seed=1)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dataset().prepare(stop)
    first = sorted(made)
    assert 3 <= len(first) < 12
    whole = dataset()
    whole.prepare()
    assert sorted(made) == sorted(case.id for case in cases)  # each once in all
    dataset().prepare()
    assert len(made) == 12
    for index, case in enumerate(cases):
        assert np.array_equal(whole.prepared(index).image, prepare_case(case, segmentation, []).image)


def test_folds_and_runs_share_what_is_equal(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path, made: list[str]
) -> None:
    cases = [write_case(f"case{number}", seed=number) for number in range(4)]
    for fold in range(4):
        store = Store(tmp_path / "cache", segmentation, [ZscoreConfig()])
        Dataset(cases[:fold] + cases[fold + 1 :], store, sampling=Sampling(), seed=fold).prepare()
    assert sorted(made) == [f"case{number}" for number in range(4)]


def test_a_reader_never_meets_half_a_file(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, cache = write_case("a", (40, 40, 40), seed=1), tmp_path / "cache"
    fresh = prepare_case(case, segmentation, [])
    half, go_on = threading.Event(), threading.Event()
    write_bytes = Path.write_bytes

    def slowly(path: Path, content: bytes) -> int:
        write_bytes(path, content[: len(content) // 2])
        half.set()
        assert go_on.wait(10)
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", slowly)
    writer = threading.Thread(target=lambda: Store(cache, segmentation, []).get(case))
    writer.start()
    assert half.wait(10)
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    assert np.array_equal(Store(cache, segmentation, []).get(case).image, fresh.image)  # made by this one meanwhile
    go_on.set()
    writer.join()
    assert np.array_equal(Store(cache, segmentation, []).get(case).image, fresh.image)
    assert [len(contents(cache).cases), len(contents(cache).leftovers)] == [1, 0]
