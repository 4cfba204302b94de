"""What training costs in memory and arithmetic, told from the network's layers without running it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hilum.formats.reading import read_header
from hilum.inference.lattice import lattices
from hilum.inference.memory import WORK_BYTES
from hilum.inference.windows import all_starts
from hilum.networks.base import NetworkConfig
from hilum.pipeline.study import Study
from hilum.problem import Problem
from hilum.runtime import DTYPES, Precision, Runtime

FIXED_BYTES = 128 * 2**20
"""What the first step loads whatever the network: kernels, optimizer code, buffers (110 to 200 MiB were measured)."""
COPIES_OF_WEIGHTS = 4
"""Weights, gradients and the two running means of Adam, in float32."""
PROCESS_BYTES = 400 * 2**20
"""Python with torch and all else that training loads, on a CPU (330 to 450 MiB were measured)."""
OVERLAP = 0.5
"""Of the windows that a case is predicted in: predict.overlap, unless it is set otherwise."""
LABEL_BYTES = 24
"""Bytes for each voxel of an image while it is scored: labels, masks, and the distances to their surfaces."""
PASSING = 1.5
"""Work space and gradients on their way, as a multiple of the layer with the most input and output."""


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


def validation_bytes(problem: Problem, *, prepared: tuple[int, ...], source: tuple[int, ...]) -> int:
    """Memory for scoring one whole case of a segmentation, `prepared` and `source` its shape on the two grids.

    The image, the probabilities of voxels that wait for another window of the problem's size, what it takes to decide
    on a block of them, and the labels. A classification takes less than its training steps: 0.
    """
    if not problem.dense:
        return 0
    window = list(problem.size or prepared)
    if len(window) == 2:
        window.insert(prepared.index(min(prepared)), 1)  # one slice
    starts = all_starts(prepared, window, OVERLAP)
    (tile,) = lattices(starts, shape=prepared, window=window, num_outputs=problem.num_outputs)
    numbers = problem.num_channels * math.prod(prepared) + problem.num_outputs * tile.kept_voxels
    return 4 * numbers + WORK_BYTES + LABEL_BYTES * math.prod(source)


def run_bytes(step: StepCost, validation: int = 0, *, cases: int = 0, device: str = "cpu") -> int:
    """The highest memory of a whole run: of its process on a CPU, else of what lies on the device.

    `validation` is what scoring a case takes, which never happens during a step; `cases` what all prepared images take,
    which stay in memory or are mapped.
    """
    scoring = COPIES_OF_WEIGHTS * 4 * step.parameters + validation
    return (PROCESS_BYTES + cases if device == "cpu" else 0) + max(step.memory_bytes, scoring)


def study_bytes(study: Study, runtime: Runtime) -> int:
    """The highest memory of a run of this study, by its first training case and its first of the validation part."""
    experiment, problem = study.experiment, study.problem
    size, batch_size = study.frame.shape, experiment.data.samples_per_step
    step = step_cost(experiment.network, problem, size=size, batch_size=batch_size, precision=runtime.precision)
    each, validation = study.store.get(study.split.part("train")[0]).image.nbytes, 0
    cases = min(len(study.learnt_from) * each, int(experiment.data.memory_gb * 2**30))
    for case in study.split.part("val")[:1]:
        prepared = study.store.get(case).image.shape[1:]
        validation = validation_bytes(problem, prepared=prepared, source=read_header(case.files[0]).grid.shape)
    return run_bytes(step, validation, cases=cases, device=runtime.device.type)


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
