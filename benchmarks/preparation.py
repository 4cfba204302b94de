"""Reads and prepares a Decathlon task with hilum, MONAI and nnU-Net, in turns; prints differences, seconds and ratios.

usage: preparation.py TASK_FOLDER [NNUNET_FOLDER]    (or: make bench, which skips this one for want of data)

Each measurement is a process of its own with two workers and an empty cache, and counts from the moment that everything
is imported: reading, preparing, and whatever the tool does to keep the result on disk (once, for comparison, MONAI's
cache in memory, which writes nothing). TASK_FOLDER has `dataset.json`, with
voxels near 1 mm. NNUNET_FOLDER has `venv`, an environment with nnU-Net v2, `raw`, in which the task is Dataset004, and
`pre`, where its plan lies (`nnUNetv2_plan_and_preprocess -d 4 -c 3d_fullres`).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np

REPEATS = 2
WORKERS = 2
Steps = list[dict[str, Any]]
Seconds = tuple[float, float]
"""On the clock, and of all cores together, which depends less on what else the machine does."""
AS_MONAI: Steps = [{"kind": "canonical"}, {"kind": "spacing", "mm": [1.0, 1.0, 1.0]}, {"kind": "zscore"}]
AS_NNUNET: Steps = [AS_MONAI[0], {"kind": "crop_foreground"}, AS_MONAI[1], AS_MONAI[2]]
"""nnU-Net crops to the voxels that are not 0 before it measures mean and standard deviation."""

NNUNET_RUN = """
import json, os, sys, time
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
preprocessor = DefaultPreprocessor(verbose=False)
preprocessor.show_progress_bar = False
start, before = time.perf_counter(), sum(os.times()[:4])
preprocessor.run(4, "3d_fullres", "nnUNetPlans", num_processes=int(sys.argv[1]))
print(json.dumps([time.perf_counter() - start, sum(os.times()[:4]) - before]))
"""
"""With its own pool of processes, which it starts, and which import it, within the time."""

NNUNET_SERIAL = """
import json, os, sys, tempfile, time
import numpy as np
from nnunetv2.paths import nnUNet_preprocessed as done, nnUNet_raw as raw
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.dataset_name_id_conversion import convert_id_to_dataset_name
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets
name = convert_id_to_dataset_name(4)
plans = PlansManager(os.path.join(done, name, "nnUNetPlans.json"))
plan, meta = plans.get_configuration("3d_fullres"), json.load(open(os.path.join(raw, name, "dataset.json")))
cases = get_filenames_of_train_images_and_targets(os.path.join(raw, name), meta)
preprocessor = DefaultPreprocessor(verbose=False)
with tempfile.TemporaryDirectory() as folder:
    start, before = time.perf_counter(), sum(os.times()[:4])
    for key, case in cases.items():
        preprocessor.run_case_save(os.path.join(folder, key), case["images"], case["label"], plans, plan, meta)
    seconds = [time.perf_counter() - start, sum(os.times()[:4]) - before]
found = {}
if len(sys.argv) > 1:
    for key, case in cases.items():
        data, labels, _ = preprocessor.run_case(case["images"], case["label"], plans, plan, meta)
        found[key], found[key + ".labels"] = data[0].astype("float32"), labels[0].astype("int8")
    order = np.argsort(plans.transpose_forward)
    np.savez(sys.argv[1], **{key: values.transpose(order) for key, values in found.items()})
