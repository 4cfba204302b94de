"""What reading and preparing takes: estimated from headers, kept in a process of its own, and let go of early."""

from __future__ import annotations

import math
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
import pytest
import torch

from hilum.formats.base import Header
from hilum.inference.predictor import Predictor
from hilum.inference.preparing import PART_BYTES, preparation_bytes, prepared_grid
from hilum.prepare.base import PrepareConfig
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.crop_foreground import CropForegroundConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.prepare.zscore import ZscoreConfig
from hilum.problem import Problem
from hilum.volume import Grid, Volume

SHAPE = (200, 210, 220)
GRID = Grid(SHAPE, np.diag([-0.8, -0.8, 1.0, 1.0]))
PROBLEM = Problem("segmentation", 3, ("ct",), ("background", "organ"), ((0,), (1,)))
STEPS: list[PrepareConfig] = [CanonicalConfig(), SpacingConfig(mm=(1.5, 1.5, 1.5)), ZscoreConfig()]

# Prints how much more memory a child has at its peak than before it reads and prepares a scan: first a small one, so
# that all is loaded, then a large one.
MEASURE = """
import sys
import torch
from pathlib import Path
from hilum.case import ImageRef
from hilum.hardware import forget_peak_memory, peak_memory_bytes
from hilum.inference.predictor import Predictor
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.prepare.zscore import ZscoreConfig
from hilum.problem import Problem

torch.set_num_threads(1)
problem = Problem("segmentation", 3, ("ct",), ("background", "organ"), ((0,), (1,)))
steps = [CanonicalConfig(), SpacingConfig(mm=(1.5, 1.5, 1.5)), ZscoreConfig()]
predictor = Predictor(torch.nn.Identity(), problem, steps)
for file in sys.argv[1:]:
    forget_peak_memory(torch.device("cpu"))
    before = peak_memory_bytes(torch.device("cpu"))
    held = [predictor.read([ImageRef(Path(file))])]
    prepared = predictor.prepared(held.pop())
    taken = peak_memory_bytes(torch.device("cpu")) - before
    del prepared
print(taken)
"""


def header(grid: Grid = GRID, **more: Any) -> Header:
    return Header(grid, **{"channels": 1, "stored": "int16", **more})


def estimate(*headers: Header, steps: list[PrepareConfig] = STEPS) -> int:
    return preparation_bytes(headers, steps, process_bytes=0) - PART_BYTES


def test_the_estimate_is_the_most_that_a_step_holds() -> None:
    voxels = math.prod(SHAPE)
    assert estimate(header(), steps=[]) == voxels * (4 + 2)
    assert estimate(header(facts={"scl_slope": "2"}), steps=[]) == voxels * (4 + 8)
    assert estimate(header(stored="uint12"), steps=[]) == voxels * (4 + 8)
    assert estimate(header(), header(), steps=[]) == 16 * voxels  # put together as channels
    assert estimate(header(), steps=[CanonicalConfig()]) == 12 * voxels  # before, after, and one more channel
    coarse = estimate(header(), steps=[SpacingConfig(mm=(1.6, 1.6, 1.0))])
    assert coarse == pytest.approx(voxels * (4 + 8 / 2), rel=0.01)  # the first axis is halved first
    fine = estimate(header(), steps=[SpacingConfig(mm=(0.4, 0.4, 1.0))])
    assert fine == pytest.approx(voxels * (4 + 8 * 4), rel=0.01)


def test_the_grid_after_all_steps_is_known_from_the_header_where_no_step_needs_voxels() -> None:
    image = Volume(torch.rand(1, *SHAPE), GRID)
    predictor = Predictor(torch.nn.Identity(), PROBLEM, STEPS)
    assert prepared_grid(GRID, STEPS) == predictor.prepared(image).grid
    assert prepared_grid(GRID, [*STEPS, CropForegroundConfig()]) is None


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from /proc")
def test_the_estimate_is_kept_and_near(tmp_path: Path) -> None:
    files = []
    for name, shape in (("small", (20, 20, 20)), ("large", SHAPE)):
        voxels = np.random.default_rng(1).integers(-1000, 1000, shape, dtype=np.int16)
        files.append(tmp_path / f"{name}.nii")
        nib.save(nib.Nifti1Image(voxels, GRID.affine), files[-1])
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, files)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    measured, estimated = int(done.stdout), estimate(header())
    assert measured < estimated + PART_BYTES
    assert measured > 0.5 * estimated


def test_the_image_is_let_go_of_after_the_first_step() -> None:
    alive: list[bool] = []

    class Step:
        """Gives another tensor, and sees whether the image as it was read is still there."""

        def apply(self, image: Volume, label: None) -> tuple[Volume, None]:
            alive.append(watched() is not None)
            return Volume(image.tensor + 1, image.grid), None

    held = [Volume(torch.zeros(1, 4, 4, 4), Grid((4, 4, 4), np.eye(4)))]
    watched = weakref.ref(held[0].tensor)
    predictor = Predictor(torch.nn.Identity(), PROBLEM, cast(Any, [Step(), Step(), Step()]))
    prepared = predictor.prepared(held.pop())
    assert alive == [True, False, False]
    assert (prepared.tensor == 3).all()
