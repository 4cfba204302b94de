"""Plants copies among X-rays, and prints which of them the audit finds and what else it reports.

usage: audit_copies.py FOLDER [COPIES_OF_A_KIND] [UNPLANTED.png]    (or: make bench, which skips this one)

FOLDER holds labels.csv (columns image, patient_id) and images/. The thresholds of the audit were chosen with copies of
the first half of the patients; the figures to quote are those of the second half.
"""

from __future__ import annotations

import csv
import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt
from PIL import Image

from hilum.case import Case, Cohort, ImageRef
from hilum.data.audit import Pair, audit
from hilum.data.splits.base import Split
from hilum.problem import Problem
from hilum.report.duplicates import montage

XRAYS = 500
COPIES = 40
SEED = 17

Pixels = npt.NDArray[np.uint8]
Draw = np.random.Generator
Encoded = tuple[bytes, str]


def resized(image: Pixels, draw: Draw) -> Pixels:
    """Between 38 % and twice the size, one time in three with another ratio of sides, by one of four filters."""
    width = int(draw.choice([96, 128, 180, 200, 300, 384, 512]))
    height = width if draw.random() < 0.67 else int(width * draw.uniform(0.8, 1.25))
    filters = [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX]
    return np.asarray(Image.fromarray(image).resize((width, height), filters[int(draw.integers(4))]))


def reencoded(image: Pixels, draw: Draw) -> Pixels:
    """Through JPEG of quality 30 to 90."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=int(draw.integers(30, 91)))
    return np.asarray(Image.open(stream))


def brightened(image: Pixels, draw: Draw) -> Pixels:
    """Gamma 0.7 to 1.4, contrast 0.6 to 1.5, brightness up to 20 % up or down, cut off at black and white."""
    values = (image / 255.0) ** draw.uniform(0.7, 1.4)
    values = (values - 0.5) * draw.uniform(0.6, 1.5) + 0.5 + draw.uniform(-0.2, 0.2)
    return (values.clip(0, 1) * 255).round().astype(np.uint8)


def flipped(image: Pixels, draw: Draw) -> Pixels:
    """Mirrored, turned by 90, 180 or 270 degrees, or both."""
    way = int(draw.integers(1, 8))
    turned = np.rot90(image, way % 4)
    return np.ascontiguousarray(turned[:, ::-1] if way >= 4 else turned)


def cropped(image: Pixels, draw: Draw) -> Pixels:
    """Without 5 % of each side, of one side, or of any side up to 5 %."""
    count = round(0.05 * len(image))
    way = int(draw.integers(3))
    cut = np.full(4, count) if way == 0 else np.zeros(4, int) if way == 1 else draw.integers(0, count + 1, 4)
    if way == 1:
        cut[int(draw.integers(4))] = count
    top, bottom, left, right = cut.tolist()
    return np.ascontiguousarray(image[top : len(image) - bottom, left : image.shape[1] - right])


def several(image: Pixels, draw: Draw) -> Pixels:
    """Cropped, and each of the others with a probability of 60 %."""
    for change in (flipped, cropped, brightened, resized, reencoded):
        if change is cropped or draw.random() < 0.6:
            image = change(image, draw)
    return image


KINDS: tuple[Callable[[Pixels, Draw], Pixels], ...] = (resized, reencoded, brightened, flipped, cropped, several)


def originals(folder: Path) -> list[Case]:
    """The first X-rays of the table, in its order."""
    with (folder / "labels.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))[:XRAYS]
    return [
        Case(row["image"], row["patient_id"], (ImageRef(folder / "images" / row["image"]),), "xray") for row in rows
    ]


def planted(cases: list[Case], folder: Path, count: int) -> list[Case]:
    """Copies of X-rays drawn by lot, as PNG files; the id of each names its kind and its original."""
    draw = np.random.default_rng(SEED)
    copies: list[Case] = []
    for change in KINDS:
        for index in draw.choice(len(cases), count, replace=False):
            case = cases[int(index)]
            with Image.open(case.files[0].path) as opened:
                image = np.asarray(opened.convert("L"))
            name = f"{change.__name__} {case.id}"
            Image.fromarray(change(image, draw)).save(folder / name)
            copies.append(Case(name, f"someone else {len(copies)}", (ImageRef(folder / name),), "xray"))
    return copies


def originals_of(pair: Pair) -> set[str]:
    """The X-rays that the two images of a pair were made from."""
    return {scan.case.id.rpartition(" ")[2] for scan in (pair.first, pair.second)}


def draw_unplanted(pairs: tuple[Pair, ...], file: Path) -> None:
    """A montage of the pairs that nobody planted, one for each two X-rays, for a person to look at."""
    unplanted = {frozenset(originals_of(pair)): pair for pair in reversed(pairs) if len(originals_of(pair)) > 1}
    if unplanted:
        montage(list(unplanted.values()), file)


def share_found(kind: str, copies: list[Case], found: set[str], originals: set[str]) -> str:
    """How many copies of a kind were found, of those made from certain originals."""
    own = [copy.id in found for copy in copies if copy.id.startswith(f"{kind} ") and copy.id.split(" ")[1] in originals]
    return f"{sum(own)} of {len(own)}"


def main() -> int:
    """Print a line for each kind of copy, then every pair that nobody planted."""
    if len(sys.argv) < 2:
        print(__doc__)
        return 0
    count = int(sys.argv[2]) if len(sys.argv) > 2 else COPIES
    with tempfile.TemporaryDirectory() as temporary:
        cases = originals(Path(sys.argv[1]))
        copies = planted(cases, Path(temporary), count)
        everything = (*cases, *copies)
        problem = Problem("classification", 2, ("image",), ("xray",), (("xray",),))
        start = perf_counter()
        result = audit(Cohort(everything, ("image",)), Split({"train": everything}), problem)
        print(f"{len(everything)} images audited in {perf_counter() - start:.1f} s on {os.cpu_count()} cores")
        if len(sys.argv) > 3:
            draw_unplanted(result.pairs, Path(sys.argv[3]))
    right = [pair for pair in result.pairs if len(originals_of(pair)) == 1]
    found = {scan.case.id for pair in right for scan in (pair.first, pair.second)}
    patients = sorted({case.patient for case in cases})
    chosen_by = set(patients[: len(patients) // 2])
    halves = [{case.id for case in cases if (case.patient in chosen_by) == first} for first in (True, False)]
    print(f"{'kind of copy':<12} {'first half':>14} {'second half':>14}")
    for change in KINDS:
        shares = [share_found(change.__name__, copies, found, half) for half in halves]
        print(f"{change.__name__:<12} {shares[0]:>14} {shares[1]:>14}")
    others = {tuple(sorted(originals_of(pair))): pair.score for pair in result.pairs if len(originals_of(pair)) > 1}
    for names, score in others.items():
        print(f"not planted: {' and '.join(names)}, {score:.3f} alike")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
