"""A training loop as MONAI's tutorials write it: CacheDataset, its random transforms, its loader, its loss.

usage: monai_loop.py TASK_FOLDER LOADER PRECISION STEPS    prints seconds of each step, after some that warm up

LOADER is `threads` (ThreadDataLoader, as in the fast-training tutorial) or `processes` (DataLoader with two workers).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bare import CLIP_NORM, WARM_UP_STEPS
from same_network import BATCH_SIZE, PATCH, same_network

KEYS = ["image", "label"]


def loader_of(task: Path, kind: str, cases: int) -> Iterable[dict[str, Any]]:
    """Augmented batches of cached cases, as many a pass as the cases make."""
    from monai import transforms
    from monai.data import CacheDataset, DataLoader, ThreadDataLoader

    pairs = json.loads((task / "dataset.json").read_text())["training"][:cases]
    size = list(PATCH)
    steps = [
        transforms.LoadImaged(KEYS),
        transforms.EnsureChannelFirstd(KEYS),
        transforms.Orientationd(KEYS, axcodes="RAS", labels=None),
        transforms.Spacingd(KEYS, pixdim=(1.0, 1.0, 1.0), mode=("bilinear", "nearest")),
        transforms.NormalizeIntensityd("image", nonzero=True),
        transforms.SpatialPadd(KEYS, size),
        transforms.EnsureTyped(KEYS, track_meta=False),
        transforms.RandCropByPosNegLabeld(KEYS, "label", spatial_size=size, pos=1, neg=2, num_samples=1),
        transforms.RandAffined(
            KEYS, prob=0.8, rotate_range=[0.35] * 3, scale_range=[0.15] * 3, mode=("bilinear", "nearest")
        ),
        transforms.RandGaussianSmoothd("image", *[(0.3, 1.2)] * 3, prob=0.3),
        transforms.RandGaussianNoised("image", prob=0.3),
        transforms.RandScaleIntensityd("image", factors=0.25, prob=0.3),
        transforms.RandAdjustContrastd("image", prob=0.3),
    ]
    chain = transforms.Compose(steps)
    chain.set_random_state(0)
    data = [{key: str(task / pair[key]) for key in KEYS} for pair in pairs]
    dataset = CacheDataset(data, chain, num_workers=2, progress=False)
    if kind == "threads":
        return ThreadDataLoader(dataset, num_workers=0, batch_size=BATCH_SIZE, shuffle=True, drop_last=True)
    return DataLoader(
        dataset, num_workers=2, batch_size=BATCH_SIZE, shuffle=True, drop_last=True, persistent_workers=True
    )


def steps(task: Path, kind: str, precision: str, count: int) -> list[float]:
    """Seconds from step to step."""
    from monai.losses import DiceCELoss

    torch.manual_seed(0)
    network = same_network()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-2, momentum=0.99, nesterov=True)
    loss = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)
    batches = loader_of(task, kind, (WARM_UP_STEPS + count + 1) * BATCH_SIZE)
    ends = []
    for batch in batches:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = network(batch["image"])
        loss(logits.float(), batch["label"]).backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()
        ends.append(time.perf_counter())
    return [later - earlier for earlier, later in pairwise(ends)][WARM_UP_STEPS:]


if __name__ == "__main__":
    print(json.dumps(steps(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))))
