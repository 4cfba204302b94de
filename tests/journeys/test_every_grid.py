"""Every way in which NIfTI places voxels: labels come back with that header, and where the structure is in the world.

48 orientations, each isotropic, anisotropic and oblique, with the affine as sform, as qform, as both and as neither.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from hilum.case import Case, ImageRef
from hilum.inference.predictor import Predictor
from hilum.pipeline.predicting.case import Answered, Ready, Work, Written
from hilum.pipeline.predicting.folder import OutputFolder
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.problem import Problem

Affine = npt.NDArray[np.float64]

PROBLEM = Problem("segmentation", 3, ("image",), ("background", "organ"), ((0,), (6,)))
SPACINGS = {"isotropic": (1.2, 1.2, 1.2), "anisotropic": (0.8, 1.1, 3.0), "oblique": (0.8, 1.1, 3.0)}
FORMS = {"sform": (2, 0), "qform": (0, 1), "both": (1, 3), "neither": (0, 0)}
FIELD_MM = (30.0, 36.0, 42.0)
"""The field of view along the axes of the patient."""
BALLS = ((np.array([-5.0, 3.0, -6.0]), 6.0), (np.array([4.0, -4.0, 5.0]), 5.0), (np.array([-4.0, 8.0, 9.0]), 4.0))
"""Centres and radii (mm) of a structure without any symmetry, around the middle of the field of view."""
EDGE_MM = 3.0
"""Over this the grey values fall from 1 to 0 at the edge of a ball."""
HEADER = (
    *("pixdim", "xyzt_units", "sform_code", "qform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
)


class Bright(nn.Module):
    """Calls organ what is above one half."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(images), 40 * (images - 0.5)], 1)


def orientations() -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The axis of the patient along which each axis of the array runs, and the signs: all 48."""
    yield from itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))


def turned(kind: str) -> Affine:
    """The rotation of the patient in the scanner."""
    if kind != "oblique":
        return np.eye(3)
    a, b = np.radians(23.0), np.radians(-17.0)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    return np.asarray(about_z @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]))


def placed(kind: str, axes: tuple[int, ...], signs: tuple[int, ...]) -> tuple[Affine, tuple[int, ...]]:
    """An affine around the world's point (12, -20, 33), and the shape that covers the field of view."""
    affine = np.eye(4)
    for axis, (patient_axis, sign, step) in enumerate(zip(axes, signs, SPACINGS[kind], strict=True)):
        affine[:3, axis] = turned(kind)[:, patient_axis] * sign * step
    shape = tuple(round(FIELD_MM[axis] / step) for axis, step in zip(axes, SPACINGS[kind], strict=True))
    affine[:3, 3] = np.array([12.0, -20.0, 33.0]) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine, shape


def saved(file: Path, affine: Affine, shape: tuple[int, ...], form: str) -> tuple[nib.Nifti1Image, Any]:
    """Balls painted into a file by the place of each voxel in the world; the image, and distances to each ball (mm).

    Without a form the place is what nibabel makes of the voxel sizes.
    """
    sform, qform = FORMS[form]
    image = nib.Nifti1Image(np.zeros(shape, np.float32), affine)
    image.set_sform(affine, code=sform)
    image.set_qform(affine, code=qform)
    nib.save(image, file)
    loaded = nib.load(file)
    assert isinstance(loaded, nib.Nifti1Image)
    if form != "neither":
        assert np.allclose(loaded.affine, affine, atol=1e-4)
    places = nib.affines.apply_affine(loaded.affine, np.moveaxis(np.indices(shape), 0, -1))
    middle = nib.affines.apply_affine(loaded.affine, (np.array(shape) - 1) / 2)
    axes = loaded.affine[:3, :3] / np.linalg.norm(loaded.affine[:3, :3], axis=0)
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-5)
    distances_mm = np.stack([np.linalg.norm(places - middle - c, axis=-1) - radius for c, radius in BALLS])
    values = np.clip(0.5 - distances_mm.min(0) / EDGE_MM, 0, 1).astype(np.float32)
    painted = nib.Nifti1Image(values, None, loaded.header)
    nib.save(painted, file)
    return painted, distances_mm


def predicted(work: Work, file: Path) -> nib.Nifti1Image:
    ready = work.read(Case(file.name.partition(".")[0], "p", (ImageRef(file),)))
    assert isinstance(ready, Ready), ready
    answered = work.ask(ready)
    assert isinstance(answered, Answered), answered
    written = work.write(answered)
    assert isinstance(written, Written), written
    found = nib.load(work.output.path / str(written.row["output"]))
    assert isinstance(found, nib.Nifti1Image)
    return found


def assert_in_place(work: Work, folder: Path, kind: str, form: str, turn: tuple[Any, Any]) -> None:
    affine, shape = placed(kind, *turn)
    file = folder / f"{kind}-{form}-{''.join(map(str, turn[0]))}{''.join('+' if s > 0 else '-' for s in turn[1])}.nii"
    image, distances_mm = saved(file, affine, shape, form)
    found = predicted(work, file)
    source = nib.load(file)
    assert isinstance(source, nib.Nifti1Image)
    for field in HEADER:
        assert found.header[field].tobytes() == source.header[field].tobytes(), (file.name, field)
    assert (found.shape, found.affine.tobytes()) == (source.shape, source.affine.tobytes()), file.name
    assert found.get_data_dtype() == np.uint8
    labelled = np.asarray(found.dataobj) == 6
    half_mm = max(image.header.get_zooms()) / 2
    assert labelled[distances_mm.min(0) < -half_mm].all(), file.name
    assert not labelled[distances_mm.min(0) > half_mm].any(), file.name
    for number in range(len(BALLS)):
        own = labelled & (distances_mm.argmin(0) == number)
        centre = nib.affines.apply_affine(found.affine, np.argwhere(own)).mean(0)
        wanted = nib.affines.apply_affine(source.affine, (np.array(shape) - 1) / 2) + BALLS[number][0]
        moved = np.linalg.solve(source.affine[:3, :3], centre - wanted)
        assert np.abs(moved).max() < 0.5, (file.name, number, moved)
    file.unlink()


@pytest.fixture
def work(tmp_path: Path) -> Work:
    predictor = Predictor(Bright(), PROBLEM, [CanonicalConfig(), SpacingConfig(mm=(1.0, 1.0, 1.0))])
    (tmp_path / "out").mkdir()
    return Work(predictor, OutputFolder(tmp_path / "out"), "setup")


@pytest.mark.parametrize("turn", list(orientations()), ids=str)
def test_labels_lie_where_the_structure_is(work: Work, tmp_path: Path, turn: tuple[Any, Any]) -> None:
    """One of the twelve kinds of headers in each orientation; each kind in four of them."""
    place = list(orientations()).index(turn)
    kind, form = list(itertools.product(SPACINGS, FORMS))[place % 12]
    assert_in_place(work, tmp_path, kind, form, turn)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", SPACINGS)
def test_in_all_orientations(work: Work, tmp_path: Path, kind: str, form: str) -> None:
    for turn in orientations():
        assert_in_place(work, tmp_path, kind, form, turn)
