"""The file of one prepared case: written whole or not at all, and mapped into memory instead of read."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hilum.data.prepared import Prepared, restored_findings, stored_findings
from hilum.problem import IGNORE
from hilum.volume import Grid, Unit

if TYPE_CHECKING:
    from typing import Any

    import numpy.typing as npt

    from hilum.case import Case
    from hilum.targets import Vector

    Target = npt.NDArray[np.int8 | np.int16 | np.float32] | int | Vector | None

SUFFIX, PART = ".safetensors", ".part"
"""What the names of whole files and of those being written end in."""
ABOUT = "about"
"""The entry of the file's metadata that holds, as JSON, what is no array."""


def as_bytes(prepared: Prepared) -> bytes:
    """The content of the file: image, target, the voxels of each structure, and what JSON holds of the rest."""
    from safetensors.numpy import save

    target = prepared.target
    arrays: dict[str, npt.NDArray[np.generic]] = {
        f"structure.{index}": spots for index, spots in prepared.structures.items()
    }
    arrays["image"] = prepared.image
    arrays["target"] = _stored(target)
    grid = prepared.grid
    about = {
        "affine": grid.affine.tolist(),
        "unit": grid.unit,
        "findings": stored_findings(prepared),
        "crc32": {name: _crc32(array) for name, array in arrays.items()},
    }
    return save(arrays, metadata={ABOUT: json.dumps(about)})  # several entries would stand in any order


def write(content: bytes, file: Path) -> None:
    """Write the file; whoever writes the same one meanwhile writes the same content.

    It is not flushed to the disk: what a power cut leaves is shorter than its header says, and made again.
    """
    part = file.with_name(f"{file.stem}.{os.getpid()}.{os.urandom(4).hex()}{PART}")
    try:
        part.write_bytes(content)
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def open_mapped(case: Case, file: Path, *, verify: bool = False) -> Prepared:
    """The prepared case of a file, its arrays mapped: a page is read when it is first looked at, and never copied.

    The system drops pages when memory is short, and processes share them. A file that is replaced or deleted stays
    as it was for whoever has it open. `verify` reads every page at once and compares the checksums.

    Raises ValueError for values that are not those that were written, and whatever safetensors, numpy and json say
    about a file that is damaged otherwise.
    """
    from safetensors import safe_open

    with safe_open(str(file), framework="pt") as stored:  # numpy's own way would read it all
        about = json.loads(stored.metadata()[ABOUT])
        arrays = {name: stored.get_tensor(name).numpy() for name in stored.keys()}  # noqa: SIM118 (no mapping)
    if verify:
        changed = sorted(name for name, array in arrays.items() if _crc32(array) != about["crc32"][name])
        if changed:
            raise ValueError(f"the values of {', '.join(changed)} are not those that were written")
    image, target = arrays.pop("image"), arrays.pop("target")
    unit: Unit = "pixel" if about["unit"] == "pixel" else "mm"
    grid = Grid(image.shape[1:], np.array(about["affine"]), unit)
    structures = {int(name.removeprefix("structure.")): spots for name, spots in sorted(arrays.items())}
    findings = restored_findings(about["findings"], case)
    return Prepared(case, image, _restored(target), structures, grid, findings)


def _stored(target: Target) -> npt.NDArray[np.generic]:
    """A target as the array that stands for it: nothing (0,), a class index (1,), findings and numbers (1, L), maps."""
    if target is None:
        return np.zeros(0, dtype=np.int16)
    if isinstance(target, int):
        return np.array([target], dtype=np.int16)
    if target.ndim == 1:
        return target[None]
    return target if target.dtype == np.float32 else _smallest(target.astype(np.int16, copy=False))


def _restored(stored: npt.NDArray[Any]) -> Target:
    """The target that `_stored` gave."""
    if stored.ndim == 1:
        return int(stored[0]) if stored.size else None
    return stored[0] if stored.ndim == 2 else stored


def _crc32(array: npt.NDArray[np.generic]) -> int:
    return zlib.crc32(np.ascontiguousarray(array).data)


def _smallest(target: npt.NDArray[np.signedinteger]) -> npt.NDArray[np.signedinteger]:
    return target.astype(np.int8) if target.min() >= IGNORE and target.max() <= np.iinfo(np.int8).max else target
