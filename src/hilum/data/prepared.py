"""One case made ready for training: read, encoded, prepared, and stored in one safetensors file."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import logging
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hilum.case import Case, ImageRef
from hilum.data.patches import structure_voxels
from hilum.errors import DataError
from hilum.formats.base import described
from hilum.formats.reading import read_image, read_mask
from hilum.prepare.base import PrepareConfig
from hilum.problem import IGNORE, Problem
from hilum.volume import Grid, Unit, Volume

FORMAT = "1"
"""Raised whenever reading, encoding or resampling give something else, so that older files are not used."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A prepared case: image (C, I, J, K) float32 on its grid, its target (1 or R, I, J, K) int16 or a class index.

    `structures` are voxels (n, 3) of each structure that the target shows.
    """

    case: Case
    image: npt.NDArray[np.float32]
    target: npt.NDArray[np.int16] | int
    structures: dict[int, npt.NDArray[np.int32]]
    grid: Grid

    @property
    def num_bytes(self) -> int:
        """Memory that the arrays take."""
        target = self.target.nbytes if isinstance(self.target, np.ndarray) else 0
        return self.image.nbytes + target + sum(spots.nbytes for spots in self.structures.values())


def prepare_case(case: Case, problem: Problem, steps: Sequence[PrepareConfig]) -> Prepared:
    """The prepared case. Raises DataError naming the case for files, labels and values that cannot be used."""
    try:
        image = read_image(case.images)
        target = read_target(case, problem)
        if isinstance(target, Volume) and not target.grid.matches(image.grid):
            raise DataError(
                f"image and mask lie on different grids: {described(image.grid)} and {described(target.grid)}; "
                "resample one onto the other"
            )
        mask = target if isinstance(target, Volume) else None
        for step in steps:
            image, mask = step.apply(image, mask)
    except DataError as error:
        raise DataError(f"case {case.id}: {error}") from error
    if not torch.isfinite(image.tensor).all():
        raise DataError(f"case {case.id}: the image holds NaN or infinite values")
    pixels = np.ascontiguousarray(image.tensor.numpy(), dtype=np.float32)
    labels = target if mask is None else np.ascontiguousarray(mask.tensor.numpy(), dtype=np.int16)
    structures = {} if isinstance(labels, int | Volume) else _structures(labels, problem)
    if isinstance(labels, Volume):
        raise AssertionError("a preparation step dropped the mask")
    return Prepared(case, pixels, labels, structures, image.grid)


def read_target(case: Case, problem: Problem) -> Volume | int:
    """The encoded mask on the grid of its file, or the class index. Raises DataError where there is no usable one."""
    if case.label is None:
        raise DataError("has no label")
    if problem.kind == "classification":
        if not isinstance(case.label, str):
            raise DataError(f"has a mask ({case.label}), a classification needs a class")
        return problem.encode_class(case.label)
    if not isinstance(case.label, ImageRef):
        raise DataError(f"has the class '{case.label}', a segmentation needs a mask")
    mask = read_mask(case.label)
    try:
        return Volume(torch.from_numpy(problem.encode(mask.tensor[0].numpy())), mask.grid)
    except DataError as error:
        raise DataError(f"{case.label}: {error}") from error


class Store:
    """Prepared cases on disk, a file for each content and preparation, so that they are computed once.

    The key is a hash of the files' content, the steps and their code, the classes and the format: whatever changes one
    of these makes another file.
    """

    def __init__(self, folder: Path, problem: Problem, steps: Sequence[PrepareConfig]) -> None:
        self.folder = folder
        self.problem = problem
        self.steps = tuple(steps)
        settings = [(step.model_dump(mode="json"), _code_sha256(step)) for step in steps]
        classes = [
            problem.kind,
            list(problem.classes),
            [list(group) for group in problem.values],
            problem.exclusive,
            problem.ignore,
        ]
        self.settings = json.dumps([FORMAT, torch.__version__, settings, classes])
        self._hashed: dict[tuple[Path, int, int], str] = {}

    def get(self, case: Case) -> Prepared:
        """The prepared case, from disk where it was prepared before.

        A stored file that cannot be read is made again, with a warning. Raises DataError for a case that cannot be
        used, or where the folder cannot be written.
        """
        if any(ref.key is not None for ref in case.images):
            # Rows of one array: reading them is as cheap as reading a file of their own.
            return prepare_case(case, self.problem, self.steps)
        file = self.folder / f"{self._key(case)}.safetensors"
        if file.exists():
            try:
                return _read(case, file, self.problem)
            except Exception as error:  # whatever safetensors, numpy or json say about a damaged file
                log.warning("the prepared file %s cannot be read (%s): it is made again", file, error)
        prepared = prepare_case(case, self.problem, self.steps)
        try:
            _write(prepared, file)
        except OSError as error:
            raise DataError(
                f"case {case.id}: {file} cannot be written: {error.strerror}; "
                "choose another folder with data.cache=FOLDER"
            ) from error
        return prepared

    def _key(self, case: Case) -> str:
        digest = hashlib.sha256(self.settings.encode())
        digest.update(f"{case.label if isinstance(case.label, str) else ''}\n".encode())
        for ref in refs(case):
            digest.update(f"{self._file_sha256(ref.path)}\0{ref.index}\n".encode())
        return digest.hexdigest()

    def _file_sha256(self, path: Path) -> str:
        """The file's hash, computed again only when its size or time changed: cases not kept in memory come often."""
        try:
            found = path.stat()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from error
        state = (path, found.st_size, found.st_mtime_ns)
        if state not in self._hashed:
            self._hashed[state] = file_sha256(path)
        return self._hashed[state]


