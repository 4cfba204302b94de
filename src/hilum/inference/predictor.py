"""One image in, its labels or its class probabilities out: prepare, predict, and back onto the image's own grid."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hilum.data.modalities import with_missing
from hilum.errors import ConfigError, DataError, nearest
from hilum.formats.reading import read_image
from hilum.inference.postprocess.apply import postprocessed
from hilum.inference.restore import to_source
from hilum.inference.windows import pad_to, predict_stack
from hilum.layers.temperature import temper_volume, tempered
from hilum.problem import Problem
from hilum.volume import Grid, Volume

if TYPE_CHECKING:
    from hilum.case import ImageRef
    from hilum.inference.postprocess.base import PostprocessConfig
    from hilum.prepare.base import PrepareConfig

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Predictor:
    """A trained network with all that surrounds it at inference.

    Classification looks at the whole image; `window` and `overlap` are for segmentation only.
    """

    model: nn.Module
    problem: Problem
    prepare: Sequence[PrepareConfig]
    _: KW_ONLY
    window: tuple[int, ...] | None = None
    """Size of a window in voxels; None: the whole image (or slice) at once."""
    overlap: float = 0.5
    """Share of a window that its neighbour covers too."""
    flips: Sequence[tuple[int, ...]] = ()
    """Sets of the network's spatial axes: each mirrored view is predicted and averaged in. See `mirrorings`."""
    batch_size: int = 4
    """Windows, or slices, predicted together; always of one case, so that other cases cannot change its result."""
    multiple: int = 1
    """Without a window, images are padded with zeros to a multiple of this."""
    slice_axis: int | None = None
    """Axis of the prepared volume along which a 2D network takes slices; None: that of the coarsest spacing."""
    fixed_size: tuple[int, ...] | None = None
    """The only size that the network takes, where there is just one."""
    may_lack_channels: bool = False
    """Whether the network was trained for images that lack some of their channels."""
    postprocess: Sequence[PostprocessConfig] = ()
    """Steps on the label values of a segmentation, on the image's own grid."""
    slice_pool: Callable[[Tensor], Tensor] | None = None
    """Class probabilities (C,) of a volume from those of its slices (S, C); None: their mean."""
    temperature: float = 1.0
    """What all logits are divided by, after mirrored views, windows and slices were put together."""
    device: torch.device = CPU
    """Where the network lies, and where windows are blended."""
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext
    """Gives the context in which the network runs: its precision."""

    def __post_init__(self) -> None:
        if self.window is not None and len(self.window) != self.problem.dims:
            raise ConfigError(f"a window of {self.window} received; expected {self.problem.dims} sizes")
        if self.window is not None and self.problem.kind == "classification":
            raise ConfigError(f"a window of {self.window} received, but a classifier looks at the whole image: omit it")

    def read(self, refs: Sequence[ImageRef | None]) -> Volume:
        """The image of a case from its files, NaN where a channel is missing (None).

        Raises DataError where it has other channels than the network takes, or lacks one that the network needs.
        """
        there = [index for index, ref in enumerate(refs) if ref is not None]
        if not there:
            raise DataError("has no image at all")
        if len(there) < len(refs) and not self.may_lack_channels:
            lacking = ", ".join(name for index, name in enumerate(self.problem.channels) if index not in there)
            raise DataError(f"lacks {lacking}, and the network was trained without data.missing: it needs all channels")
        image = read_image([ref for ref in refs if ref is not None])
        image = Volume(with_missing(image.tensor, there, len(refs)), image.grid)
        if len(image.tensor) != self.problem.num_channels:
            raise DataError(f"has {len(image.tensor)} channels, the network takes {self.problem.num_channels}")
        return image

    def segment(self, image: Volume) -> Volume:
        """Label values (1, I, J, K) on the grid of `image`, in the smallest integer type, on the CPU."""
        return self.labels(self.prepared(image), image.grid)

    def labels(self, prepared: Volume, source: Grid) -> Volume:
        """Label values (1, I, J, K) on the grid `source` from a prepared image, post-processed, on the CPU."""
        labels = to_source(self.probabilities(prepared), source, self.problem)
        if not self.postprocess:
            return labels
        values = postprocessed(labels.tensor[0].numpy(), source, steps=self.postprocess, problem=self.problem)
        return Volume(torch.from_numpy(values)[None], source)

    def classify(self, image: Volume) -> Tensor:
        """Probabilities (num_outputs,), float32, on the CPU; of a 2D network on a volume, its slices put together."""
        return self.classify_prepared([self.prepared(image)])[0]

    def prepared(self, image: Volume) -> Volume:
        """The image after every preparation step, as the network was trained on it; missing channels stay NaN."""
        total = len(image.tensor)
        there = [index for index, channel in enumerate(image.tensor) if not channel.isnan().all()]
        lacking = len(there) < total
        image = Volume(image.tensor[there], image.grid) if lacking else image
        for step in self.prepare:
            image, _ = (step.for_channels(there) if lacking else step).apply(image, None)
        return Volume(with_missing(image.tensor.float(), there, total), image.grid) if lacking else image

    def probabilities(self, prepared: Volume) -> Volume:
        """Probabilities (num_outputs, I, J, K), float32, of a segmentation on the grid of the prepared image."""
        stack = self._stack(prepared)
        window = self.window or tuple(-(-size // self.multiple) * self.multiple for size in stack.shape[2:])
        with self._evaluating():
            predicted = predict_stack(
                self._network,
                stack,
                window=window,
                overlap=self.overlap,
                batch_size=self.batch_size,
                flips=self.flips,
            )
        whole = predicted[0] if self.problem.dims == 3 else predicted.movedim(0, self._slice_dim(prepared.grid))
        if self.temperature != 1:
            temper_volume(whole, self.temperature, exclusive=self.problem.exclusive)
        return Volume(whole, prepared.grid)

    def classify_prepared(self, images: Sequence[Volume]) -> Tensor:
        """Probabilities (N, num_outputs) of N prepared images of one shape, which pass the network together.

        Raises DataError where the network takes another size only.
        """
        stack = torch.cat([self._stack(image) for image in images])
        size = tuple(stack.shape[2:])
        if self.fixed_size is not None and size != self.fixed_size:
            raise DataError(
                f"is {size} after preparation, this network takes {self.fixed_size} only;"
                " add a resize step to data.prepare and train again"
            )
        stack, _ = pad_to(stack, [-(-length // self.multiple) * self.multiple for length in size])
        views = [(), *self.flips]
        with self._evaluating():
            predicted = [
                torch.stack([self._network(batch.flip([axis + 2 for axis in axes])) for axes in views]).mean(0)
                for batch in stack.split(max(self.batch_size, len(images)))
            ]
        slices, pool = torch.cat(predicted).unflatten(0, (len(images), -1)), self.slice_pool
        whole = slices.mean(1).cpu() if pool is None else torch.stack([pool(own) for own in slices.cpu()])
        return whole if self.temperature == 1 else tempered(whole, self.temperature, exclusive=self.problem.exclusive)

    def _stack(self, prepared: Volume) -> Tensor:
        """Images (N, C, *spatial) for the network: the one volume, or its slices."""
        tensor = prepared.tensor.to(self.device, torch.float32)
        return tensor[None] if self.problem.dims == 3 else tensor.movedim(self._slice_dim(prepared.grid), 0)

    def _slice_dim(self, grid: Grid) -> int:
        """The dimension of (C, I, J, K) along which slices are taken."""
        return 1 + (coarsest_axis(grid) if self.slice_axis is None else self.slice_axis)

    def _network(self, images: Tensor) -> Tensor:
        with self.autocast():
            logits = self.model(images)
        return self.problem.probabilities(logits)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Without gradients and with dropout and batch statistics frozen; leaves the model as it was."""
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.model.train(training)


def coarsest_axis(grid: Grid) -> int:
    """The axis that slices of a scan are stacked along: of the largest spacing, the last of equals; K for one slice."""
    if grid.shape[2] == 1:
        return 2
    return max(range(3), key=lambda axis: (round(grid.spacing[axis], 3), axis))


def mirrorings(axes: Sequence[str | int], names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """All ways to mirror one or more of `axes`, as sets of indices: two axes give three, three give seven.

    `axes` are indices or the names of the network's spatial axes, which `names` lists in order, or "all" of them.
    Raises ConfigError for an axis that there is not.
    """
    indices = sorted({_axis_index(axis, names) for axis in (names if axes == "all" else axes)})
    return tuple(chosen for count in range(1, len(indices) + 1) for chosen in itertools.combinations(indices, count))


def _axis_index(axis: str | int, names: Sequence[str]) -> int:
    if isinstance(axis, int) and 0 <= axis < len(names):
        return axis
    if isinstance(axis, str) and axis in names:
        return names.index(axis)
    close = nearest(str(axis), names)
    hint = f"; did you mean '{close}'?" if close else ""
    raise ConfigError(f"received the axis {axis!r} to mirror, expected one of {', '.join(names)}{hint}")
