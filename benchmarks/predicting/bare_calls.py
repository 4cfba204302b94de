"""The network on windows that are already there, and nothing else: what no tool can save.

usage: bare_calls.py SCENE.json    prints seconds on the clock and of all cores for a window, as JSON
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from same_network import trained_network

WARM_UP = 2


def main(scene: dict[str, Any]) -> dict[str, float]:
    """The mean of a number of calls with a batch each, after two that warm up."""
    if scene["keep_freed_memory"]:
        from hilum.hardware import keep_freed_memory

        keep_freed_memory()
    network, batch = trained_network(**scene["network"]), scene["batch"]
    images, calls = torch.randn(batch, 1, *scene["window"]), max(1, scene["calls"] // batch)
    with torch.no_grad():
        for _ in range(WARM_UP):
            network(images)
        start, cores = time.perf_counter(), time.process_time()
        for _ in range(calls):
            network(images)
    windows = calls * batch
    return {
        "window_s": (time.perf_counter() - start) / windows,
        "window_cores_s": (time.process_time() - cores) / windows,
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()))))
