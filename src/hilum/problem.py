"""The problem that is solved: dimensions, channels, what is asked, and how the answers stand in files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hilum.errors import DataError, nearest

IGNORE = -1
"""The encoded target that no loss and no score sees."""

UNKNOWN = np.iinfo(np.int16).min
TABLE_LENGTH = 1024
"""Label values this close together are looked up; finding out which ones there are would mean to sort all voxels."""
PART_VOXELS = 2**22
"""Voxels that are counted at a time."""
Value = int | str
Kind = Literal["classification", "segmentation", "multilabel", "regression", "restoration"]
"""The kinds of task, each a file in `hilum.tasks`."""
DENSE: frozenset[str] = frozenset({"segmentation", "restoration"})
"""Kinds of task with an answer for every voxel; the others have one for a whole image."""
CONTINUOUS: frozenset[str] = frozenset({"regression", "restoration"})
"""Kinds of task whose answers are numbers, not classes."""


@dataclass(frozen=True)
class Problem:
    """What a network has to answer, and how its answer is written into files.

    `values[i]` are the label values of `classes[i]`. Exclusive classes compete (softmax); regions and findings may come
    together (sigmoid). For a segmentation by exclusive classes, class 0 is the background. The classes of a regression
    are the names of its numbers, those of a restoration the channels of its images.
    """

    kind: Kind
    dims: int
    channels: tuple[str, ...]
    classes: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]
    exclusive: bool = True
    ignore: int | None = None
    size: tuple[int, ...] | None = None
    units: tuple[str, ...] = ()
    """Of each number of a regression; empty where it has none."""
    scales: tuple[tuple[float, float], ...] = ()
    """Mean and standard deviation of each number in the training part: the network answers in these standard
    deviations from the mean, and `answers` gives it back in its own unit. None: it answers in the unit itself."""

    separator: str = "|"
    """Between the findings of a text that names several."""
    nothing: tuple[str, ...] = ()
    """Texts that stand for none of the findings."""
    others: bool = False
    """Whether findings that nobody asks for may be named."""

    @property
    def dense(self) -> bool:
        """Whether every voxel has an answer of its own."""
        return self.kind in DENSE

    @property
    def continuous(self) -> bool:
        """Whether answers are numbers, not probabilities of classes."""
        return self.kind in CONTINUOUS

    @property
    def num_channels(self) -> int:
        """Channels of the network's input."""
        return len(self.channels)

    @property
    def num_outputs(self) -> int:
        """Channels of the network's output."""
        return len(self.classes)

    @property
    def foreground(self) -> tuple[str, ...]:
        """The classes or regions that a segmentation is scored on."""
        return self.classes[1:] if self.kind == "segmentation" and self.exclusive else self.classes

    def resized(self, dims: int, size: tuple[int, ...] | None) -> Problem:
        """The same problem for inputs of other dimensions."""
        return replace(self, dims=dims, size=size)

    def encode(self, values: npt.NDArray[np.integer]) -> npt.NDArray[np.int16]:
        """Class indices (1, *spatial), or regions (R, *spatial) of 0 and 1, from label values (*spatial).

        IGNORE where the value is the ignored one. Raises DataError naming the label values that no class has.
        """
        low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
        if high - low < TABLE_LENGTH:
            present, places = np.arange(low, high + 1), np.subtract(values, low, dtype=np.intp)
        else:
            present, places = np.unique(values, return_inverse=True)
        codes = np.stack([self._code(int(value)) for value in present], axis=1)
        encoded = np.stack([code[places.reshape(values.shape)] for code in codes])
        if (encoded[0] == UNKNOWN).any():
            unknown = self.unknown_values(np.unique(values).tolist())
            raise DataError(f"label values {unknown} belong to no class; expected {self.described()}")
        return encoded

    def unknown_values(self, values: Iterable[int]) -> list[int]:
        """Those label values that neither a class nor the ignore value stands for, sorted."""
        return sorted(value for value in set(values) if self._code(value)[0] == UNKNOWN)

    def described(self) -> str:
        """The classes and their label values as one writes them: {background: 0, core: [1, 4], ignore: 255}.

        For a regression its numbers and their units: {age: years}; for a restoration its channels.
        """
        if self.kind == "restoration":
            return ", ".join(self.classes)
        if self.continuous:
            return "{" + ", ".join(f"{name}: {unit}" for name, unit in zip(self.classes, self.units, strict=True)) + "}"
        shown = (
            f"{name}: {values[0] if len(values) == 1 else list(values)}"
            for name, values in zip(self.classes, self.values, strict=True)
        )
        return "{" + ", ".join(shown) + (f", ignore: {self.ignore}" if self.ignore is not None else "") + "}"

    def encode_class(self, label: str) -> int:
        """The index of the class that a table calls by its name or by its value. Raises DataError for another text."""
        for index, (name, values) in enumerate(zip(self.classes, self.values, strict=True)):
            if label == name or label in {str(value) for value in values}:
                return index
        close = nearest(label, self.classes)
        hint = f"; did you mean '{close}'?" if close else ""
        raise DataError(f"received class '{label}', expected one of {self.described()}{hint}")

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities (B, C, ...) of logits (B, C, ...): softmax over exclusive classes, sigmoid of each region."""
        return logits.float().softmax(1) if self.exclusive else logits.float().sigmoid()

    def answers(self, outputs: Tensor) -> Tensor:
        """What outputs (B, C, ...) of the network mean: probabilities, or numbers in their own unit."""
        if not self.continuous:
            return self.probabilities(outputs)
        if not self.scales:
            return outputs.float()
        means, stds = torch.tensor(self.scales, dtype=torch.float32, device=outputs.device).T
        shape = (-1, *(1,) * (outputs.ndim - 2))
        return outputs.float() * stds.view(shape) + means.view(shape)

    def decode(self, probabilities: Tensor) -> Tensor:
        """Label values (*spatial) from probabilities (C, *spatial), in the smallest integer type that holds them.

        Exclusive classes: the most likely one. Regions: the label value whose memberships are most likely together, so
        that what is written always reads back as the regions it stands for.
        """
        written = torch.as_tensor(self._written_values, device=probabilities.device)
        if self.exclusive:
            return written[_most_likely(probabilities)]
        likely = probabilities.float().clamp(1e-6, 1 - 1e-6)
        evidence = (likely / (1 - likely)).log()
        members = torch.as_tensor(self._written_members, dtype=evidence.dtype, device=evidence.device)
        best = torch.zeros(evidence.shape[1:], dtype=torch.long, device=evidence.device)
        highest = torch.zeros_like(evidence[0])
        for index in range(1, len(members)):
            score = torch.tensordot(members[index], evidence, dims=1)
            best = torch.where(score > highest, index, best)
            highest = torch.maximum(score, highest)
        return written[best]

    def membership(self, values: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Which voxels (len(foreground), *spatial) of label values are in each foreground class or region."""
        wanted = self.values[len(self.classes) - len(self.foreground) :]
        return np.stack([np.isin(values, [int(value) for value in group]) for group in wanted])

    def sizes(self, values: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """How many voxels of label values (*spatial) are in each foreground class or region: (len(foreground),).

        What `membership` has summed up, without a mask of the whole image for each of them.
        """
        counts: Counter[int] = Counter()
        for part in np.array_split(values.reshape(-1), max(1, values.size // PART_VOXELS)):
            counts.update(_counted(part))
        wanted = self.values[len(self.classes) - len(self.foreground) :]
        return np.array([sum(counts[int(value)] for value in set(group)) for group in wanted], dtype=np.int64)

    def _code(self, value: int) -> npt.NDArray[np.int16]:
        width = 1 if self.exclusive else len(self.classes)
        if value == self.ignore:
            return np.full(width, IGNORE, dtype=np.int16)
        inside = [value in group for group in self.values]
        if not any(inside) and (self.exclusive or value != 0):
            return np.full(width, UNKNOWN, dtype=np.int16)
        return np.array([inside.index(True)] if self.exclusive else inside, dtype=np.int16)

    @cached_property
    def _written_values(self) -> npt.NDArray[np.integer]:
        values = [int(group[0]) for group in self.values] if self.exclusive else [value for value, _ in self._painted]
        smallest = np.result_type(np.min_scalar_type(max(values)), np.min_scalar_type(min(values)))
        return np.array(values, dtype=np.int32 if smallest in (np.uint16, np.uint32) else smallest)

    @cached_property
    def _written_members(self) -> npt.NDArray[np.float32]:
        return np.array([members for _, members in self._painted], dtype=np.float32)

    @cached_property
    def _painted(self) -> list[tuple[int, tuple[bool, ...]]]:
        """The first label value of each distinct set of regions, background (in no region) first."""
        painted: dict[tuple[bool, ...], int] = {(False,) * len(self.values): 0}
        for value in dict.fromkeys(int(value) for group in self.values for value in group):
            painted.setdefault(tuple(value in group for group in self.values), value)
        return [(value, members) for members, value in painted.items()]


def _counted(values: npt.NDArray[np.integer]) -> dict[int, int]:
    """How often each value (n,) occurs."""
    if values.dtype.kind == "u" and values.itemsize <= 2:  # without sorting them
        voxels = np.bincount(values)
        present = np.flatnonzero(voxels)
        return dict(zip(present.tolist(), voxels[present].tolist(), strict=True))
    present, voxels = np.unique(values, return_counts=True)
    return dict(zip(present.tolist(), voxels.tolist(), strict=True))


def _most_likely(probabilities: Tensor) -> Tensor:
    """The index (*spatial) of the highest of the probabilities (C, *spatial), the first of equals."""
    together = probabilities.ndim > 1 and probabilities.stride(0) == 1 and probabilities.dtype == torch.float32
    if together and probabilities.device.type == "cpu":
        # The classes of a voxel lie side by side: numpy compares many at a time, torch one after the other.
        return torch.from_numpy(np.argmax(probabilities.detach().numpy(), axis=0))
    return probabilities.argmax(0)
