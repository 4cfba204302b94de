"""What an image looks like, in a few bytes: hashes of its decoded voxels, and a thumbnail; from disk or remembered."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from hilum.case import ImageRef
from hilum.data.audit.thumbnails import thumbnail
from hilum.data.cache import LOOKS, touch
from hilum.data.hashes import Hashes
from hilum.data.parallel import side_by_side
from hilum.data.store import CODE, surroundings
from hilum.errors import DataError
from hilum.formats.atomic import write_whole
from hilum.formats.reading import read, read_mask
from hilum.volume import Volume, resample

HASHING = ("volume.py", "formats", "data/audit/looks.py")
"""Files and folders of hilum whose code decides what the hashes of an image are."""
LOOKING = (*CODE, *HASHING, "data/audit/thumbnails.py")
"""Those whose code decides what a look is."""
MANY = 256
"""Label values that a look names at most."""
CHUNK = 2**20
"""Voxels mixed at a time, which bounds the memory."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Look:
    """An image in a few bytes.

    `voxels` is equal for equal decoded values of equal shape, whatever the file; `heap` for the same values in any
    order, so that no mirroring or turning by 90 degrees changes it. `thumbnail` is a square (a cube for volumes) of
    uint8, None for an image without contrast. `values` are the label values of a mask.
    """

    voxels: str
    heap: str
    shape: tuple[int, ...]
    thumbnail: npt.NDArray[np.uint8] | None
    values: tuple[int, ...] = ()


def looks_of(
    images: Sequence[ImageRef],
    *,
    masks: Sequence[ImageRef] = (),
    cache: Path | None = None,
    progress: Progress | None = None,
) -> dict[ImageRef, Look]:
    """The look of every image and mask that can be read; those of files seen before come from the cache folder."""
    hashes = Hashes(cache)
    groups: dict[tuple[Path, str | None, bool], list[ImageRef]] = defaultdict(list)
    for refs, is_mask in ((images, False), (masks, True)):
        for ref in dict.fromkeys(refs):
            groups[ref.path, ref.key, is_mask].append(ref)
    total, found = sum(map(len, groups.values())), dict[ImageRef, Look]()

    def work(group: tuple[bool, list[ImageRef]]) -> Mapping[ImageRef, Look]:
        is_mask, refs = group
        try:
            file = _file(refs[0], hashes, cache, is_mask=is_mask)
            return _remembered(file, refs) or _made(refs, file, is_mask=is_mask)
        except DataError:  # whoever reads the case tells why it cannot be read
            return {}

    done = 0
    for refs, looks in zip(
        groups.values(), side_by_side(work, [(key[2], refs) for key, refs in groups.items()]), strict=True
    ):
        found |= looks
        done += len(refs)
        if progress:
            progress(done, total)
    return found


def reader() -> str:
    """What stands for the code and the libraries that decode and hash voxels: hashes of others may differ for no reason
    that lies in the images.
    """
    return surroundings(HASHING)[:16]


def image_look(ref: ImageRef) -> Look:
    """The look of an image, read now. Raises DataError where it cannot be read."""
    volume = read(ref)
    pixels = volume.tensor.numpy()
    grey = upright(volume)
    drawn = thumbnail(grey) if np.ptp(pixels) > 0 and 2 <= grey.ndim <= 3 else None
    return Look(_hash(pixels), _heap(pixels), pixels.shape[1:], drawn)


def mask_look(ref: ImageRef) -> Look:
    """The look of a mask: its hashes and its label values. Raises DataError where it cannot be read."""
    labels = read_mask(ref).tensor.numpy()
    pixels = labels.astype(np.float32)
    return Look(_hash(pixels), _heap(pixels), pixels.shape[1:], None, tuple(np.unique(labels)[:MANY].tolist()))


