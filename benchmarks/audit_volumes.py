"""Plants copies among volumes, and prints which of them the audit finds, what else it reports, and how long it takes.

usage: audit_volumes.py FOLDER_OR_NPZ [COPIES_OF_A_KIND] [UNPLANTED.png]    (or: make bench, which skips this one)

FOLDER holds NIfTI files; a file is one of MedMNIST's sets of volumes. The thresholds of the audit were chosen with
copies of the volumes of even number; the figures to quote are those of the others.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import zoom

from hilum.case import Case, Cohort, ImageRef
from hilum.data.audit import Pair, audit
from hilum.data.audit.looks import upright
from hilum.data.splits.base import Split
from hilum.formats.reading import read
from hilum.problem import Problem
from hilum.report.duplicates import montage

COPIES = 40
SEED = 17
ORDERS: tuple[Literal[1, 2, 3], ...] = (1, 2, 3)

Voxels = npt.NDArray[np.float32]
Draw = np.random.Generator


def resized(volume: Voxels, draw: Draw) -> Voxels:
    """Between 60 and 160 % of the size, one time in three each axis by another factor, by splines of order 1 to 3."""
    factors = draw.uniform(0.6, 1.6, 3) if draw.random() < 0.33 else np.full(3, draw.uniform(0.6, 1.6))
    return np.asarray(zoom(volume, tuple(factors), order=ORDERS[int(draw.integers(3))]), dtype=np.float32)


def reencoded(volume: Voxels, draw: Draw) -> Voxels:
    """Every slice through JPEG of quality 30 to 90."""
    quality, slices = int(draw.integers(30, 91)), []
    for pixels in (255 * _unit(volume)).astype(np.uint8):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
        slices.append(np.asarray(Image.open(stream)))
    return np.stack(slices).astype(np.float32)


def brightened(volume: Voxels, draw: Draw) -> Voxels:
    """Gamma 0.7 to 1.4, contrast 0.6 to 1.5, brightness up to 20 % up or down, cut off at black and white, 8 bits."""
    values = _unit(volume) ** draw.uniform(0.7, 1.4)
    values = (values - 0.5) * draw.uniform(0.6, 1.5) + 0.5 + draw.uniform(-0.2, 0.2)
    return (values.clip(0, 1) * 255).round().astype(np.float32)


def flipped(volume: Voxels, draw: Draw) -> Voxels:
    """Mirrored along one to three axes."""
    way = int(draw.integers(1, 8))
    return np.ascontiguousarray(np.flip(volume, tuple(axis for axis in range(3) if way >> axis & 1)))


def cropped(volume: Voxels, draw: Draw) -> Voxels:
    """Without 5 % (at least a slice) of each side, of one side, or of any side up to 5 %."""
    most = np.maximum(1, np.round(0.05 * np.array(volume.shape))).astype(int)
    way, cut = int(draw.integers(3)), np.zeros((3, 2), dtype=int)
    if way == 0:
        cut[:] = most[:, None]
    elif way == 1:
        axis = int(draw.integers(3))
        cut[axis, int(draw.integers(2))] = most[axis]
    else:
        cut = draw.integers(0, most[:, None] + 1, (3, 2))
    kept = (slice(start, size - stop) for size, (start, stop) in zip(volume.shape, cut.tolist(), strict=True))
    return np.ascontiguousarray(volume[tuple(kept)])


def several(volume: Voxels, draw: Draw) -> Voxels:
    """Cropped, and each of the others with a probability of 60 %."""
    for change in (flipped, cropped, brightened, resized, reencoded):
        if change is cropped or draw.random() < 0.6:
            volume = change(volume, draw)
    return volume


KINDS: tuple[Callable[[Voxels, Draw], Voxels], ...] = (resized, reencoded, brightened, flipped, cropped, several)


def originals(place: Path) -> list[Case]:
    """A case for every volume; each is its own patient, its id ends with its number."""
    if place.is_dir():
        refs = [ImageRef(file) for file in sorted(place.glob("[!.]*.nii*"))]
    else:
        with np.load(place) as arrays:
            counts = {name: len(arrays[name]) for name in arrays.files if name.endswith("_images")}
        refs = [ImageRef(place, name, index) for name, count in counts.items() for index in range(count)]
    return [Case(f"volume {number}", f"volume {number}", (ref,), "scan") for number, ref in enumerate(refs)]


def planted(cases: list[Case], folder: Path, count: int) -> list[Case]:
    """Copies of volumes drawn by lot, as .npy files; the id of each names its kind and the number of its original."""
    draw = np.random.default_rng(SEED)
    copies: list[Case] = []
    for change in KINDS:
        for number in draw.choice(len(cases), min(count, len(cases)), replace=False).tolist():
            volume = upright(read(cases[number].files[0])).numpy()
            file = folder / f"{change.__name__}-{number}.npy"
            np.save(file, change(volume, draw))
            name = f"{change.__name__} {number}"
            copies.append(Case(name, name, (ImageRef(file),), "scan"))
    return copies


def numbers_of(pair: Pair) -> set[str]:
    """The numbers of the volumes that the two of a pair were made from."""
    return {scan.case.id.split(" ")[1] for scan in (pair.first, pair.second)}


def main() -> int:
    """Print a line for each kind of copy, then every pair that nobody planted."""
    if len(sys.argv) < 2:
        print(__doc__)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        cases = originals(Path(sys.argv[1]))
        copies = planted(cases, Path(temporary), int(sys.argv[2]) if len(sys.argv) > 2 else COPIES)
        everything = (*cases, *copies)
        problem = Problem("classification", 3, ("image",), ("scan",), (("scan",),))
        start, start_cpu = perf_counter(), process_time()
        pairs = audit(Cohort(everything, ("image",)), Split({"train": everything}), problem).pairs
        took = f"{perf_counter() - start:.1f} s, {process_time() - start_cpu:.1f} s of processor time"
        print(f"{len(everything)} volumes audited in {took}")
        others = {frozenset(numbers_of(pair)): pair for pair in reversed(pairs) if len(numbers_of(pair)) > 1}
        if len(sys.argv) > 3 and others:
            montage(list(others.values()), Path(sys.argv[3]))
    found = {scan.case.id for pair in pairs if len(numbers_of(pair)) == 1 for scan in (pair.first, pair.second)}
    print(f"{'kind of copy':<12} {'even numbers':>14} {'odd numbers':>14}")
    for change in KINDS:
        own = [copy.id for copy in copies if copy.id.startswith(f"{change.__name__} ")]
        halves = [[name in found for name in own if int(name.split(" ")[1]) % 2 == odd] for odd in (0, 1)]
        told = [f"{sum(half)} of {len(half)}" for half in halves]
        print(f"{change.__name__:<12} {told[0]:>14} {told[1]:>14}")
    for numbers, pair in others.items():
        print(f"not planted: volumes {' and '.join(sorted(numbers))}, {pair.score:.3f} alike")
    return 0


def _unit(volume: Voxels) -> Voxels:
    low, high = np.quantile(volume, (0.001, 0.999))
    return np.asarray(((volume - low) / max(high - low, 1e-6)).clip(0, 1), dtype=np.float32)


if __name__ == "__main__":
    raise SystemExit(main())
