"""Segmentation scores against MONAI's, for structures that both sides have (MONAI gives NaN or inf for the others)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from hilum.metrics.assd import assd
from hilum.metrics.confusion import ClassCounts
from hilum.metrics.dice import dice
from hilum.metrics.hd import hd
from hilum.metrics.hd95 import hd95
from hilum.metrics.iou import iou
from hilum.metrics.lesions import LesionF1Metric, PanopticQualityMetric
from hilum.metrics.nsd import nsd
from hilum.metrics.pair import MaskPair
from hilum.metrics.ratios import RATIOS

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
    from monai.metrics import (
        compute_average_surface_distance,
        compute_dice,
        compute_hausdorff_distance,
        compute_iou,
        compute_surface_dice,
    )

    truth, predicted = organs(seed, shape)
    pair = MaskPair(truth, predicted, spacing)
    dims = 2 if shape[-1] == 1 else 3
    theirs = [torch.from_numpy(mask.squeeze() if dims == 2 else mask)[None, None] for mask in (predicted, truth)]
    assert dice(pair) == pytest.approx(compute_dice(*theirs).item())
    assert iou(pair) == pytest.approx(compute_iou(*theirs).item())
    far = compute_hausdorff_distance(*theirs, include_background=True, percentile=95, spacing=spacing[:dims])
    assert hd95(pair) == pytest.approx(far.item(), abs=1e-4)
    farthest = compute_hausdorff_distance(*theirs, include_background=True, spacing=spacing[:dims])
    assert hd(pair) == pytest.approx(farthest.item(), abs=1e-4)
    options = {"include_background": True, "symmetric": True, "spacing": spacing[:dims]}
    assert assd(pair) == pytest.approx(compute_average_surface_distance(*theirs, **options).item(), abs=1e-4)
    # Between the distances of the lattice: where one equals the tolerance, single precision decides differently.
    near = compute_surface_dice(*theirs, [1.037], include_background=True, spacing=spacing[:dims])
    assert nsd(pair, 1.037) == pytest.approx(near.item())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shape", [(12, 11, 9), (30, 30, 1)], ids=["volume", "image"])
def test_panoptic_quality_of_components_agrees(shape: tuple[int, int, int], seed: int) -> None:
    from monai.metrics.panoptic_quality import compute_panoptic_quality

    rng = np.random.default_rng(seed)
    truth = ndimage.gaussian_filter(rng.standard_normal(shape), 1.2) > 0.1
    predicted = truth & (rng.random(shape) < 0.85) | (rng.random(shape) < 0.02)
    pair = MaskPair(truth, predicted, (1, 1, 1))
    maps = [torch.from_numpy(ndimage.label(mask, np.ones((3, 3, 3)))[0]) for mask in (predicted, truth)]
    quality = compute_panoptic_quality(*maps, "pq", smooth_numerator=0)
    assert PanopticQualityMetric().measure(pair) == pytest.approx(quality.item())
    recognition = compute_panoptic_quality(*maps, "rq", smooth_numerator=0)
    assert LesionF1Metric(matching="iou").measure(pair) == pytest.approx(recognition.item())


THEIR_NAMES = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "npv": "negative predictive value",
    "fdr": "false discovery rate",
    "for": "false omission rate",
    "fpr": "fall out",
    "fnr": "miss rate",
    "fowlkes_mallows": "fowlkes mallows index",
    "informedness": "informedness",
    "markedness": "markedness",
    "threat_score": "threat score",
    "prevalence_threshold": "prevalence threshold",
}


@pytest.mark.parametrize("kind", THEIR_NAMES)
def test_ratios_of_counts_agree(kind: str) -> None:
    from monai.metrics import compute_confusion_matrix_metric

    formula = next(score.formula for score in RATIOS if score.kind == kind)
    tp, fp, tn, fn = np.random.default_rng(3).integers(0, 9, (4, 200)).astype(float)
    expected = compute_confusion_matrix_metric(THEIR_NAMES[kind], torch.tensor(np.stack([tp, fp, tn, fn], axis=1)))
    found = formula(ClassCounts(tp, fp, fn, tn))
    both = ~torch.isnan(expected).numpy() & ~np.isnan(found)
    assert both.sum() > 100
    assert found[both] == pytest.approx(expected.numpy()[both])
    only_ours = ~np.isnan(found) & torch.isnan(expected).numpy()
    # Theirs has no prevalence threshold where sensitivity equals the false positive rate; ours has the limit, a half.
    assert np.allclose(found[only_ours], 0.5) if kind == "prevalence_threshold" else not only_ours.any()
