"""One case prepared: what it becomes, what is refused, and stored files that serve only what they were made of."""

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from nibabel.nifti1 import Nifti1Image

from hilum import registry
from hilum.case import Case, ImageRef
from hilum.data.hashes import data_sha256
from hilum.data.prepared import Prepared, prepare_case
from hilum.data.store import Store
from hilum.data.voxels import read_target
from hilum.errors import DataError
from hilum.prepare.base import PrepareConfig
from hilum.prepare.window import WindowConfig
from hilum.prepare.zscore import ZscoreConfig
from hilum.problem import IGNORE, Problem
from hilum.registry import kinds, load_plugin
from hilum.volume import Volume

WriteCase = Callable[..., Case]


def same(a: Prepared, b: Prepared) -> bool:
    spots = a.structures.keys() == b.structures.keys() and all(
        np.array_equal(a.structures[key], b.structures[key]) for key in a.structures
    )
    return (
        spots
        and a.image.dtype == b.image.dtype
        and np.array_equal(a.image, b.image)
        and type(a.target) is type(b.target)
        and np.array_equal(np.asarray(a.target), np.asarray(b.target))
        and a.grid == b.grid
        and a.case == b.case
    )


def voxels(ref: ImageRef) -> npt.NDArray[Any]:
    return np.asanyarray(Nifti1Image.from_filename(ref.path).dataobj)


def files(folder: Path) -> list[Path]:
    return (
        sorted(file for file in folder.glob("*") if file.name not in ("hashes.txt", "CACHEDIR.TAG"))
        if folder.is_dir()
        else []
    )


# --------------------------------------------------------------------------------------------- one case
def test_a_case_without_steps_is_its_file(write_case: WriteCase, segmentation: Problem) -> None:
    case = write_case("a")
    prepared = prepare_case(case, segmentation, [])
    assert np.array_equal(prepared.image[0], voxels(case.files[0]))
    assert isinstance(prepared.target, np.ndarray)
    assert isinstance(case.label, ImageRef)
    assert np.array_equal(prepared.target[0], voxels(case.label))
    assert (prepared.image.dtype.name, prepared.target.dtype.name) == ("float32", "int16")
    assert {index: len(spots) for index, spots in prepared.structures.items()} == {1: 18, 2: 1}
    assert prepared.grid.spacing == (1, 1, 2)


def test_a_class_is_its_index(write_case: WriteCase, classification: Problem) -> None:
    prepared = prepare_case(write_case("a", label="sick"), classification, [ZscoreConfig()])
    assert prepared.target == 1
    assert prepared.structures == {}
    assert abs(float(prepared.image.mean())) < 1e-5


def test_the_ignored_value_and_regions_are_encoded(write_case: WriteCase, segmentation: Problem) -> None:
    case = write_case("a")
    ignoring = replace(segmentation, classes=("background", "box"), values=((0,), (1,)), ignore=2)
    assert read_target(case, ignoring).tensor[0, -1, -1, -1] == IGNORE  # type: ignore[union-attr]
    regions = replace(segmentation, classes=("all", "dot"), values=((1, 2), (2,)), exclusive=False)
    prepared = prepare_case(case, regions, [])
    assert isinstance(prepared.target, np.ndarray)
    assert prepared.target.sum((1, 2, 3)).tolist() == [19, 1]
    assert {index: len(spots) for index, spots in prepared.structures.items()} == {0: 19, 1: 1}


def test_what_cannot_be_learnt_from_is_named(
    write_case: WriteCase, segmentation: Problem, classification: Problem, tmp_path: Path
) -> None:
    case, other = write_case("a"), write_case("b", (4, 4, 4))
    wrong: list[tuple[Case, Problem, str]] = [
        (replace(case, label=None), segmentation, "case a: no label"),
        (replace(case, label="sick"), segmentation, "has the class 'sick', a segmentation needs a mask"),
        (case, classification, "has a mask .* a classification needs a class"),
        (replace(case, label="sicc"), classification, "did you mean 'sick'"),
        (
            replace(case, label=other.label),
            segmentation,
            r"b_mask.nii: shape differs: received \(4, 4, 4\) voxels, expected \(12, 10, 8\) as a.nii has it",
        ),
        (
            case,
            replace(segmentation, classes=("background", "box"), values=((0,), (1,))),
            r"a_mask.*label values \[2\]",
        ),
        (
            replace(case, images=(ImageRef(tmp_path / "none.nii"),)),
            segmentation,
            r"case a: .*none\.nii: .*no such file",
        ),
    ]
    for broken, problem, message in wrong:
        with pytest.raises(DataError, match=message):
            prepare_case(broken, problem, [])