def turned_hashes(ref: ImageRef) -> Iterator[str]:
    """The `voxels` of an image mirrored and turned by 90 degrees in every way.

    Raises DataError where it cannot be read.
    """
    pixels = read(ref).tensor.numpy()
    for axes in itertools.permutations((1, 2, 3)):
        turned = pixels.transpose(0, *axes)
        for i, j, k in itertools.product((1, -1), repeat=3):
            yield _hash(turned[:, ::i, ::j, ::k])


def upright(volume: Volume) -> Tensor:
    """One channel of an image (I, J), or of a volume (I, J, K) in canonical order: as a copy with other axes shows it.

    Several channels become their mean, each with the same spread.
    """
    if volume.grid.unit == "mm":
        volume = resample(volume, volume.grid.canonical(), "nearest")
    pixels = volume.tensor
    if len(pixels) > 1:
        spread = pixels.flatten(1).std(1).clamp(min=1e-12)
        pixels = (pixels / spread[:, None, None, None]).mean(0, keepdim=True)
    return pixels[0].squeeze()


def _hash(pixels: npt.NDArray[np.float32]) -> str:
    content = np.ascontiguousarray(pixels + np.float32(0.0))  # which makes -0.0 and 0.0 one value
    return hashlib.sha256(str(content.shape).encode() + content.data).hexdigest()


def _heap(pixels: npt.NDArray[np.float32]) -> str:
    """A hash that does not depend on the order of voxels: the sum of their values, each mixed (SplitMix64) first."""
    totals = []
    for channel in pixels:
        total, flat = 0, channel.reshape(-1) + np.float32(0.0)
        for start in range(0, flat.size, CHUNK):
            mixed = flat[start : start + CHUNK].view(np.uint32).astype(np.uint64)
            mixed = (mixed + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            total += int((mixed ^ (mixed >> np.uint64(31))).sum())
        totals.append(total % 2**64)
    return f"{sorted(pixels.shape[1:])} {totals}"


def _file(ref: ImageRef, hashes: Hashes, cache: Path | None, *, is_mask: bool) -> Path | None:
    """Where the looks of a file's images are remembered; the name depends on its content and on the code."""
    if cache is None or not cache.is_dir():
        return None
    name = f"{surroundings(LOOKING)}\0{hashes.of_image(ImageRef(ref.path, ref.key))}\0{ref.key}\0{is_mask}"
    return cache / LOOKS / f"{hashlib.sha256(name.encode()).hexdigest()}.safetensors"


def _made(refs: Iterable[ImageRef], file: Path | None, *, is_mask: bool) -> dict[ImageRef, Look]:
    looks = {}
    for ref in refs:
        with contextlib.suppress(DataError):
            looks[ref] = mask_look(ref) if is_mask else image_look(ref)
    if file is not None and looks:
        from safetensors.numpy import save

        arrays = {str(ref.index): look.thumbnail for ref, look in looks.items() if look.thumbnail is not None}
        facts = {
            str(ref.index): json.dumps({**asdict(look), "thumbnail": look.thumbnail is not None})
            for ref, look in looks.items()
        }
        with contextlib.suppress(OSError):  # what cannot be remembered is looked at again
            write_whole(file, save(arrays, metadata=facts))
    return looks


def _remembered(file: Path | None, refs: Sequence[ImageRef]) -> dict[ImageRef, Look] | None:
    """The looks that a file holds, None where it is absent, damaged or lacks one of the images."""
    if file is None or not file.is_file():
        return None
    from safetensors import safe_open

    try:
        with safe_open(str(file), framework="np") as stored:
            facts = {index: json.loads(text) for index, text in (stored.metadata() or {}).items()}
            looks = {ref: _look(facts[str(ref.index)], str(ref.index), stored.get_tensor) for ref in refs}
    except Exception:  # whatever a damaged file brings about: it is written again
        return None
    touch(file)
    return looks


def _look(facts: Mapping[str, Any], index: str, get: Callable[[str], npt.NDArray[np.uint8]]) -> Look:
    drawn = get(index) if facts["thumbnail"] else None
    return Look(facts["voxels"], facts["heap"], tuple(facts["shape"]), drawn, tuple(facts["values"]))
