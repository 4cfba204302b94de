"""Attention U-Net through MONAI: skip connections that are weighed before they are used."""

import math
from typing import Annotated, Self

from pydantic import Field, PositiveInt
from torch import nn

from hilum.networks.monai_networks import MonaiNetworkConfig
from hilum.networks.sizes import multiple_faults
from hilum.problem import Problem

Width = Annotated[int, Field(ge=2)]


class AttentionUNetConfig(MonaiNetworkConfig, kind="attention_unet"):
    """MONAI's Attention U-Net (Oktay et al. 2018, arXiv:1804.03999), with batch norm."""

    channels: Annotated[tuple[Width, ...], Field(min_length=2)] = (16, 32, 64, 128)
    """Feature maps at each level, top first."""
    strides: tuple[PositiveInt, ...] | None = None
    """Down-sampling between each level and the next; 2 everywhere by default."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a feature after each convolution is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """A monai AttentionUnet with one output channel for each class or region. Raises ConfigError where unsuited."""
        self.refuse_faults(problem)
        from monai.networks.nets import AttentionUnet

        network: nn.Module = AttentionUnet(
            problem.dims,
            problem.num_channels,
            problem.num_outputs,
            channels=self.channels,
            strides=self.steps,
            dropout=self.dropout,
        )
        return network

    @property
    def steps(self) -> tuple[int, ...]:
        """The down-sampling between each level and the next."""
        return self.strides if self.strides is not None else (2,) * (len(self.channels) - 1)

    def faults(self, problem: Problem) -> list[str]:
        """Why the network cannot answer `problem`."""
        expected = len(self.channels) - 1
        if len(self.steps) != expected:
            received = f"strides: received {len(self.steps)}, expected {expected}"
            return [f"{received}, one fewer than the levels in channels"]
        return super().faults(problem)

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes of a patch cannot be pooled down to the lowest level, and the sizes nearest that can."""
        return multiple_faults(size, (math.prod(self.steps),) * len(size))

    @classmethod
    def tiny(cls) -> Self:
        """Three narrow levels."""
        return cls(channels=(4, 6, 8))
