"""Scores generated volumes (dice, hd95, nsd) with hilum and MONAI, with nnU-Net Dice alone; prints times and memory.

usage: metrics.py [NNUNET_FOLDER]    (or: make bench, which leaves nnU-Net out)

20 pairs of 256 x 256 x 160 voxels with five structures, the largest above a tenth of the volume. Each tool works in a
process of its own, in turns on five volumes at a time; the clock runs while label arrays in memory become scores,
one-hot coding included where a tool needs it. NNUNET_FOLDER has `venv`, an environment with nnU-Net v2: its own
`compute_metrics` runs, with a reader that hands over the arrays.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = (256, 256, 160)
SPACING = (0.8, 0.8, 1.5)
VOLUMES, ROUNDS = 20, 4
# Half axes in voxels and centre of each structure: from a liver, an eighth of the volume, to a small lesion.
STRUCTURES = (
    ((80, 70, 58), (96, 120, 80)),
    ((30, 34, 40), (210, 60, 70)),
    ((24, 20, 30), (215, 150, 90)),
    ((14, 14, 18), (200, 215, 60)),
    ((5, 6, 5), (30, 225, 130)),
)
NAMES = tuple(f"structure{number}" for number in range(1, len(STRUCTURES) + 1))
TOLERANCE_MM = 1.0
SCORES = ("dice", "hd95", "nsd")

NNUNET_RUN = """
import json, resource, sys, time
import numpy as np
from nnunetv2.evaluation.evaluate_predictions import compute_metrics
class Arrays:
    def read_seg(self, file):
        return arrays[file], {}
seconds, scores = [], []
for number in json.loads(sys.argv[2]):
    arrays = {kind: np.load(f"{sys.argv[1]}/{kind}-{number}.npy") for kind in ("truth", "predicted")}
    start, before = time.perf_counter(), time.process_time()
    found = compute_metrics("truth", "predicted", Arrays(), [1, 2, 3, 4, 5])
    seconds.append((time.perf_counter() - start, time.process_time() - before))
    scores.append([[float(found["metrics"][label]["Dice"])] for label in (1, 2, 3, 4, 5)])
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "scores": scores, "peak_mb": peak_mb}))
"""


def generate(folder: Path) -> float:
    """Write truth and prediction of every volume; returns the smallest share that the largest structure fills."""
    shares = []
    for number in range(VOLUMES):
        rng = np.random.default_rng(number)
        for kind in ("truth", "predicted"):
            labels = np.zeros(SHAPE, dtype=np.uint8)
            for value, (half, centre) in reversed(list(enumerate(STRUCTURES, start=1))):
                # The same for truth and prediction up to a voxel, and lumps of their own on the surface.
                place = np.add(centre, np.random.default_rng((number, value)).uniform(-6, 6, 3)) + rng.uniform(-1, 1, 3)
                _paint(labels, value, half=np.array(half), centre=place, rng=rng)
            np.save(folder / f"{kind}-{number}.npy", labels)
        shares.append(float((labels == 1).mean()))
    return min(shares)


def _paint(labels: np.ndarray, value: int, *, half: np.ndarray, centre: np.ndarray, rng: np.random.Generator) -> None:
    from scipy.ndimage import zoom

    low = np.maximum(centre - 1.2 * half, 0).astype(int)
    high = np.minimum(centre + 1.2 * half + 1, SHAPE).astype(int)
    box = tuple(slice(one, two) for one, two in zip(low, high, strict=True))
    places = np.indices(high - low, sparse=True)
    squares = [((places[axis] + low[axis] - centre[axis]) / half[axis]) ** 2 for axis in range(3)]
    radius = np.sqrt(squares[0] + squares[1] + squares[2])
    coarse = rng.standard_normal((8, 8, 8)) * 1.5 / half.mean()  # about a voxel and a half, in and out
    lumps = zoom(
        coarse, [(two - one) / 8 for one, two in zip(low, high, strict=True)], order=1, grid_mode=True, mode="nearest"
    )
    labels[box][radius + lumps < 1] = value


def work_hilum(truth: np.ndarray, predicted: np.ndarray) -> list[list[float]]:
    """Dice, hd95 and nsd of each structure, as `hilum evaluate` writes them."""
    from hilum.evaluation.rows import CaseKey, segmentation_rows
    from hilum.metrics.dice import DiceMetric
    from hilum.metrics.hd95 import Hd95Metric
    from hilum.metrics.nsd import NsdMetric
    from hilum.problem import Problem
    from hilum.volume import Grid

    problem = Problem(
        "segmentation", 3, ("image",), ("background", *NAMES), tuple((value,) for value in range(len(NAMES) + 1))
    )
    grid = Grid(SHAPE, np.diag([*SPACING, 1.0]))
    metrics = [DiceMetric(), Hd95Metric(), NsdMetric(tolerance_mm=TOLERANCE_MM)]
    rows = segmentation_rows(
        CaseKey("case", "patient", "test"), truth, predicted=predicted, problem=problem, grid=grid, metrics=metrics
    )
    return [[float(row[metric.column] or 0) for metric in metrics] for row in rows]


def work_monai(truth: np.ndarray, predicted: np.ndarray) -> list[list[float]]:
    """The same by MONAI's functions."""
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice
    from monai.networks.utils import one_hot

    coded = [one_hot(torch.from_numpy(labels)[None, None], len(NAMES) + 1) for labels in (predicted, truth)]
    options: dict[str, Any] = {"include_background": False, "spacing": SPACING}
    found = [
        compute_dice(*coded, include_background=False),
        compute_hausdorff_distance(*coded, percentile=95, **options),
        compute_surface_dice(*coded, [TOLERANCE_MM] * len(NAMES), **options),
    ]
    return torch.cat(found).T.tolist()


