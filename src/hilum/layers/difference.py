"""A network that answers what has to be added to its input."""

from torch import Tensor, nn


class Difference(nn.Module):
    """Images (B, C, *spatial) plus what a network says of them: residual learning (Zhang et al. 2017,
    doi:10.1109/TIP.2017.2662206), by which normalisation within the network cannot lose the level of intensities.
    """

    def __init__(self, network: nn.Module) -> None:
        """Take the network, whose answers have the shape of its input."""
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """The images with the network's answer added."""
        answer: Tensor = self.network(images)
        return images + answer