def refs(case: Case) -> list[ImageRef]:
    """The files of a case: its images, then its mask."""
    return [*case.images, *([case.label] if isinstance(case.label, ImageRef) else [])]


def file_sha256(path: Path) -> str:
    """The hash of a file's content. Raises DataError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def data_sha256(cases: Iterable[Case]) -> str:
    """One hash of all files that cases are read from and of their labels: equal only for equal data."""
    known: dict[Path, str] = {}
    digest = hashlib.sha256()
    for case in sorted(cases, key=lambda case: case.id):
        for ref in refs(case):
            if ref.path not in known:
                known[ref.path] = file_sha256(ref.path)
            digest.update(f"{case.id}\0{known[ref.path]}\0{ref.key}\0{ref.index}\n".encode())
        digest.update(f"{case.id}\0{case.patient}\0{case.label if isinstance(case.label, str) else ''}\n".encode())
    return digest.hexdigest()


def _code_sha256(step: PrepareConfig) -> str:
    """The hash of the file that defines a step: a plugin's code changes more often than its settings."""
    try:
        return file_sha256(Path(inspect.getfile(type(step))))
    except (TypeError, OSError):  # typed into a prompt: there is no file
        return ""


def _structures(target: npt.NDArray[np.int16], problem: Problem) -> dict[int, npt.NDArray[np.int32]]:
    first = problem.num_outputs - len(problem.foreground)
    return structure_voxels(target, range(first, problem.num_outputs), exclusive=problem.exclusive)


def _write(prepared: Prepared, file: Path) -> None:
    from safetensors.numpy import save

    target = prepared.target
    stored = np.array([target], dtype=np.int16) if isinstance(target, int) else _smallest(target)
    meta = {"affine": json.dumps(prepared.grid.affine.tolist()), "unit": prepared.grid.unit}
    content = save({"image": prepared.image, "target": stored}, metadata=meta)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
        Path(temporary).replace(file)  # others may have written the same content meanwhile: either one is right
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _read(case: Case, file: Path, problem: Problem) -> Prepared:
    from safetensors import safe_open

    with safe_open(str(file), framework="np") as stored:
        meta = stored.metadata()
        image, raw = stored.get_tensor("image"), stored.get_tensor("target")
    target = int(raw[0]) if raw.ndim == 1 else raw.astype(np.int16)
    structures = {} if isinstance(target, int) else _structures(target, problem)
    unit: Unit = "pixel" if meta["unit"] == "pixel" else "mm"
    grid = Grid(image.shape[1:], np.array(json.loads(meta["affine"])), unit)
    return Prepared(case, image, target, structures, grid)


def _smallest(target: npt.NDArray[np.int16]) -> npt.NDArray[np.int8] | npt.NDArray[np.int16]:
    return target.astype(np.int8) if target.min() >= IGNORE and target.max() <= np.iinfo(np.int8).max else target
