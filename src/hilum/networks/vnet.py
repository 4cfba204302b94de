"""V-Net through MONAI: residual levels of large kernels."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from hilum.networks.monai_networks import MonaiNetworkConfig
from hilum.networks.sizes import multiple_faults
from hilum.problem import Problem

FACTOR = 16
"""By how much its four strided convolutions shrink each axis."""
DIVISORS = (1, 2, 4, 8, 16)
"""Channels that its first level, which adds the image to its 16 maps, can take."""


class VNet(nn.Module):
    """Logits (B, out_channels, *spatial) of MONAI's VNet for images of any number of channels up to 16.

    It takes only numbers that divide 16: empty channels are put after those that there are, up to the next such number.
    """

    def __init__(self, network: nn.Module, *, empty: int) -> None:
        """Take the network, and how many empty channels it wants."""
        super().__init__()
        self.network = network
        self.empty = empty

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_channels, *spatial)."""
        if self.empty:
            images = functional.pad(images, (0, 0) * (images.ndim - 2) + (0, self.empty))
        logits: Tensor = self.network(images)
        return logits


class VNetConfig(MonaiNetworkConfig, kind="vnet"):
    """MONAI's V-Net (Milletari et al. 2016, doi:10.1109/3DV.2016.79), of fixed widths 16 to 256."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Probability with which a map of the lower levels, or of a skip connection, is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """A VNet with one output channel for each class or region. Raises ConfigError where `problem` does not suit."""
        self.refuse_faults(problem)
        from monai.networks import nets

        taken = next(number for number in DIVISORS if number >= problem.num_channels)
        network = nets.VNet(
            problem.dims,
            taken,
            problem.num_outputs,
            dropout_prob_down=self.dropout,
            dropout_prob_up=(self.dropout, self.dropout),
            dropout_dim=problem.dims,
        )
        for level in (network.up_tr64, network.up_tr32):  # MONAI leaves these at 0.5 whatever it is told
            level.dropout2 = level.dropout2.__class__(self.dropout)
        return VNet(network, empty=taken - problem.num_channels)

    def faults(self, problem: Problem) -> list[str]:
        """Why the network cannot answer `problem`."""
        faults = super().faults(problem)
        if problem.num_channels > DIVISORS[-1]:
            faults.append(f"network '{self.kind}' takes up to {DIVISORS[-1]} channels, received {problem.num_channels}")
        return faults

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes of a patch cannot be halved four times, and the sizes nearest that can."""
        return multiple_faults(size, (FACTOR,) * len(size))
