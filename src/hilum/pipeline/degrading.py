"""The input of a restoration made from prepared images: the same for a case whenever it is scored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch

from hilum.augment.augmenter import Augmenter
from hilum.augment.base import Frame
from hilum.case import Batch
from hilum.experiment import Experiment
from hilum.inference.axes import coarsest_axis
from hilum.volume import Volume

MOST_SLICES = 2**16
"""Numbers that the slices of a case may take."""


@dataclass(frozen=True)
class Degrading:
    """Makes the network's input from a prepared image; without steps it is the image itself.

    `number` tells cases apart. Where the network takes slices (`sliced`), each is drawn for itself, along the axis
    `flat` or else that of the coarsest spacing.
    """

    degrader: Augmenter
    number: int
    sliced: bool
    flat: int | None

    @property
    def acts(self) -> bool:
        """Whether there are steps."""
        return self.degrader.acts

    def __call__(self, prepared: Volume) -> Volume:
        """The network's input (C, I, J, K)."""
        if not self.acts:
            return prepared
        axis = (coarsest_axis(prepared.grid) if self.flat is None else self.flat) if self.sliced else None
        images = prepared.tensor[None] if axis is None else prepared.tensor.movedim(1 + axis, 0)
        frame = Frame.of(
            prepared.grid,
            tuple(images.shape[2:]),
            channels=images.shape[1],
            slice_axis=2 if axis is None else axis,
        )
        indices = tuple(self.number + index for index in range(len(images)))
        batch = Batch(("",) * len(images), 0, indices, images, torch.zeros(len(images)))
        changed = self.degrader(batch, frame).images
        return Volume(changed[0] if axis is None else changed.movedim(0, 1 + axis), prepared.grid)


def degraded(batch: Batch, experiment: Experiment, frame: Frame) -> Batch:
    """Samples with the input of a restoration made from them, alike at every look; without steps the batch itself."""
    degrader = Augmenter((), experiment.runtime.seed, experiment.data.degrade)
    return degrader(batch, frame) if degrader.acts else batch


def degrade_of(experiment: Experiment, case_id: str, dims: int) -> Degrading:
    """What makes the network's input of a case; every draw depends on the run's seed and the case's id alone."""
    degrader = Augmenter((), experiment.runtime.seed, experiment.data.degrade)
    digest = hashlib.blake2b(case_id.encode(), digest_size=6).digest()
    number = int.from_bytes(digest, "little") * MOST_SLICES
    return Degrading(degrader, number, sliced=dims == 2, flat=experiment.data.slice_axis if dims == 2 else None)
