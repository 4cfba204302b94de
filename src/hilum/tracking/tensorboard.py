"""The numbers of each epoch as TensorBoard curves."""

from __future__ import annotations

import errno
import io
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch.utils.tensorboard import SummaryWriter


LOG_AND_CHECKPOINTS = "training goes on, log.jsonl and the checkpoints hold everything"


class TensorBoard:
    """Writes the epochs of one run into a folder of event files; to be closed, or used in a `with` statement.

    A resumed run gives its first epoch as `resume_epoch`: what an earlier process wrote from there on is hidden.
    """

    def __init__(self, folder: Path, *, resume_epoch: int | None = None, say: Callable[[str], None] = print) -> None:
        self._folder, self._say = folder, say
        self._writer: SummaryWriter | None = None
        with self._giving_up():
            self._writer = _writer(folder, resume_epoch)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Adds the finite numbers of a record at its "epoch"; nested names are joined by a slash.

        Where the folder is lost or cannot be written any more, that is said once, and the training goes on without.
        """
        if self._writer is None:
            return
        epoch = int(record["epoch"])
        with self._giving_up():
            if not any(self._folder.glob("events.*")):  # a deleted file takes what is written, and nobody sees it
                raise FileNotFoundError(errno.ENOENT, "its files are gone")
            for name, value in _numbers(record):
                if name != "epoch":
                    self._writer.add_scalar(name, value, epoch)
            self._writer.flush()

    def histograms(self, epoch: int, values: Mapping[str, NDArray[Any]]) -> None:
        """Adds a histogram of each array of finite numbers."""
        if self._writer is None:
            return
        with self._giving_up():
            for name, numbers in values.items():
                self._writer.add_histogram(name, numbers, epoch)
            self._writer.flush()

    def pictures(self, shown: Mapping[str, bytes], *, epoch: int) -> None:
        """Adds pictures (PNG) at an epoch; a slash in a name parts groups.

        Where the folder cannot be written, that is said once.
        """
        from PIL import Image

        if self._writer is None:
            return
        with self._giving_up("pictures", "figures/ holds them"):
            for name, content in shown.items():
                values = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
                self._writer.add_image(name, values, epoch, dataformats="HWC")
            self._writer.flush()

    def close(self) -> None:
        """Writes what is left and closes the file."""
        if self._writer is not None:
            with self._giving_up():
                self._writer.close()

    @contextmanager
    def _giving_up(self, what: str = "curves", kept: str = LOG_AND_CHECKPOINTS) -> Iterator[None]:
        """Turn what keeps the curves from being written into a note: nothing of the training is lost with them."""
        try:
            yield
        except OSError as error:
            self._writer = None
            self._say(f"note: no more {what} in TensorBoard's folder {self._folder}: {error.strerror or error}; {kept}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _writer(folder: Path, resume_epoch: int | None) -> SummaryWriter:
    with warnings.catch_warnings():  # tensorboard's own imports warn of what its authors will have to change
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        from torch.utils.tensorboard import SummaryWriter
    return SummaryWriter(str(folder), purge_step=resume_epoch)


def _numbers(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Names and values of all finite numbers in a nested record."""
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            yield f"{prefix}{key}", float(value)