def work(name: str, folder: Path, numbers: list[int]) -> dict[str, Any]:
    """Seconds (clock, cores) and scores of some volumes, and this process's peak memory in MB; a first one warms up."""
    import resource

    measured = {"hilum": work_hilum, "MONAI": work_monai}[name]
    small = np.zeros(SHAPE, dtype=np.uint8)
    for value in range(1, len(NAMES) + 1):
        small[10 * value : 10 * value + 5, 3:9, 3:9] = value
    measured(small, small)
    seconds, scores = [], []
    for number in numbers:
        truth, predicted = (np.load(folder / f"{kind}-{number}.npy") for kind in ("truth", "predicted"))
        start, before = time.perf_counter(), time.process_time()
        scores.append(measured(truth, predicted))
        seconds.append((time.perf_counter() - start, time.process_time() - before))
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "scores": scores, "peak_mb": peak_kb / 1024}


def measured(name: str, folder: Path, numbers: list[int], nnunet: Path | None) -> dict[str, Any]:
    """What a process of its own found."""
    if name == "nnU-Net, Dice alone":
        assert nnunet is not None
        folders = {f"nnUNet_{kind}": str(folder) for kind in ("raw", "preprocessed", "results")}
        command = [str(nnunet / "venv" / "bin" / "python"), "-c", NNUNET_RUN, str(folder), json.dumps(numbers)]
        environment = {**os.environ, **folders}
        environment.pop("PYTHONPATH", None)
    else:
        command = [sys.executable, __file__, "--worker", name, str(folder), json.dumps(numbers)]
        environment = dict(os.environ)
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def told(name: str, rounds: list[dict[str, Any]], ours: list[dict[str, Any]]) -> str:
    """Lines: seconds a volume, how many times hilum's in each round, memory, and how far the scores differ at most.

    The seconds of the cores depend less than those of the clock on what else the machine does.
    """
    lines = []
    for kind, what in enumerate(("clock", "cores")):
        sums, base = ([sum(pair[kind] for pair in one["seconds"]) for one in each] for each in (rounds, ours))
        ratios = [one / other for one, other in zip(sums, base, strict=True)]
        seconds, times = statistics.median(sums) * ROUNDS / VOLUMES, statistics.median(ratios)
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append(f"{name:<20} {what} {seconds:6.2f} s a volume, {times:6.2f} times hilum {spread}")
    scores, expected = (np.array([row for one in each for row in one["scores"]]) for each in (rounds, ours))
    apart = np.abs(scores - expected[..., : scores.shape[-1]]).max(axis=(0, 1))
    differences = ", ".join(f"{score} {value:.1e}" for score, value in zip(SCORES, apart, strict=False))
    peak = max(one["peak_mb"] for one in rounds)
    return "\n".join([*lines, f"{name:<20} peak {peak:.0f} MB; largest difference {differences}"])


def main() -> int:
    """Print what each tool took a volume, how many times hilum's that is, and how far their scores differ."""
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(work(sys.argv[2], Path(sys.argv[3]), json.loads(sys.argv[4]))))
        return 0
    nnunet = Path(sys.argv[1]) if len(sys.argv) == 2 else None
    names = ["hilum", *(["MONAI"] if importlib.util.find_spec("monai") else [])]
    names += ["nnU-Net, Dice alone"] if nnunet is not None else []
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        print(f"{VOLUMES} volumes of {SHAPE}; the largest structure fills at least {generate(folder):.1%}", flush=True)
        for numbers in np.array_split(np.arange(VOLUMES), ROUNDS):
            for name in names:
                found[name].append(measured(name, folder, numbers.tolist(), nnunet))
    for name in names:
        print(told(name, found[name], found["hilum"]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
