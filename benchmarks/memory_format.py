"""Seconds of a training step by memory format, and compiled: networks of the shipped configurations, on this machine.

usage: memory_format.py [--compile]    compiling takes minutes; rows are `runtime.memory_format` and `runtime.compile`
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Literal, cast

import torch

from hilum.hardware import machine
from hilum.layers.compiled import Compiled
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem
from hilum.registry import parse
from hilum.runtime import DTYPES, MemoryFormat, Precision, RuntimeConfig

CASES: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("resnet", (64, 1, 28, 28)),
    ("densenet", (16, 1, 128, 128)),
    ("unet", (8, 1, 128, 128)),
    ("resnet", (16, 1, 28, 28, 28)),
    ("unet", (4, 1, 40, 56, 40)),
)
"""Kinds of networks, and the batch that each is given."""
FORMATS: tuple[MemoryFormat, ...] = ("contiguous", "channels_last")
PRECISIONS: tuple[Precision, ...] = ("bfloat16", "float32")
WARM_UP_STEPS, STEPS = 2, 4


def seconds(kind: str, shape: tuple[int, ...], how: tuple[MemoryFormat, Precision, bool]) -> tuple[float, float]:
    """Median seconds of a step forward and back, and of the first one."""
    memory_format, precision, compiled = how
    torch.manual_seed(0)
    config = cast(NetworkConfig, parse("networks", {"kind": kind}))
    dims = cast(Literal[2, 3], len(shape) - 2)
    problem = Problem(config.task, dims, ("image",), ("a", "b"), ((0,), (1,)))
    runtime = RuntimeConfig(device="cpu", precision=precision, memory_format=memory_format).start(alone=True)
    model = runtime.place(config.build(problem))
    forward = Compiled(model, setting="runtime.compile") if compiled else model
    images, times = torch.randn(shape), []
    for _ in range(WARM_UP_STEPS + STEPS):
        start = time.perf_counter()
        model.zero_grad(set_to_none=True)
        with torch.autocast("cpu", DTYPES[precision], enabled=precision != "float32"):
            logits = cast(torch.Tensor, forward(images))
        logits.float().square().mean().backward()
        times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UP_STEPS:]), times[0]


def main() -> int:
    """Print a line for each network, precision and way."""
    print(f"{machine()['cpu']}, {machine()['threads']} threads, torch {torch.__version__}")
    ways = [(memory_format, False) for memory_format in FORMATS]
    if "--compile" in sys.argv:
        ways += [(memory_format, True) for memory_format in FORMATS]
    for kind, shape in CASES:
        for precision in PRECISIONS:
            base = None
            for memory_format, compiled in ways:
                step_s, first_s = seconds(kind, shape, (memory_format, precision, compiled))
                base = base or step_s
                told = f", first step {first_s:.0f} s" if compiled else ""
                way = memory_format + (", compiled" if compiled else "")
                size = "x".join(map(str, shape))
                print(f"{kind:9} {size:16} {precision:9} {way:25} {step_s:6.3f} s, {base / step_s:.2f} times{told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
