"""Post-processing of label values, against SciPy on the whole volume, class after class."""

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError
from scipy import ndimage

from hilum.errors import DataError
from hilum.inference.postprocess.apply import postprocessed
from hilum.inference.postprocess.base import PostprocessConfig
from hilum.inference.section import PredictConfig
from hilum.problem import Problem
from hilum.registry import parse
from hilum.volume import Grid

Labels = npt.NDArray[np.uint8]
EXCLUSIVE = Problem(
    "segmentation", 3, ("scan",), classes=("background", "organ", "lesion"), values=((5,), (1, 7), (2,))
)
REGIONS = Problem(
    "segmentation",
    3,
    ("scan",),
    classes=("whole", "core", "active"),
    values=((1, 2, 4), (1, 4), (4,)),
    exclusive=False,
)


def step(kind: str, *of: str, **settings: object) -> PostprocessConfig:
    parsed = parse("postprocess", {"kind": kind, "of": list(of), **settings})
    assert isinstance(parsed, PostprocessConfig)
    return parsed


def grid(shape: tuple[int, ...], *, unit: str = "mm") -> Grid:
    affine = np.diag([2.0, 1.0, 5.0, 1.0])  # 0.01 ml
    return Grid((shape[0], shape[1], shape[2]), affine, unit)  # type: ignore[arg-type]


def drawn(seed: int, shape: tuple[int, ...], values: tuple[int, ...]) -> Labels:
    """Blobs of label values that touch each other, with specks and holes."""
    rng = np.random.default_rng(seed)
    smooth = np.stack([ndimage.gaussian_filter(rng.normal(size=shape), 0.9) for _ in values])
    return np.array(values, dtype=np.uint8)[smooth.argmax(0)]


def run(labels: Labels, *steps: PostprocessConfig, problem: Problem = EXCLUSIVE, unit: str = "mm") -> Labels:
    before = labels.copy()
    after = postprocessed(labels, grid(labels.shape, unit=unit), steps=steps, problem=problem)
    assert np.array_equal(labels, before)
    assert after.dtype == labels.dtype
    return after  # type: ignore[return-value]


