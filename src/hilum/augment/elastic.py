"""Bends samples smoothly."""

from typing import Annotated

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from hilum.augment.base import Draws, Frame, Share, SpatialAugment
from hilum.augment.sampling import lattice_of, linear_at
from hilum.augment.splines import MARGIN, spread


class ElasticConfig(SpatialAugment, kind="elastic"):
    """Smooth bending by a cubic B-spline over a lattice of control points (Rueckert et al. 1999)."""

    intervals: PositiveInt = 4
    """Distances between control points that fit along each axis: more bend finer details."""
    magnitude: Annotated[float, Field(ge=0, le=0.4)] = 0.25
    """Largest move of a control point along each axis, in distances between control points; below 0.4 the
    image cannot fold over itself (Choi and Lee 2000)."""
    probability: Share = 0.3
    """Share of the samples that this step changes."""

    def draw(self, rng: np.random.Generator, frame: Frame) -> Draws:
        """The moves of the control points, in the frame's unit, and the frame's extent."""
        dims = len(frame.shape)
        extent = np.array(frame.extent, dtype=np.float32)
        moves = rng.uniform(-self.magnitude, self.magnitude, (dims, *[self.intervals + MARGIN] * dims))
        distances = (extent / self.intervals).reshape(-1, *[1] * dims)
        return {"moves": (moves * distances).astype(np.float32), "extent": extent}

    def warp(self, points: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Points moved by the field where they are."""
        shape = tuple(points.shape[2:])
        field = torch.stack([spread(moves, shape) for moves in draws["moves"]])
        return points + linear_at(field, lattice_of(points, draws["extent"]))
