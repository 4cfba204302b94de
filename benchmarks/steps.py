"""Seconds of a training step: hilum, nnU-Net's trainer and a MONAI loop with one network, patch and batch, in turns.

usage: steps.py TASK_FOLDER OUT [--nnunet FOLDER] [--rounds 2] [--steps 6]

The network is MONAI's DynUNet in the size of nnU-Net's plan (32 to 256 features, 5.6 million parameters), patches of
40 x 56 x 40, batches of 7, SGD; each tool augments by its own means. `bare` is the step over one batch that is already
there. nnU-Net computes in float32 on a CPU, always. A ratio is taken within a round; FOLDER is nnU-Net's, see
`nnunet/driver.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hilum.hardware import machine
from nnunet.driver import NNUNet

HERE = Path(__file__).parent
LOOPS = HERE / "loops"
PRECISIONS = ("float32", "bfloat16")
CONFIG = """\
name: steps
task: {{kind: segmentation, classes: {{background: 0, anterior: 1, posterior: 2}}}}
plugins: [{plugin}]
data:
  source: {{kind: decathlon, root: {task}, patients: {{table: patients.csv}}}}
  prepare: [canonical, {{kind: spacing, mm: [1.0, 1.0, 1.0]}}, {{kind: zscore, nonzero: true}}]
  augment:
    - {{kind: affine, rotate_degrees: 20, scale: [0.85, 1.18], probability: 0.8}}
    - {{kind: blur, sigma_voxels: [0.3, 1.2], probability: 0.3}}
    - {{kind: noise, probability: 0.3}}
    - {{kind: brightness, probability: 0.3}}
    - {{kind: gamma, probability: 0.3}}
  patch: {{size: [40, 56, 40], foreground: 0.33}}
  batch_size: 7
  cache: {out}/cache
network: same_network
loss: dice_ce
metrics: [dice]
optimizer: {{kind: sgd, lr: 1e-2, momentum: 0.99}}
train: {{epochs: 2, steps_per_epoch: {steps}, clip_norm: 1.0, validate_every: 2, validate_cases: 1}}
runtime: {{precision: {precision}}}
runs: {out}
"""


def with_loops() -> str:
    """The folder of loops in front of what Python looks through already."""
    return os.pathsep.join([str(LOOPS), *filter(None, [os.environ.get("PYTHONPATH")])])


def printed(command: list[str]) -> list[float]:
    """The numbers that a process prints at its end."""
    environment = os.environ | {"PYTHONPATH": with_loops()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    numbers: list[float] = json.loads(done.stdout.splitlines()[-1])
    return numbers


def bare_s(precision: str, *, steps: int, network: str = "same", kept: bool = False) -> float:
    """Mean seconds of a bare step; `kept`: memory that tensors free stays in the process."""
    words = [network, precision, str(steps), *(["kept"] if kept else [])]
    return statistics.mean(printed([sys.executable, str(LOOPS / "bare.py"), *words]))


def monai_s(task: Path, loader: str, precision: str, *, steps: int) -> float:
    """Mean seconds of a step of the MONAI loop."""
    return statistics.mean(
        printed([sys.executable, str(LOOPS / "monai_loop.py"), str(task), loader, precision, str(steps)])
    )


def hilum_s(task: Path, out: Path, precision: str, *, steps: int) -> float:
    """Mean seconds of a step of `hilum train`, in the second epoch, waiting included."""
    config = out / "steps.yaml"
    plugin = LOOPS / "same_network_plugin.py"
    config.write_text(CONFIG.format(plugin=plugin, task=task, out=out, steps=steps, precision=precision))
    environment = os.environ | {"PYTHONPATH": with_loops()}
    command = [sys.executable, "-m", "hilum", "train", str(config), "--overwrite"]
    subprocess.run(command, env=environment, capture_output=True, check=True)
    last = json.loads((out / "steps" / "log.jsonl").read_text().splitlines()[-1])
    return float(last["seconds"]) / steps


def nnunet_s(nnunet: Path, out: Path, *, steps: int) -> float:
    """Mean seconds of an iteration of nnU-Net's trainer, in its second epoch."""
    results = out / "nnunet"
    shutil.rmtree(results, ignore_errors=True)
    tool = NNUNet(nnunet, results, trainer="nnUNetTrainerSameNetwork")
    return float(tool.train(epochs=2, iterations=steps)[-1]["iteration_s"])


def contenders(task: Path, out: Path, nnunet: Path | None, steps: int) -> dict[str, Callable[[], float]]:
    """What is measured, by name."""
    found: dict[str, Callable[[], float]] = {}
    for precision in PRECISIONS:
        found[f"bare, {precision}"] = partial(bare_s, precision, steps=steps)
        found[f"bare with memory kept, {precision}"] = partial(bare_s, precision, steps=steps, kept=True)
        found[f"hilum, {precision}"] = partial(hilum_s, task, out, precision, steps=steps)
        for loader in ("threads", "processes"):
            found[f"MONAI {loader}, {precision}"] = partial(monai_s, task, loader, precision, steps=steps)
    if nnunet is not None:
        found["nnU-Net, float32"] = partial(nnunet_s, nnunet, out, steps=steps)
    return found


def main() -> int:
    """Print seconds a step, and each contender's ratio to hilum in the same round."""
    if len(sys.argv) == 1:
        print(__doc__)
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--nnunet", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6, help="timed steps of each contender in a round")
    given = parser.parse_args()
    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    print(f"{machine()['cpu']}, {machine()['threads']} threads", flush=True)
    nnunet = None if given.nnunet is None else given.nnunet.resolve()
    measures = contenders(given.task.resolve(), out, nnunet, given.steps)
    times: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(given.rounds):
        for name, measure in measures.items():
            times[name].append(measure())
            print(f"round {number + 1}  {name:<32} {times[name][-1]:7.3f} s a step", flush=True)
    for name, seconds in times.items():
        ours = times[f"hilum, {name.rpartition(', ')[2]}"]
        ratios = [one / other for one, other in zip(seconds, ours, strict=True)]
        print(
            f"{name:<32} {statistics.mean(seconds):7.3f} s a step, {statistics.mean(ratios):5.2f} times hilum "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
