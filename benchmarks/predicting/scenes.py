"""What `predict.py` predicts: volumes, a network with weights that all tools share, and what each tool needs beside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

LOOPS = Path(__file__).parents[1] / "loops"
LOW_HU, HIGH_HU = -400.0, 400.0
AIR_HU, SPREAD_HU, NOISE_HU = -1000.0, 350.0, 12.0
TRAINING_VOLUMES = 2
OVERLAP = 0.5
CONFIG = """\
name: {name}
task: {{kind: segmentation, classes: {classes}}}
plugins: [{plugin}]
data:
  source: {{kind: folders, root: {root}, patients: {{each_case: true}}}}
  split: {{kind: holdout, val: 0.5, test: 0, seed: 1}}
  prepare: {prepare}
  patch: {{size: {patch}, foreground: 0.5}}
  batch_size: 1
  cache: {root}/cache
network: {{kind: same_network, filters: {filters}}}
loss: dice_ce
metrics: [dice]
train: {{epochs: 1, steps_per_epoch: {steps}, validate_cases: 1}}
runs: {runs}
"""
Voxels = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Scene:
    """Volumes of one kind, and the network that they are predicted with.

    Without `spacing_mm` they are those of a task's folder, standardised; else they are generated, like CT: windowed,
    and resampled to `prepared_mm`.
    """

    name: str
    volumes: int
    shape: tuple[int, int, int]
    classes: int
    window: tuple[int, int, int]
    filters: tuple[int, ...]
    spacing_mm: tuple[float, float, float] | None = None
    prepared_mm: float = 1.0
    steps: int = 20
    """How long the network is trained: enough that its labels are regions, not noise."""
    few: tuple[tuple[str, int], ...] = ()
    """Contenders that take so long that they get fewer volumes."""

    @property
    def prepared_shape(self) -> tuple[int, int, int]:
        """Voxels of a volume once it is prepared."""
        i, j, k = (
            round(side * step / self.prepared_mm)
            for side, step in zip(self.shape, self.spacing_mm or (1.0, 1.0, 1.0), strict=True)
        )
        return i, j, k

    @property
    def prepare(self) -> list[dict[str, Any]]:
        """The preparation, as hilum's configuration has it."""
        last = {"kind": "zscore"} if self.spacing_mm is None else {"kind": "window", "low": LOW_HU, "high": HIGH_HU}
        return [{"kind": "canonical"}, {"kind": "spacing", "mm": [self.prepared_mm] * 3}, last]


@dataclass(frozen=True)
class Place:
    """Where what belongs to a scene lies."""

    folder: Path

    @property
    def images(self) -> Path:
        """The volumes, NAME.nii.gz."""
        return self.folder / "images"

    @property
    def run(self) -> Path:
        """hilum's run folder."""
        return self.folder / "runs" / self.folder.name

    @property
    def weights(self) -> Path:
        """The weights of the network, for MONAI."""
        return self.folder / "weights.pt"

    @property
    def model(self) -> Path:
        """Plans and weights for nnU-Net."""
        return self.folder / "nnunet"


def with_loops() -> dict[str, str]:
    """The environment in which the shared network can be imported."""
    path = os.pathsep.join([str(LOOPS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": path}


def scan_of(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], *, classes: int, seed: int
) -> tuple[Voxels, Voxels]:
    """A body in air, like CT, int16, and its label values, uint8: shells and lobes of smooth fields, plane by plane."""
    rng = np.random.default_rng(seed)
    waves, phases = rng.uniform(0.03, 0.11, (4, 3)), rng.uniform(0, 2 * np.pi, (4, 3))
    extent = [side * step for side, step in zip(shape, spacing_mm, strict=True)]
    x, y = np.meshgrid(np.arange(shape[0]) * spacing_mm[0], np.arange(shape[1]) * spacing_mm[1], indexing="ij")
    inside = ((x / extent[0] - 0.5) / 0.45) ** 2 + ((y / extent[1] - 0.5) / 0.4) ** 2 < 1
    image, labels = np.empty(shape, np.int16), np.empty(shape, np.uint8)
    for k in range(shape[2]):
        z = k * spacing_mm[2]
        terms = [
            np.sin(a * x + p) * np.sin(b * y + q) * np.sin(c * z + r)
            for (a, b, c), (p, q, r) in zip(waves, phases, strict=True)
        ]
        field = np.clip(np.sum(terms, 0) / 2, -0.999, 0.999)
        own = 1 + np.floor((field + 1) / 2 * (classes - 1))
        hu = np.where(inside, SPREAD_HU * field, AIR_HU) + NOISE_HU * rng.standard_normal(x.shape)
        image[:, :, k], labels[:, :, k] = hu, np.where(inside, own, 0)
    return image, labels


def save(file: Path, voxels: Voxels, spacing_mm: tuple[float, float, float]) -> None:
    """A NIfTI file whose axes point right, anterior and superior."""
    import nibabel as nib

    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.diag([*spacing_mm, 1.0])), file)


