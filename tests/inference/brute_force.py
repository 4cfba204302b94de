"""Windows, blending and the way back done the long way, on whole volumes: what the streamed prediction has to equal."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from hilum.inference.blending import Block, Network, blend
from hilum.inference.lattice import Triple, lattices
from hilum.inference.restore import SourceLabels
from hilum.inference.windows import all_starts, gaussian_weights, pad_to, window_starts
from hilum.problem import Problem
from hilum.volume import Grid, Volume, resample

Answer = Callable[[Tensor], Tensor]
NO_MARGINS = (False, False, False)


def whole(
    network: Answer, images: Tensor, *, window: Sequence[int], overlap: float, flips: Sequence[tuple[int, ...]] = ()
) -> Tensor:
    """Probabilities (N, num_outputs, *spatial) of images (N, C, *spatial): every window added to the whole volume."""
    padded, inner = pad_to(images, window)
    starts = [window_starts(size, side, overlap) for size, side in zip(padded.shape[2:], window, strict=True)]
    weights = gaussian_weights(tuple(window))
    total: Any = 0
    for corner in itertools.product(*starts):
        box: Any = (..., *(slice(start, start + side) for start, side in zip(corner, window, strict=True)))
        views = []
        for axes in [(), *flips]:
            dims = [axis + 2 for axis in axes]
            views.append(network(padded[box].flip(dims)).float().flip(dims))
        part = torch.zeros(len(images), views[0].shape[1] + 1, *padded.shape[2:])
        part[box][:, :-1] = torch.stack(views).mean(0) * weights
        part[box][:, -1] = weights
        total = total + part
    return (total[:, :-1] / total[:, -1:])[inner]


def labels_on(probabilities: Volume, source: Grid, problem: Problem) -> Tensor:
    """Label values (I, J, K): all probabilities interpolated onto the whole grid of the image, then decided."""
    taken = resample(probabilities, source, antialias=False, outside=0.0).tensor.clone()
    if problem.exclusive:
        background = Volume(probabilities.tensor[:1], probabilities.grid)
        taken[:1] = resample(background, source, antialias=False, outside=1.0).tensor
    return problem.decode(taken)


def to_source(probabilities: Volume, source: Grid, problem: Problem) -> Volume:
    """Label values (1, I, J, K) by hilum from a whole volume of probabilities: a single block."""
    labels = SourceLabels(probabilities.grid, source, problem)
    labels.take(Block(probabilities.tensor.movedim(0, 3).contiguous(), (0, 0, 0)))
    return Volume(labels.labels[None], source)


def blended(
    network: Answer,
    images: Tensor,
    *,
    window: Sequence[int],
    overlap: float,
    batch_size: int = 1,
    flips: Sequence[tuple[int, ...]] = (),
) -> Tensor:
    """The same as `whole` by hilum, where `network` gives probabilities; 2D images are the slices of a volume."""
    if len(window) == 3:
        network = Network(network, torch.clone, views=((), *flips), batch_size=batch_size)  # type: ignore[assignment]
        return torch.stack([streamed(network, image, tuple(window), overlap) for image in images])  # type: ignore[arg-type]

    def slices(windows: Tensor) -> Tensor:
        return network(windows[:, :, 0]).unsqueeze(2)

    views = tuple(tuple(axis + 1 for axis in axes) for axes in ((), *flips))
    stacked = Network(slices, torch.clone, views=views, batch_size=batch_size)
    return streamed(stacked, images.movedim(0, 1), (1, window[0], window[1]), overlap).movedim(1, 0)


def streamed(
    network: Network,
    image: Tensor,
    window: Triple,
    overlap: float,
    *,
    tiles: Triple = (1, 1, 1),
    margins: Sequence[bool] = NO_MARGINS,
) -> Tensor:
    """Probabilities (num_outputs, I, J, K) put together from blocks; each has to come once, whole and in its place."""
    shape = image.shape[1:]
    found: list[Tensor] = []
    times = torch.zeros(shape, dtype=torch.int64)

    def keep(block: Block) -> None:
        if not found:
            found.append(torch.full((block.values.shape[3], *shape), torch.nan))
        before = tuple(slice(first, stop) for first, stop in zip(block.first, block.stop, strict=True))
        i, j, k = before
        known = found[0][:, i, j, k]
        values = block.values.movedim(3, 0)
        assert torch.equal(known[~known.isnan()], values[~known.isnan()]), "repeated voxels are those of earlier blocks"
        found[0][:, i, j, k] = values
        i, j, k = (slice(part.start + again, part.stop) for part, again in zip(before, block.repeated, strict=True))
        times[i, j, k] += 1

    starts = all_starts(shape, window, overlap)
    parts = lattices(starts, shape=shape, window=window, num_outputs=3, tiles=tiles, margins=margins)
    blend(network, image, parts, take=keep, margins=margins)
    if tiles == (1, 1, 1) or not any(margins):
        assert (times == 1).all(), "each voxel is finished once"
    return found[0]
