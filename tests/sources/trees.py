"""Small data sets on disk, for tests of sources and layouts."""

from pathlib import Path

import numpy as np
from PIL import Image

from hilum.formats.nifti import write_volume


def picture(path: Path, value: int = 0, *, size: tuple[int, int] = (6, 5)) -> Path:
    """A picture of one value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, value, dtype=np.uint8)).save(path)
    return path


def mask(path: Path, *values: int) -> Path:
    """A picture whose pixels are these values in turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.resize(np.array(values, dtype=np.uint8), (6, 5))).save(path)
    return path


def volume(path: Path, *values: int, seed: int = 0) -> Path:
    """A volume of 4 x 3 x 2 voxels: these values in turn, or noise where there are none."""
    if values:
        voxels = np.resize(np.array(values, dtype=np.int16), (4, 3, 2))
    else:
        voxels = np.random.default_rng(seed).integers(100, 999, (4, 3, 2)).astype(np.int16)
    write_volume(path, voxels, np.eye(4))
    return path


def text(path: Path, content: str) -> Path:
    """A file of text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path
