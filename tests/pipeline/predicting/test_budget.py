"""What is said of the memory of a case before it is read, and that too much of it is refused then."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from hilum.case import Case, ImageRef
from hilum.errors import DataError
from hilum.formats.reading import read_header
from hilum.inference.ensemble import Ensemble
from hilum.inference.memory import PROCESS_BYTES, gigabytes
from hilum.inference.predictor import Predictor
from hilum.inference.preparing import preparation_bytes
from hilum.pipeline.predicting.budget import budget_of
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.crop_foreground import CropForegroundConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.problem import Problem

PROBLEM = Problem("segmentation", 3, ("ct",), ("background", "organ"), ((0,), (1,)))
STEPS = (CanonicalConfig(), SpacingConfig(mm=(1.0, 1.0, 1.0)))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    file = tmp_path / "scan.nii"
    nib.save(nib.Nifti1Image(np.zeros((40, 42, 44), dtype=np.int16), np.diag([-0.8, 0.8, 1.2, 1.0])), file)
    return Case("scan", "ann", (ImageRef(file),))


def predictor(**settings: object) -> Predictor:
    model = torch.nn.Conv3d(1, 2, 1)
    return replace(Predictor(model, PROBLEM, STEPS, window=(16, 16, 16), memory_bytes=2**30), **settings)  # type: ignore[arg-type]


def test_the_estimate_of_both_stages_is_said(case: Case) -> None:
    said: list[str] = []
    made = predictor()
    budget = budget_of(made, said.append)
    assert budget is not None
    budget.foretell(case)
    image = made.read(case.images)
    prepared = made.prepared(image)
    plan = made.plan(prepared.grid, margins=(True, True, True), held_bytes=40 * 42 * 44)
    needed = gigabytes(preparation_bytes([read_header(case.files[0])], STEPS, process_bytes=PROCESS_BYTES))
    assert plan.num_bytes is not None
    predicting = f"{gigabytes(plan.num_bytes)} GB to predict ({plan.num_windows} windows)"
    assert said == [f"scan: estimated {needed} GB to read and prepare, {predicting}, of 1 GB"]


def test_an_image_that_is_too_large_is_refused_before_it_is_read(case: Case) -> None:
    budget = budget_of(predictor(memory_bytes=500 * 2**20), print)
    assert budget is not None
    with pytest.raises(DataError, match=r"needs about 0\.51 GB of memory to be read and prepared, and .* allows 0\.49"):
        budget.foretell(case)


def test_what_headers_do_not_tell_is_not_said(case: Case) -> None:
    said: list[str] = []
    cropping = predictor(prepare=(*STEPS, CropForegroundConfig()))
    for made in (cropping, Ensemble((predictor(), predictor(memory_bytes=2**31)), (0.5, 0.5))):
        budget = budget_of(made, said.append)
        assert budget is not None
        budget.foretell(case)
    assert all(re.fullmatch(r"scan: estimated 0\.\d+ GB to read and prepare, of 1 GB", line) for line in said)
    assert len(said) == 2


def test_without_a_limit_nothing_is_said() -> None:
    assert budget_of(predictor(memory_bytes=None), print) is None
