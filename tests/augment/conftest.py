"""Batches and frames for the tests of augmentation."""

import math
from collections.abc import Callable

import pytest
import torch

from hilum.augment.base import ANATOMICAL, Frame
from hilum.case import Batch

MakeBatch = Callable[..., tuple[Batch, Frame]]


@pytest.fixture
def make_batch() -> MakeBatch:
    def make(shape: tuple[int, ...], *, size: int = 4, channels: int = 1, spacing: tuple[float, ...] | None = None):  # type: ignore[no-untyped-def]
        """Blocks of values and their labels: image and target show the same thing."""
        rng = torch.Generator().manual_seed(math.prod(shape))
        targets = torch.randint(0, 4, (size, *[math.ceil(length / 4) for length in shape]), generator=rng)
        for axis, length in enumerate(shape, start=1):
            targets = targets.repeat_interleave(4, dim=axis).narrow(axis, 0, length)
        noise = 0.01 * torch.randn(size, channels, *shape, generator=rng)
        images = targets[:, None].float() + noise
        batch = Batch(tuple(f"case{row}" for row in range(size)), 3, tuple(range(10, 10 + size)), images, targets)
        names = ANATOMICAL if len(shape) == 3 else ("vertical", "horizontal")
        return batch, Frame(shape, spacing or (1.0,) * len(shape), names, channels)

    return make
