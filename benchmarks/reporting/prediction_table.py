"""The table of `predict.py`: a line for each tool and setting, beside the bare network and beside hilum."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

GB = 2**30
COLUMNS = "volumes  windows   s a volume  of cores  peak GB  above the bare network  beside hilum: time  memory"
Result = dict[str, Any]


def show(results: Path) -> None:
    """Print what lies in a folder of results; of several rounds, the mean."""
    found: defaultdict[str, list[Result]] = defaultdict(list)
    for file in sorted(results.glob("*.json")):
        result = json.loads(file.read_text())
        found[f"{result['tool']}, {result['setting']}"].append(result)
    means = {name: mean_of(rounds) for name, rounds in found.items()}
    print(f"\n{results.parent.name:<28} {COLUMNS}")
    for name, result in means.items():
        if result["tool"].startswith("bare"):
            print(
                f"{name:<28} {result['window_s']:.4f} s a window on the clock, {result['window_cores_s']:.4f} of cores"
            )
    for name, result in means.items():
        if not result["tool"].startswith("bare"):
            print(line_of(name, result, means))


def mean_of(rounds: list[Result]) -> Result:
    """One result whose numbers are the means of those of all rounds, a volume where they are seconds of volumes."""
    keys = [key for key, value in rounds[0].items() if isinstance(value, int | float)]
    mean = {key: statistics.mean(one[key] for one in rounds) for key in keys}
    per_volume = {key: mean[key] / mean["volumes"] for key in ("wall_s", "cores_s")}
    return {**rounds[0], **mean, **per_volume}


def line_of(name: str, result: Result, means: dict[str, Result]) -> str:
    """A tool's line. A tool is compared with hilum at float32, or with its defaults; time on the clock."""
    bare = means.get(f"bare, {bare_precision(result, means)}")
    calls = result["windows"] * result["views"]
    above = "" if bare is None else f"{100 * (result['wall_s'] / (calls * bare['window_s']) - 1):8.1f} %"
    cores = (
        "" if bare is None else f"{100 * (result['cores_s'] / (calls * bare['window_cores_s']) - 1):8.1f} % of cores"
    )
    ours = means.get("hilum, float32" if result["setting"].startswith("float32") else "hilum, defaults")
    times = memory = agreement = ""
    if ours is not None and ours is not result:
        times = f"{result['wall_s'] / ours['wall_s']:6.2f} ({result['cores_s'] / ours['cores_s']:.2f} of cores)"
        memory = f"{result['peak_bytes'] / ours['peak_bytes']:5.2f}"
        agreement = alike(Path(ours["out"]), Path(result["out"]))
    return (
        f"{name:<28} {result['volumes']:7.0f} {calls:8.1f} {result['wall_s']:12.2f} {result['cores_s']:9.2f} "
        f"{result['peak_bytes'] / GB:8.2f} {above:>10} {cores:>18} {times:>24} {memory:>6}  {agreement}"
    )


def bare_precision(result: Result, means: dict[str, Result]) -> str:
    """The precision that a tool computed in; hilum's own choice is bfloat16 where that is the faster one."""
    if result["precision"] != "auto":
        return str(result["precision"])
    kinds = [kind for kind in ("float32", "bfloat16") if f"bare, {kind}" in means]
    return min(kinds, key=lambda kind: float(means[f"bare, {kind}"]["window_s"]), default="float32")


def alike(ours: Path, others: Path) -> str:
    """The share of voxels of the first volume that two tools label alike; empty where one wrote nothing."""
    import nibabel as nib

    file = min(ours.glob("*.nii.gz"), default=None)
    found = None if file is None else min(others.glob(f"{file.name.removesuffix('.nii.gz')}*.nii.gz"), default=None)
    if file is None or found is None:
        return ""
    one, other = (np.asarray(nib.load(path).dataobj).squeeze() for path in (file, found))  # type: ignore[attr-defined]
    return f"labels alike {100 * float((one == other).mean()):.2f} %" if one.shape == other.shape else "other shapes"