def make(scene: Scene, folder: Path, *, task: Path | None) -> Place:
    """Everything about a scene that is not there yet: volumes, hilum's run, and its weights for the others."""
    place = Place(folder.resolve())
    write_volumes(scene, place, task=task)
    if not place.weights.exists():
        train(scene, place)
    return place


def write_volumes(scene: Scene, place: Place, *, task: Path | None) -> None:
    """The volumes to predict, the first ones of a task or generated ones."""
    sources: list[Path | None] = [None] * scene.volumes
    if scene.spacing_mm is None and task is not None:
        found = sorted((task / "imagesTr").glob("[!.]*.nii.gz"))
        sources = [*found[: scene.volumes]]
    for number, source in enumerate(sources):
        file = place.images / (f"scan-{number:03d}.nii.gz" if source is None else source.name)
        if not file.exists():
            place.images.mkdir(parents=True, exist_ok=True)
            if source is None:
                spacing = scene.spacing_mm or (1.0, 1.0, 1.0)
                save(file, scan_of(scene.shape, spacing, classes=scene.classes, seed=number)[0], spacing)
            else:
                file.symlink_to(source.resolve())


def first(place: Place, count: int, *, ending: str = "") -> Path:
    """A folder with the first volumes alone; nnU-Net wants their names to end in _0000."""
    folder = place.folder / f"first-{count}{ending}"
    folder.mkdir(exist_ok=True)
    for file in sorted(place.images.iterdir())[:count]:
        link = folder / file.name.replace(".nii.gz", f"{ending}.nii.gz")
        if not link.exists():
            link.symlink_to(file.resolve())
    return folder


def train(scene: Scene, place: Place) -> None:
    """A short training of hilum on generated volumes, whose weights all tools then share."""
    import torch

    from hilum.run import open_run
    from hilum.training import checkpoint

    root, spacing = place.folder / "training", (scene.prepared_mm,) * 3
    shape = tuple(side + side // 8 for side in scene.window)
    for number in range(TRAINING_VOLUMES):
        pair = scan_of((shape[0], shape[1], shape[2]), spacing, classes=scene.classes, seed=1000 + number)
        for name, voxels in zip(("images", "masks"), pair, strict=True):
            save(root / name / f"scan-{number}.nii.gz", voxels, spacing)
    config = place.folder / "config.yaml"
    config.write_text(
        CONFIG.format(
            name=place.run.name,
            classes=json.dumps({f"structure {n}" if n else "background": n for n in range(scene.classes)}),
            plugin=LOOPS / "same_network_plugin.py",
            root=root,
            prepare=json.dumps(scene.prepare),
            patch=list(scene.window),
            filters=list(scene.filters),
            steps=scene.steps,
            runs=place.run.parent,
        )
    )
    command = [sys.executable, "-m", "hilum", "train", str(config), "--overwrite"]
    done = subprocess.run(command, env=with_loops(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    tensors, _ = checkpoint.load(open_run(place.run).scored_checkpoint)
    torch.save(tensors.get("average") or tensors["model"], place.weights)


def write_model(scene: Scene, place: Place, plans: dict[str, Any], *, trainer: str) -> None:
    """nnU-Net's folder of a trained network: its plans with the scene's sizes, and the shared weights.

    nnU-Net reads volumes with their axes reversed: so are the kernels.
    """
    import torch

    weights = torch.load(place.weights, weights_only=True)
    turned = {name: w.permute(0, 1, 4, 3, 2).contiguous() if w.ndim == 5 else w for name, w in weights.items()}
    configuration = plans["configurations"]["3d_fullres"]
    configuration |= {"patch_size": list(scene.window[::-1]), "spacing": [scene.prepared_mm] * 3}
    configuration["architecture"]["arch_kwargs"]["features_per_stage"] = list(scene.filters)
    if scene.spacing_mm is not None:
        configuration["normalization_schemes"] = ["CTNormalization"]
        plans["foreground_intensity_properties_per_channel"]["0"] |= {
            "mean": LOW_HU,
            "std": HIGH_HU - LOW_HU,
            "percentile_00_5": LOW_HU,
            "percentile_99_5": HIGH_HU,
        }
    labels = {f"structure {n}" if n else "background": n for n in range(scene.classes)}
    dataset = {"channel_names": {"0": "image"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
    (place.model / "fold_0").mkdir(parents=True, exist_ok=True)
    (place.model / "plans.json").write_text(json.dumps(plans))
    (place.model / "dataset.json").write_text(json.dumps(dataset))
    facts = {"trainer_name": trainer, "init_args": {"configuration": "3d_fullres"}}
    checkpoint = {**facts, "network_weights": turned, "inference_allowed_mirroring_axes": (0, 1, 2)}
    torch.save(checkpoint, place.model / "fold_0" / "checkpoint_final.pth")
