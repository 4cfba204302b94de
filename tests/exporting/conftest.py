"""Predictors with random narrow networks, and images in odd orientations, for what is exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from hilum.evaluation.aggregates.max import MaxAggregate
from hilum.evaluation.aggregates.noisy_or import NoisyOrAggregate
from hilum.evaluation.aggregates.top_k import TopKAggregate
from hilum.evaluation.decide_section import DecideConfig
from hilum.evaluation.decision import FindingPoints, OperatingPoint
from hilum.evaluation.operating_points.base import Threshold
from hilum.exporting.decisions import Decisions
from hilum.formats.nifti import write_volume
from hilum.inference.predictor import Predictor
from hilum.layers.difference import Difference
from hilum.layers.presence import PresenceInput
from hilum.networks.resnet import ResNetConfig
from hilum.networks.unet import UNetConfig
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.prepare.zscore import ZscoreConfig
from hilum.problem import Problem

PREPARE = (CanonicalConfig(), SpacingConfig(mm=(2.0, 2.5, 2.0)), ZscoreConfig())


def problem(kind: Literal["segmentation", "classification"], dims: int, *, channels: int = 1) -> Problem:
    return Problem(
        kind=kind,
        dims=dims,
        channels=tuple(f"channel{index}" for index in range(channels)),
        classes=("background", "organ", "lesion"),
        values=((0,), (4,), (7, 8)),
    )


def segmenter(dims: int = 3, *, channels: int = 1, presence: bool = False, **settings: Any) -> Predictor:
    """A predictor with a random U-Net of three classes, of windows of 8 voxels unless told otherwise."""
    torch.manual_seed(5)
    asked = settings.pop("problem", problem("segmentation", dims, channels=channels))
    inner = replace(asked, channels=asked.channels * 2) if presence else asked
    model = UNetConfig(channels=(4, 6)).build(inner)
    with torch.no_grad():  # louder, so that no two classes are nearly as likely
        model.get_submodule("head").weight.mul_(5)  # type: ignore[operator]
    settings = {"prepare": PREPARE, "window": (8,) * dims, "multiple": 2, "batch_size": 3, **settings}
    model = PresenceInput(model, presence=True) if presence else model
    return Predictor(model.eval(), asked, **settings, may_lack_channels=presence)


def classifier(dims: int = 2, **settings: Any) -> Predictor:
    """A predictor with a random ResNet of three classes."""
    torch.manual_seed(5)
    asked = problem("classification", dims)
    return Predictor(ResNetConfig.tiny().build(asked).eval(), asked, **{"prepare": PREPARE, **settings})


def answering(kind: Literal["multilabel", "regression"], **settings: Any) -> Predictor:
    """A predictor with a random ResNet for 2D slices that says two findings, or two numbers in their own units."""
    torch.manual_seed(5)
    asked = Problem(kind, 2, ("image",), ("one", "two"), ((), ()), exclusive=False)
    if kind == "regression":
        asked = replace(asked, units=("years", "ml"), scales=((50.0, 12.0), (1500.0, 200.0)))
    return Predictor(
        ResNetConfig.tiny().build(asked).eval(), asked, **{"prepare": PREPARE, "slice_axis": 0, **settings}
    )


def restorer(dims: int = 3, **settings: Any) -> Predictor:
    """A predictor with a random U-Net whose answer is added to its input."""
    torch.manual_seed(5)
    asked = Problem("restoration", dims, ("image",), ("image",), ((),), exclusive=False, units=("",))
    model = Difference(UNetConfig(channels=(4, 6)).build(asked))
    return Predictor(model.eval(), asked, **{"prepare": PREPARE, "window": (8,) * dims, "multiple": 2, **settings})


def point(threshold: float = 0.9, positive: str = "organ") -> OperatingPoint:
    """One that a case of a random network does not reach, unless told otherwise."""
    return OperatingPoint(positive, Threshold(threshold, tp=1, fp=0, fn=0, tn=1), {"kind": "youden"})


DECISIONS: dict[str, Decisions] = {
    "temperature": Decisions(2.5),
    "not reached": Decisions(0.4, point=point(0.99)),
    "reached": Decisions(point=point(1e-6, "lesion")),
    "max": Decisions(0.7, MaxAggregate(), "organ"),
    "noisy_or": Decisions(slices=NoisyOrAggregate(), positive="lesion", point=point(0.8, "lesion")),
    "top_k": Decisions(1.5, TopKAggregate(k=4), "background"),
}
"""What may have been chosen for a classifier."""
FINDINGS: dict[str, Decisions] = {
    "findings above one half": Decisions(0.4),
    "one reached": Decisions(point=FindingPoints({"one": point(1e-6, "one"), "two": point(1 - 1e-6, "two")})),
    "max": Decisions(0.7, MaxAggregate(), point=FindingPoints({"two": point(0.3, "two")})),
    "noisy_or": Decisions(slices=NoisyOrAggregate()),
    "top_k": Decisions(1.5, TopKAggregate(k=4)),
}
"""What may have been chosen for findings."""


def deciding(subject: Predictor, decisions: Decisions) -> Predictor:
    """The predictor as hilum makes it where this was chosen."""
    decide = DecideConfig.model_construct(positive=decisions.positive, slices=decisions.slices)
    return replace(subject, temperature=decisions.temperature, slice_pool=decide.slice_pool(subject.problem))


def affine(axes: str = "LIA", spacing: Sequence[float] = (1.5, 2.0, 3.0)) -> npt.NDArray[np.float64]:
    """An affine whose axes point roughly this way, a little oblique."""
    import nibabel as nib

    oblique = np.eye(4)
    c, s = np.cos(0.15), np.sin(0.15)
    oblique[:2, :2] = [[c, -s], [s, c]]
    turned = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(axes), (10, 12, 14))
    placed = oblique @ np.linalg.inv(turned) @ np.diag([*spacing, 1.0])
    placed[:3, 3] = (-31.0, 12.5, 7.0)
    return placed


def scan(file: Path, *, seed: int = 0, shape: tuple[int, ...] = (14, 11, 9), axes: str = "LIA") -> Path:
    """A volume of smooth shapes and noise, written as float32."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    values = gaussian_filter(rng.normal(100, 300, shape), 1.5) + rng.normal(0, 10, shape)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_volume(file, values.astype(np.float32), affine(axes))
    return file