print(json.dumps(seconds))
"""
"""The same work case by case in one process, without a pool: two processes cannot take less than half of it."""


def cases_of(task: Path) -> list[dict[str, str]]:
    """Paths of image and label of each labelled case."""
    pairs = json.loads((task / "dataset.json").read_text())["training"]
    return [{key: str(task / pair[key]) for key in ("image", "label")} for pair in pairs]


def hilum_dataset(task: Path, steps: Steps, cache: Path) -> Any:
    """A data set of hilum over an empty cache, nothing prepared yet."""
    from hilum.case import Case, ImageRef
    from hilum.data.dataset import Dataset, Sampling
    from hilum.data.store import Store
    from hilum.prepare.base import PrepareConfig
    from hilum.problem import Problem
    from hilum.registry import parse

    classes = json.loads((task / "dataset.json").read_text())["labels"]
    problem = Problem("segmentation", 3, ("image",), tuple(classes.values()), tuple((int(key),) for key in classes))
    cases = [
        Case(Path(pair["image"]).name.removesuffix(".nii.gz"), str(number), (ImageRef(Path(pair["image"])),), label)
        for number, pair in enumerate(cases_of(task))
        for label in [ImageRef(Path(pair["label"]))]
    ]
    prepare = [cast(PrepareConfig, parse("prepare", step)) for step in steps]
    return Dataset(cases, Store(cache, problem, prepare), sampling=Sampling(), seed=1)


def monai_transform() -> Callable[[dict[str, str]], dict[str, Any]]:
    """The usual chain of MONAI that gives what hilum's steps give."""
    from monai import transforms

    keys = ["image", "label"]
    steps = [
        transforms.LoadImaged(keys),
        transforms.EnsureChannelFirstd(keys),
        transforms.Orientationd(keys, axcodes="RAS", labels=None),
        transforms.Spacingd(keys, pixdim=(1.0, 1.0, 1.0), mode=("bilinear", "nearest")),
        transforms.NormalizeIntensityd("image"),
    ]
    return transforms.Compose(steps)


def work_hilum(task: Path, steps: Steps) -> Seconds:
    """Time to read and prepare all cases and to write them into the cache."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = hilum_dataset(task, steps, Path(folder))
        return timed(dataset.prepare)


def work_monai_memory(task: Path) -> Seconds:
    """Time to read and prepare all cases into memory, by MONAI's own threads; nothing is written."""
    from monai.data import CacheDataset

    transform, cases = monai_transform(), cases_of(task)
    return timed(lambda: CacheDataset(cases, transform, num_workers=WORKERS, progress=False))


def work_monai_threads(task: Path) -> Seconds:
    """Time to read and prepare all cases and to write them into MONAI's cache on disk, by threads."""
    from monai.data import PersistentDataset

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(WORKERS) as pool:
        cases = PersistentDataset(cases_of(task), monai_transform(), cache_dir=folder)
        return timed(lambda: deque(pool.map(cases.__getitem__, range(len(cases))), maxlen=0))


def work_monai_processes(task: Path) -> Seconds:
    """The same by the worker processes of torch's loader."""
    from monai.data import DataLoader, PersistentDataset

    with tempfile.TemporaryDirectory() as folder:
        cases = PersistentDataset(cases_of(task), monai_transform(), cache_dir=folder)
        loader = DataLoader(cases, batch_size=1, collate_fn=lambda batch: batch, num_workers=WORKERS)
        return timed(lambda: deque(loader, maxlen=0))


def timed(work: Callable[[], object]) -> Seconds:
    """Time that some work takes, on the clock and on all cores together."""
    start, before = time.perf_counter(), sum(os.times()[:4])
    work()
    return time.perf_counter() - start, sum(os.times()[:4]) - before


