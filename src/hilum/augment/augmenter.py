"""Applies a list of augmentation steps to whole batches, on whatever device they are."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch

from hilum.augment.base import AugmentConfig, FlipAugment, Frame, IntensityAugment, SpatialAugment
from hilum.augment.sampling import lattice_of, linear_at, nearest_at
from hilum.errors import ConfigError, Fault
from hilum.random import generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from hilum.case import Batch


@dataclasses.dataclass(frozen=True)
class _Action:
    """One step with the rows of the batch that it changes and their parameters, stacked."""

    step: AugmentConfig
    rows: Tensor
    draws: dict[str, Tensor]


@dataclasses.dataclass(frozen=True)
class Augmenter:
    """Augments batches by `steps`: first flips, then all other geometry as one interpolation, then intensities.

    Within each of the three, steps act in the order given. What becomes of a sample depends on the seed, the
    epoch, its index and the frame alone; a sample that no step changes keeps every bit. `degrade` are steps on the
    intensities of the images that come last.
    """

    steps: Sequence[AugmentConfig]
    seed: int
    degrade: Sequence[AugmentConfig] = ()

    @property
    def acts(self) -> bool:
        """Whether anything may be changed at all."""
        return bool(self.steps or self.degrade)

    def __call__(self, batch: Batch, frame: Frame) -> Batch:
        """The batch with changed images and targets; raises ConfigError for steps that cannot act on such a frame.

        The sizes are those of the batch: where whole cases are taken, they differ from one to the next.
        """
        frame = dataclasses.replace(frame, shape=tuple(batch.images.shape[2:]))
        faults = [*faults_of(self.steps, frame), *faults_of(self.degrade, frame, section="degrade")]
        if faults:
            raise ConfigError(faults)
        actions = [
            action
            for name, steps in (("augment", self.steps), ("degrade", self.degrade))
            for position, step in enumerate(steps)
            if (action := _action(step, batch, frame, seed=self.seed, purpose=f"{name}.{position}.{step.kind}"))
        ]
        images, targets = batch.images, batch.targets
        for action in actions:
            if isinstance(action.step, FlipAugment):
                images, targets = _flipped(action.step, action, images, targets)
        images, targets = _warped(
            [action for action in actions if isinstance(action.step, SpatialAugment)], images, targets, frame
        )
        for action in actions:
            if isinstance(action.step, IntensityAugment):
                images = _put(images, action.rows, action.step.apply(_take(images, action.rows), action.draws))
        return dataclasses.replace(batch, images=images, targets=targets)


def faults_of(steps: Sequence[AugmentConfig], frame: Frame, *, section: str = "augment") -> list[Fault]:
    """Everything that keeps `steps` of a section of `data` from acting on samples of this frame."""
    return [
        Fault("augmentation", f"data.{section}.{position}", f"{step.kind}: {message}")
        for position, step in enumerate(steps)
        for message in step.faults(frame)
    ]


def _action(step: AugmentConfig, batch: Batch, frame: Frame, *, seed: int, purpose: str) -> _Action | None:
    """What `step` does to the batch, or None where chance spares every sample."""
    rows, draws = [], []
    for row, index in enumerate(batch.indices):
        rng = generator(seed, batch.epoch, index, purpose)
        if rng.random() < step.probability:
            rows.append(row)
            draws.append(step.draw(rng, frame))
    if not rows:
        return None
    device = batch.images.device
    stacked = {key: torch.from_numpy(np.stack([draw[key] for draw in draws])).to(device) for key in draws[0]}
    return _Action(step, torch.tensor(rows, device=device), stacked)


def _flipped(step: FlipAugment, action: _Action, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    changed, labels = step.apply(images[action.rows], targets[action.rows], action.draws)
    return _put(images, action.rows, changed), _put(targets, action.rows, labels)


def _warped(actions: list[_Action], images: Tensor, targets: Tensor, frame: Frame) -> tuple[Tensor, Tensor]:
    """All moves of points in one interpolation: nearest for label maps, else linear; edges extended outwards."""
    if not actions:
        return images, targets
    rows = torch.cat([action.rows for action in actions]).unique()
    points = _centres(frame, images.device).expand(len(rows), -1, *frame.shape)
    # A point of the result passes the last step first, to find where that step took its values from.
    for action in reversed(actions):
        assert isinstance(action.step, SpatialAugment)
        within = torch.searchsorted(rows, action.rows)
        points = _put(points, within, action.step.warp(_take(points, within), action.draws))
    lattice = lattice_of(points, torch.tensor(frame.extent, device=images.device).expand(len(rows), -1))
    images = _put(images, rows, linear_at(_take(images, rows), lattice))
    if targets.ndim > 2:  # maps, not numbers of the whole image
        labels = _take(targets, rows).reshape(len(rows), -1, *frame.shape)
        moved = linear_at(labels, lattice) if labels.is_floating_point() else nearest_at(labels, lattice)
        targets = _put(targets, rows, moved.view(len(rows), *targets.shape[1:]))
    return images, targets


def _centres(frame: Frame, device: torch.device) -> Tensor:
    """Voxel centres (dims, *shape) measured from the middle of the frame, in its unit."""
    axes = [
        (torch.arange(size, device=device) - (size - 1) / 2) * step
        for size, step in zip(frame.shape, frame.spacing, strict=True)
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def _take(values: Tensor, rows: Tensor) -> Tensor:
    """These rows, in rising order, of a tensor; not copied where they are all of them."""
    return values if len(rows) == len(values) else values[rows]


def _put(values: Tensor, rows: Tensor, changed: Tensor) -> Tensor:
    """A tensor with `rows` replaced; the one given stays as it is."""
    return changed if len(rows) == len(values) else values.index_copy(0, rows, changed)
