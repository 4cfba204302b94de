"""Small cohorts of sound files, and the means to plant one fault into them."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from PIL import Image

CASES = 6
SIDE = 12
"""Voxels along each axis of a volume."""
PIXELS = 28
"""Rows and columns of a picture."""
AFFINE = np.diag([1.0, 1.0, 1.5, 1.0])

VOLUMES = """\
name: planted
task: {{kind: segmentation, classes: {{background: 0, organ: 1, vessel: 2}}}}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, image: image, label: label, patient: patient}}
  split: {{kind: predefined, file: {folder}/parts.csv}}
  prepare: [zscore]
  patch: {{size: [8, 8, 8]}}
  batch_size: 2
  cache: {folder}/cache
network: {{kind: unet, channels: [2, 4]}}
loss: dice
metrics: [dice]
runtime: {{device: cpu, precision: float32, threads: 1}}
runs: {folder}/runs
"""
PICTURES = """\
name: planted
task: {{kind: classification, classes: [healthy, sick]}}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, image: image, label: label, patient: patient}}
  split: {{kind: predefined, file: {folder}/parts.csv}}
  prepare: [zscore]
  batch_size: 2
  cache: {folder}/cache
network: lenet5
loss: cross_entropy
metrics: [accuracy]
runtime: {{device: cpu, precision: float32, threads: 1}}
runs: {folder}/runs
"""
PARTS = ("train", "train", "train", "val", "test", "test")


@dataclass
class Site:
    """A folder with a table of cases, their files, a split and a configuration; a plant changes what it wants."""

    folder: Path
    text: str
    rows: list[dict[str, str]] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "planted.yaml"

    def image(self, case: int) -> Path:
        return self.folder / self.rows[case]["image"]

    def mask(self, case: int) -> Path:
        return self.folder / self.rows[case]["label"]

    def table(self, text: str | bytes) -> None:
        """Replace the table of cases."""
        content = text if isinstance(text, bytes) else text.encode()
        (self.folder / "cases.csv").write_bytes(content)

    def write_rows(self) -> None:
        """Write the table of cases from the rows."""
        write_table(self.folder / "cases.csv", self.rows)


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def volume(number: int) -> npt.NDArray[np.float32]:
    """Noise that no other case has."""
    return np.random.default_rng(number).normal(100, 20, (SIDE, SIDE, SIDE)).astype(np.float32)


def labels(number: int) -> npt.NDArray[np.uint8]:
    """An organ with a vessel in it, a little elsewhere in each case."""
    values = np.zeros((SIDE, SIDE, SIDE), dtype=np.uint8)
    values[2:8, 2 + number % 3 : 8, 3:9] = 1
    values[4:6, 4:6, 4:8] = 2
    return values


def save(
    path: Path,
    values: npt.NDArray[Any],
    affine: npt.NDArray[np.float64] = AFFINE,
    *,
    qform: Any = None,
    unit: str = "mm",
) -> Path:
    """A NIfTI file; the qform is the affine too, where it can be."""
    image = nib.Nifti1Image(values, affine, dtype=values.dtype.type if values.dtype.names is None else None)
    image.header.set_xyzt_units(unit)
    if qform is not None:
        image.set_qform(qform, code=1)
    nib.save(image, path)
    return path


def patch_header(path: Path, **fields: Any) -> None:
    """Write values into the header of an uncompressed NIfTI-1 file as they are, whatever nibabel would say of them."""
    path.write_bytes(patched(path.read_bytes(), **fields))


def patched(content: bytes, **fields: Any) -> bytes:
    """A NIfTI-1 file with other values in its header."""
    changed = bytearray(content)
    header = np.frombuffer(changed, dtype=nib.Nifti1Header.template_dtype, count=1)[0]
    for name, value in fields.items():
        header[name] = value
    return bytes(changed)


def volumes(folder: Path) -> Site:
    """Six volumes of 12 voxels each way, with masks; half of the files compressed."""
    site = Site(folder, VOLUMES.format(folder=folder))
    for number in range(CASES):
        suffix = ".nii.gz" if number % 2 else ".nii"
        row = {"image": f"c{number}{suffix}", "label": f"m{number}{suffix}", "patient": f"p{number}", "site": "north"}
        site.rows.append(row)
        save(folder / row["image"], volume(number))
        save(folder / row["label"], labels(number))
    return _finished(site)


def pictures(folder: Path) -> Site:
    """Six grey pictures of 28 pixels each way with a class each."""
    site = Site(folder, PICTURES.format(folder=folder))
    for number in range(CASES):
        label = ("healthy", "sick")[number % 2]
        site.rows.append({"image": f"c{number}.png", "label": label, "patient": f"p{number}", "site": "north"})
        Image.fromarray(grey(number)).save(folder / f"c{number}.png")
    return _finished(site)


def masked_pictures(folder: Path) -> Site:
    """Six grey pictures with masks."""
    site = pictures(folder)
    site.text = VOLUMES.format(folder=folder).replace("[8, 8, 8]", "[8, 8]")
    for number, row in enumerate(site.rows):
        row["label"] = f"m{number}.png"
        Image.fromarray(flat_labels(number)).save(folder / row["label"])
    site.write_rows()
    return site


def grey(number: int) -> npt.NDArray[np.uint8]:
    """Squares of several sizes that no other case has, so that even a compressed copy is known again."""
    rng = np.random.default_rng(100 + number)
    layers = [np.kron(rng.normal(size=(count, count)), np.ones((PIXELS // count,) * 2)) for count in (4, 7, 14)]
    picture = np.sum(layers, axis=0)
    return np.asarray(20 + 210 * (picture - picture.min()) / np.ptp(picture), dtype=np.uint8)


def flat_labels(number: int) -> npt.NDArray[np.uint8]:
    """An organ with a vessel in it, in a picture."""
    values = np.zeros((PIXELS, PIXELS), dtype=np.uint8)
    values[6:20, 6 + number : 20] = 1
    values[10:14, 12:16] = 2
    return values


def two_modalities(folder: Path) -> Site:
    """Six volumes with a second channel on the same grid."""
    site = volumes(folder)
    for number, row in enumerate(site.rows):
        row["second"] = f"t{number}.nii"
        save(folder / row["second"], volume(50 + number))
    site.text = site.text.replace("image: image", "image: {first: image, second: second}")
    site.write_rows()
    return site


def _finished(site: Site) -> Site:
    site.write_rows()
    parts = [
        {"case_id": row["image"].partition(".")[0], "part": part} for row, part in zip(site.rows, PARTS, strict=True)
    ]
    write_table(site.folder / "parts.csv", parts)
    return site


def recompress(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the content of a compressed file."""
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes())), mtime=0))


@dataclass(frozen=True)
class Plant:
    """One fault: how it is planted, what has to be told of it in which words, and with which exit code."""

    name: str
    make: Callable[[Site], None]
    words: tuple[str, ...]
    code: int
    base: Callable[[Path], Site]
    flags: tuple[str, ...] = ()


PLANTS: dict[str, Plant] = {}


def planted(
    name: str, *words: str, code: int = 2, base: Callable[[Path], Site] = volumes, flags: tuple[str, ...] = ()
) -> Callable[[Callable[[Site], None]], Callable[[Site], None]]:
    """Registers a fault; code 0 with words is a warning, code 0 without words is no fault at all."""

    def register(make: Callable[[Site], None]) -> Callable[[Site], None]:
        assert name not in PLANTS, name
        PLANTS[name] = Plant(name, make, words, code, base, flags)
        return make

    return register


def snapshot(folder: Path) -> Mapping[str, bytes | None]:
    """Every file below a folder with its content, links and folders as None, the cache aside."""
    found: dict[str, bytes | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not name.startswith("cache"):
            regular = path.is_file() and not path.is_symlink()
            found[name] = path.read_bytes() if regular else None
    return found
