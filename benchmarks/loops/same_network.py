"""The network, patch and batch that all trainers are timed with: those of nnU-Net's plan, built by MONAI.

Imported by hilum as a plugin, by nnU-Net's environment and by the other loops of `steps.py`.
"""

from torch import nn

PATCH = (40, 56, 40)
BATCH_SIZE = 7


def same_network() -> nn.Module:
    """Logits (B, 3, *spatial) of images (B, 1, *spatial): a U-Net of four levels, 32 to 256 features, instance norm."""
    from monai.networks.nets import DynUNet

    return DynUNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=3,
        kernel_size=[3] * 4,
        strides=[1, 2, 2, 2],
        upsample_kernel_size=[2] * 3,
        filters=[32, 64, 128, 256],
    )
