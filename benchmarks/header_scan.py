"""Seconds for scanning the headers of 1 250, 2 500 and 5 000 small NIfTI files, and whether they grow in proportion."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from hilum.case import Case, Cohort, ImageRef
from hilum.data.index import scan
from hilum.formats.nifti import write_volume

COUNTS = (1250, 2500, 5000)
REPEATS = 3
CORES = 2
LIMIT_S = 10.0
"""What 5 000 files may take."""


def generate(folder: Path, count: int) -> Cohort:
    """So many compressed volumes of 24 voxels each way, half of them masks, as a cohort."""
    rng = np.random.default_rng(17)
    image, mask = folder / "image.nii.gz", folder / "mask.nii.gz"
    write_volume(image, rng.integers(0, 1000, (24, 24, 24), dtype=np.int16), np.eye(4))
    write_volume(mask, rng.integers(0, 3, (24, 24, 24), dtype=np.uint8), np.eye(4))
    cases = []
    for number in range(count // 2):
        files = folder / f"{number:05d}.nii.gz", folder / f"{number:05d}_mask.nii.gz"
        for source, copy in zip((image, mask), files, strict=True):
            shutil.copyfile(source, copy)
        cases.append(Case(f"{number:05d}", f"{number:05d}", (ImageRef(files[0]),), ImageRef(files[1])))
    return Cohort(tuple(cases), ("image",))


def main() -> None:
    """Print seconds and files a second for each number of files, and whether they grow in proportion."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    best = {}
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            cohort, seconds = generate(Path(folder), count), []
            for _ in range(REPEATS):
                start = perf_counter()
                index = scan(cohort)
                seconds.append(perf_counter() - start)
                assert len(index.headers) == count
                assert not index.findings
            best[count] = min(seconds)
        print(f"{count:5d} files: {best[count]:5.2f} s, {count / best[count]:5.0f} files a second")
    growth = (best[COUNTS[-1]] / best[COUNTS[0]]) / (COUNTS[-1] / COUNTS[0])
    print(f"time a file with {COUNTS[-1]} as a multiple of that with {COUNTS[0]}: {growth:.2f} (1 is linear)")
    verdict = "within" if best[COUNTS[-1]] < LIMIT_S else "ABOVE"
    print(f"{COUNTS[-1]} files: {verdict} the limit of {LIMIT_S:g} s")


if __name__ == "__main__":
    main()
