"""The network, patch and batch that all trainers are timed with: those of nnU-Net's plan, built by MONAI.

Imported by hilum as a plugin, by nnU-Net's environment and by the other loops of `steps.py` and `predict.py`, which
asks for other widths and numbers of classes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

PATCH = (40, 56, 40)
BATCH_SIZE = 7
FILTERS = (32, 64, 128, 256)


def same_network(filters: Sequence[int] = FILTERS, classes: int = 3) -> nn.Module:
    """Logits (B, classes, *spatial) of images (B, 1, *spatial): a U-Net with a level for each width, instance norm."""
    from monai.networks.nets import DynUNet

    levels = len(filters)
    return DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=classes,
        kernel_size=[3] * levels,
        strides=[1] + [2] * (levels - 1),
        upsample_kernel_size=[2] * (levels - 1),
        filters=list(filters),
    )


def trained_network(
    filters: Sequence[int], classes: int, *, weights: Path | str, precision: str
) -> Callable[[Tensor], Tensor]:
    """Gives float32 logits by the weights in a file, in float32 or, as far as torch's autocast has it, bfloat16."""
    network = same_network(filters, classes).eval()
    network.load_state_dict(torch.load(weights, weights_only=True))

    def answer(images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits: Tensor = network(images)
        return logits.float()

    return answer
