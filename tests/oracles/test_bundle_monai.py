"""Bundles run by MONAI itself: its transforms, inferers and inverse against hilum's own prediction."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.exporting.conftest import DECISIONS, FINDINGS, answering, classifier, deciding, restorer, scan, segmenter

from hilum.case import Case, ImageRef
from hilum.errors import ConfigError
from hilum.exporting.bundle import prove_bundle, refuse_unsuited, write_bundle
from hilum.exporting.decisions import Decisions
from hilum.exporting.parity import compare_answers, compare_labels
from hilum.inference.postprocess.largest_component import LargestComponentConfig
from hilum.inference.predictor import Predictor
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.crop_foreground import CropForegroundConfig
from hilum.prepare.dataset_zscore import ChannelRange, DatasetZscoreConfig
from hilum.prepare.percentiles import PercentilesConfig
from hilum.prepare.resize import ResizeConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.prepare.window import WindowConfig
from hilum.prepare.zscore import ZscoreConfig
from hilum.problem import Problem

pytest.importorskip("monai")


@pytest.fixture(autouse=True)
def _gradients_as_before() -> Iterator[None]:
    """MONAI's bundles switch gradients off for the whole process, which other tests go on in."""
    before = torch.is_grad_enabled()
    yield
    torch.set_grad_enabled(before)


SOURCE = {"hilum": "0", "run": "test", "weights_sha256": "0"}
REGIONS = Problem("segmentation", 3, ("image",), ("whole", "core"), ((1, 2), (2,)), exclusive=False)
PREPARE = (CanonicalConfig(), SpacingConfig(mm=(3.0, 2.25, 2.2)), ZscoreConfig())
"""To voxels that fill the image: what lies beyond the last one is background for hilum, and the border for MONAI."""
FITTED = (ChannelRange(low=-300, high=500, mean=90, std=210),)
# Windows cover the image in one row, or where one fits: MONAI sets several rows of them elsewhere than hilum does.
VARIANTS: dict[str, tuple[Predictor, float]] = {
    **{
        f"class of slices, {name}": (deciding(classifier(2, slice_axis=0), decisions), 1.0)
        for name, decisions in DECISIONS.items()
    },
    **{
        f"findings of slices, {name}": (deciding(answering("multilabel"), decisions), 1.0)
        for name, decisions in FINDINGS.items()
    },
    "tempered": (replace(segmenter(window=(16, 16, 16), prepare=PREPARE), temperature=2.0), 0.999),
    "tempered regions": (
        replace(segmenter(window=(16, 16, 16), prepare=PREPARE, problem=REGIONS), temperature=0.5),
        0.999,
    ),
    "windows": (segmenter(window=(16, 16, 16), prepare=PREPARE), 0.999),
    "flips": (segmenter(window=(16, 16, 16), prepare=PREPARE, flips=((0,), (1, 2))), 0.999),
    "whole image": (segmenter(window=None, multiple=4, prepare=PREPARE), 0.999),
    "regions": (segmenter(window=(16, 16, 16), prepare=PREPARE, problem=REGIONS), 0.999),
    "cropped": (segmenter(window=None, prepare=[CropForegroundConfig(threshold=150.0), *PREPARE]), 0.99),
    "resized": (
        segmenter(window=None, prepare=[ResizeConfig(size=(10, 12)), DatasetZscoreConfig(fitted=FITTED)]),
        0.99,
    ),
    "slices": (segmenter(2, slice_axis=1, window=(16, 16), prepare=[*PREPARE[:2], PercentilesConfig()]), 0.999),
    "class of a volume": (classifier(3, prepare=[CanonicalConfig(), ZscoreConfig(nonzero=True)]), 1.0),
    "class of slices": (classifier(2, slice_axis=0, prepare=[*PREPARE[:2], WindowConfig(low=-200, high=400)]), 1.0),
    "findings of slices": (answering("multilabel", prepare=[*PREPARE[:2], ZscoreConfig()]), 1.0),
    "numbers of slices": (answering("regression", prepare=[*PREPARE[:2], ZscoreConfig()]), 1.0),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_monai_answers_as_hilum_does(name: str, tmp_path: Path) -> None:
    from monai.bundle import run

    subject, least = VARIANTS[name]
    chosen = FINDINGS if name.startswith("findings") else DECISIONS
    decisions = chosen.get(name.partition(", ")[2], Decisions(subject.temperature))
    bundle: Any = tmp_path / "bundle"
    bundle.mkdir()
    write_bundle(subject, bundle, source=SOURCE, decisions=decisions)
    file = scan(tmp_path / "images" / "scan.nii.gz")
    places = {"bundle_root": str(bundle), "dataset_dir": str(file.parent), "output_dir": str(tmp_path / "out")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript's end, and of code in configurations
        run(config_file=str(bundle / "configs" / "inference.json"), device="cpu", **places)
    image = subject.read([ImageRef(file)])
    if not subject.problem.dense:
        theirs = json.loads((tmp_path / "out" / "scan.json").read_text())
        found = compare_answers("scan", image, theirs, predictor=subject, point=decisions.point)
        assert found.difference is not None
        assert found.difference < 1e-3
    else:
        found = compare_labels("scan", image, tmp_path / "out" / "scan.nii.gz", predictor=subject)
    assert found.same >= least


def test_what_monai_has_no_equal_for_is_named() -> None:
    steps = (LargestComponentConfig(of=("organ",)),)
    several = segmenter(channels=2, presence=True, postprocess=steps)
    with pytest.raises(ConfigError, match=r"data\.missing.*several files a case.*predict\.postprocess"):
        refuse_unsuited(several, [None, None])
    with pytest.raises(ConfigError, match=r"a 2D network without data\.patch"):
        refuse_unsuited(segmenter(2, slice_axis=1, window=None), [None])
    with pytest.raises(ConfigError, match="frames in another order"):
        refuse_unsuited(segmenter(channels=2), [1, 0])
    with pytest.raises(ConfigError, match="leads intensities back"):
        refuse_unsuited(restorer(), [None])
    refuse_unsuited(segmenter(channels=2), [0, 1])


def test_channels_in_several_files_become_a_series_for_monai(tmp_path: Path) -> None:
    """As the copies of pictures in colour are."""
    subject = segmenter(channels=2, window=(16, 16, 16), prepare=PREPARE)
    refs = tuple(ImageRef(scan(tmp_path / f"{number}.nii.gz", seed=number)) for number in range(2))
    (tmp_path / "bundle").mkdir()
    write_bundle(subject, tmp_path / "bundle", source=SOURCE)
    case = Case("two", "two", refs)
    (found,) = prove_bundle(subject, [case], folder=tmp_path / "bundle", scratch=tmp_path)
    assert found.same > 0.999
    assert found.difference is not None
    assert found.difference < 1e-3
