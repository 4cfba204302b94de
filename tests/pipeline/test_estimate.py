"""The cost of a training step: against the memory that real steps take, and against arithmetic done by hand."""

import subprocess
import sys
from pathlib import Path

import pytest

from hilum.errors import ConfigError
from hilum.inference.memory import WORK_BYTES
from hilum.networks.densenet import DenseNetConfig
from hilum.networks.lenet5 import LeNet5Config
from hilum.networks.unet import UNetConfig
from hilum.pipeline.estimate import (
    COPIES_OF_WEIGHTS,
    FIXED_BYTES,
    PROCESS_BYTES,
    StepCost,
    run_bytes,
    step_cost,
    validation_bytes,
)
from hilum.problem import Problem

TOLERATED = 1.5
"""How many times more or less memory than estimated a real step may take."""

# Prints estimated and measured bytes of each step. A child process a step, since freed memory is not given back; the
# peak is what the system counts, above what the process had before the network was built.
MEASURE = """
import multiprocessing, sys
import torch
from hilum.pipeline.estimate import step_cost
from hilum.problem import Problem
from hilum.registry import parse

STEPS = [
    ({"kind": "unet", "channels": [16, 32, 64, 128]}, (40, 56, 40), 4),
    ({"kind": "resnet", "depth": 18, "width": 32, "stem": "small"}, (48, 48), 64),
    ({"kind": "densenet", "depth": 121}, (128, 128), 12),
]

def memory(field):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024

def measure(queue, network, problem, size, batch):
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    before = memory("VmRSS")
    model, targets = network.build(problem), (batch, *size) if problem.kind == "segmentation" else (batch,)
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(2):
        logits = model(torch.randn(batch, 1, *size))
        torch.nn.functional.cross_entropy(logits, torch.zeros(targets, dtype=torch.long)).backward()
        optimizer.step()
        optimizer.zero_grad()
    queue.put(memory("VmHWM") - before)

torch.set_num_threads(1)
fork = multiprocessing.get_context("fork")
for value, size, batch in STEPS:
    network, queue = parse("networks", value), fork.Queue()
    problem = Problem(network.task, len(size), ("image",), ("a", "b"), ((0,), (1,)), size=size)
    process = fork.Process(target=measure, args=(queue, network, problem, size, batch))
    process.start()
    measured = queue.get(timeout=60)
    process.join()
    cost = step_cost(network, problem, size=size, batch_size=batch, precision="float32")
    print(value["kind"], cost.memory_bytes, measured)
"""


def problem(kind: str, size: tuple[int, ...], *, channels: int = 1) -> Problem:
    names = tuple(f"c{number}" for number in range(channels))
    return Problem(kind, len(size), names, ("a", "b"), ((0,), (1,)), size=size)  # type: ignore[arg-type]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.slow
def test_memory_is_near_what_real_steps_take() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        _, estimated, measured = line.split()
        assert 1 / TOLERATED < int(estimated) / int(measured) < TOLERATED, line


def test_parameters_and_arithmetic_are_those_of_lenet5_by_hand() -> None:
    cost = step_cost(
        LeNet5Config(), problem("classification", (32, 32)), size=(32, 32), batch_size=3, precision="float32"
    )
    assert cost.parameters == (25 * 6 + 6) + (25 * 6 * 16 + 16) + (400 * 120 + 120) + (120 * 84 + 84) + (84 * 2 + 2)
    convolutions = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 25 * 6
    assert cost.multiply_adds == 3 * (convolutions + 400 * 120 + 120 * 84 + 84 * 2)


def test_memory_grows_with_the_batch_and_shrinks_with_the_precision() -> None:
    network, small = UNetConfig(channels=(8, 16)), problem("segmentation", (32, 32, 32))
    kept = [
        step_cost(network, small, size=(32, 32, 32), batch_size=batch, precision="float32").memory_bytes
        for batch in (1, 2, 4)
    ]
    assert kept[2] - kept[1] == pytest.approx(2 * (kept[1] - kept[0]), rel=0.01)
    half = step_cost(network, small, size=(32, 32, 32), batch_size=4, precision="bfloat16")
    assert FIXED_BYTES < half.memory_bytes < kept[2]
    assert kept[0] > FIXED_BYTES + COPIES_OF_WEIGHTS * 4 * half.parameters


def test_a_run_takes_the_larger_of_a_step_and_the_scoring_of_a_case() -> None:
    small = problem("segmentation", (8, 8, 8))
    scored = validation_bytes(small, prepared=(8, 8, 8), source=(20, 20, 20))
    assert scored == 4 * (512 + 2 * (512 + 9**3 + 64 + 9 * 17)) + WORK_BYTES + 24 * 8000  # one window, and its block
    lengths = [validation_bytes(small, prepared=(20, 20, length), source=(8, 8, 8)) for length in (20_000, 40_000)]
    assert lengths[1] - lengths[0] == 4 * 20 * 20 * 20_000  # of a longer scan more is kept of the image alone
    assert validation_bytes(problem("classification", (8, 8)), prepared=(8, 8), source=(8, 8, 1)) == 0
    step = StepCost(parameters=10, multiply_adds=1, memory_bytes=1000)
    assert run_bytes(step, 10) == PROCESS_BYTES + 1000
    assert run_bytes(step, 5000) == PROCESS_BYTES + 5000 + 160
    assert run_bytes(step, 10, device="cuda") == 1000


def test_an_estimate_runs_nothing_of_full_size() -> None:
    size = (512, 512, 512)  # such a step would need hundreds of gigabytes
    cost = step_cost(UNetConfig(), problem("segmentation", size), size=size, batch_size=8, precision="float32")
    assert cost.memory_bytes > 100 * 2**30


def test_a_network_that_does_not_suit_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 29"):
        step_cost(
            DenseNetConfig(), problem("classification", (16, 16)), size=(16, 16), batch_size=1, precision="float32"
        )


def test_a_step_with_deep_supervision_costs_its_coarser_heads() -> None:
    costs = [
        step_cost(
            UNetConfig(channels=(4, 5, 6, 7, 8), deep_supervision=deep),
            problem("segmentation", (32, 32)),
            size=(32, 32),
            batch_size=2,
            precision="float32",
        )
        for deep in (False, True)
    ]
    assert costs[1].parameters - costs[0].parameters == 2 * (5 + 1) + 2 * (6 + 1)
    assert costs[1].multiply_adds - costs[0].multiply_adds == 2 * (5 * 2 * 16**2 + 6 * 2 * 8**2)
