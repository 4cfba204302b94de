"""Segmentation scores against MONAI's, for structures that both sides have (MONAI gives NaN or inf for the others)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from hilum.metrics.dice import dice
from hilum.metrics.hd95 import hd95
from hilum.metrics.iou import iou
from hilum.metrics.nsd import nsd
from hilum.metrics.pair import MaskPair

pytest.importorskip("monai", reason="the oracle, MONAI, is not installed")

SPACINGS = [(1.0, 1.0, 1.0), (0.7, 0.7, 2.5), (3.0, 1.0, 0.5)]


def organs(seed: int, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Two smooth, rough-edged structures that overlap in part; some touch the border of the image."""
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.standard_normal(shape), 1.5, mode="nearest") for _ in range(2)]
    fields[1] = fields[0] + 0.7 * fields[1]
    return [field > np.quantile(field, 0.8) for field in fields]


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shape", [(14, 17, 11), (24, 30, 1)], ids=["volume", "image"])
@pytest.mark.filterwarnings("ignore")
def test_scores_agree(shape: tuple[int, int, int], seed: int, spacing: tuple[float, float, float]) -> None:
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_iou, compute_surface_dice

    truth, predicted = organs(seed, shape)
    pair = MaskPair(truth, predicted, spacing)
    dims = 2 if shape[-1] == 1 else 3
    theirs = [torch.from_numpy(mask.squeeze() if dims == 2 else mask)[None, None] for mask in (predicted, truth)]
    assert dice(pair) == pytest.approx(compute_dice(*theirs).item())
    assert iou(pair) == pytest.approx(compute_iou(*theirs).item())
    far = compute_hausdorff_distance(*theirs, include_background=True, percentile=95, spacing=spacing[:dims])
    assert hd95(pair) == pytest.approx(far.item(), abs=1e-4)
    # Between the distances of the lattice: where one equals the tolerance, single precision decides differently.
    near = compute_surface_dice(*theirs, [1.037], include_background=True, spacing=spacing[:dims])
    assert nsd(pair, 1.037) == pytest.approx(near.item())
