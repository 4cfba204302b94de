"""What needs a CUDA device: the same step as on the CPU, runs in reduced precision, and going on after a stop."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hilum.case import Batch
from hilum.losses.dice_ce import DiceCrossEntropyConfig
from hilum.networks.unet import UNetConfig
from hilum.optim.optimizers import OptimizerConfig
from hilum.pipeline import evaluate, predict, resume, train
from hilum.problem import Problem
from hilum.registry import kinds
from hilum.run import Run
from hilum.runtime import RuntimeConfig, seed_weights
from hilum.training.interrupt import Interrupted
from hilum.training.trainer import Trainer

pytestmark = pytest.mark.gpu

CONFIG = """\
name: tiny
task: {{kind: segmentation, classes: {{background: 0, organ: 1, lesion: 2}}}}
data:
  source: {{kind: phantom, folder: {phantoms}, patients: 6, scans_per_patient: 2, spacing_mm: 4.0, seed: 3}}
  split: {{kind: holdout, val: 0.3, test: 0.2, seed: 1}}
  prepare: [canonical, {{kind: spacing, mm: [4, 4, 4]}}, zscore]
  augment: [affine, elastic, noise, blur, gamma, brightness, bias_field]
  patch: {{size: [16, 16, 16], foreground: 0.5}}
  batch_size: 2
  cache: {folder}/cache
network: {{kind: unet, channels: [8, 16]}}
loss: dice_ce
metrics: [dice]
schedule: {{kind: cosine, warmup: 1}}
train: {{epochs: 2, ema: 0.9, clip_norm: 1.0}}
runtime: {{device: cuda}}
runs: {folder}/runs
"""


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("phantoms") / "cohort"


@pytest.fixture
def config(phantoms: Path, tmp_path: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(CONFIG.format(phantoms=phantoms, folder=tmp_path))
    return file


def read_log(run: Run) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in run.log.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("seconds", "waiting")} for line in lines]


def one_step(device: str) -> tuple[float, list[Tensor]]:
    """The loss before and all weights after one step of gradient descent in float32 from the same start."""
    problem = Problem(
        "segmentation", 3, ("image",), ("background", "organ", "lesion"), ((0,), (1,), (2,)), size=(16, 16, 16)
    )
    runtime = RuntimeConfig(device=device, precision="float32").start()  # type: ignore[arg-type]
    seed_weights(5)
    model: nn.Module = runtime.place(UNetConfig(channels=(8, 16, 32)).build(problem))
    loss = DiceCrossEntropyConfig().build(problem).to(runtime.device)
    optimizer_config = kinds("optimizers")["sgd"]
    assert issubclass(optimizer_config, OptimizerConfig)
    optimizer = optimizer_config(lr=0.1).build(model)
    rng = torch.Generator().manual_seed(6)
    images = torch.randn(2, 1, 16, 16, 16, generator=rng)
    batch = Batch(("a", "b"), 0, (0, 1), images, torch.randint(0, 3, (2, 16, 16, 16), generator=rng))
    with runtime.autocast():
        logits = model(batch.images.to(runtime.device))
    value = loss(logits, batch.targets.to(runtime.device))
    value.backward()
    optimizer.step()
    return float(value.detach()), [parameter.detach().cpu() for parameter in model.parameters()]


def test_one_step_is_that_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # else convolutions round to 10 bits
    (cpu_loss, cpu), (gpu_loss, gpu) = one_step("cpu"), one_step("cuda")
    assert gpu_loss == pytest.approx(cpu_loss, rel=1e-4)
    for ours, theirs in zip(gpu, cpu, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16", "auto"])
def test_a_run_in_each_precision(config: Path, phantoms: Path, tmp_path: Path, precision: str) -> None:
    said: list[str] = []
    run = train(config, [f"runtime.precision={precision}"], say=said.append)
    facts = run.read_json(run.provenance)
    assert facts["device"].startswith("cuda")
    assert facts["precision"] == ("bfloat16" if precision == "auto" else precision) or precision == "auto"
    losses = [entry["train_loss"] for entry in read_log(run)]
    assert len(losses) == 2
    assert all(0 < loss < 10 for loss in losses)
    summary = evaluate(run.folder, part="val", say=said.append)
    assert summary
    batch = predict(run.folder, phantoms / "images", tmp_path / "gpu", say=said.append)
    assert not batch.failures


def test_a_run_of_the_gpu_is_used_on_the_cpu(config: Path, phantoms: Path, tmp_path: Path) -> None:
    import nibabel as nib
    import numpy as np

    said: list[str] = []
    run = train(config, ["runtime.precision=float32"], say=said.append)
    for device in ("cuda", "cpu"):
        batch = predict(
            run.folder, phantoms / "images", tmp_path / device, overrides=[f"runtime.device={device}"], say=said.append
        )
        assert not batch.failures
    for file in (tmp_path / "cuda").glob("*.nii.gz"):
        ours, theirs = (nib.Nifti1Image.from_filename(tmp_path / device / file.name) for device in ("cuda", "cpu"))
        same = np.asarray(ours.dataobj) == np.asarray(theirs.dataobj)
        assert same.mean() > 0.995


def test_a_run_stopped_in_the_middle_goes_on(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted in the second epoch and resumed, against a run in one piece: the same losses to rounding."""
    said: list[str] = []
    float32 = "runtime.precision=float32"
    whole = train(config, [float32, "name=whole"], say=said.append)
    last_step = read_log(whole)[-1]["step"]
    taken, step = [0], Trainer._step

    def interrupted(self: Trainer, group: list[Batch], lr_factor: float) -> float:
        taken[0] += 1
        if taken[0] == last_step - 1:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, group, lr_factor)

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_step", interrupted)
        with pytest.raises(Interrupted):
            train(config, [float32, "name=parted"], say=said.append)
    parted = resume(whole.folder.with_name("parted"), say=said.append)
    for ours, expected in zip(read_log(parted), read_log(whole), strict=True):
        assert ours["step"] == expected["step"]
        assert ours["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-3)


def test_augmentation_draws_the_same_on_both_devices() -> None:
    """Every kind of step whose result does not hang on a device's own noise."""
    from hilum.augment.augmenter import Augmenter
    from hilum.augment.base import AugmentConfig, Frame

    frame = Frame((16, 16, 16), (2.0, 2.0, 2.0), ("left_right", "posterior_anterior", "inferior_superior"))
    rng = torch.Generator().manual_seed(1)
    images = torch.randn(2, 1, 16, 16, 16, generator=rng)
    targets = (images[:, 0] > 1).long()
    names = ("affine", "elastic", "blur", "gamma", "brightness", "bias_field")
    steps = []
    for name in names:
        kind = kinds("augment")[name]
        assert issubclass(kind, AugmentConfig)
        steps.append(kind(probability=1.0))
    changed = {}
    for device in ("cpu", "cuda"):
        batch = Batch(("a", "b"), 0, (0, 1), images.to(device), targets.to(device))
        changed[device] = Augmenter(steps, seed=3)(batch, frame)
    torch.testing.assert_close(changed["cuda"].images.cpu(), changed["cpu"].images, rtol=1e-3, atol=1e-3)
    assert (changed["cuda"].targets.cpu() == changed["cpu"].targets).float().mean() > 0.999
