"""Small real files to prepare: NIfTI volumes whose voxels tell where they come from."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from hilum.case import Case, ImageRef
from hilum.problem import Problem

WriteCase = Callable[..., Case]


@pytest.fixture
def write_case(tmp_path: Path) -> WriteCase:
    """Writes a volume of distinct voxel values with a box of label 1 (and 2) in it; gives its case."""

    def write(
        name: str, shape: tuple[int, int, int] = (12, 10, 8), *, label: str | None = None, seed: int | None = None
    ) -> Case:
        image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 1
        if seed is not None:
            image += np.random.default_rng(seed).normal(size=shape).astype(np.float32)
        affine = np.diag([1.0, 1.0, 2.0, 1.0])
        folder = tmp_path / "files"
        folder.mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(image, affine), folder / f"{name}.nii")
        if label is not None:
            return Case(name, name, (ImageRef(folder / f"{name}.nii"),), label)
        mask = np.zeros(shape, dtype=np.uint8)
        mask[2:5, 3:6, 1:3] = 1
        mask[-1, -1, -1] = 2
        nib.save(nib.Nifti1Image(mask, affine), folder / f"{name}_mask.nii")
        return Case(name, name, (ImageRef(folder / f"{name}.nii"),), ImageRef(folder / f"{name}_mask.nii"))

    return write


@pytest.fixture
def segmentation() -> Problem:
    """Background, a box and a dot."""
    return Problem(
        "segmentation", dims=3, channels=("image",), classes=("background", "box", "dot"), values=((0,), (1,), (2,))
    )


@pytest.fixture
def classification() -> Problem:
    """Healthy or sick."""
    return Problem("classification", dims=3, channels=("image",), classes=("healthy", "sick"), values=((0,), (1,)))
