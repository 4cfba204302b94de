"""Runs nnU-Net's own commands in its own environment: trainings that tell the time, predictions of their checkpoints.

The folder that is given has `venv`, an environment with nnU-Net v2, `raw`, in which the task is Dataset004, and `pre`,
where its plan lies (`nnUNetv2_plan_and_preprocess -d 4 -c 3d_fullres`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TASK = "Dataset004_Hippocampus"
Command = tuple[list[str], dict[str, str]]
"""The words of a command, and its environment."""


@dataclass(frozen=True)
class NNUNet:
    """nnU-Net with its environment and prepared data in `folder`, and results in `results`."""

    folder: Path
    results: Path
    trainer: str = "nnUNetTrainerTimed"

    @property
    def fold(self) -> Path:
        """Where the training of fold 0 writes."""
        return self.results / TASK / f"{self.trainer}__nnUNetPlans__3d_fullres" / "fold_0"

    def use_splits(self, splits: Path) -> None:
        """Make nnU-Net train and validate on the parts of a `splits_final.json`."""
        shutil.copyfile(splits, self.folder / "pre" / TASK / "splits_final.json")

    def train(self, *, epochs: int, iterations: int) -> list[dict[str, Any]]:
        """Train fold 0 on the CPU; when each epoch ended, in seconds since the command was given."""
        words = ["4", "3d_fullres", "0", "-tr", self.trainer, "-device", "cpu"]
        lengths = {"NN_EPOCHS": str(epochs), "NN_ITERS": str(iterations), "NN_STARTED": str(time.time())}
        self._run("nnUNetv2_train", words, lengths)
        return [json.loads(line) for line in (self.fold / "times.jsonl").read_text().splitlines()]

    def prediction(self, model: Path, images: Path, out: Path, *, words: Sequence[str]) -> Command:
        """How a folder of images is predicted on the CPU by a folder of plans and weights, more `words` given."""
        program = str(self.folder.resolve() / "venv/bin/nnUNetv2_predict_from_modelfolder")
        places = ["-i", str(images), "-o", str(out), "-m", str(model), "-f", "0", "-device", "cpu"]
        return [program, *places, *words], self._environment()

    def plans(self) -> dict[str, Any]:
        """What nnU-Net planned for the task."""
        found: dict[str, Any] = json.loads((self.folder / "pre" / TASK / "nnUNetPlans.json").read_text())
        return found

    def _environment(self) -> dict[str, str]:
        places = {"nnUNet_raw": "raw", "nnUNet_preprocessed": "pre"}
        environment = os.environ | {name: str((self.folder / place).resolve()) for name, place in places.items()}
        return environment | {
            "nnUNet_results": str(self.results.resolve()),
            "nnUNet_extTrainer": str(HERE / "trainers"),
            "PYTHONPATH": str(HERE.parent / "loops"),
            "nnUNet_compile": "f",
            "nnUNet_n_proc_DA": "1",
        }

    def _run(self, command: str, words: Sequence[str], extra: dict[str, str]) -> None:
        self.results.mkdir(parents=True, exist_ok=True)
        with (self.results / f"{command}.log").open("w") as log:
            subprocess.run(
                [str(self.folder.resolve() / "venv/bin" / command), *words],
                env=self._environment() | extra,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=True,
            )
