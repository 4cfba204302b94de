"""One image in, its labels or its class probabilities out: prepare, predict, and back onto the image's own grid."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hilum.data.modalities import is_missing, with_missing
from hilum.errors import ConfigError, DataError
from hilum.inference.air import Air, background
from hilum.inference.axes import coarsest_axis
from hilum.inference.blending import Block, Network, blend
from hilum.inference.images import read_channels
from hilum.inference.lattice import Triple, lattices
from hilum.inference.memory import BYTES, PROCESS_BYTES, Divide, Needs, Plan, network_bytes, planned, undivided
from hilum.inference.postprocess.apply import postprocessed
from hilum.inference.restore import SourceLabels, Visit
from hilum.inference.review.sureness import Sureness
from hilum.inference.windows import all_starts, pad_to
from hilum.layers.temperature import temper_volume, tempered
from hilum.problem import Problem
from hilum.volume import Grid, Volume

if TYPE_CHECKING:
    from hilum.case import ImageRef
    from hilum.inference.postprocess.base import PostprocessConfig
    from hilum.prepare.base import PrepareConfig

CPU = torch.device("cpu")
NO_MARGINS = (False, False, False)
LABEL_COPIES = 3
"""Of the labels of an image while they are post-processed."""


@dataclass(frozen=True)
class Predictor:
    """A trained network with all that surrounds it at inference.

    What answers for a whole image looks at all of it; `window` and `overlap` are for answers by voxel.
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
    """Windows, or slices, predicted together, fewer where memory is short; always of one case, so that other cases
    cannot change its result."""
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
    forward: Callable[[Tensor], Tensor] | None = None
    """What is called in place of the model: the same network compiled, or asked by several threads; None: the model."""
    air: Air | None = None
    """Which windows of a segmentation the network is not asked about: they are background."""
    device: torch.device = CPU
    """Where the network lies, and where windows are blended."""
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext
    """Gives the context in which the network runs: its precision."""
    memory_bytes: int | None = None
    """Most memory while a case is predicted: of the process on a CPU, of tensors on another device; None: no limit."""
    process_bytes: int = PROCESS_BYTES
    """What the process takes beside tensors, which counts on a CPU."""
    _network_bytes: dict[tuple[int, ...], int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.window is not None and len(self.window) != self.problem.dims:
            raise ConfigError(f"a window of {self.window} received; expected {self.problem.dims} sizes")
        if self.window is not None and not self.problem.dense:
            raise ConfigError(f"a window of {self.window} received, but a classifier looks at the whole image: omit it")

    def read(self, refs: Sequence[ImageRef | None]) -> Volume:
        """The image of a case from its files, NaN where a channel is missing (None).

        Raises DataError where it has other channels than the network takes, or lacks one that the network needs.
        """
        return read_channels(refs, self.problem, may_lack_channels=self.may_lack_channels)

    def segment(self, image: Volume, *, visit: Visit | None = None) -> Volume:
        """Label values (1, I, J, K) on the grid of `image`, in the smallest integer type, on the CPU.

        `visit` is given the probabilities on the grid of `image`, some voxels at a time (see `Visit`). Raises DataError
        where `memory_bytes` will not do. The image stays in memory: to let go of it, call `prepared` and `labels`.
        """
        prepared = self.prepared(image)
        same = prepared.tensor.untyped_storage().data_ptr() == image.tensor.untyped_storage().data_ptr()
        return self.labels(prepared, image.grid, visit=visit, held_bytes=0 if same else image.tensor.nbytes)

    def labels(
        self,
        prepared: Volume,
        source: Grid,
        *,
        visit: Visit | None = None,
        sureness: Sureness | None = None,
        held_bytes: int = 0,
    ) -> Volume:
        """Label values (1, I, J, K) on the grid `source` from a prepared image, post-processed, on the CPU.

        `sureness` is told of all voxels of the prepared grid. `held_bytes` is what the caller keeps in memory
        meanwhile, which counts towards `memory_bytes`.
        """
        labels = SourceLabels(prepared.grid, source, self.problem, visit=visit, sureness=sureness)
        held_bytes += labels.labels.nbytes * (LABEL_COPIES if self.postprocess else 1)
        plan = self.plan(prepared.grid, margins=labels.margins, held_bytes=held_bytes)
        self._blend(prepared, plan, labels.take, margins=labels.margins)
        if not self.postprocess:
            return Volume(labels.labels[None], source)
        values = postprocessed(labels.labels.numpy(), source, steps=self.postprocess, problem=self.problem)
        return Volume(torch.from_numpy(values)[None], source)

    def classify(self, image: Volume) -> Tensor:
        """Answers (num_outputs,), float32, on the CPU; of a 2D network on a volume, its slices put together.

        Probabilities, or the numbers of a regression in their own unit.
        """
        return self.classify_prepared([self.prepared(image)])[0]

    def prepared(self, image: Volume) -> Volume:
        """The image after every preparation step, as the network was trained on it; missing channels stay NaN."""
        total = len(image.tensor)
        there = [index for index, channel in enumerate(image.tensor) if not is_missing(channel)]
        lacking = len(there) < total
        image = Volume(image.tensor[there], image.grid) if lacking else image
        for step in self.prepare:
            image, _ = (step.for_channels(there) if lacking else step).apply(image, None)
        return Volume(with_missing(image.tensor.float(), there, total), image.grid) if lacking else image

    def probabilities(self, prepared: Volume) -> Volume:
        """Probabilities (num_outputs, I, J, K), float32, of a segmentation on the grid of the prepared image, whole.

        They lie on the predictor's device and take no heed of `memory_bytes`.
        """
        whole = torch.empty((self.problem.num_outputs, *prepared.grid.shape), device=self.device)

        def keep(block: Block) -> None:
            i, j, k = (slice(first, stop) for first, stop in zip(block.first, block.stop, strict=True))
            whole[:, i, j, k] = block.values.movedim(3, 0)

        plan = undivided(self._divisions(prepared.grid, NO_MARGINS), batch_size=self.batch_size)
        self._blend(prepared, plan, keep)
        return Volume(whole, prepared.grid)

    def plan(self, prepared: Grid, *, margins: Sequence[bool] = NO_MARGINS, held_bytes: int = 0) -> Plan:
        """How the windows over an image on the grid `prepared` are divided so that `memory_bytes` are kept.

        `margins` are the axes along which blocks overlap, `held_bytes` what else stays in memory meanwhile. Raises
        DataError where there is no way.
        """
        divide = self._divisions(prepared, margins)
        if self.memory_bytes is None:
            return undivided(divide, batch_size=self.batch_size)
        needs = self._needs(prepared, held_bytes)
        return planned(divide, needs, batch_size=self.batch_size, most_bytes=self.memory_bytes)

    def _divisions(self, grid: Grid, margins: Sequence[bool]) -> Divide:
        """Gives the windows over a volume on `grid` in a number of tiles along each axis."""
        window, shape = self._window(grid), grid.shape
        return functools.partial(
            lattices,
            all_starts(shape, window, self.overlap),
            shape=shape,
            window=window,
            num_outputs=self.problem.num_outputs,
            margins=margins,
        )

    def _needs(self, grid: Grid, held_bytes: int) -> Needs:
        """What predicting a prepared image on `grid` takes, however its windows are divided."""
        window, flat = self._window(grid), self._flat_axis(grid)
        shown = (1, self.problem.num_channels, *(side for axis, side in enumerate(window) if axis != flat))
        if shown not in self._network_bytes:
            with self._evaluating():
                counted = network_bytes(self.model, shown, device=self.device, autocast=self.autocast)
            self._network_bytes[shown] = counted
        fixed = BYTES * self.problem.num_channels * math.prod(grid.shape)
        fixed += sum(weights.nbytes for weights in (*self.model.parameters(), *self.model.buffers()))
        fixed += self.process_bytes + held_bytes if self.device.type == "cpu" else 0
        logits = BYTES * self.problem.num_outputs * math.prod(window)
        return Needs(fixed, self._network_bytes[shown], logits, self.problem.num_outputs)

    def _blend(
        self, prepared: Volume, plan: Plan, take: Callable[[Block], None], *, margins: Sequence[bool] = NO_MARGINS
    ) -> None:
        """Predict the windows of a plan and give `take` each block of the prepared grid that is final."""
        flat = self._flat_axis(prepared.grid)
        axes = [axis for axis in range(3) if axis != flat]  # of the volume, for each spatial axis of the network
        views = tuple(tuple(axes[axis] for axis in flipped) for flipped in ((), *self.flips))

        def logits(images: Tensor) -> Tensor:
            if flat is None:
                return self._logits(images)
            return self._logits(images.squeeze(2 + flat)).unsqueeze(2 + flat)

        said = background(self.problem.num_outputs, exclusive=self.problem.exclusive)
        network = Network(
            logits, self.problem.answers, views=views, batch_size=plan.batch_size, is_air=self.air, air=said
        )
        image = prepared.tensor.to(self.device, torch.float32)
        with self._evaluating():
            blend(network, image, plan.lattices, take=self._after_tempering(take), margins=margins)

    def _after_tempering(self, take: Callable[[Block], None]) -> Callable[[Block], None]:
        """Give `take` the blocks as they are after division of their logits by the temperature."""
        if self.temperature == 1:
            return take

        def temper(block: Block) -> None:
            temper_volume(block.values.movedim(3, 0), self.temperature, exclusive=self.problem.exclusive)
            take(block)

        return temper

    def _window(self, grid: Grid) -> Triple:
        """The voxels (i, j, k) of a window over a volume; one slice for a 2D network."""
        flat = self._flat_axis(grid)
        sizes = iter(self.window or ())
        whole = [-(-size // self.multiple) * self.multiple for size in grid.shape]
        i, j, k = (1 if axis == flat else next(sizes, whole[axis]) for axis in range(3))
        return i, j, k

    def classify_prepared(self, images: Sequence[Volume]) -> Tensor:
        """Answers (N, num_outputs) of N prepared images of one shape, which pass the network together.

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
        flat = self._flat_axis(prepared.grid)
        return tensor[None] if flat is None else tensor.movedim(1 + flat, 0)

    def _flat_axis(self, grid: Grid) -> int | None:
        """The axis of a volume along which a 2D network takes slices."""
        if self.problem.dims == 3:
            return None
        return coarsest_axis(grid) if self.slice_axis is None else self.slice_axis

    def _logits(self, images: Tensor) -> Tensor:
        with self.autocast():
            logits: Tensor = (self.forward or self.model)(images)
        return logits

    def _network(self, images: Tensor) -> Tensor:
        return self.problem.answers(self._logits(images))

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
