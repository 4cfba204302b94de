"""The share of time for which each shipped configuration waits for data while it trains.

usage: waiting.py DATA [--steps 30] [--only NAME]

DATA holds the data sets that the configurations name in their first lines. Each trains two epochs of so many steps; the
second one counts, in which nothing is prepared any more.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hilum.hardware import machine

CONFIGS = Path(__file__).parents[1] / "configs"
SOURCES = {
    "cxr_densenet121": {"file": "nih_cxr14/labels.csv", "root": "nih_cxr14/images"},
    "demo": {},
    "hippocampus_unet2d": {"root": "Task04_Hippocampus"},
    "hippocampus_unet3d": {"root": "Task04_Hippocampus"},
    "membranes_unet2d": {"root": "isbi2012_em"},
    "pneumonia_lenet5": {"file": "medmnist/pneumoniamnist.npz"},
    "pneumonia_resnet18": {"file": "medmnist/pneumoniamnist.npz"},
    "transfer_breast": {"file": "medmnist/breastmnist.npz"},
    "transfer_pneumonia": {"file": "medmnist/pneumoniamnist.npz"},
    "vessel3d_resnet18": {"file": "medmnist/vesselmnist3d.npz"},
}
"""What each configuration reads, below the folder of data."""


def measured(name: str, words: Sequence[str], *, steps: int, scratch: Path) -> tuple[float, float]:
    """Seconds a step, and the share of them spent waiting for data."""
    settings = [f"runs={scratch}", f"name={name}", f"data.cache={scratch / 'cache'}", "train.epochs=2"]
    settings += ["train.minutes=null", f"train.steps_per_epoch={steps}", "train.validate_every=2", "schedule.warmup=0"]
    command = [sys.executable, "-m", "hilum", "train", str(CONFIGS / f"{name}.yaml"), *words, *settings]
    log = scratch / name / "log.jsonl"
    with (scratch / f"{name}.txt").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        if process.wait():
            raise RuntimeError(f"{' '.join(command)}: {(scratch / f'{name}.txt').read_text()}")
    last = json.loads(log.read_text().splitlines()[-1])
    return float(last["seconds"]) / steps, float(last["waiting"])


def main() -> int:
    """Print a line a configuration."""
    if len(sys.argv) == 1:
        print(__doc__)
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--only", default="*")
    given = parser.parse_args()
    print(f"{machine()['cpu']}, {machine()['threads']} threads", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for config in sorted(CONFIGS.glob("*.yaml")):
            if not fnmatch.fnmatch(config.stem, given.only):
                continue
            words = [f"data.source.{key}={given.data.resolve() / path}" for key, path in SOURCES[config.stem].items()]
            step_s, waiting = measured(config.stem, words, steps=given.steps, scratch=Path(folder))
            print(f"{config.stem:<20} {step_s:7.3f} s a step, {100 * waiting:5.2f} % of it waiting", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
