"""A patch is cut from the mapped file of its case: what is not part of it is not read."""

import re
from pathlib import Path

import numpy as np
import pytest

from hilum.case import Case
from hilum.data.dataset import Dataset, Sampling
from hilum.data.prepared import Prepared
from hilum.data.store import Store
from hilum.data.stored import as_bytes, open_mapped
from hilum.problem import Problem
from hilum.volume import Grid

SMAPS = Path("/proc/self/smaps")
SIDE, PATCH = 256, 16


def resident_bytes(file: Path) -> int:
    """How much of a mapped file this process has looked at (with their neighbours: pages may have 2 MiB)."""
    blocks = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", SMAPS.read_text(), flags=re.MULTILINE)
    mine = [block for block in blocks if str(file) in block]
    assert mine, "the file is not mapped"
    counts = re.findall(r"^Rss: +(\d+) kB", "".join(mine), re.MULTILINE)
    return sum(int(kilobytes) * 1024 for kilobytes in counts)


@pytest.mark.skipif(not SMAPS.exists(), reason="only Linux tells which pages a process has looked at")
def test_a_patch_is_read_without_the_volume(tmp_path: Path) -> None:
    problem = Problem("segmentation", 3, ("scan",), classes=("background", "organ"), values=((0,), (1,)))
    case = Case("a", "a", ())
    image = np.arange(SIDE**3, dtype=np.float32).reshape(1, SIDE, SIDE, SIDE)
    spots = {1: np.array([[120, 80, 80]], dtype=np.int32)}
    target = np.zeros((1, SIDE, SIDE, SIDE), dtype=np.int8)
    file = tmp_path / "a.safetensors"
    file.write_bytes(as_bytes(Prepared(case, image, target, spots, Grid((SIDE,) * 3, np.eye(4)))))

    class Mapped(Dataset):
        def prepared(self, index: int) -> Prepared:
            return mapped

    mapped = open_mapped(case, file)
    dataset = Mapped([case], Store(tmp_path, problem, []), sampling=Sampling((PATCH,) * 3, foreground=1.0), seed=0)
    sample = dataset.sample(0, epoch=0, index=0)
    start = np.unravel_index(int(sample.image.min()), (SIDE,) * 3)
    where = tuple(slice(int(first), int(first) + PATCH) for first in start)
    assert np.array_equal(sample.image[0].numpy(), image[0][where])
    assert resident_bytes(file) < 0.25 * file.stat().st_size
