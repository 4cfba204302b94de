"""Nothing of val or test reaches what is learnt: other test cases change no fitted value, batch or weight."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from hilum.experiment import load
from hilum.pipeline.study import make_study
from hilum.pipeline.training import train
from hilum.run import Run
from hilum.runtime import RuntimeConfig

PARTS = ["train"] * 5 + ["val"] * 2 + ["test"] * 2
CONFIG = """\
name: fitted
task: {{kind: {task}, classes: [background, organ]}}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, label: {label}, patient: patient, part: part}}
  split: predefined
  prepare: [canonical, {{kind: spacing, mm: median}}, {{kind: dataset_zscore, low: 2, high: 97}}{more}]
  augment: [noise]
  patch: {patch}
  batch_size: 2
  cache: {folder}/cache
network: {network}
loss: {{kind: cross_entropy, class_weights: balanced}}
metrics: [{metric}]
train: {{epochs: 1}}
runtime: {{device: cpu, precision: float32, threads: 1, seed: 5}}
runs: {folder}/runs
"""
WAYS: dict[str, dict[str, str]] = {
    "segmentation": {
        "label": "mask",
        "patch": "{size: [8, 8, 8]}",
        "network": "{kind: unet, channels: [4, 8]}",
        "metric": "dice",
        "more": "",
    },
    "classification": {
        "label": "class",
        "patch": "null",
        "network": "{kind: resnet, width: 4, stem: small}",
        "metric": "auroc",
        "more": ", {kind: resize, size: [8, 8, 8]}",
    },
}


@dataclass(frozen=True)
class Learnt:
    """All that a run takes from the data: settings found, keys of training cases, batches of an epoch, weights."""

    settings: Any
    keys: list[str]
    batches: list[torch.Tensor]
    weights: str
    validation: float

    def equals(self, other: Learnt) -> bool:
        same = len(self.batches) == len(other.batches) and all(map(torch.equal, self.batches, other.batches))
        facts = (self.settings, self.keys, self.weights, self.validation)
        return same and facts == (other.settings, other.keys, other.weights, other.validation)


def write_case(folder: Path, number: int, *, other: bool = False) -> None:
    """A scan with a box in it; `other` has other voxels, another voxel size and another label."""
    rng = np.random.default_rng(number + 100 * other)
    image = rng.normal(100, 10, (16, 16, 16)).astype(np.float32) * (50 if other else 1)
    mask = np.zeros(image.shape, np.uint8)
    mask[4 : 8 + 4 * other, 4:8, 4 : 7 + number % 2] = 1
    affine = np.diag([*((2.5, 2.5, 2.5) if other else (1.0, 1.0, 1.0 + 0.1 * number)), 1.0])
    image[mask == 1] += 40
    nib.save(nib.Nifti1Image(image, affine), folder / f"i{number}.nii.gz")
    nib.save(nib.Nifti1Image(mask, affine), folder / f"m{number}.nii.gz")


def write_table(folder: Path, *, other: str | None = None) -> None:
    lines = ["image,mask,class,patient,part"]
    for number, part in enumerate(PARTS):
        label = ("background", "organ")[(number + (part == other)) % 2]
        lines.append(f"i{number}.nii.gz,m{number}.nii.gz,{label},p{number},{part}")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module", params=sorted(WAYS))
def learn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Learnt]:
    """What is learnt when the cases of a part are replaced by others, on a cache of its own."""
    task = request.param

    @functools.cache
    def learnt(other: str | None) -> Learnt:
        folder = tmp_path_factory.mktemp(task)
        for number in range(len(PARTS)):
            write_case(folder, number, other=PARTS[number] == other)
        write_table(folder, other=other)
        (folder / "x.yaml").write_text(CONFIG.format(task=task, folder=folder, **WAYS[task]))
        return learnt_by(train(folder / "x.yaml", say=lambda text: None))

    return learnt


def learnt_by(run: Run) -> Learnt:
    experiment = load(run.config)
    study = make_study(experiment)
    training = study.split.part("train")
    batches = study.batches(study.dataset(training), RuntimeConfig().start(alone=True))
    drawn = [tensor for batch in batches.epoch(0) for tensor in (batch.images, batch.targets)]
    (line,) = [line for line in run.log.read_text().splitlines() if line]
    return Learnt(
        [[step.model_dump() for step in experiment.data.prepare], experiment.loss.model_dump()],
        [study.store.key(case) for case in training],
        drawn,
        run.read_json(run.provenance)["weights_sha256"],
        json.loads(line)["val_loss"],
    )


def test_other_test_cases_change_nothing_that_is_learnt(learn: Callable[..., Learnt]) -> None:
    before = learn(None)
    assert "median" not in str(before.settings)
    assert "balanced" not in str(before.settings)
    assert learn("test").equals(before)
    changed = learn("train")  # other training cases are another matter: the test would see a leak
    assert changed.settings[0] != before.settings[0]
    assert changed.settings[1] != before.settings[1]
    assert not set(changed.keys) & set(before.keys)
    assert changed.weights != before.weights


def test_other_validation_cases_change_scores_but_nothing_that_is_learnt(learn: Callable[..., Learnt]) -> None:
    before, changed = learn(None), learn("val")
    assert changed.validation != before.validation
    assert (changed.settings, changed.keys, changed.weights) == (before.settings, before.keys, before.weights)
    assert all(map(torch.equal, changed.batches, before.batches))
