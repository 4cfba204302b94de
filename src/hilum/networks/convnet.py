"""The plain convolutional network: [[conv -> act] x N -> pool?] x M -> [fc -> act] x K -> fc, every part settable."""

import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationInfo, field_validator
from torch import Tensor, nn

from hilum.layers.activations import Activation, activation, widening
from hilum.layers.convolutions import convolution
from hilum.layers.initialisation import Initialisation, initialise
from hilum.layers.norms import Norm, is_0_of_one_voxel, norm
from hilum.layers.padding import Padding
from hilum.layers.pooling import GlobalPool, GlobalPooling, Pooling, pooling
from hilum.layers.window import Window, output_size, window_faults
from hilum.networks.base import NetworkConfig
from hilum.networks.mlp import dense_layers, without_hidden
from hilum.problem import Problem


class ConvNet(nn.Module):
    """Logits (B, out_features) of images (B, in_channels, *spatial), in the pattern of LeCun et al. 1998 and VGG."""

    def __init__(self, features: nn.Sequential, reduce: nn.Module, classifier: nn.Sequential) -> None:
        """Take the convolutions, what makes a row of numbers of their maps, and the fully connected layers."""
        super().__init__()
        self.features = features
        self.reduce = reduce
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_features)."""
        logits: Tensor = self.classifier(self.reduce(self.features(images)))
        return logits


class ConvNetConfig(NetworkConfig, kind="convnet"):
    """[[conv -> act] x N -> pool?] x M -> [fc -> act] x K -> fc, every part of it settable; a lecture's CNN."""

    channels: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (16, 32)
    """Maps of each of the M stages."""
    convolutions: PositiveInt = 1
    """Convolutions in each stage: N."""
    kernel: PositiveInt = 3
    """Voxels that a kernel sees along each axis."""
    stride: PositiveInt = 1
    """Voxels by which it moves."""
    dilation: PositiveInt = 1
    """Voxels from one that it sees to the next."""
    padding: Padding = "same"
    """What is put around the maps before each convolution. valid: nothing; same: zeros, so that ceil(n / stride) voxels
    come out. The others fill a margin: zero, constant, replicate (the border voxel), reflect (mirrored, 3 2 | 1 2 3) or
    symmetric (mirrored with the border voxel, 2 1 | 1 2 3)."""
    padding_value: float = 0.0
    """The value of `padding: constant`."""
    padding_margin: NonNegativeInt | None = None
    """Voxels on either side that such a padding fills; by default (f - 1) / 2, rounded down, for a kernel of f."""
    norm: Norm = "none"
    """Normalisation after each convolution: of each channel over the batch, or of each sample by channel, by groups of
    channels, or over all channels."""
    activation: Activation = "relu"
    """Function after each layer but the last."""
    pooling: Pooling | Literal["none"] = "max"
    """How neighbours become one at the end of a stage; strided is a convolution that is as large and moves as far."""
    pool_size: PositiveInt = 2
    """Neighbours along each axis that become one."""
    pool_stride: PositiveInt | None = None
    """By how many voxels the pooling moves; by default its size."""
    reduce: GlobalPooling | Literal["flatten"] = "flatten"
    """What the fully connected layers see: all voxels of the last maps, which ties the network to images of one size,
    or one number a map, by a pooling of all of it."""
    hidden: tuple[PositiveInt, ...] = (64,)
    """Units of each of the K fully connected layers before the output."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a unit of a fully connected layer is set to 0 in training."""
    initialisation: Initialisation = "he"
    """First weights."""

    @field_validator("padding_value")
    @classmethod
    def _refuse_without_effect(cls, received: float, info: ValidationInfo) -> float:
        if received and info.data.get("padding") != "constant":
            raise ValueError("padding: constant with it, which alone has a value")
        return received

    @field_validator("padding_margin")
    @classmethod
    def _refuse_ruled(cls, received: int | None, info: ValidationInfo) -> int | None:
        if received is not None and info.data.get("padding") in ("valid", "same"):
            raise ValueError("padding: zero (or another filling) with it, since valid and same say how much themselves")
        return received

    @field_validator("dilation")
    @classmethod
    def _refuse_between_none(cls, received: int, info: ValidationInfo) -> int:
        if received > 1 and info.data.get("kernel") == 1:
            raise ValueError("1, or a larger kernel: a kernel of 1 has no voxels to keep apart")
        return received

    @field_validator("pool_size", "pool_stride")
    @classmethod
    def _refuse_unpooled(cls, received: int | None, info: ValidationInfo) -> int | None:
        changed = received not in (None, cls.model_fields[str(info.field_name)].default)
        if changed and info.data.get("pooling") == "none":
            raise ValueError("a pooling with it: with none there is nothing to set")
        return received

    _refuse_idle = field_validator("dropout")(without_hidden)

    @property
    def needs_size(self) -> bool:
        """Where the fully connected layers see every voxel."""
        return self.reduce == "flatten"

    def build(self, problem: Problem) -> nn.Module:
        """A ConvNet with one output for each class. Raises ConfigError where an image is too small, or has no size."""
        self.refuse_faults(problem)
        features = self._features(problem.dims, problem.num_channels)
        units = self.channels[-1]
        reduce: nn.Module = nn.Flatten()
        if self.reduce == "flatten":
            units *= math.prod(output_size([window for _, window in self.windows()], problem.size or ()))
        else:
            reduce = GlobalPool(self.reduce)
        classifier = dense_layers(
            units, problem.num_outputs, hidden=self.hidden, activate=self.activation, dropout=self.dropout
        )
        network = ConvNet(features, reduce, classifier)
        initialise(network, self.initialisation, activation=self.activation)
        return network

    def windows(self) -> Iterator[tuple[str, Window]]:
        """The name and the window of each convolution and pooling, first to last."""
        convolved = Window(self.kernel, self.stride, self.padding, self.dilation, margin=self.padding_margin)
        for stage, _ in enumerate(self.channels, start=1):
            for number in range(1, self.convolutions + 1):
                yield f"conv{stage}_{number}", convolved
            if self.pooling != "none":
                yield f"pool{stage}", Window(self.pool_size, self.pool_stride or self.pool_size)

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes are too short, and the layer that leaves nothing of them, or one voxel that its norm makes 0."""
        return window_faults(self.windows(), size) or self._norm_faults(size)

    def _norm_faults(self, size: tuple[int, ...]) -> list[str]:
        for name, window in self.windows():
            size = output_size([window], size)
            if name.startswith("conv") and set(size) == {1}:
                channels = self.channels[_stage(name) - 1] * widening(self.activation)
                if is_0_of_one_voxel(self.norm, channels=channels):
                    norms = f"whose {self.norm} norm is always 0: take a larger image, fewer stages or batch norm"
                    return [f"{name} leaves a single voxel of the image, {norms}"]
        return []

    def _features(self, dims: int, maps: int) -> nn.Sequential:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for name, window in self.windows():
            stage = name.removeprefix("conv").removeprefix("pool")
            width = self.channels[_stage(name) - 1]
            if name.startswith("pool"):
                assert self.pooling != "none"
                layers[name] = pooling(self.pooling, dims, channels=maps, size=window.kernel, stride=window.stride)
                continue
            wide = width * widening(self.activation)
            bias = self.norm == "none"
            layers[name] = convolution(dims, maps, wide, window=window, bias=bias, value=self.padding_value)
            if self.norm != "none":
                layers[f"norm{stage}"] = norm(self.norm, dims, channels=wide)
            layers[f"act{stage}"] = activation(self.activation)
            maps = width
        return nn.Sequential(layers)

    @classmethod
    def tiny(cls) -> Self:
        """Two narrow stages."""
        return cls(channels=(2, 3), hidden=(4,))


def _stage(name: str) -> int:
    """The stage that a convolution or pooling of `windows` belongs to, from 1."""
    return int(name.removeprefix("conv").removeprefix("pool").partition("_")[0])
