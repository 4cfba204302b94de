"""The least that a training step can take: forward, loss, backward and optimizer over one batch that is already there.

usage: bare.py NETWORK PRECISION STEPS [kept]    prints seconds of each step as JSON, after two that warm up

`kept`: memory that tensors free stays in the process, as in hilum's training.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from hilum.hardware import keep_freed_memory
from same_network import BATCH_SIZE, PATCH, same_network

CLIP_NORM = 1.0
WARM_UP_STEPS = 2


def small_network() -> nn.Module:
    """The network of hilum's configuration of the hippocampus."""
    from hilum.networks.unet import UNetConfig
    from hilum.problem import Problem

    problem = Problem("segmentation", 3, ("image",), ("background", "anterior", "posterior"), ((0,), (1,), (2,)))
    return UNetConfig(channels=(16, 32, 64, 128)).build(problem)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "same": (same_network, BATCH_SIZE),
    "small": (small_network, 4),
}
"""Networks, and the batch that each is trained with."""


def dice_ce(logits: Tensor, targets: Tensor) -> Tensor:
    """Soft Dice over the structures, plus cross-entropy, in float32."""
    logits = logits.float()
    shares = logits.softmax(1)[:, 1:]
    truth = torch.stack([targets == value for value in range(1, logits.shape[1])], 1).float()
    axes = (2, 3, 4)
    dice = (2 * (shares * truth).sum(axes) + 1e-5) / (shares.sum(axes) + truth.sum(axes) + 1e-5)
    return 1 - dice.mean() + nn.functional.cross_entropy(logits, targets)


def steps(name: str, precision: str, count: int) -> list[float]:
    """Seconds of each step."""
    torch.manual_seed(0)
    build, batch_size = NETWORKS[name]
    network = build()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-2, momentum=0.99, nesterov=True)
    images, targets = torch.randn(batch_size, 1, *PATCH), torch.randint(0, 3, (batch_size, *PATCH))
    times = []
    for _ in range(WARM_UP_STEPS + count):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = network(images)
        dice_ce(logits, targets).backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()
        times.append(time.perf_counter() - start)
    return times[WARM_UP_STEPS:]


if __name__ == "__main__":
    if "kept" in sys.argv[4:]:
        keep_freed_memory()
    print(json.dumps(steps(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