class Spoil(PrepareConfig):
    """A step that divides by zero."""

    def apply(self, image: Volume, label: Volume | None) -> tuple[Volume, Volume | None]:
        return Volume(image.tensor * float("nan"), image.grid), label


def test_a_step_that_makes_nan_is_caught(write_case: WriteCase, segmentation: Problem) -> None:
    with pytest.raises(DataError, match=r"case a: .*the prepared image holds NaN"):
        prepare_case(write_case("a"), segmentation, [Spoil()])


# ------------------------------------------------------------------------------------------------ store
@pytest.mark.parametrize("kind", ["segmentation", "classification"])
def test_a_stored_case_is_the_prepared_one_to_the_bit(
    write_case: WriteCase, request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    problem = request.getfixturevalue(kind)
    case = write_case("a", seed=1, label="sick" if kind == "classification" else None)
    fresh = prepare_case(case, problem, [ZscoreConfig()])
    store = Store(tmp_path / "cache", problem, [ZscoreConfig()])
    assert same(store.get(case), fresh)
    assert len(files(tmp_path / "cache")) == 1
    assert same(store.get(case), fresh)
    assert same(Store(tmp_path / "cache", problem, [ZscoreConfig()]).get(case), fresh)


def test_a_stored_case_is_not_prepared_again(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = write_case("a")
    Store(tmp_path / "cache", segmentation, []).get(case)
    monkeypatch.setattr("hilum.data.prepared.prepare_case", lambda *_: pytest.fail("prepared again"))
    Store(tmp_path / "cache", segmentation, []).get(replace(case, id="renamed", patient="other"))


def test_other_files_steps_and_classes_are_other_entries(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    case = write_case("a")
    swapped = replace(segmentation, values=((0,), (2,), (1,)))
    before = Store(cache, segmentation, []).get(case)
    zscored = Store(cache, segmentation, [ZscoreConfig()]).get(case)
    windowed = Store(cache, segmentation, [WindowConfig(low=0, high=9)]).get(case)
    assert not np.array_equal(zscored.image, windowed.image)
    assert not np.array_equal(np.asarray(Store(cache, swapped, []).get(case).target), np.asarray(before.target))
    assert len(files(cache)) == 4
    write_case("a", seed=5)  # the same file name, other voxels
    assert not np.array_equal(Store(cache, segmentation, []).get(case).image, before.image)
    assert len(files(cache)) == 5


def test_a_file_that_changes_under_one_store_is_noticed(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path
) -> None:
    case = write_case("a")
    store = Store(tmp_path / "cache", segmentation, [])
    before = store.get(case)
    write_case("a", seed=5)
    os.utime(case.files[0].path, ns=(1, 1))
    assert not np.array_equal(store.get(case).image, before.image)


def test_the_class_of_a_case_belongs_to_its_key(write_case: WriteCase, classification: Problem, tmp_path: Path) -> None:
    case = write_case("a", label="sick")
    store = Store(tmp_path / "cache", classification, [])
    assert store.get(case).target == 1
    assert store.get(replace(case, label="healthy")).target == 0


def test_a_plugin_step_whose_code_changes_is_run_again(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._REGISTRY, "prepare", dict(kinds("prepare")))  # other tests do not know its kinds
    code = (
        "from hilum.prepare.base import PrepareConfig\n"
        "from hilum.volume import Volume\n"
        "class Add(PrepareConfig, kind='{kind}'):\n"
        "    '''Adds.'''\n"
        "    def apply(self, image, label):\n"
        "        return Volume(image.tensor + {amount}, image.grid), label\n"
    )
    case, found = write_case("a"), []
    for amount in (1, 2):
        plugin = tmp_path / f"version_{amount}" / "add_for_test.py"
        plugin.parent.mkdir()
        plugin.write_text(code.format(kind=f"add_for_test_{amount}", amount=amount))
        step = load_plugin(plugin).Add
        step.kind = "add_for_test"  # the same kind and settings, as after an edit of the file
        found.append(Store(tmp_path / "cache", segmentation, [step()]).get(case).image)
    assert np.array_equal(found[1], found[0] + 1)


@pytest.mark.parametrize("damage", ["empty", "cut", "nonsense", "foreign", "zeros", "bit"])
def test_a_damaged_file_is_made_again_with_a_warning(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    from safetensors.numpy import save

    case = write_case("a", seed=1)
    fresh = Store(tmp_path / "cache", segmentation, []).get(case)
    (file,) = files(tmp_path / "cache")
    whole = file.read_bytes()
    file.unlink()  # what is mapped must not be cut
    foreign = save({"other": np.zeros(3)})
    damaged = {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "nonsense": b"x" * 99,
        "foreign": foreign,
        "zeros": whole[:-2048] + bytes(512) + whole[-1536:],
        "bit": whole[:-1] + bytes([whole[-1] ^ 1]),
    }
    file.write_bytes(damaged[damage])
    with caplog.at_level(logging.WARNING):
        assert same(Store(tmp_path / "cache", segmentation, []).get(case), fresh)
    assert f"{file} cannot be read" in caplog.text
    assert "made again" in caplog.text
    caplog.clear()
    assert same(Store(tmp_path / "cache", segmentation, []).get(case), fresh)
    assert caplog.text == ""
    assert files(tmp_path / "cache") == [file]


def test_writers_side_by_side_leave_one_whole_file(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path
) -> None:
    case = write_case("a", (40, 40, 40), seed=1)
    fresh = prepare_case(case, segmentation, [])
    with ThreadPoolExecutor(8) as pool:
        stores = [Store(tmp_path / "cache", segmentation, []) for _ in range(8)]
        found = list(pool.map(lambda store: store.get(case), stores))
    assert all(same(prepared, fresh) for prepared in found)
    assert len(files(tmp_path / "cache")) == 1


def test_a_write_that_fails_is_explained_and_leaves_nothing(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    case = write_case("a")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DataError, match=r"case a: .*No space left on device; .*data\.cache"):
        Store(tmp_path / "cache", segmentation, []).get(case)
    assert files(tmp_path / "cache") == []


def test_a_cache_folder_that_cannot_be_is_explained(
    write_case: WriteCase, segmentation: Problem, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match="cannot be written"):
        Store(tmp_path / "cache" / "here", segmentation, []).get(write_case("a"))


def test_a_missing_image_is_named(segmentation: Problem, tmp_path: Path) -> None:
    case = Case("a", "a", (ImageRef(tmp_path / "none.nii"),), ImageRef(tmp_path / "none.nii"))
    with pytest.raises(DataError, match=r"none\.nii cannot be read"):
        Store(tmp_path, segmentation, []).get(case)


def test_rows_of_an_array_are_read_directly(classification: Problem, tmp_path: Path) -> None:
    np.savez(tmp_path / "many.npz", images=np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4))
    case = Case("r", "r", (ImageRef(tmp_path / "many.npz", "images", 1),), "sick")
    prepared = Store(tmp_path / "cache", classification, []).get(case)
    assert prepared.image[0, :, :, 0].tolist() == np.arange(12, 24).reshape(3, 4).tolist()
    assert files(tmp_path / "cache") == []


# ------------------------------------------------------------------------------------------------- hash
def test_the_hash_of_the_data_sees_voxels_labels_and_patients_but_not_order(write_case: WriteCase) -> None:
    a, b = write_case("a"), write_case("b", label="sick")
    reference = data_sha256([a, b])
    assert data_sha256([b, a]) == reference
    others = [
        data_sha256([a]),
        data_sha256([a, replace(b, label="healthy")]),
        data_sha256([replace(a, patient="x"), b]),
        data_sha256([replace(a, id="x"), b]),
    ]
    write_case("a", seed=3)
    others.append(data_sha256([a, b]))
    assert len({reference, *others}) == 6


def test_frames_of_one_file_are_stored_apart(segmentation: Problem, tmp_path: Path) -> None:
    frames = np.stack([np.arange(64, dtype=np.float32).reshape(4, 4, 4) + value for value in (1, 2)], axis=-1)
    nib.save(nib.Nifti1Image(frames, np.eye(4)), tmp_path / "series.nii")
    nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4)), tmp_path / "mask.nii")
    store = Store(tmp_path / "cache", segmentation, [])
    for index in (0, 1):
        case = Case("a", "a", (ImageRef(tmp_path / "series.nii", index=index),), ImageRef(tmp_path / "mask.nii"))
        assert float(store.get(case).image.min()) == index + 1
