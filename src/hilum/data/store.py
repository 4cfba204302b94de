"""Prepared cases kept on disk, one safetensors file each, so that they are computed once."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hilum.case import Case
from hilum.data.hashes import file_sha256, refs
from hilum.data.prepared import Prepared, prepare_case, structures_of
from hilum.errors import DataError
from hilum.prepare.base import PrepareConfig
from hilum.problem import IGNORE, Problem
from hilum.volume import Grid, Unit

FORMAT = "2"
"""Raised whenever reading, encoding or resampling give something else, so that older files are not used."""

log = logging.getLogger(__name__)


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
        if any(ref.key is not None for ref in case.files):
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
        digest.update(f"{case.label if isinstance(case.label, str) else ''}\n{case.missing}\n".encode())
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


def _code_sha256(step: PrepareConfig) -> str:
    """The hash of the file that defines a step: a plugin's code changes more often than its settings."""
    try:
        return file_sha256(Path(inspect.getfile(type(step))))
    except (TypeError, OSError):  # typed into a prompt: there is no file
        return ""


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
    structures = {} if isinstance(target, int) else structures_of(target, problem)
    unit: Unit = "pixel" if meta["unit"] == "pixel" else "mm"
    grid = Grid(image.shape[1:], np.array(json.loads(meta["affine"])), unit)
    return Prepared(case, image, target, structures, grid)


def _smallest(target: npt.NDArray[np.int16]) -> npt.NDArray[np.int8] | npt.NDArray[np.int16]:
    return target.astype(np.int8) if target.min() >= IGNORE and target.max() <= np.iinfo(np.int8).max else target
