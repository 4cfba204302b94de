"""Planted copies of pictures and volumes are found, each with what was done to it, and nothing else is."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import zoom

from hilum.case import Case, Cohort, ImageRef
from hilum.data.audit import Audit, audit, looks
from hilum.data.audit.looks import Look, image_look
from hilum.data.audit.search import orientations, turned
from hilum.data.splits.base import Split
from hilum.problem import Problem

Write = Callable[..., Case]
Anatomy = Callable[..., np.ndarray]
Audited = Callable[..., Audit]
Change = Callable[[np.ndarray], np.ndarray]


def named(done: Audit) -> set[tuple[str, str]]:
    """The ids of all pairs found."""
    return {(pair.first.case.id, pair.second.case.id) for pair in done.pairs}


def jpeg(image: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=40)
    return np.asarray(Image.open(stream))


def brighter(image: np.ndarray) -> np.ndarray:
    return ((image / 255.0) ** 0.8 * 200 + 40).astype(np.uint8)


PICTURES: dict[str, Change] = {
    "resized": lambda image: np.asarray(Image.fromarray(image).resize((200, 90), Image.Resampling.BICUBIC)),
    "jpeg": jpeg,
    "brighter": brighter,
    "cropped": lambda image: image[7:-7, 7:-7],
    "negative": lambda image: 255 - image,
    "several": lambda image: jpeg(brighter(np.rot90(image[5:, 7:]))),
}
VOLUMES: dict[str, Change] = {
    "resized": lambda volume: zoom(volume, (1.3, 0.8, 1.1), order=1),
    "brighter": brighter,
    "flipped": lambda volume: volume[::-1, :, ::-1],
    "cropped": lambda volume: volume[2:-2, 2:, :-2],
    "several": lambda volume: zoom(brighter(volume[1:, ::-1, 1:-2]) // 8, (0.9, 0.8, 1.2), order=1),
}


def test_copies_of_pictures_are_found_and_nothing_else(write: Write, anatomy: Anatomy, audited: Audited) -> None:
    images = [anatomy((140, 140), seed) for seed in range(18)]
    cases = [write(f"image-{number:02d}", image) for number, image in enumerate(images)]
    planted = [
        (
            f"image-{3 * index + again:02d}",
            write(f"{name}-{again}", np.ascontiguousarray(change(images[3 * index + again]))),
        )
        for index, (name, change) in enumerate(PICTURES.items())
        for again in range(2)
    ]
    done = audited([*cases, *(copy for _, copy in planted)])
    assert {frozenset(pair) for pair in named(done)} == {frozenset((whole, copy.id)) for whole, copy in planted}
    said = {scan.case.id: pair.words for pair in done.pairs for scan in (pair.first, pair.second)}
    assert said["negative-0"] == "a negative"
    assert said["several-0"].startswith("turned by")
    assert said["cropped-0"] in ("81 % of it", "80 % of it", "82 % of it")  # 126 x 126 of 140 x 140
    assert {finding.kind for finding in done.findings} == {"near copy of two patients"}


def test_copies_of_volumes_are_found_and_nothing_else(write: Write, anatomy: Anatomy, audited: Audited) -> None:
    volumes = [anatomy((34, 40, 32), seed) for seed in range(7)]
    cases = [write(f"volume-{number:02d}", volume) for number, volume in enumerate(volumes)]
    planted = [
        (f"volume-{index:02d}", write(name, np.ascontiguousarray(change(volumes[index]))))
        for index, (name, change) in enumerate(VOLUMES.items())
    ]
    done = audited([*cases, *(copy for _, copy in planted)], dims=3)
    assert {frozenset(pair) for pair in named(done)} == {frozenset((whole, copy.id)) for whole, copy in planted}
    how = {frozenset((pair.first.case.id, pair.second.case.id)): pair.how for pair in done.pairs}
    assert how[frozenset(("volume-02", "flipped"))] == "turned"


def test_progress_ends_where_it_said_it_would(write: Write, anatomy: Anatomy) -> None:
    cases = [write(name, anatomy((34, 40), 1) + add) for name, add in (("a", np.uint8(0)), ("b", np.uint8(1)))]
    told: list[tuple[int, int]] = []
    problem = Problem("classification", 2, ("image",), ("x", "y"), (("x",), ("y",)))
    parts = Split({"train": tuple(cases)})
    done = audit(Cohort(tuple(cases), ("image",)), parts, problem, progress=lambda *counts: told.append(counts))
    assert named(done) == {("a", "b")}
    assert told == [(1, 2), (2, 2), (3, 3)]  # two images, then one pair


def test_the_same_voxels_in_another_file_are_identical(
    write: Write, tmp_path: Path, anatomy: Anatomy, audited: Audited
) -> None:
    image = anatomy((30, 34), 1)
    original, other = write("original", image), write("other", anatomy((30, 34), 2))
    Image.fromarray(image).save(tmp_path / "copy.tif")
    copy = Case("copy", "copy", (ImageRef(tmp_path / "copy.tif"),), "y")
    parts = Split({"train": (original, other), "val": (copy,)})
    done = audited([copy, original, other], parts)
    assert named(done) == {("original", "copy")}
    assert done.pairs[0].how == "identical"
    shared, conflict = done.findings[:2]
    assert (shared.kind, shared.case) == ("identical voxels in train and val", "copy")
    assert shared.received == "the same voxels as case original"
    assert (conflict.kind, conflict.received) == ("copies with different labels", "class y")


@pytest.mark.parametrize("turn", [1, 4, 7])
def test_mirrored_and_turned_pictures_are_the_same_voxels(
    turn: int, write: Write, anatomy: Anatomy, audited: Audited
) -> None:
    image = anatomy((28, 33), 4)
    other = np.rot90(image, turn % 4)
    copy = np.ascontiguousarray(other[:, ::-1] if turn >= 4 else other)
    done = audited([write("image", image), write("copy", copy)])
    assert [pair.how for pair in done.pairs] == ["turned"]


def test_the_same_values_elsewhere_are_no_copy(write: Write, anatomy: Anatomy, audited: Audited) -> None:
    image = anatomy((30, 30), 4)
    shuffled = np.random.default_rng(0).permutation(image.reshape(-1)).reshape(image.shape)
    assert not audited([write("image", image), write("shuffled", shuffled)]).pairs


def test_images_without_contrast_are_no_copies(write: Write, audited: Audited) -> None:
    black = np.zeros((30, 30), dtype=np.uint8)
    assert not audited([write("one", black), write("two", black)]).pairs


def test_of_three_equal_images_the_first_in_train_is_named(write: Write, anatomy: Anatomy, audited: Audited) -> None:
    image = anatomy((30, 30), 4)
    cases = [write(name, image) for name in ("a", "b", "c")]
    parts = Split({"train": (cases[2],), "val": (cases[0],), "test": (cases[1],)})
    assert named(audited(cases, parts)) == {("c", "a"), ("c", "b")}


def test_equal_scans_with_unequal_masks_are_a_conflict(write: Write, tmp_path: Path, anatomy: Anatomy) -> None:
    image, mask = anatomy((9, 10, 11), 1), np.zeros((9, 10, 11), np.uint8)
    mask[2:4] = 1
    other = mask.copy()
    other[8, 9, 10] = 1  # one voxel is enough
    cases = []
    for name, labels in (("a", mask), ("same", mask), ("other", other)):
        label = write(f"{name}-mask", labels).files[0]
        cases.append(replace(write(name, image), label=label))
    problem = Problem("segmentation", 3, ("image",), ("background", "organ"), ((0,), (1,)))
    done = audit(Cohort(tuple(cases), ("image",)), Split({"train": tuple(cases)}), problem)
    (conflict,) = [finding for finding in done.findings if finding.kind == "copies with different labels"]
    assert (conflict.case, conflict.file) == ("other", str(tmp_path / "other-mask.nii"))
    assert (conflict.received, conflict.expected) == ("another mask", "that of its copy, case a")


def test_one_image_as_two_channels_is_told_and_a_channel_shared_by_patients_too(write: Write, anatomy: Anatomy) -> None:
    t1, t2, again = (write(name, anatomy((30, 34), seed)).files[0] for name, seed in (("t1", 1), ("t2", 2), ("t1b", 1)))
    twice = Case("twice", "twice", (t1, again), "x")
    sound = Case("sound", "sound", (write("other", anatomy((30, 34), 3)).files[0], t2), "x")
    problem = Problem("classification", 2, ("t1", "t2"), ("x",), (("x",),))
    done = audit(Cohort((sound, twice), ("t1", "t2")), Split({"train": (sound, twice)}), problem)
    (finding,) = [one for one in done.findings if one.case]
    assert (finding.kind, finding.case) == ("two channels show the same", "twice")
    assert finding.received == "the same voxels as t1.png"
    assert finding.file == str(again)


def test_plain_shapes_are_no_copies_of_each_other(write: Write, audited: Audited) -> None:
    """Rods of nearly one length look alike and prove nothing; a bent one is told from its own mirror image."""
    rods, bent = [], np.zeros((28, 28, 28), np.uint8)
    for length in (19, 20):
        rod = np.zeros((28, 28, 28), np.uint8)
        rod[4 : 4 + length, 12:16, 12:16] = 255
        rods.append(write(f"rod{length}", rod))
    bent[4:20, 6:10, 12:16] = bent[16:20, 6:22, 12:16] = bent[18:23, 18:22, 12:24] = 255
    again = bent.copy()
    again[4, 6:8, 12:14] = again[19, 21, 12] = 0
    done = audited([*rods, write("bent", bent), write("bent-again", again)], dims=3)
    assert named(done) == {("bent", "bent-again")}


def test_looks_are_remembered_until_the_file_changes(
    write: Write, tmp_path: Path, anatomy: Anatomy, audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def counted(ref: ImageRef) -> Look:
        looked.append(ref.path.stem)
        return image_look(ref)

    monkeypatch.setattr(looks, "image_look", counted)
    cache = tmp_path / "cache"
    cache.mkdir()
    image = anatomy((30, 30), 4)
    cases = [write("a", image), write("b", np.minimum(image, 254))]  # equal files need one look, or two at once
    assert len(audited(cases, cache=cache).pairs) == 1
    assert sorted(looked) == ["a", "b"]
    assert len(audited(cases, cache=cache).pairs) == 1
    assert sorted(looked) == ["a", "b"]
    write("b", anatomy((30, 30), 5))
    assert not audited(cases, cache=cache).pairs
    assert sorted(looked) == ["a", "b", "b"]
    monkeypatch.setattr(looks, "surroundings", lambda code: "other readers or libraries")
    audited(cases, cache=cache)
    assert sorted(looked) == ["a", "a", "b", "b", "b"]


@pytest.mark.parametrize("axes", [2, 3])
def test_all_orientations_differ_and_stay_copies(axes: int) -> None:
    cube = torch.arange(5**axes).reshape([5] * axes)
    assert len({tuple(turned(cube, way, axes=axes).flatten().tolist()) for way in orientations(axes)}) == 8
