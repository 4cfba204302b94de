"""What a training step costs, in memory and time, told from the network's layers without running it in full."""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from hilum.networks.base import NetworkConfig
from hilum.problem import Problem
from hilum.runtime import DTYPES, Precision, Runtime

FIXED_BYTES = 128 * 2**20
"""What the first step loads whatever the network: kernels, optimizer code, buffers (110 to 200 MiB were measured)."""
COPIES_OF_WEIGHTS = 4
"""Weights, gradients and the two running means of Adam, in float32."""
PASSING = 1.5
"""Work space and gradients on their way, as a multiple of the layer with the most input and output."""
PROBE_MULTIPLY_ADDS = 2e9
"""Arithmetic of the forward pass of the step that is timed: enough to be measured, little enough to be quick."""
SHORTEST = 16
"""No axis of the image that is timed is shorter, since layers of a few voxels run at another speed."""
TIMED_STEPS = 2


@dataclass(frozen=True)
class StepCost:
    """One training step: parameters of the network, multiply-adds of the forward pass, peak memory in bytes."""

    parameters: int
    multiply_adds: int
    memory_bytes: int


def step_cost(
    network: NetworkConfig, problem: Problem, *, size: tuple[int, ...], batch_size: int, precision: Precision
) -> StepCost:
    """The cost of a step on `batch_size` images of `size`, counted on tensors that have shapes and no content.

    Memory is what the backward pass keeps of the forward pass, four copies of the weights, and the largest layer on
    its way; within a factor of 1.5 of what is measured for the U-Net, ResNet and DenseNet. Raises ConfigError where the
    network does not suit the problem.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = network.build(problem)
        images = torch.empty(batch_size, problem.num_channels, *size)
    model.train()
    kept = _Kept()
    hooks = [layer.register_forward_hook(kept.passed) for layer in model.modules() if not list(layer.children())]
    with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(kept.keep, lambda x: x):
        model(images)
    for hook in hooks:
        hook.remove()
    parameters = sum(weights.numel() for weights in model.parameters())
    share = torch.finfo(DTYPES[precision]).bits / 32
    memory = (
        FIXED_BYTES
        + COPIES_OF_WEIGHTS * 4 * parameters
        + kept.num_bytes(model) * share
        + PASSING * kept.largest
        + 2 * images.nbytes
    )
    return StepCost(parameters, counter.get_total_flops() // 2, round(memory))


def step_seconds(
    network: NetworkConfig, problem: Problem, *, size: tuple[int, ...], batch_size: int, runtime: Runtime
) -> float:
    """About how long a step takes on this machine: a small one is timed and scaled by the arithmetic.

    Loss, optimizer and augmentation come on top. Raises ConfigError where the network does not suit the problem.
    """
    precision = runtime.precision
    whole = step_cost(network, problem, size=size, batch_size=batch_size, precision=precision).multiply_adds
    small, part = size, whole / batch_size
    while part > PROBE_MULTIPLY_ADDS and (smaller := _smaller(network, small)) is not None:
        small = smaller
        tried = problem.resized(len(small), small)
        part = step_cost(network, tried, size=small, batch_size=1, precision=precision).multiply_adds
    count = min(batch_size, max(2, round(PROBE_MULTIPLY_ADDS / part)))  # batch norm needs two where little is left
    model = runtime.place(network.build(problem.resized(len(small), small))).train()
    images = torch.zeros(count, problem.num_channels, *small, device=runtime.device)
    seconds = math.inf
    for _ in range(1 + TIMED_STEPS):
        start = perf_counter()
        with runtime.autocast():
            logits = model(images)
            total = sum(each.float().sum() for each in (logits if network.gives_several else (logits,)))
        total.backward()
        float(total.detach())  # waits for a device that works on its own
        seconds = min(seconds, perf_counter() - start)
    return seconds * whole / (part * count)


def _smaller(network: NetworkConfig, size: tuple[int, ...]) -> tuple[int, ...] | None:
    """Half the image along its longest axis that the network lets be halved; None where it lets none."""
    if network.needs_size:
        return None
    for axis in sorted(range(len(size)), key=lambda axis: -size[axis]):
        halved = tuple(length // 2 if other == axis else length for other, length in enumerate(size))
        if size[axis] % 2 == 0 and min(halved) >= SHORTEST and not network.size_faults(halved):
            return halved
    return None


class _Kept:
    """Collects what a forward pass keeps for the way back, each piece of memory once, and its largest layer."""

    def __init__(self) -> None:
        self.storages: dict[int, Any] = {}
        self.largest = 0

    def keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self.storages[storage._cdata] = storage
        return tensor

    def passed(self, layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        del layer
        self.largest = max(self.largest, sum(each.nbytes for each in (*inputs, output) if isinstance(each, Tensor)))

    def num_bytes(self, model: nn.Module) -> int:
        """Bytes kept, without the weights, in the precision of the pass."""
        weights = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
        return sum(storage.nbytes() for key, storage in self.storages.items() if key not in weights)
