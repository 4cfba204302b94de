"""A plugin of hilum: the network of `same_network.py`, which has to be on PYTHONPATH, as a network kind."""

from typing import ClassVar, Literal

from torch import nn

from hilum.networks.base import NetworkConfig
from hilum.problem import Problem


class SameNetworkConfig(NetworkConfig, kind="same_network"):
    """MONAI's DynUNet, by default in the size of nnU-Net's plan for the hippocampus."""

    task: ClassVar[Literal["classification", "segmentation"]] = "segmentation"

    filters: tuple[int, ...] = (32, 64, 128, 256)
    """Feature maps at each level, top first."""

    def build(self, problem: Problem) -> nn.Module:
        """The network, for one channel and the classes of the problem."""
        from same_network import same_network

        return same_network(self.filters, problem.num_outputs)
