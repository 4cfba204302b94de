"""EfficientNet through MONAI: depth and width that grow together."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat
from torch import nn

from hilum.networks.monai_networks import MonaiNetworkConfig
from hilum.problem import Problem

Variant = Literal["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8"]
VARIANTS: dict[Variant, tuple[float, float, float]] = {
    "b0": (1.0, 1.0, 0.2),
    "b1": (1.0, 1.1, 0.2),
    "b2": (1.1, 1.2, 0.3),
    "b3": (1.2, 1.4, 0.3),
    "b4": (1.4, 1.8, 0.4),
    "b5": (1.6, 2.2, 0.4),
    "b6": (1.8, 2.6, 0.5),
    "b7": (2.0, 3.1, 0.5),
    "b8": (2.2, 3.6, 0.5),
}
"""Factor of the widths, factor of the depths, and dropout."""
BLOCKS = (
    "r1_k3_s11_e1_i32_o16_se0.25",
    "r2_k3_s22_e6_i16_o24_se0.25",
    "r2_k5_s22_e6_i24_o40_se0.25",
    "r3_k3_s22_e6_i40_o80_se0.25",
    "r3_k5_s11_e6_i80_o112_se0.25",
    "r4_k5_s22_e6_i112_o192_se0.25",
    "r1_k3_s11_e6_i192_o320_se0.25",
)
"""Stages of B0 (table 1), in MONAI's words: repeats, kernel, stride, expansion, maps in and out, squeeze."""

SMALLEST = 32
"""Shortest axis that leaves a voxel after five strides of 2; its padding is that of images of 224 pixels, always."""


class EfficientNetConfig(MonaiNetworkConfig, kind="efficientnet"):
    """MONAI's EfficientNet (Tan and Le 2019, arXiv:1905.11946), for images of at least 32 pixels an axis."""

    task: ClassVar[Literal["classification", "segmentation"]] = "classification"

    variant: Variant = "b0"
    """How large it is, from b0 to b8."""
    width: PositiveFloat | None = None
    """Factor of all widths in place of the variant's; widths are multiples of 8, at least 8."""
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Probability with which a feature before the last layer is set to 0 in training; by default the variant's."""
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Probability with which a sample skips the last block in training; less for earlier ones (Huang et al. 2016)."""

    def build(self, problem: Problem) -> nn.Module:
        """A monai EfficientNet with one output for each class. Raises ConfigError where `problem` does not suit."""
        self.refuse_faults(problem)
        from monai.networks.nets import EfficientNet

        width, depth, dropout = VARIANTS[self.variant]
        network: nn.Module = EfficientNet(
            list(BLOCKS),
            problem.dims,
            problem.num_channels,
            problem.num_outputs,
            width_coefficient=width if self.width is None else self.width,
            depth_coefficient=depth,
            dropout_rate=dropout if self.dropout is None else self.dropout,
            drop_connect_rate=self.drop_path,
        )
        return network

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes are too short for five strides."""
        return [
            f"image axis {axis} is {length}, of which the fifth stride leaves nothing: must be at least {SMALLEST}"
            for axis, length in enumerate(size)
            if length < SMALLEST
        ]

    @classmethod
    def tiny(cls) -> Self:
        """The smallest one, an eighth as wide."""
        return cls(width=0.125)
