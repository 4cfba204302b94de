"""Time to Dice on the hippocampus: hilum and nnU-Net from the same cases, minutes against the Dice of unseen patients.

usage: time_to_dice.py TASK_FOLDER SPLITS OUT [--nnunet FOLDER] [--only PATTERN]

TASK_FOLDER is Task04_Hippocampus with `patients.csv`; SPLITS is a `splits_final.json` of nnU-Net, of which fold 0 is
used by both; OUT keeps every result, so that what was measured is not measured again: all of it takes about three
hours on two cores, on which nothing else may run. FOLDER is nnU-Net's, see `nnunet/driver.py`. Prints tables and draws
OUT/time_to_dice.png.
"""

from __future__ import annotations

import argparse
import csv
import fnmatch
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from hilum.hardware import machine
from nnunet.driver import NNUNet
from reporting.dice_over_time import show
from steps import PRECISIONS, bare_s

CLASSES = (1, 2)
CONFIGS = Path(__file__).parents[1] / "configs"
WIDE = ["network.channels=[32,64,128,256]", "schedule.warmup=0.33"]
RECIPES: dict[str, list[str]] = {
    "hilum": [],
    "hilum-new": [],
    "hilum-float32": ["runtime.precision=float32"],
    "hilum-wide": WIDE,
    "hilum-wide-float32": [*WIDE, "runtime.precision=float32"],
}
"""Settings that differ from the shipped configuration; `hilum-new` is what `hilum new` writes. The warm-up of a wide
network is the share that 50 steps are of a short run, since it does not get to 50 in that time."""
PLAN = (
    *(("hilum", 1.2, seed) for seed in range(3)),
    *(("hilum", 5.5, seed) for seed in range(3)),
    ("hilum-new", 1.2, 0),
    ("hilum-float32", 1.2, 0),
    ("hilum-wide", 1.2, 0),
    ("hilum-wide-float32", 1.2, 0),
    ("hilum-new", 5.5, 0),
    ("hilum", 20.0, 0),
    ("hilum-float32", 5.5, 0),
    ("hilum-wide", 5.5, 0),
    ("hilum-wide-float32", 5.5, 0),
)
"""Recipe, minutes and seed of each run of hilum."""
NNUNET_RUNS, NNUNET_EPOCHS, NNUNET_ITERATIONS = 2, 11, 25
BARE_ROUNDS, BARE_STEPS = 2, 4
NETWORKS = {"same": 7, "small": 4}
"""nnU-Net's network and hilum's, with the batch that each is trained with."""
POLL_S = 0.1
Curve = list[tuple[float, float]]
"""Seconds since the command was given, and the mean Dice of the validation cases then."""


@dataclass(frozen=True)
class Place:
    """Where everything lies, and who validates."""

    task: Path
    splits: Path
    out: Path
    nnunet: Path | None

    @property
    def cases(self) -> list[str]:
        """Ids of the validation cases of fold 0."""
        found: list[str] = json.loads(self.splits.read_text())[0]["val"]
        return found

    @property
    def patients(self) -> dict[str, str]:
        """The patient of each case."""
        with (self.task / "patients.csv").open() as lines:
            return {row["case_id"]: row["patient_id"] for row in csv.DictReader(lines)}


def dice_of(predicted: Path, place: Place) -> dict[str, list[float]]:
    """The Dice of each structure in each validation case, from files; NaN where a structure is in neither."""

    def voxels(file: Path) -> np.ndarray[Any, Any]:
        return np.asarray(nib.load(file).dataobj)  # type: ignore[attr-defined]

    scores = {}
    for case in place.cases:
        ours, truth = voxels(predicted / f"{case}.nii.gz"), voxels(place.task / "labelsTr" / f"{case}.nii.gz")
        sums = [((ours == value).sum() + (truth == value).sum(), value) for value in CLASSES]
        both = [((ours == value) & (truth == value)).sum() for value in CLASSES]
        scores[case] = [
            2 * float(one) / float(total) if total else float("nan") for one, (total, _) in zip(both, sums, strict=True)
        ]
    return scores


def mean_dice(scores: dict[str, list[float]]) -> float:
    """The mean over cases of each structure's Dice, then over structures."""
    return float(np.nanmean(np.array(list(scores.values())), axis=0).mean())


def watched(command: Sequence[str], log: Path, environment: dict[str, str]) -> tuple[Curve, float]:
    """When each validated epoch stood in a log that a command writes, with its Dice, and when the command ended."""
    start, curve, seen = time.perf_counter(), Curve(), 0
    with (log.parent.parent / f"{log.parent.name}.txt").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        while process.poll() is None:
            lines = log.read_text().splitlines(keepends=True) if log.exists() else []
            for line in lines[seen:]:
                if not line.endswith("\n"):
                    break
                seen += 1
                entry = json.loads(line)
                if "val_dice" in entry:
                    curve.append((time.perf_counter() - start, entry["val_dice"]))
            time.sleep(POLL_S)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {output.name}")
    return curve, time.perf_counter() - start


