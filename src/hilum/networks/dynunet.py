"""DynUNet through MONAI: the U-Net whose kernels and strides follow the scan."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt
from torch import nn

from hilum.networks.monai_networks import MonaiNetworkConfig
from hilum.networks.sizes import multiple_faults, single_voxel_faults
from hilum.problem import Problem

Steps = PositiveInt | tuple[PositiveInt, PositiveInt] | tuple[PositiveInt, PositiveInt, PositiveInt]


class DynUNetConfig(MonaiNetworkConfig, kind="dynunet"):
    """MONAI's DynUNet, the network of nnU-Net (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z)."""

    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=3)] = (32, 64, 128, 256)
    """Feature maps at each level, top first; three levels at least."""
    strides: tuple[Steps, ...] | None = None
    """Down-sampling between each level and the next, a number or one an axis; 2 everywhere by default."""
    kernel: PositiveInt = 3
    """Voxels that a kernel sees along each axis; odd."""
    residual: bool = False
    """Whether each level adds its input to its output."""
    norm: Literal["instance", "batch"] = "instance"
    """Normalisation after each convolution: of each sample and channel, or of the batch."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a feature after each convolution is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """A monai DynUNet with one output channel for each class or region. Raises ConfigError where unsuited."""
        self.refuse_faults(problem)
        from monai.networks.nets import DynUNet

        steps = self.steps(problem.dims)
        network: nn.Module = DynUNet(
            problem.dims,
            problem.num_channels,
            problem.num_outputs,
            kernel_size=[(self.kernel,) * problem.dims] * len(self.channels),
            strides=[(1,) * problem.dims, *steps],
            upsample_kernel_size=steps,
            filters=self.channels,
            dropout=self.dropout or None,
            norm_name=(self.norm, {"affine": True}),
            res_block=self.residual,
        )
        return network

    def steps(self, dims: int) -> list[tuple[int, ...]]:
        """The down-sampling between each level and the next, one number an axis."""
        strides = self.strides if self.strides is not None else (2,) * (len(self.channels) - 1)
        return [(stride,) * dims if isinstance(stride, int) else stride for stride in strides]

    def faults(self, problem: Problem) -> list[str]:
        """Why the network cannot answer `problem`."""
        return self._option_faults(problem.dims) or super().faults(problem)

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes of a patch cannot be pooled down to the lowest level, and the sizes nearest that can."""
        faults = self._option_faults(len(size))
        if faults:
            return faults
        factors = [math.prod(step[axis] for step in self.steps(len(size))) for axis in range(len(size))]
        faults = multiple_faults(size, factors)
        return faults or (single_voxel_faults(size, factors) if self.norm == "instance" else [])

    def _option_faults(self, dims: int) -> list[str]:
        faults = [] if self.kernel % 2 else [f"kernel: received {self.kernel}, expected an odd number"]
        if self.strides is None:
            return faults
        expected = len(self.channels) - 1
        if len(self.strides) != expected:
            received = f"strides: received {len(self.strides)}, expected {expected}"
            return [*faults, f"{received}, one fewer than the levels in channels"]
        wrong = [stride for stride in self.strides if not isinstance(stride, int) and len(stride) != dims]
        if wrong:
            return faults + [f"strides: received {list(one)}, expected {dims} numbers, one an axis" for one in wrong]
        return faults + self._leap_faults(dims)

    def _leap_faults(self, dims: int) -> list[str]:
        """Why strides are too long: MONAI pads a convolution by (kernel - stride + 1) / 2, the shortcut's of 1 too."""
        kernel, layer = (1, "the shortcut of a residual level") if self.residual else (self.kernel, "the kernel")
        longest = max(max(step) for step in self.steps(dims))
        if longest <= kernel + 1:
            return []
        return [f"strides: received {longest}, expected at most {kernel + 1}, since {layer} sees {kernel} an axis"]

    @classmethod
    def tiny(cls) -> Self:
        """Three narrow levels."""
        return cls(channels=(4, 6, 8))
