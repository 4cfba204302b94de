"""The vision transformer through MONAI, for classification."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from hilum.networks.monai_networks import MonaiNetworkConfig
from hilum.networks.sizes import multiple_faults
from hilum.problem import Problem


class VisionTransformer(nn.Module):
    """Logits (B, out_features) of MONAI's ViT, which gives the hidden states of all layers beside them."""

    def __init__(self, network: nn.Module) -> None:
        """Take the network; norms of a cross-attention that it has not go, since they would have no gradient."""
        super().__init__()
        for block in network.get_submodule("blocks").children():
            block.norm_cross_attn = nn.Identity()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, out_features)."""
        logits: Tensor = self.network(images)[0]
        return logits


class ViTConfig(MonaiNetworkConfig, kind="vit"):
    """MONAI's vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929), for images of one size."""

    task: ClassVar[Literal["classification", "segmentation"]] = "classification"
    needs: ClassVar[tuple[str, ...]] = ("monai", "einops")

    patch: PositiveInt = 16
    """Voxels along each axis that become one token; the image has to be a multiple of it."""
    width: PositiveInt = 768
    """Numbers in a token."""
    layers: PositiveInt = 12
    """Attention layers."""
    heads: PositiveInt = 12
    """Attention heads in each; they have to divide the width."""
    hidden: PositiveInt = 3072
    """Units between the two fully connected layers that follow each attention."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which a feature is set to 0 in training."""

    @property
    def needs_size(self) -> bool:
        """Always: every place has an embedding of its own."""
        return True

    def build(self, problem: Problem) -> nn.Module:
        """A VisionTransformer with one output for each class. Raises ConfigError where `problem` does not suit."""
        self.refuse_faults(problem)
        from monai.networks.nets import ViT

        network = ViT(
            problem.num_channels,
            problem.size,
            self.patch,
            hidden_size=self.width,
            mlp_dim=self.hidden,
            num_layers=self.layers,
            num_heads=self.heads,
            classification=True,
            num_classes=problem.num_outputs,
            dropout_rate=self.dropout,
            spatial_dims=problem.dims,
            post_activation="",
            qkv_bias=True,
        )
        return VisionTransformer(network)

    def faults(self, problem: Problem) -> list[str]:
        """Why the network cannot answer `problem`."""
        faults = super().faults(problem)
        if self.width % self.heads:
            faults.append(f"heads: received {self.heads}, expected a divisor of the width {self.width}")
        return faults

    def size_faults(self, size: tuple[int, ...]) -> list[str]:
        """Which axes are no whole number of patches, and the sizes nearest that are."""
        return [fault.replace("patch axis", "image axis") for fault in multiple_faults(size, (self.patch,) * len(size))]

    @classmethod
    def tiny(cls) -> Self:
        """Two narrow layers."""
        return cls(patch=8, width=8, layers=2, heads=2, hidden=12)
