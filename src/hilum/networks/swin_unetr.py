"""Swin UNETR through MONAI: an encoder of shifted attention windows with a convolutional decoder."""

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field, PositiveInt
from torch import nn

from hilum.networks.monai_networks import MonaiNetworkConfig
from hilum.networks.sizes import multiple_faults, single_voxel_faults
from hilum.problem import Problem

FACTOR = 32
"""By how much its patches of 2 and four mergings shrink each axis."""
STEP = 12
"""What the width has to be a multiple of."""
Four = tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt]


class SwinUNETRConfig(MonaiNetworkConfig, kind="swin_unetr"):
    """MONAI's Swin UNETR (Hatamizadeh et al. 2022, doi:10.1007/978-3-031-08999-2_22)."""

    needs: ClassVar[tuple[str, ...]] = ("monai", "einops")

    width: Annotated[PositiveInt, Field(multiple_of=STEP)] = 24
    """Feature maps of the first level, a multiple of 12."""
    depths: Four = (2, 2, 2, 2)
    """Attention layers of each of the four stages."""
    heads: Four = (3, 6, 12, 24)
    """Attention heads of each stage; each number has to divide width, 2, 4 and 8 times width."""
    window: PositiveInt = 7
    """Tokens along each axis that look at each other."""
    norm: Literal["instance", "batch"] = "instance"
    """Normalisation of the convolutions: of each sample and channel, or of the batch."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a feature of the encoder is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """A monai SwinUNETR with one output channel for each class or region. Raises ConfigError where unsuited."""
        self.refuse_faults(problem)
        from monai.networks.nets import SwinUNETR

        with torch.device("cpu"):  # it reads values while it is built, which the meta device has not
            network: nn.Module = SwinUNETR(
                problem.num_channels,
                problem.num_outputs,
                depths=self.depths,
                num_heads=self.heads,
                window_size=self.window,
                feature_size=self.width,
                norm_name=(self.norm, {"affine": True}),
                drop_rate=self.dropout,
                spatial_dims=problem.dims,
            )
        return network.to(torch.get_default_device())

    def faults(self, problem: Problem) -> list[str]:
        """Why the network cannot answer `problem`."""
        faults = super().faults(problem)
        for stage, heads in enumerate(self.heads):
            channels = self.width * 2**stage
            if channels % heads:
                faults.append(f"heads: received {heads} for stage {stage + 1}, expected a divisor of {channels}")
        return faults

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes of a patch cannot be halved five times, and the sizes nearest that can."""
        factors = (FACTOR,) * len(size)
        faults = multiple_faults(size, factors)
        return faults or (single_voxel_faults(size, factors) if self.norm == "instance" else [])

    @classmethod
    def tiny(cls) -> Self:
        """One attention layer a stage, and batch norm so that a patch of 32 voxels passes."""
        return cls(width=12, depths=(1, 1, 1, 1), heads=(1, 1, 2, 2), window=4, norm="batch")
