"""The input of a restoration made from whole prepared images: the same for a case whenever it is scored."""

from __future__ import annotations

import hashlib
from functools import partial

import torch

from hilum.augment.augmenter import Augmenter
from hilum.augment.base import Frame
from hilum.case import Batch
from hilum.experiment import Experiment
from hilum.inference.axes import coarsest_axis
from hilum.inference.restoring import Degrade
from hilum.volume import Volume

MOST_SLICES = 2**16
"""Numbers that the slices of a case may take."""


def degrade_of(experiment: Experiment, case_id: str, dims: int) -> Degrade:
    """What makes the network's input of a case from its prepared image; the image itself without `data.degrade`.

    Every draw depends on the seed of the run and the id of the case alone.
    """
    degrader = Augmenter((), experiment.runtime.seed, experiment.data.degrade)
    digest = hashlib.blake2b(case_id.encode(), digest_size=6).digest()
    number = int.from_bytes(digest, "little") * MOST_SLICES
    flat = experiment.data.slice_axis if dims == 2 else None
    return partial(_degraded, degrader=degrader, number=number, sliced=dims == 2, flat=flat)


def _degraded(prepared: Volume, *, degrader: Augmenter, number: int, sliced: bool, flat: int | None) -> Volume:
    """The volume (C, I, J, K), each slice drawn for itself where the network takes slices."""
    if not degrader.acts:
        return prepared
    axis = (coarsest_axis(prepared.grid) if flat is None else flat) if sliced else None
    images = prepared.tensor[None] if axis is None else prepared.tensor.movedim(1 + axis, 0)
    frame = Frame.of(
        prepared.grid,
        tuple(images.shape[2:]),
        channels=images.shape[1],
        slice_axis=2 if axis is None else axis,
    )
    indices = tuple(number + index for index in range(len(images)))
    batch = Batch(("",) * len(images), 0, indices, images, torch.zeros(len(images)))
    changed = degrader(batch, frame).images
    return Volume(changed[0] if axis is None else changed.movedim(0, 1 + axis), prepared.grid)
