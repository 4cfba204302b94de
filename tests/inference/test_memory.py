"""What memory a network takes, counted by hand; and a prediction in a process of its own against what was estimated."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hilum.inference.memory import LATER_BYTES, PROCESS_BYTES, network_bytes, process_bytes
from hilum.networks.unet import UNetConfig
from hilum.problem import Problem

CPU = torch.device("cpu")
VOXELS = 8**3

# Prints the estimate and the peak of one prediction, above what the process had before; a child, since freed memory is
# not always given back. All probabilities of the volume would take 140 MiB.
MEASURE = """
import numpy as np, torch
from torch import nn
from hilum.inference.memory import PROCESS_BYTES
from hilum.inference.predictor import Predictor
from hilum.problem import Problem
from hilum.hardware import forget_peak_memory, peak_memory_bytes
from hilum.volume import Grid, Volume

torch.set_num_threads(1)
CLASSES, SHAPE = 100, (48, 48, 160)
problem = Problem("segmentation", 3, ("image",), tuple(map(str, range(CLASSES))), tuple((n,) for n in range(CLASSES)))
model = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv3d(2, CLASSES, 1))

def predicted(shape):
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    prepared = Volume(torch.randn(1, *shape), Grid(shape, affine))
    source = prepared.grid.respaced((0.9, 0.9, 1.1))
    predictor = Predictor(model, problem, [], window=(32, 32, 32), batch_size=4, memory_bytes=2**30)
    labels = predictor.labels(prepared, source)
    return predictor.plan(prepared.grid, margins=(True,) * 3, held_bytes=labels.tensor.nbytes).num_bytes - PROCESS_BYTES

device = torch.device("cpu")
predicted((32, 32, 32))
forget_peak_memory(device)
before = peak_memory_bytes(device)
estimate = predicted(SHAPE)
print(estimate, peak_memory_bytes(device) - before)
"""


# Prints what a network of few channels is counted to take, and what it took; voxels of one channel take 3.4 MiB.
NETWORK = """
import torch
from contextlib import nullcontext
from torch import nn
from hilum.hardware import forget_peak_memory, give_back_freed_memory, peak_memory_bytes
from hilum.inference.memory import network_bytes

device = torch.device("cpu")
give_back_freed_memory()
convolution = nn.Conv3d(8, 8, 3, padding=1)
model = nn.Sequential(nn.Conv3d(2, 8, 3, padding=1), nn.ReLU(), convolution, nn.InstanceNorm3d(8), nn.Conv3d(8, 20, 1))
shape = (1, 2, 96, 96, 96)
with torch.no_grad():
    counted = network_bytes(model, shape, device=device, autocast=nullcontext)
    model(torch.zeros(1, 2, 32, 32, 32))
    forget_peak_memory(device)
    before = peak_memory_bytes(device)
    model(torch.zeros(shape))
print(counted, peak_memory_bytes(device) - before)
"""


def counted(model: nn.Module, channels: int = 1) -> int:
    return network_bytes(model.eval(), (1, channels, 8, 8, 8), device=torch.device("cpu"), autocast=nullcontext)


class Counting(nn.Module):
    """A network of known tensors: twice the input, then six channels, of which the first stay for the end."""

    def forward(self, images: Tensor) -> Tensor:
        wide = images.repeat(1, 2, 1, 1, 1)
        wider = wide.repeat(1, 3, 1, 1, 1)
        return wider + 1


class Looking(nn.Module):
    """A network that looks at values, which tensors without content do not have."""

    def forward(self, images: Tensor) -> Tensor:
        return images * 2 if bool((images == 0).all()) else images


def test_bytes_are_those_of_the_tensors_that_exist_together() -> None:
    with torch.no_grad():
        assert counted(Counting()) == 4 * VOXELS * (1 + 2 + 6 + 6)
        assert counted(Looking()) >= 4 * VOXELS * 2
        # Images, and features with their copies in the order that convolutions like.
        assert counted(nn.Conv3d(1, 5, 3, padding=1)) == 4 * VOXELS * (1 + 5 + 16 + 16)
        assert counted(nn.Conv3d(1, 20, 3, padding=1)) == 4 * VOXELS * (1 + 20 + 16 + 32)


def test_counting_needs_no_memory_of_that_size() -> None:
    problem = Problem("segmentation", 3, ("image",), ("a", "b"), ((0,), (1,)))
    model = UNetConfig().build(problem).eval()
    with torch.no_grad():
        needed = network_bytes(model, (1, 1, 1024, 1024, 1024), device=CPU, autocast=nullcontext)
    assert needed > 100 * 2**30


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from /proc")
def test_the_estimate_is_kept_and_near() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    estimated, measured = map(int, done.stdout.split())
    assert measured < estimated < 200 * 2**20
    assert measured > 0.4 * estimated


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from /proc")
def test_a_network_of_few_channels_takes_what_is_counted() -> None:
    done = subprocess.run([sys.executable, "-c", NETWORK], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    expected, measured = map(int, done.stdout.split())
    assert 0.5 * expected < measured < expected


def test_a_process_that_holds_more_than_usual_counts_for_more() -> None:
    usual, heavy = 290 * 2**20, 475 * 2**20
    assert process_bytes(usual) == PROCESS_BYTES
    assert heavy + LATER_BYTES <= process_bytes(heavy) == process_bytes(heavy - 2**20)
