"""The image of a case as a network takes it: its channels in one volume, those that are missing as NaN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hilum.data.modalities import with_missing
from hilum.errors import DataError
from hilum.formats.reading import read_image
from hilum.problem import Problem
from hilum.volume import Volume

if TYPE_CHECKING:
    from hilum.case import ImageRef


def read_channels(refs: Sequence[ImageRef | None], problem: Problem, *, may_lack_channels: bool) -> Volume:
    """The image of a case from its files, NaN where a channel is missing (None).

    Raises DataError where it has other channels than the problem, or lacks one and must not.
    """
    there = [index for index, ref in enumerate(refs) if ref is not None]
    if not there:
        raise DataError("has no image at all")
    if len(there) < len(refs) and not may_lack_channels:
        lacking = ", ".join(name for index, name in enumerate(problem.channels) if index not in there)
        raise DataError(f"lacks {lacking}, and the network was trained without data.missing: it needs all channels")
    image = read_image([ref for ref in refs if ref is not None])
    image = Volume(with_missing(image.tensor, there, len(refs)), image.grid)
    if len(image.tensor) != problem.num_channels:
        raise DataError(f"has {len(image.tensor)} channels, the network takes {problem.num_channels}")
    return image
