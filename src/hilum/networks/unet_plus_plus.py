"""U-Net++ through MONAI: a U-Net whose skip connections are nested networks."""

from typing import Annotated, Literal, Self

from pydantic import Field
from torch import Tensor, nn

from hilum.networks.monai_networks import MonaiNetworkConfig
from hilum.networks.sizes import multiple_faults, single_voxel_faults
from hilum.problem import Problem

Width = Annotated[int, Field(ge=2)]
FACTOR = 16
"""By how much its four poolings shrink each axis."""
SIDE_HEADS = ("final_conv_0_1", "final_conv_0_2", "final_conv_0_3")
"""Heads of MONAI's network that only its own deep supervision looks at."""


class UNetPlusPlus(nn.Module):
    """Logits (B, out_channels, *spatial) of MONAI's BasicUNetPlusPlus, which gives a list with them in it."""

    def __init__(self, network: nn.Module) -> None:
        """Take the network; the heads that nobody looks at go, since they would be parameters without a gradient."""
        super().__init__()
        for name in SIDE_HEADS:
            setattr(network, name, nn.Identity())
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_channels, *spatial)."""
        logits: Tensor = self.network(images)[0]
        return logits


class UNetPlusPlusConfig(MonaiNetworkConfig, kind="unet_plus_plus"):
    """MONAI's U-Net++ (Zhou et al. 2018, doi:10.1007/978-3-030-00889-5_1), always of five levels."""

    channels: Annotated[tuple[Width, ...], Field(min_length=5, max_length=5)] = (32, 32, 64, 128, 256)
    """Feature maps at each of the five levels, top first; two at least, since the way up halves them."""
    norm: Literal["instance", "batch"] = "instance"
    """Normalisation after each convolution: of each sample and channel, or of the batch."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a feature after each convolution is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """A UNetPlusPlus with one output channel for each class or region. Raises ConfigError where unsuited."""
        self.refuse_faults(problem)
        from monai.networks.nets import BasicUNetPlusPlus

        network = BasicUNetPlusPlus(
            problem.dims,
            problem.num_channels,
            problem.num_outputs,
            features=(*self.channels, self.channels[0]),
            norm=(self.norm, {"affine": True}),
            dropout=self.dropout,
        )
        return UNetPlusPlus(network)

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes of a patch cannot be halved four times, and the sizes nearest that can."""
        factors = (FACTOR,) * len(size)
        faults = multiple_faults(size, factors)
        return faults or (single_voxel_faults(size, factors) if self.norm == "instance" else [])

    @classmethod
    def tiny(cls) -> Self:
        """Narrow levels, and batch norm so that a patch of 16 voxels passes."""
        return cls(channels=(2, 2, 4, 4, 4), norm="batch")
