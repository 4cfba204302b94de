"""Prepared cases kept on disk, one file each, so that they are computed once for all folds and runs."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import inspect
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from hilum.case import Case
from hilum.data.cache import Room, make_folder, touch
from hilum.data.hashes import Hashes, file_sha256, refs
from hilum.data.parallel import alone
from hilum.data.prepared import Prepared, prepare_case
from hilum.data.stored import SUFFIX, as_bytes, open_mapped, write
from hilum.errors import DataError
from hilum.prepare.base import PrepareConfig
from hilum.problem import Problem

FORMAT = "6"
"""Raised whenever the file holds something else."""
CODE = (
    "case.py",
    "volume.py",
    "interpolation.py",
    "problem.py",
    "targets.py",
    "formats",
    "prepare",
    "filters",
    "layers/padding.py",
    "geometry",
    "data/hashes.py",
    "data/modalities.py",
    "data/patches.py",
    "data/voxels.py",
    "data/index/grids.py",
    "data/prepared.py",
)
"""Files and folders of hilum whose code decides what a prepared case is."""
LIBRARIES = ("torch", "numpy", "scipy", "nibabel", "pillow", "SimpleITK", "pydicom", "tifffile", "imagecodecs")
"""Libraries that read files or compute with them: another version may give other values."""

log = logging.getLogger(__name__)


class Store:
    """Prepared cases on disk, a file for each content and preparation.

    The name of a file is a hash of the content of the files, of the steps with their settings, fitted values and code,
    of the classes, and of the libraries that read and compute: whatever changes one of these makes another file.
    """

    def __init__(
        self,
        folder: Path,
        problem: Problem,
        steps: Sequence[PrepareConfig],
        *,
        hashes: Hashes | None = None,
        bound_bytes: int | None = None,
    ) -> None:
        """`hashes` are remembered in `folder` where none are given; `bound_bytes` is the most that it may hold."""
        self.folder = folder
        self.problem = problem
        self.steps = tuple(steps)
        self.hashes = hashes or Hashes(folder)
        self.settings = fingerprint(problem, steps)
        self._room = Room(folder, bound_bytes)
        self._used: set[str] = set()

    def with_problem(self, problem: Problem) -> Store:
        """The same folder and steps for another problem."""
        return Store(self.folder, problem, self.steps, hashes=self.hashes, bound_bytes=self._room.bound_bytes)

    @staticmethod
    def keeps(case: Case) -> bool:
        """Whether a case gets a file. Rows of one array do not: reading them is as cheap as reading a file."""
        return all(ref.key is None or ref.index is None for ref in case.files)

    def get(self, case: Case) -> Prepared:
        """The prepared case; its arrays are mapped from disk, where it is made first if it is not there.

        A file that cannot be read is made again, with a warning. Raises DataError for a case that cannot be used, or
        where the folder cannot be written or is full.
        """
        if not self.keeps(case):
            return self._prepare(case)
        self._make_folder(case)
        key = self.key(case)
        file = self.folder / f"{key}{SUFFIX}"
        opened = self._opened(case, file)
        if opened is not None:
            return opened
        prepared = self._prepare(case)
        if self.key(case) != key:  # what was read is not what the name of the file would stand for
            raise DataError(f"case {case.id}: its files changed while they were read: start again once they are whole")
        content = as_bytes(prepared)
        self._room.make(len(content), used=self._used)
        self._used.add(file.name)
        try:
            write(content, file)
        except OSError as error:
            raise self._unwritable(case, file, error) from error
        finally:
            self._room.settle(len(content))
        # What was written may be deleted at once by another process that needs room.
        return self._opened(case, file) or prepared

    def key(self, case: Case) -> str:
        """The hash that stands for the content of a case and its preparation."""
        digest = hashlib.sha256(self.settings.encode())
        digest.update(f"{case.label if isinstance(case.label, str | tuple) else ''}\n{case.missing}\n".encode())
        for ref in refs(case):
            digest.update(f"{self.hashes.of_image(ref)}\0{ref.key}\0{ref.index}\n".encode())
        return digest.hexdigest()

    def _prepare(self, case: Case) -> Prepared:
        """The case prepared by one thread, whatever the run has, so that runs agree on it to the last bit."""
        with alone():
            return prepare_case(case, self.problem, self.steps)

    def _opened(self, case: Case, file: Path) -> Prepared | None:
        """The case from its file; None where there is none, or with a warning where it is damaged."""
        try:
            prepared = open_mapped(case, file, verify=file.name not in self._used)
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever safetensors, numpy or json say about a damaged file
            log.warning("the prepared file %s cannot be read (%s): it is made again", file, error)
            return None
        self._used.add(file.name)
        touch(file)
        return prepared

    def _make_folder(self, case: Case) -> None:
        try:
            make_folder(self.folder)
        except OSError as error:
            raise self._unwritable(case, self.folder, error) from error

    def _unwritable(self, case: Case, place: Path, error: OSError) -> DataError:
        return DataError(
            f"case {case.id}: {place} cannot be written: {error.strerror}; choose another folder with data.cache=FOLDER"
        )


def fingerprint(problem: Problem, steps: Sequence[PrepareConfig]) -> str:
    """All that decides what becomes of given files, as text: steps, classes, the code of both, and the libraries."""
    settings = [(step.model_dump(mode="json"), _code_sha256(step)) for step in steps]
    words = [] if problem.kind != "multilabel" else [problem.separator, list(problem.nothing), problem.others]
    classes = [
        problem.kind,
        *words,
        list(problem.classes),
        [list(group) for group in problem.values],
        problem.exclusive,
        problem.ignore,
    ]
    return json.dumps([FORMAT, surroundings(), settings, classes])


@functools.cache
def surroundings(code: tuple[str, ...] = CODE) -> str:
    """A hash of hilum's own code for reading and preparing (or of other parts), and of its libraries' versions."""
    package = Path(__file__).parents[1]
    files = [file for name in code for file in sorted((package / name).rglob("*.py")) or [package / name]]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(package)}\0{file_sha256(file)}\n".encode())
    for name in LIBRARIES:
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    return digest.hexdigest()


def _code_sha256(step: PrepareConfig) -> str:
    """The hash of the file that defines a step: a plugin's code changes more often than its settings."""
    try:
        return file_sha256(Path(inspect.getfile(type(step))))
    except (TypeError, OSError):  # typed into a prompt: there is no file
        return ""