SHAPES = [(9, 8, 7), (14, 13, 1), (12, 1, 9)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_the_largest_component_of_a_class_stays_and_the_rest_is_background(shape: tuple[int, ...], seed: int) -> None:
    labels = drawn(seed, shape, (5, 5, 1, 2))
    numbers, count = ndimage.label(labels == 1, np.ones((3, 3, 3)))
    assert count > 1
    sizes = ndimage.sum_labels(labels == 1, numbers, range(1, count + 1))
    expected = np.where((labels == 1) & (numbers != 1 + np.argmax(sizes)), 5, labels)
    assert np.array_equal(run(labels, step("largest_component", "organ")), expected)


@pytest.mark.parametrize("seed", range(4))
def test_several_classes_together_are_one_structure(seed: int) -> None:
    labels = drawn(seed, (9, 8, 7), (5, 5, 1, 2))
    numbers, count = ndimage.label(labels != 5, np.ones((3, 3, 3)))
    sizes = ndimage.sum_labels(labels != 5, numbers, range(1, count + 1))
    expected = np.where(numbers == 1 + np.argmax(sizes), labels, 5)
    assert np.array_equal(run(labels, step("largest_component", "organ", "lesion")), expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_small_components_go(shape: tuple[int, ...], seed: int) -> None:
    labels = drawn(seed, shape, (5, 5, 1, 2))
    numbers, count = ndimage.label(labels == 2, np.ones((3, 3, 3)))
    expected = labels.copy()
    for number in range(1, count + 1):
        if (numbers == number).sum() < 3:
            expected[numbers == number] = 5
    assert shape[2] == 7 or (expected != labels).any()
    for limit in ({"voxels": 3}, {"ml": 0.03}, {"ml": 0.0201}):
        assert np.array_equal(run(labels, step("min_size", "lesion", **limit)), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_holes_are_filled_where_no_other_class_lies(shape: tuple[int, ...]) -> None:
    changed = 0
    for seed in range(12):
        labels = drawn(seed, shape, (5, 1, 1, 2))
        inside = np.squeeze(labels == 1)
        holes = ndimage.binary_fill_holes(inside).reshape(shape) & (labels == 5)
        assert np.array_equal(run(labels, step("fill_holes", "organ")), np.where(holes, 1, labels))
        changed += int(holes.sum())
    assert changed > 0


def test_a_hole_of_a_volume_has_to_be_closed_in_all_three_directions() -> None:
    labels = np.full((5, 5, 3), 5, dtype=np.uint8)
    labels[1:4, 1:4, 1] = 1
    labels[2, 2, 1] = 5  # a ring of one slice
    assert np.array_equal(run(labels, step("fill_holes", "organ")), labels)
    picture = labels[:, :, 1:2]
    assert run(picture, step("fill_holes", "organ"))[2, 2, 0] == 1


def test_steps_follow_each_other() -> None:
    labels = drawn(1, (9, 8, 7), (5, 5, 1, 2))
    steps = [step("min_size", "organ", voxels=4), step("fill_holes", "organ"), step("largest_component", "lesion")]
    one_by_one = labels
    for each in steps:
        one_by_one = run(one_by_one, each)
    assert np.array_equal(run(labels, *steps), one_by_one)
    assert np.array_equal(run(one_by_one, *steps), one_by_one)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", REGIONS.classes)
def test_a_voxel_that_leaves_a_region_stays_in_those_around_it(name: str, seed: int) -> None:
    """1 is whole and core, 2 whole, 4 all three: what leaves the core is whole still, and loses the active part."""
    becomes = {"whole": {1: 0, 2: 0, 4: 0}, "core": {1: 2, 4: 2}, "active": {4: 1}}[name]
    labels = drawn(seed, (9, 8, 7), (0, 0, 1, 2, 4))
    inside = np.isin(labels, list(becomes))
    numbers, count = ndimage.label(inside, np.ones((3, 3, 3)))
    sizes = ndimage.sum_labels(inside, numbers, range(1, count + 1))
    expected = labels.copy()
    for place in map(tuple, np.argwhere(inside & (numbers != 1 + np.argmax(sizes)))):
        expected[place] = becomes[int(labels[place])]
    assert np.array_equal(run(labels, step("largest_component", name), problem=REGIONS), expected)


def test_a_voxel_that_joins_a_region_joins_those_around_it() -> None:
    labels = np.zeros((5, 5, 1), dtype=np.uint8)
    labels[1:4, 1:4] = 1
    labels[2, 2] = 2
    assert run(labels, step("fill_holes", "core"), problem=REGIONS)[2, 2, 0] == 1
    labels[2, 2] = 0
    assert run(labels, step("fill_holes", "core"), problem=REGIONS)[2, 2, 0] == 1
    assert run(labels, step("fill_holes", "whole"), problem=REGIONS)[2, 2, 0] == 2


def test_an_absent_structure_is_left_absent() -> None:
    labels = np.full((4, 4, 4), 5, dtype=np.uint8)
    steps = [step("largest_component", "organ"), step("fill_holes", "lesion"), step("min_size", "organ", voxels=2)]
    assert np.array_equal(run(labels, *steps), labels)


def test_ml_need_a_voxel_size() -> None:
    labels = drawn(0, (9, 8, 1), (5, 1))
    with pytest.raises(DataError, match=r"no voxel size.*voxels instead"):
        run(labels, step("min_size", "organ", ml=1.0), unit="pixel")


@pytest.mark.parametrize(
    ("received", "words"),
    [
        ({"kind": "min_size", "of": "organ"}, "either ml or voxels"),
        ({"kind": "min_size", "of": "organ", "ml": 1.0, "voxels": 2}, "either ml or voxels"),
        ({"kind": "fill_holes", "of": ["organ", "lesion"]}, "at most 1"),
        ({"kind": "largest_component", "of": []}, "at least 1"),
        ("autos", "did you mean 'auto'"),
        ([{"kind": "largest"}], "largest_component"),
    ],
)
def test_settings_that_say_nothing_clear_are_refused(received: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PredictConfig.model_validate({"postprocess": received})


def test_a_structure_that_there_is_not_is_named_with_the_nearest() -> None:
    config = PredictConfig.model_validate({"postprocess": {"kind": "fill_holes", "of": "organs"}})
    ((where, fault),) = config.faults(EXCLUSIVE)
    assert where == ("postprocess", 0)
    assert "received 'organs', expected some of organ, lesion; did you mean 'organ'?" in fault
    classes = Problem("classification", 2, ("x",), classes=("a", "b"), values=((0,), (1,)))
    assert "is for segmentation" in next(config.faults(classes))[1]
