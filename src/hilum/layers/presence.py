"""Lets any network take images that lack channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PresenceInput(nn.Module):
    """A network that takes images (B, C, *spatial) in which a channel that is NaN throughout is missing.

    Missing channels become 0. With `presence` the network is given one more plane for each channel, 1 where the channel
    is there and 0 where not, so that it can tell a missing channel from a dark one: it has to take 2 C channels.
    """

    def __init__(self, network: nn.Module, *, presence: bool) -> None:
        super().__init__()
        self.network = network
        self.presence = presence

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The answer of the network, whatever its form.

        A channel with some NaN, or an image without any channel, is a defect and not a missing modality: its NaN stay,
        so that the loss shows them.
        """
        missing = images.isnan().flatten(2).all(2)
        missing = missing & ~missing.all(1, keepdim=True)
        planes = missing.view(*missing.shape, *[1] * (images.ndim - 2))
        filled = images.masked_fill(planes, 0)
        if self.presence:
            filled = torch.cat([filled, (~planes).to(images.dtype).expand_as(images)], dim=1)
        return self.network(filled)
