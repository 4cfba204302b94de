"""Predicts one large volume of many classes within a budget of memory; prints peak memory, seconds and the overhead.

usage: predict_memory.py [--shape 512 512 800] [--classes 105] [--memory 4] [--only NAME ...]

A generated CT-like scan of 0.8 x 0.8 x 1 mm (NIfTI) is prepared at 1.5 mm and predicted by a small U-Net of random
weights in windows of 96 x 96 x 96 with overlap 0.5, from file to file. Each contender is a process of its own, whose
peak of memory is what the system says of it when it has ended:

- bare: the network on as many windows, and nothing else: what cannot be saved
- hilum: within the budget, and again without one; all that `hilum predict` does to a case, from its file to its row
- hilum, keeping memory: the same budget, with what tensors free kept in the process as training does it
- whole: hilum's windows with all probabilities in memory, as a whole interpolated onto the scan's grid and decided; its
  labels are compared with those within the budget
- monai: MONAI's sliding window, then the same way back by torch's interpolation and argmax

`predict` is the time on the clock from the prepared scan to labels, `cores` the same of all cores together, which other
work on the machine disturbs less, and `blend` the part of it up to whole probabilities. The last two contenders need
classes x volume: leave them out by --only where that is too much. By default the scan is one of 256 x 256 x 200 with
30 classes and a budget of 1.5 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from hilum.hardware import give_back_freed_memory, keep_freed_memory, peak_memory_bytes

WINDOW = (96, 96, 96)
OVERLAP = 0.5
CHANNELS = (8, 16, 32)
BATCH = 1
SPACING_MM = (0.8, 0.8, 1.0)
PREPARED_MM = (1.5, 1.5, 1.5)


def write_scan(file: Path, shape: tuple[int, int, int]) -> None:
    """A scan of smooth blobs with noise, slice after slice so that writing takes little memory."""
    import nibabel as nib

    rng = np.random.default_rng(1)
    affine = np.diag([-SPACING_MM[0], SPACING_MM[1], SPACING_MM[2], 1.0])
    voxels = np.empty(shape, dtype=np.int16)
    i, j = np.meshgrid(np.linspace(0, 9, shape[0]), np.linspace(0, 7, shape[1]), indexing="ij")
    for k in range(shape[2]):
        blobs = np.sin(i + 0.02 * k) * np.cos(j - 0.03 * k) + 0.01 * rng.standard_normal(shape[:2])
        voxels[:, :, k] = (400 * blobs).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, affine), file)


def predictor_of(classes: int, memory_gb: float | None = None) -> Any:
    """A predictor with a small network of random weights."""
    import torch

    from hilum.inference.predictor import Predictor
    from hilum.networks.unet import UNetConfig
    from hilum.prepare.canonical import CanonicalConfig
    from hilum.prepare.spacing import SpacingConfig
    from hilum.prepare.window import WindowConfig
    from hilum.problem import Problem

    names = tuple(f"structure {number}" for number in range(classes))
    problem = Problem("segmentation", 3, ("image",), names, tuple((number,) for number in range(classes)))
    torch.manual_seed(1)
    model = UNetConfig(channels=CHANNELS).build(problem).eval()
    steps = [CanonicalConfig(), SpacingConfig(mm=PREPARED_MM), WindowConfig(low=-400, high=400)]
    budget = None if memory_gb is None else round(memory_gb * 2**30)
    return Predictor(model, problem, steps, window=WINDOW, overlap=OVERLAP, batch_size=BATCH, memory_bytes=budget)


def prepared_scan(file: Path, predictor: Any) -> tuple[Any, Any]:
    """The prepared scan and the grid of its file; the scan as it was read is not kept."""
    from hilum.case import ImageRef

    image = predictor.read([ImageRef(file)])
    return predictor.prepared(image), image.grid


def work_hilum(file: Path, out: Path, classes: int, memory_gb: float | None, *, keep: bool = False) -> dict[str, float]:
    """Labels within the budget, from file to file, with the flags of a run that was trained on such a scan."""
    from hilum.case import Case, ImageRef
    from hilum.pipeline.predicting.budget import budget_of
    from hilum.pipeline.predicting.case import Answered, Ready, Work, Written
    from hilum.pipeline.predicting.folder import OutputFolder

    if keep:
        keep_freed_memory()
    elif memory_gb is not None:
        give_back_freed_memory()  # as `hilum predict` does
    start, predictor = perf_counter(), predictor_of(classes, memory_gb)
    out.mkdir()
    told: list[str] = []
    budget = budget_of(predictor, told.append)
    work = Work(predictor, OutputFolder(out), "setup", review=review_of(predictor), budget=budget)
    ready = work.read(Case("scan", "somebody", (ImageRef(file),)))
    assert isinstance(ready, Ready), ready
    read_s, read_gb, before = perf_counter(), peak_gb(), process_time()
    answered = work.ask(ready)
    assert isinstance(answered, Answered), answered
    done_s, cores_s, asked_gb = perf_counter(), process_time() - before, peak_gb()
    del ready
    written = work.write(answered)
    assert isinstance(written, Written), written
    print("\n".join(told), file=sys.stderr)
    return {
        "prepare": read_s - start,
        "predict": done_s - read_s,
        "cores": cores_s,
        "write": perf_counter() - done_s,
        "after_reading_gb": read_gb,
        "after_predicting_gb": asked_gb,
        "after_writing_gb": peak_gb(),
    }


def review_of(predictor: Any) -> Any:
    """The flags of a training whose scans show every structure in one part, so that the parts of all are counted."""
    from hilum.inference.review.fingerprint import Fingerprint
    from hilum.inference.review.flags import Flagging
    from hilum.inference.review.numbers import parts_column
    from hilum.inference.review.section import ReviewConfig
    from hilum.pipeline.predicting.review import Review

    single: dict[str, str | float] = {parts_column(name): 1 for name in predictor.problem.foreground}
    return Review((Flagging(Fingerprint.of([single]), ReviewConfig(), predictor.problem),))


def peak_gb() -> float:
    """The most memory of this process so far, in GB of 2^30 bytes."""
    import torch

    return peak_memory_bytes(torch.device("cpu")) / 2**30


def work_bare(file: Path, out: Path, classes: int, memory_gb: float | None) -> dict[str, float]:
    """The network alone, on all windows of an undivided volume."""
    import torch

    del out, memory_gb
    predictor = predictor_of(classes)
    prepared, _ = prepared_scan(file, predictor)
    windows = predictor.plan(prepared.grid).num_windows
    images = prepared.tensor[None, :, : WINDOW[0], : WINDOW[1], : WINDOW[2]].contiguous()
    with torch.no_grad():
        predictor.model(images)
        start, before = perf_counter(), process_time()
        for _ in range(windows):
            predictor.model(images)
    return {"predict": perf_counter() - start, "cores": process_time() - before, "windows": windows}


def work_whole(file: Path, out: Path, classes: int, memory_gb: float | None) -> dict[str, float]:
    """Labels with all probabilities in memory, decided by the resampling that prepares images."""
    from hilum.volume import Volume, resample

    del memory_gb
    predictor = predictor_of(classes)
    prepared, grid = prepared_scan(file, predictor)
    start, before = perf_counter(), process_time()
    probabilities = predictor.probabilities(prepared)
    blended = process_time()
    background = resample(Volume(probabilities.tensor[:1], prepared.grid), grid, antialias=False, outside=1.0)
    taken = resample(probabilities, grid, antialias=False, outside=0.0).tensor
    taken[:1] = background.tensor
    labels = predictor.problem.decode(taken).numpy()
    found = {"predict": perf_counter() - start, "cores": process_time() - before, "blend": blended - before}
    np.save(out, labels)
    return found


def work_monai(file: Path, out: Path, classes: int, memory_gb: float | None) -> dict[str, float]:
    """Labels by MONAI's sliding window and torch's interpolation, decided on all classes at once."""
    import torch
    from monai.inferers import sliding_window_inference

    del memory_gb
    predictor = predictor_of(classes)
    prepared, grid = prepared_scan(file, predictor)
    start, before = perf_counter(), process_time()
    with torch.no_grad():
        logits = sliding_window_inference(
            prepared.tensor[None], WINDOW, BATCH, predictor.model, overlap=OVERLAP, mode="gaussian"
        )
        blended = process_time()
        assert isinstance(logits, torch.Tensor)
        taken = torch.nn.functional.interpolate(logits, size=grid.shape, mode="trilinear")
        labels = taken[0].argmax(0).to(torch.uint8)
    found = {"predict": perf_counter() - start, "cores": process_time() - before, "blend": blended - before}
    np.save(out, labels.numpy())
    return found


WORK: dict[str, Callable[[Path, Path, int, float | None], dict[str, float]]] = {
    "bare": work_bare,
    "hilum": work_hilum,
    "hilum, keeping memory": lambda file, out, classes, gb: work_hilum(file, out, classes, gb, keep=True),
    "hilum, no budget": lambda file, out, classes, _: work_hilum(file, out, classes, None),
    "whole": work_whole,
    "monai": work_monai,
}


def measured(name: str, file: Path, out: Path, options: argparse.Namespace) -> dict[str, float]:
    """What a contender printed, with the peak of its memory in GB of 2^30 bytes as the system counts it."""
    command = [sys.executable, __file__, "--worker", name, str(file), str(out)]
    command += ["--classes", str(options.classes), "--memory", str(options.memory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        printed = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{name} ended with {child.returncode}")
    found: dict[str, float] = json.loads(printed.splitlines()[-1])
    return {**found, "peak_gb": usage.ru_maxrss * 1024 / 2**30}


def labels_of(file: Path) -> Any:
    """Label values that a contender wrote: into a file, or into the folder of a batch."""
    import nibabel as nib

    if file.is_dir():
        file = next(file.glob("scan.nii*"))
    if file.suffix == ".npy":
        return np.load(file)
    return np.asarray(nib.load(file).dataobj)  # type: ignore[attr-defined]


def parsed() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=(256, 256, 200))
    parser.add_argument("--classes", type=int, default=30)
    parser.add_argument("--memory", type=float, default=1.5, help="GB of 2^30 bytes")
    parser.add_argument("--only", nargs="+", choices=list(WORK), default=list(WORK))
    parser.add_argument("--worker", nargs=3, metavar=("NAME", "SCAN", "OUT"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Print a line for each contender, then the overhead and whether labels are equal."""
    options = parsed()
    if options.worker:
        name, file, out = options.worker
        print(json.dumps(WORK[name](Path(file), Path(out), options.classes, options.memory)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        scan = Path(folder) / "scan.nii"
        write_scan(scan, tuple(options.shape))
        print(
            f"{' x '.join(map(str, options.shape))} voxels, {options.classes} classes, {options.memory} GB", flush=True
        )
        seconds: dict[str, float] = {}
        files: dict[str, Path] = {}
        for name in options.only:
            files[name] = Path(folder) / (
                name.replace(", ", "-").replace(" ", "-") + ("" if "hilum" in name else ".npy")
            )
            found = measured(name, scan, files[name], options)
            seconds[name] = found["cores"]
            print(f"{name:<17}", "  ".join(f"{key} {value:.2f}" for key, value in found.items()), flush=True)
            if name != "bare" and "bare" in seconds:
                print(f"{'':<17} {100 * (seconds[name] / seconds['bare'] - 1):.1f} % above the bare network")
        if {"hilum", "whole"} <= files.keys():
            different = int((labels_of(files["hilum"]) != labels_of(files["whole"])).sum())
            print(f"{different} labels differ between the budget and the whole volume")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
