"""What this machine affords: memory and arithmetic of a training step, steps of a run, sizes of images."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hilum.hardware import memory_bytes
from hilum.networks.base import NetworkConfig
from hilum.pipeline.estimate import StepCost, run_bytes, step_cost
from hilum.problem import Problem
from hilum.runtime import Precision, RuntimeConfig

KEPT_BYTES = 2 * 2**30
"""Most memory of prepared images, unless data.memory_gb says otherwise."""


@dataclass(frozen=True)
class Machine:
    """A device with its memory. Everything below depends on it alone, so that a proposal can be made again."""

    device: str
    cores: int
    memory_bytes: int
    precision: Precision = "float32"

    @classmethod
    def here(cls) -> Machine:
        """This machine."""
        runtime = RuntimeConfig().start(alone=True)
        device = runtime.device.type
        return cls(device, os.cpu_count() or 1, memory_bytes(device), runtime.precision)

    @property
    def accelerated(self) -> bool:
        """Whether there is more than a CPU."""
        return self.device != "cpu"

    @property
    def step_bytes(self) -> float:
        """Memory that a training step may take: a quarter of a computer's, most of a graphics card's."""
        return self.memory_bytes * (0.8 if self.accelerated else 0.25)

    @property
    def step_multiply_adds(self) -> float:
        """Arithmetic of a forward pass that keeps a step at about a second or less."""
        return 1.5e12 if self.accelerated else 15e9 * min(self.cores, 16)

    @property
    def steps(self) -> int:
        """Training steps that a first run of minutes to hours may take."""
        return 6000 if self.accelerated else 1100

    @property
    def epoch_steps(self) -> int:
        """Most steps of an epoch, so that it takes minutes."""
        return 1000 if self.accelerated else 250

    @property
    def width(self) -> int:
        """Channels of the first level of a segmentation network."""
        return 32 if self.accelerated else 16

    @property
    def volume_voxels(self) -> float:
        """Voxels of a typical volume beyond which coarser ones are proposed."""
        return 3e7 if self.accelerated else 4e6

    @property
    def described(self) -> str:
        """The machine in words, without what changes from minute to minute."""
        what = "GPU" if self.accelerated else f"{self.cores} CPU cores"
        return f"{what}, {self.memory_bytes / 2**30:.0f} GB of memory"

    def run_reason(self, cost: StepCost, validation: int = 0, *, cases: int = 0) -> str:
        """The memory of a whole run in words; `cases` are the bytes of all prepared images."""
        needed = run_bytes(cost, validation, cases=min(cases, KEPT_BYTES), device=self.device)
        return f"training takes about {needed / 2**30:.1f} GB of memory, of {self.memory_bytes / 2**30:.0f}"

    def affords(
        self, network: NetworkConfig, problem: Problem, *, size: tuple[int, ...], batch_size: int
    ) -> StepCost | None:
        """The cost of a step where the machine affords it, else None."""
        cost = step_cost(network, problem, size=size, batch_size=batch_size, precision=self.precision)
        fits = cost.memory_bytes <= self.step_bytes and cost.multiply_adds <= self.step_multiply_adds
        return cost if fits else None
