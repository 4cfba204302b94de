"""The disagreement at each voxel: SciPy's entropies, and its ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from hilum.case import ImageRef
from hilum.pipeline.predicting.disagreement import Spread
from hilum.problem import Problem

SHAPE = (3, 4, 5)
CLASSES = Problem("segmentation", 3, ("image",), ("background", "organ", "lesion"), ((0,), (1,), (2,)))
REGIONS = Problem("segmentation", 3, ("image",), ("whole", "core"), ((1, 2), (2,)), exclusive=False)


def written(said: list[torch.Tensor], shares: list[float], problem: Problem, folder: Path) -> Any:
    """What is in the file after networks said this (C, 60) of every voxel."""
    spread = Spread(problem, SHAPE, shares=shares, folder=folder / "disagreement")
    voxels = torch.arange(60)
    for share, one in zip(shares, said, strict=True):
        spread.hear(voxels[:50], one[:, :50], share)  # each voxel comes once, in parts
        spread.hear(voxels[50:].flip(0), one[:, 50:].flip(1), share)
    spread.visit(voxels, sum(share * one for share, one in zip(shares, said, strict=True)))  # type: ignore[arg-type]
    like = folder / "like.nii.gz"
    nib.Nifti1Image(np.zeros(SHAPE, np.float32), np.diag([1, 2, 3, 1])).to_filename(like)
    spread.write(ImageRef(like), folder / "map.nii.gz")
    image: Any = nib.load(folder / "map.nii.gz")
    assert image.shape == (*SHAPE, 1)
    assert image.affine.tolist() == np.diag([1, 2, 3, 1]).tolist()
    assert not list((folder / "disagreement").iterdir())
    return np.asarray(image.dataobj).reshape(60)


def test_of_two_networks_it_is_the_jensen_shannon_divergence(tmp_path: Path) -> None:
    """As SciPy has it, in bits."""
    one, other = torch.rand(2, 3, 60, generator=torch.Generator().manual_seed(1)).softmax(1) ** 4
    one, other = one / one.sum(0), other / other.sum(0)
    found = written([one, other], [0.5, 0.5], CLASSES, tmp_path)
    assert np.abs(found - jensenshannon(one, other, base=2) ** 2).max() <= 0.5 / 255 + 1e-6
    assert found.max() > 0.05


def test_weights_and_regions(tmp_path: Path) -> None:
    said = list(torch.rand(3, 2, 60, generator=torch.Generator().manual_seed(2)))
    shares = [0.2, 0.3, 0.5]
    found = written(said, shares, REGIONS, tmp_path)
    each = np.array([[[region, 1 - region] for region in one.numpy()] for one in said])
    mean = np.einsum("n,nrpv->rpv", shares, each)
    apart = entropy(mean, axis=1) - np.einsum("n,nrv->rv", shares, entropy(each, axis=2))
    assert np.abs(found - apart.mean(0) / np.log(2)).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("number", [2, 3, 5])
def test_its_ends(number: int, tmp_path: Path) -> None:
    """The same answer from all, however unsure; and each certain of another class, as far as there are classes."""
    unsure = torch.full((3, 60), 1 / 3)
    certain = [torch.eye(3)[:, network % 3, None].repeat(1, 60) for network in range(number)]
    said = [torch.cat([unsure[:, :30], one[:, 30:]], 1) for one in certain]
    found = written(said, [1 / number] * number, CLASSES, tmp_path)
    assert (found[:30] == 0).all()
    assert (found[30:] > 0.95).all()


def test_what_no_network_saw_is_agreed_on(tmp_path: Path) -> None:
    spread = Spread(CLASSES, SHAPE, shares=[0.5, 0.5], folder=tmp_path)
    background = torch.eye(3)[:, :1].repeat(1, 60)
    spread.visit(torch.arange(60), background)
    nib.Nifti1Image(np.zeros(SHAPE, np.float32), np.eye(4)).to_filename(tmp_path / "like.nii")
    spread.write(ImageRef(tmp_path / "like.nii"), tmp_path / "map.nii.gz")
    image: Any = nib.load(tmp_path / "map.nii.gz")
    assert not np.asarray(image.dataobj).any()