def measured(command: list[str], folder: Path | None) -> Seconds:
    """The two times that a process prints at its end."""
    environment = dict(os.environ)
    if folder is not None:
        places = {"nnUNet_raw": "raw", "nnUNet_preprocessed": "pre", "nnUNet_results": "res"}
        environment |= {name: str(folder.absolute() / place) for name, place in places.items()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    wall, cores = json.loads(done.stdout.splitlines()[-1])
    return wall, cores


def contenders(task: Path, nnunet: Path | None) -> dict[str, Callable[[], Seconds]]:
    """What is measured, by name."""

    def here(name: str) -> Callable[[], Seconds]:
        return lambda: measured([sys.executable, __file__, "--worker", name, str(task)], None)

    found = {name: here(name) for name in WORK}
    if nnunet is not None:
        python = str(nnunet.absolute() / "venv/bin/python")
        found["nnU-Net, pool"] = lambda: measured([python, "-c", NNUNET_RUN, str(WORKERS)], nnunet)
        found["nnU-Net, one process"] = lambda: measured([python, "-c", NNUNET_SERIAL], nnunet)
    return found


def differences_to_monai(task: Path) -> str:
    """How far hilum's prepared cases are from MONAI's."""
    transform, largest, labels = monai_transform(), 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        dataset = hilum_dataset(task, AS_MONAI, Path(folder))
        for index, case in enumerate(cases_of(task)):
            ours, theirs = dataset.prepared(index), transform(case)
            largest = max(largest, float(np.abs(ours.image - theirs["image"].numpy()).max()))
            labels += int((ours.target != theirs["label"].numpy()).sum())
        return f"{len(dataset)} cases: largest difference {largest:.1e} standard deviations, {labels} labels differ"


def differences_to_nnunet(task: Path, nnunet: Path) -> str:
    """How far hilum's cases, cropped and prepared alike, are from nnU-Net's, turned to canonical axes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "nnunet.npz"
        measured([str(nnunet.absolute() / "venv/bin/python"), "-c", NNUNET_SERIAL, str(file)], nnunet)
        dataset = hilum_dataset(task, AS_NNUNET, Path(folder) / "cache")
        largest, labels, other = 0.0, 0, 0
        with np.load(file) as theirs:
            for index, case in enumerate(cases_of(task)):
                ours = dataset.prepared(index)
                turn = nib.io_orientation(nib.load(case["image"]).affine)  # type: ignore[attr-defined]
                image, target = (
                    nib.apply_orientation(theirs[ours.case.id + end].transpose(2, 1, 0), turn)
                    for end in ("", ".labels")
                )
                if image.shape != ours.image.shape[1:]:
                    other += 1
                    continue
                largest = max(largest, float(np.abs(ours.image[0] - image).max()))
                labels += int((ours.target[0] != np.maximum(target, 0)).sum())
        return (
            f"{len(dataset)} cases: largest difference {largest:.1e} standard deviations, {labels} labels differ, "
            f"{other} of another size"
        )


WORK: dict[str, Callable[[Path], Seconds]] = {
    "hilum": lambda task: work_hilum(task, AS_MONAI),
    "hilum, cropped": lambda task: work_hilum(task, AS_NNUNET),
    "MONAI, memory only": work_monai_memory,
    "MONAI, threads": work_monai_threads,
    "MONAI, processes": work_monai_processes,
}


def main() -> int:
    """Print the differences, then the seconds and the ratios to hilum of the same round."""
    if sys.argv[1:2] == ["--worker"]:
        print(json.dumps(WORK[sys.argv[2]](Path(sys.argv[3]))))
        return 0
    if not 2 <= len(sys.argv) <= 3:
        print(__doc__)
        return 0
    task, nnunet = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None
    print(f"against MONAI:   {differences_to_monai(task)}", flush=True)
    if nnunet is not None:
        print(f"against nnU-Net: {differences_to_nnunet(task, nnunet)}", flush=True)
    times: dict[str, list[Seconds]] = {name: [] for name in contenders(task, nnunet)}
    for _ in range(REPEATS):
        for name, measure in contenders(task, nnunet).items():
            times[name].append(measure())
    for name, measured in times.items():
        base = "hilum, cropped" if name.startswith("nnU-Net") else "hilum"
        for kind, what in enumerate(("clock", "cores")):
            seconds = [one[kind] for one in measured]
            ratios = [one / other[kind] for one, other in zip(seconds, times[base], strict=True)]
            print(
                f"{name:<22} {what}: median {statistics.median(seconds):6.2f} s ({min(seconds):.2f} to "
                f"{max(seconds):.2f}), {statistics.median(ratios):5.2f} times hilum ({min(ratios):.2f} to "
                f"{max(ratios):.2f})",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
