"""The runner on its own: short, free of hilum, and each of its steps the same as hilum's."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.exporting.conftest import affine

from hilum import exporting
from hilum.exporting.decisions import AGGREGATES
from hilum.exporting.description import POSTPROCESS_KINDS, PREPARE_KINDS, describe_step
from hilum.inference.postprocess.apply import postprocessed as by_hilum
from hilum.inference.postprocess.base import PostprocessConfig
from hilum.inference.postprocess.fill_holes import FillHolesConfig
from hilum.inference.postprocess.largest_component import LargestComponentConfig
from hilum.inference.postprocess.min_size import MinSizeConfig
from hilum.prepare.base import PrepareConfig
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.crop_foreground import CropForegroundConfig
from hilum.prepare.dataset_zscore import ChannelRange, DatasetZscoreConfig
from hilum.prepare.percentiles import PercentilesConfig
from hilum.prepare.resize import ResizeConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.prepare.window import WindowConfig
from hilum.prepare.zscore import ZscoreConfig
from hilum.problem import Problem
from hilum.registry import kinds
from hilum.volume import Grid, Volume, resample

runner: Any = pytest.importorskip("hilum.exporting.runner")
runner_postprocess: Any = pytest.importorskip("hilum.exporting.runner_postprocess")

FOLDER = Path(exporting.__file__).parent
STANDARD = {"argparse", "importlib", "itertools", "json", "math", "pathlib"}
FITTED = (ChannelRange(low=-50, high=250, mean=90, std=80), ChannelRange(low=3, high=3, mean=3, std=0))
GRID_STEPS: list[PrepareConfig] = [
    CanonicalConfig(),
    SpacingConfig(mm=(2.0, None, 1.1)),
    SpacingConfig(mm=(1.5, 2.0, 3.0)),
    SpacingConfig(mm=(4.0, 5.0, 2.0), antialias=False),
    ResizeConfig(size=(6, 20)),
    ResizeConfig(size=(16, 5, 9)),
    CropForegroundConfig(threshold=150.0, margin_voxels=1),
]
VALUE_STEPS: list[PrepareConfig] = [
    WindowConfig(low=-100, high=240),
    PercentilesConfig(low=2, high=98),
    ZscoreConfig(),
    ZscoreConfig(nonzero=True),
    DatasetZscoreConfig(fitted=FITTED),
]


def image(axes: str = "LIA") -> Volume:
    """Two channels: one of noise with zeros in it, one constant."""
    rng = np.random.default_rng(4)
    values = rng.normal(100, 100, (2, 13, 11, 9)).astype(np.float32)
    values[0, :4] = 0
    values[1] = 3
    return Volume(torch.from_numpy(values), Grid((13, 11, 9), affine(axes)))


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_runner_is_short_and_needs_three_packages() -> None:
    lines = (FOLDER / "runner.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 200
    assert imports(FOLDER / "runner.py") - STANDARD == {"nibabel", "numpy", "onnxruntime"}
    for beside in ("runner_postprocess.py", "runner_decide.py"):
        assert imports(FOLDER / beside) - STANDARD == {"numpy"}


def test_every_step_of_hilum_but_filter_is_known_to_the_runner() -> None:
    own = {kind for kind, step in kinds("prepare").items() if step.__module__.startswith("hilum.")}
    assert own - {"filter"} == set(PREPARE_KINDS)
    own = {kind for kind, step in kinds("postprocess").items() if step.__module__.startswith("hilum.")}
    assert own == set(POSTPROCESS_KINDS)
    own = {kind for kind, step in kinds("aggregates").items() if step.__module__.startswith("hilum.")}
    assert own == set(AGGREGATES)


@pytest.mark.parametrize("step", GRID_STEPS, ids=str)
@pytest.mark.parametrize("axes", ["RAS", "LIA", "PSR"])
def test_a_step_on_the_grid_gives_what_hilum_gives(step: PrepareConfig, axes: str) -> None:
    before = image(axes)
    expected, _ = step.apply(before, None)
    values, place = runner.regridded(before.tensor.numpy(), before.grid.affine, describe_step(step))
    assert values.shape == expected.tensor.shape
    np.testing.assert_allclose(place, expected.grid.affine, atol=1e-9)
    np.testing.assert_allclose(values, expected.tensor.numpy(), atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("step", VALUE_STEPS, ids=str)
def test_a_step_on_values_gives_what_hilum_gives(step: PrepareConfig) -> None:
    before = image()
    expected, _ = step.apply(before, None)
    described = describe_step(step)
    for number, channel in enumerate(before.tensor.numpy()):
        found = runner.rescaled(channel, described, number)
        np.testing.assert_allclose(found, expected.tensor[number].numpy(), atol=1e-5)


@pytest.mark.parametrize("axes", ["RAS", "LPI", "RPS", "SPL", "AIR"])
def test_probabilities_come_back_as_in_hilum(axes: str) -> None:
    source = Grid((10, 12, 9), affine(axes))
    prepared = source.canonical().respaced((2.0, 2.0, 2.0)).cropped((1, 1, 1), (5, 7, 6))
    values = torch.rand((2, *prepared.shape), generator=torch.Generator().manual_seed(1))
    outside = np.array([1, 0], np.float32).reshape(-1, 1, 1, 1)
    found = runner.sampled(values.numpy(), prepared.affine, source.affine, shape=source.shape, outside=outside)
    for index, beyond in enumerate((1.0, 0.0)):
        one = Volume(values[index : index + 1], prepared)
        expected = resample(one, source, antialias=False, outside=beyond).tensor[0]
        np.testing.assert_allclose(found[index], expected.numpy(), atol=1e-6)


POSTPROCESSING: list[PostprocessConfig] = [
    LargestComponentConfig(of=("organ",)),
    LargestComponentConfig(of=("organ", "lesion")),
    MinSizeConfig(of=("lesion",), voxels=4),
    MinSizeConfig(of=("organ",), ml=0.05),
    FillHolesConfig(of=("organ",)),
]
CLASSES = Problem("segmentation", 3, ("image",), ("background", "organ", "lesion"), ((0,), (4,), (7, 8)))
REGIONS = Problem("segmentation", 3, ("image",), ("organ", "lesion"), ((1, 2), (2,)), exclusive=False)


def masks(shape: tuple[int, ...], values: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.uint8]:
    """Blobs of label values with holes, islands and things that touch the border."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(seed).normal(size=shape), [1.2 if n > 1 else 0 for n in shape])
    ranks = field.ravel().argsort().argsort().reshape(shape) * len(values) // field.size
    return values[ranks].astype(np.uint8)


