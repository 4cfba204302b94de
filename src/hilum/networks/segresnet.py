"""SegResNet through MONAI: a residual encoder with a light decoder."""

from typing import Annotated, Self

from pydantic import Field, PositiveInt
from torch import nn

from hilum.networks.monai_networks import MonaiNetworkConfig
from hilum.networks.sizes import multiple_faults
from hilum.problem import Problem

GROUPS = 8
"""Groups of its group norm, which have to divide the channels."""


class SegResNetConfig(MonaiNetworkConfig, kind="segresnet"):
    """MONAI's SegResNet (Myronenko 2019, doi:10.1007/978-3-030-11726-9_28), without its variational branch."""

    width: Annotated[PositiveInt, Field(multiple_of=GROUPS)] = 16
    """Feature maps of the first level, a multiple of 8; each level has twice as many as the one above."""
    blocks_down: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = (1, 2, 2, 4)
    """Residual blocks of each level on the way down, top first."""
    blocks_up: tuple[PositiveInt, ...] = (1, 1, 1)
    """Residual blocks of each level on the way up, lowest first; one level fewer."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a feature after the first convolution is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """A monai SegResNet with one output channel for each class or region. Raises ConfigError where unsuited."""
        self.refuse_faults(problem)
        from monai.networks.nets import SegResNet

        network: nn.Module = SegResNet(
            problem.dims,
            self.width,
            problem.num_channels,
            problem.num_outputs,
            dropout_prob=self.dropout or None,
            blocks_down=self.blocks_down,
            blocks_up=self.blocks_up,
        )
        return network

    def faults(self, problem: Problem) -> list[str]:
        """Why the network cannot answer `problem`."""
        return self._level_faults() + super().faults(problem)

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes of a patch cannot be halved down to the lowest level, and the sizes nearest that can."""
        return multiple_faults(size, (2 ** (len(self.blocks_down) - 1),) * len(size))

    def _level_faults(self) -> list[str]:
        received, expected = len(self.blocks_up), len(self.blocks_down) - 1
        if received == expected:
            return []
        return [f"blocks_up: received {received} levels, expected {expected}, one fewer than blocks_down"]

    @classmethod
    def tiny(cls) -> Self:
        """Two levels."""
        return cls(width=8, blocks_down=(1, 1), blocks_up=(1,))
