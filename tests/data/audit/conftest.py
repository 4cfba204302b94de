"""Generated pictures and volumes that differ as much as scans do, and cohorts of them on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from hilum.case import Case, Cohort, ImageRef
from hilum.data.audit import Audit, audit
from hilum.data.splits.base import Split
from hilum.problem import Problem

Write = Callable[..., Case]
Anatomy = Callable[[Sequence[int], int], np.ndarray]
Audited = Callable[..., Audit]


@pytest.fixture
def anatomy() -> Anatomy:
    """Soft blobs of several sizes, 8 bit, 0 to 255; of a shape and a seed."""

    def drawn(shape: Sequence[int], seed: int) -> np.ndarray:
        draw = np.random.default_rng(seed)
        image = np.sum([size * gaussian_filter(draw.normal(size=shape), size) for size in (2.5, 5.0, 9.0)], axis=0)
        return np.asarray(255 * (image - image.min()) / np.ptp(image)).round().astype(np.uint8)

    return drawn


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes an array as PNG (or as NIfTI where it has three axes); gives a case of a patient of the same name."""

    def written(name: str, pixels: np.ndarray, *, label: str = "x", patient: str | None = None) -> Case:
        file = tmp_path / f"{name}{'.nii' if pixels.ndim == 3 else '.png'}"
        if pixels.ndim == 3:
            nib.save(nib.Nifti1Image(pixels, np.eye(4)), file)
        else:
            Image.fromarray(pixels).save(file)
        return Case(name, patient or name, (ImageRef(file),), label)

    return written


@pytest.fixture
def audited() -> Audited:
    """The audit of cases of the classes that they have, all in train unless a split is given."""

    def done(cases: Sequence[Case], parts: Split | None = None, *, dims: int = 2, cache: Path | None = None) -> Audit:
        classes = tuple(sorted({str(case.label) for case in cases}))
        problem = Problem("classification", dims, ("image",), classes, tuple((name,) for name in classes))
        return audit(Cohort(tuple(cases), ("image",)), parts or Split({"train": tuple(cases)}), problem, cache=cache)

    return done