@pytest.mark.parametrize("step", POSTPROCESSING, ids=str)
@pytest.mark.parametrize("problem", [CLASSES, REGIONS], ids=["classes", "regions"])
@pytest.mark.parametrize("shape", [(12, 10, 9), (30, 25, 1)], ids=["volume", "slice"])
def test_postprocessing_gives_what_scipy_gives_hilum(
    step: PostprocessConfig, problem: Problem, shape: tuple[int, int, int]
) -> None:
    import nibabel as nib

    from hilum.exporting.description import describe_postprocess

    values = np.array([0, 4, 7, 8] if problem is CLASSES else [0, 1, 2])
    grid = Grid(shape, affine())
    for seed in range(4):
        labels = masks(shape, values, seed)
        expected = by_hilum(labels, grid, steps=[step], problem=problem)
        like = nib.Nifti1Image(labels, grid.affine)
        found = runner_postprocess.postprocessed(labels, like, [describe_postprocess(step, problem)])
        np.testing.assert_array_equal(found, expected)


def test_components_of_a_winding_structure_are_one() -> None:
    snake = np.zeros((31, 31, 1), dtype=bool)
    snake[::2] = True
    snake[1::4, -1] = snake[3::4, 0] = True
    numbers = runner_postprocess.components(snake, corners=False)
    assert set(np.unique(numbers)) == {-1, 0}
    snake[15] = False
    assert len(np.unique(runner_postprocess.components(snake, corners=True))) == 3
