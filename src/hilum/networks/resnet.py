"""Residual networks for classification: ResNet-18 to 152 in 2D and 3D, with torchvision's names of weights."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from hilum.layers.dimensional import BATCH_NORM, CONVOLUTION, GLOBAL_AVERAGE_POOL, MAX_POOL
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem

Stem = Literal["imagenet", "small"]
STAGES = 4


class BasicBlock(nn.Module):
    """Two convolutions 3x3(x3) whose output is added to their input."""

    expansion = 1

    def __init__(self, dims: int, in_channels: int, *, width: int, stride: int, shortcut: bool = True) -> None:
        """Build the layers from `in_channels` to `width` channels; without `shortcut`, nothing is added to them."""
        super().__init__()
        convolution, batch_norm = CONVOLUTION[dims], BATCH_NORM[dims]
        self.conv1 = convolution(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = batch_norm(width)
        self.conv2 = convolution(width, width, 3, padding=1, bias=False)
        self.bn2 = batch_norm(width)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = shortcut
        self.downsample = _downsample(dims, in_channels, out_channels=width, stride=stride) if shortcut else None

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, width, *spatial / stride)."""
        shortcut = features if self.downsample is None else self.downsample(features)
        features = self.relu(self.bn1(self.conv1(features)))
        features = self.bn2(self.conv2(features))
        activated: Tensor = self.relu(features + shortcut if self.shortcut else features)
        return activated


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3 and 1x1 (x1, x3, x1) whose output is added to their input.

    The stride is in the middle one, as in torchvision's "v1.5", not in the first one as published.
    """

    expansion = 4

    def __init__(self, dims: int, in_channels: int, *, width: int, stride: int, shortcut: bool = True) -> None:
        """Build the layers from `in_channels` to 4 * `width` channels; without `shortcut`, nothing is added to them."""
        super().__init__()
        convolution, batch_norm = CONVOLUTION[dims], BATCH_NORM[dims]
        out_channels = width * self.expansion
        self.conv1 = convolution(in_channels, width, 1, bias=False)
        self.bn1 = batch_norm(width)
        self.conv2 = convolution(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = batch_norm(width)
        self.conv3 = convolution(width, out_channels, 1, bias=False)
        self.bn3 = batch_norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = shortcut
        self.downsample = _downsample(dims, in_channels, out_channels=out_channels, stride=stride) if shortcut else None

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, 4 * width, *spatial / stride)."""
        shortcut = features if self.downsample is None else self.downsample(features)
        features = self.relu(self.bn1(self.conv1(features)))
        features = self.relu(self.bn2(self.conv2(features)))
        features = self.bn3(self.conv3(features))
        activated: Tensor = self.relu(features + shortcut if self.shortcut else features)
        return activated


@dataclass(frozen=True)
class ResNetLayout:
    """What a ResNet consists of: its block, how many in each stage, the width of the first stage, and the stem."""

    block: type[BasicBlock] | type[Bottleneck]
    blocks: tuple[int, ...]
    width: int = 64
    stem: Stem = "imagenet"
    shortcuts: bool = True


LAYOUTS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """Logits (B, out_features) for images (B, in_channels, *spatial) of any size, after He et al. 2016.

    doi:10.1109/CVPR.2016.90. In 2D with the stem "imagenet" and width 64, the names and shapes of the weights are those
    of torchvision.
    """

    def __init__(self, dims: int, in_channels: int, out_features: int, *, layout: ResNetLayout, dropout: float) -> None:
        """Build the stem, four stages and the head."""
        super().__init__()
        convolution, width = CONVOLUTION[dims], layout.width
        if layout.stem == "imagenet":
            self.conv1 = convolution(in_channels, width, 7, stride=2, padding=3, bias=False)
            self.maxpool: nn.Module = MAX_POOL[dims](3, stride=2, padding=1)
        else:
            self.conv1 = convolution(in_channels, width, 3, padding=1, bias=False)
            self.maxpool = nn.Identity()
        self.bn1 = BATCH_NORM[dims](width)
        self.relu = nn.ReLU(inplace=True)
        channels = width
        for stage in range(STAGES):
            blocks = _stage(dims, channels, layout=layout, stage=stage)
            self.add_module(f"layer{stage + 1}", blocks)
            channels = width * 2**stage * layout.block.expansion
        self.avgpool = GLOBAL_AVERAGE_POOL[dims](1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, out_features)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_features) for images (B, in_channels, *spatial)."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for stage in range(STAGES):
            features = self.get_submodule(f"layer{stage + 1}")(features)
        logits: Tensor = self.fc(self.dropout(self.avgpool(features).flatten(1)))
        return logits


def _stage(dims: int, in_channels: int, *, layout: ResNetLayout, stage: int) -> nn.Sequential:
    width = layout.width * 2**stage
    blocks = []
    for position in range(layout.blocks[stage]):
        stride = 2 if position == 0 and stage > 0 else 1
        block = layout.block(dims, in_channels, width=width, stride=stride, shortcut=layout.shortcuts)
        blocks.append(block)
        in_channels = width * layout.block.expansion
    return nn.Sequential(*blocks)


def _downsample(dims: int, in_channels: int, *, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        CONVOLUTION[dims](in_channels, out_channels, 1, stride=stride, bias=False), BATCH_NORM[dims](out_channels)
    )


class ResNetConfig(NetworkConfig, kind="resnet"):
    """Residual network (He et al. 2016), for images of any size."""

    depth: Literal[18, 34, 50, 101, 152] = 18
    """Layers with weights."""
    width: PositiveInt = 64
    """Channels of the first stage; each of the three others has twice as many as the one before."""
    stem: Stem = "imagenet"
    """First layers: a 7x7 convolution and a max pool, each of stride 2, as published; or small: a 3x3 convolution of
    stride 1, for images of about 28 to 64 pixels."""
    shortcuts: bool = True
    """Whether each block adds its input to its output. Without, it is the plain network that He et al. compare with:
    the deeper it is, the worse it trains."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a feature before the last layer is set to 0 in training."""

    def build(self, problem: Problem) -> nn.Module:
        """A ResNet with one output for each class. Raises ConfigError where `problem` does not suit."""
        self.refuse_faults(problem)
        block, blocks = LAYOUTS[self.depth]
        layout = ResNetLayout(block, blocks, width=self.width, stem=self.stem, shortcuts=self.shortcuts)
        return ResNet(problem.dims, problem.num_channels, problem.num_outputs, layout=layout, dropout=self.dropout)

    @classmethod
    def tiny(cls) -> Self:
        """The shallowest one, four channels wide."""
        return cls(width=4)
