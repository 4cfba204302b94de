"""What each toy data set draws: points on a line or in a plane, and pictures of cells with their membranes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float32]

SLOPE, INTERCEPT = 0.3, 0.7
"""Of the line that a linear regression has to find."""
BLOB_CENTRES = ((-1.0, -0.5), (1.0, 0.5))
CORNERS = ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0))
"""Two bits and whether exactly one of them is 1."""
CELL_PIXELS = 13
"""Mean distance of the middles of neighbouring cells."""
MEMBRANE_PIXELS = 2.6
"""Difference of the distances to the two nearest middles below which a pixel is membrane."""


@dataclass(frozen=True)
class Drawn:
    """Images (N, H, W), and of each its class or number as text, or its mask (N, H, W)."""

    images: Images
    labels: tuple[str, ...] = ()
    masks: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class ToySet:
    """A data set: the task that it is for, its usual noise, how it is drawn from (generator, cases, noise)."""

    task: str
    noise: float
    draw: Callable[[np.random.Generator, int, float], Drawn]


def _line(rng: np.random.Generator, count: int, noise: float) -> Drawn:
    """Numbers x in 0 ... 2, evenly; labels 0.3 x + 0.7 and the noise."""
    x = rng.uniform(0, 2, count)
    y = SLOPE * x + INTERCEPT + rng.normal(0, noise, count)
    return Drawn(x.astype(np.float32).reshape(count, 1, 1), tuple(f"{value:.6f}" for value in y))


def _blobs(rng: np.random.Generator, count: int, noise: float) -> Drawn:
    """Points around two centres, with the noise as standard deviation of each coordinate."""
    classes = rng.permutation(np.arange(count) % 2)
    return _points(np.asarray(BLOB_CENTRES)[classes] + rng.normal(0, noise, (count, 2)), classes)


def _xor(rng: np.random.Generator, count: int, noise: float) -> Drawn:
    """Points around the corners of the unit square; class 1 where exactly one coordinate is 1."""
    corners = np.asarray(CORNERS)[rng.permutation(np.arange(count) % 4)]
    return _points(corners[:, :2] + rng.normal(0, noise, (count, 2)), corners[:, 2])


def _moons(rng: np.random.Generator, count: int, noise: float) -> Drawn:
    """Points on two interleaved half circles of radius 1."""
    classes = rng.permutation(np.arange(count) % 2)
    angle = rng.uniform(0, np.pi, count)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    points = np.where(classes[:, None] == 0, upper, lower) - (0.5, 0.25)
    return _points(points + rng.normal(0, noise, (count, 2)), classes)


def _points(points: npt.NDArray[np.float64], classes: npt.NDArray[np.int64]) -> Drawn:
    """Points as images of one row and two pixels."""
    return Drawn(points.astype(np.float32)[:, None, :], tuple(map(str, classes.tolist())))


def _cells(rng: np.random.Generator, count: int, noise: float) -> Drawn:
    """Pictures of 64 x 64 pixels of cells with dark membranes (1 in the mask) and, inside them, dark bodies (0).

    The bodies are as dark as the membranes: what tells them apart is their shape.
    """
    pictures = [_picture(rng, 64, noise) for _ in range(count)]
    return Drawn(np.stack([image for image, _ in pictures]), masks=np.stack([mask for _, mask in pictures]))


def _picture(rng: np.random.Generator, size: int, noise: float) -> tuple[Images, npt.NDArray[np.uint8]]:
    from scipy import ndimage
    from scipy.spatial import cKDTree

    margin = 2 * CELL_PIXELS
    middles = rng.uniform(-margin, size + margin, (((size + 2 * margin) // CELL_PIXELS) ** 2, 2))
    places = np.moveaxis(np.mgrid[:size, :size], 0, -1).astype(float)
    bend = np.stack([_smooth(rng, size, width=6.0) for _ in range(2)], axis=-1)
    distances, nearest = map(np.asarray, cKDTree(middles).query(places + 2.5 * bend, k=2))
    mask = distances[..., 1] - distances[..., 0] < MEMBRANE_PIXELS
    inner = distances[..., 1] - distances[..., 0] > 3 * MEMBRANE_PIXELS
    bodies = (_smooth(rng, size, width=1.6) > 1.0) & inner
    grey = 0.7 + 0.08 * rng.normal(size=len(middles))[nearest[..., 0]]
    grey = np.where(mask | bodies, 0.25, grey)
    image = ndimage.gaussian_filter(grey, 0.7) + noise * rng.normal(size=(size, size))
    return image.astype(np.float32), mask.astype(np.uint8)


def _smooth(rng: np.random.Generator, size: int, *, width: float) -> npt.NDArray[np.float64]:
    """Noise (size, size) of mean 0 and standard deviation 1 that is alike within about `width` pixels."""
    from scipy import ndimage

    field = ndimage.gaussian_filter(rng.normal(size=(size, size)), width, mode="wrap")
    return np.asarray((field - field.mean()) / field.std())


SETS: dict[str, ToySet] = {
    "line": ToySet("regression", 0.1, _line),
    "blobs": ToySet("classification", 0.6, _blobs),
    "xor": ToySet("classification", 0.12, _xor),
    "moons": ToySet("classification", 0.25, _moons),
    "cells": ToySet("segmentation", 0.12, _cells),
}
