"""Frozen records of what is learnt from: whose scan it is, where its files lie, and the tensors made of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.errors import Finding

if TYPE_CHECKING:
    from torch import Tensor


Cells = tuple[tuple[str, str], ...]
"""Names and what a table holds for each of them, for labels of several columns."""


@dataclass(frozen=True)
class ImageRef:
    """One image on disk: a file, its frame `index`, row `index` of the array `key` in an .npz file, or a DICOM series.

    A DICOM series is the folder that holds it, and the series' identifier as `key` where the folder holds several.
    """

    path: Path
    key: str | None = None
    index: int | None = None

    def __str__(self) -> str:
        return "".join([str(self.path), *(f"[{part}]" for part in (self.key, self.index) if part is not None)])


@dataclass(frozen=True)
class Case:
    """One scan of one patient, with its mask (ImageRef), its label (text) or those of several columns where known.

    `images` is one image with all channels, or an image for each channel; None stands for a modality that is missing.
    """

    id: str
    patient: str
    images: tuple[ImageRef | None, ...]
    label: ImageRef | str | Cells | None = None
    part: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def files(self) -> tuple[ImageRef, ...]:
        """The images that there are, without the missing ones."""
        return tuple(ref for ref in self.images if ref is not None)

    @property
    def there(self) -> tuple[int, ...]:
        """Positions of the modalities that this case has."""
        return tuple(index for index, ref in enumerate(self.images) if ref is not None)

    @property
    def missing(self) -> tuple[int, ...]:
        """Positions of the modalities that this case lacks."""
        return tuple(index for index, ref in enumerate(self.images) if ref is None)


@dataclass(frozen=True)
class Cohort:
    """All cases of a source, the names of their channels, and what every report has to say about them."""

    cases: tuple[Case, ...]
    channels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def labels(self) -> dict[str, str]:
        """The label of each case id that has one in a single text."""
        return {case.id: case.label for case in self.cases if isinstance(case.label, str)}


@dataclass(frozen=True)
class Sample:
    """One case (or a patch of it): image (C, *spatial) float32; target as losses take it, such as an index or a map."""

    id: str
    image: Tensor
    target: Tensor


@dataclass(frozen=True)
class Batch:
    """Samples side by side: images (B, C, *spatial), targets (B, ...), and the global index of each sample."""

    ids: tuple[str, ...]
    epoch: int
    indices: tuple[int, ...]
    images: Tensor
    targets: Tensor


def natural_order(name: object) -> list[tuple[int, int, str]]:
    """What names are sorted by so that slice-2 comes before slice-10: digits count as numbers, and before letters."""
    order: list[tuple[int, int, str]] = []
    for piece in re.findall(r"[0-9]+|[^0-9]+", str(name)):
        digits = piece.lstrip("0") if piece[0] in "0123456789" else None
        order.append((1, 0, piece) if digits is None else (0, len(digits), digits))
    return [*order, (-1, len(str(name)), str(name))]  # 02 after 2, always