def run_hilum(place: Place, name: str, *, recipe: str, minutes: float, seed: int) -> dict[str, Any]:
    """Train with hilum for some minutes, the preparation of the data included, then predict and score."""
    runs = place.out / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    config = CONFIGS / "hippocampus_unet3d.yaml"
    hilum = [sys.executable, "-m", "hilum"]
    if recipe == "hilum-new":
        config = place.out / "new.yaml"
        config.unlink(missing_ok=True)
        subprocess.run([*hilum, "new", str(place.task), "-o", str(config)], check=True, stdout=subprocess.DEVNULL)
    split = f"data.split={{kind: predefined, file: '{place.splits}', fold: 0}}"
    words = [f"data.source.root={place.task}", split, "train.epochs=null", f"train.minutes={minutes}"]
    words += [
        f"runtime.seed={seed}",
        f"name={name}",
        f"runs={runs}",
        f"data.cache={runs / name}-cache",
        *RECIPES[recipe],
    ]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    curve, seconds = watched([*hilum, "train", str(config), *words], runs / name / "log.jsonl", environment)
    facts = json.loads((runs / name / "provenance.json").read_text())
    manifest = place.out / f"{name}.csv"
    images = (place.task / "imagesTr" / f"{case}.nii.gz" for case in place.cases)
    manifest.write_text("image\n" + "".join(f"{image}\n" for image in images))
    labels = place.out / f"{name}-labels"
    command = [*hilum, "predict", str(runs / name), str(manifest), str(labels)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return {
        "tool": "hilum",
        "recipe": recipe,
        "minutes": minutes,
        "seed": seed,
        "curve": curve,
        "seconds": seconds,
        "steps": facts["time_budget"]["steps"],
        "step_s": facts["time_budget"]["costs"]["step_s"],
        "cases": dice_of(labels, place),
    }


def run_nnunet(place: Place, name: str) -> dict[str, Any]:
    """Train nnU-Net for half an hour, and score the labels of the validation cases that it writes at the end."""
    assert place.nnunet is not None
    tool = NNUNet(place.nnunet, place.out / name)
    tool.use_splits(place.splits)
    times = tool.fold / "times.jsonl"
    if times.exists() and len(times.read_text().splitlines()) == NNUNET_EPOCHS:
        ends = [json.loads(line) for line in times.read_text().splitlines()]
    else:
        ends = tool.train(epochs=NNUNET_EPOCHS, iterations=NNUNET_ITERATIONS)
    cases = dice_of(tool.fold / "validation", place)  # with mirroring, as nnU-Net does by default
    return {
        "tool": "nnU-Net",
        "recipe": "nnU-Net 3d_fullres",
        "curve": [(ends[-1]["seconds"], mean_dice(cases))],
        "seconds": ends[-1]["seconds"],
        "steps": NNUNET_EPOCHS * NNUNET_ITERATIONS,
        "cases": cases,
    }


def run_bare_steps() -> dict[str, Any]:
    """Seconds of a bare step, a sample, of each network in each precision, and the machine."""
    rounds = [
        {
            f"{network}, {precision}": bare_s(precision, network=network, steps=BARE_STEPS) / NETWORKS[network]
            for network in NETWORKS
            for precision in PRECISIONS
        }
        for _ in range(BARE_ROUNDS)
    ]
    return {"tool": "bare", "machine": machine(), "rounds": rounds}


def jobs(place: Place) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """All that is measured, by name."""
    yield "bare", run_bare_steps
    for recipe, minutes, seed in PLAN:
        name = f"{recipe}-{minutes:g}min-seed{seed}"
        yield name, partial(run_hilum, place, name, recipe=recipe, minutes=minutes, seed=seed)
    if place.nnunet is not None:
        for number in range(NNUNET_RUNS):
            name = f"nnunet-{number}"
            yield name, partial(run_nnunet, place, name)


def main() -> int:
    """Measure what is missing, then print the tables and draw the plot of all that there is."""
    if len(sys.argv) == 1:
        print(__doc__)
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", type=Path)
    parser.add_argument("splits", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--nnunet", type=Path, help="folder of nnU-Net's environment and data")
    parser.add_argument("--only", default="*", help="measure only what has such a name, such as 'hilum-1.2*'")
    given = parser.parse_args()
    nnunet = None if given.nnunet is None else given.nnunet.resolve()
    place = Place(given.task.resolve(), given.splits.resolve(), given.out.resolve(), nnunet)
    results = place.out / "results"
    results.mkdir(parents=True, exist_ok=True)
    for name, measure in jobs(place):
        file = results / f"{name}.json"
        if file.exists() or not fnmatch.fnmatch(name, given.only):
            continue
        print(f"measuring {name}", flush=True)
        file.write_text(json.dumps(measure()))
    show(results, place.patients)
    return 0


if __name__ == "__main__":
    sys.exit(main())
