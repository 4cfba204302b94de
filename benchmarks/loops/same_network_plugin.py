"""A plugin of hilum: the network of `same_network.py`, which has to be on PYTHONPATH, as a network kind."""

from typing import ClassVar, Literal

from torch import nn

from hilum.networks.base import NetworkConfig
from hilum.problem import Problem


class SameNetworkConfig(NetworkConfig, kind="same_network"):
    """MONAI's DynUNet in the size of nnU-Net's plan for the hippocampus."""

    task: ClassVar[Literal["classification", "segmentation"]] = "segmentation"

    def build(self, problem: Problem) -> nn.Module:
        """The network, for one channel and three classes."""
        from same_network import same_network

        return same_network()
