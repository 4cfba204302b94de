"""Numbers to learn from instead of scans: drawn like samples, without a file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from hilum.case import Case, Sample
from hilum.data.dataset import Dataset, Sampling
from hilum.data.loader import Batches
from hilum.data.store import Store
from hilum.problem import Problem
from hilum.random import generator
from hilum.runtime import Runtime

MakeBatches = Callable[..., Batches]
WIDTH = 3


class Numbers(Dataset):
    """Samples (WIDTH,) with a target (1,), in float64; those of the cases in `spoilt` are NaN."""

    spoilt: frozenset[int] = frozenset()

    def together(self, case_indices: Sequence[int]) -> None:
        """Samples are drawn here, not whole cases."""

    def sample(self, case_index: int, *, epoch: int, index: int) -> Sample:
        rng = generator(self.seed, epoch, index, "numbers")
        image = torch.from_numpy(rng.normal(size=WIDTH) + case_index)
        if case_index in self.spoilt:
            image[0] = float("nan")
        return Sample(self.cases[case_index].id, image, torch.from_numpy(rng.normal(size=1)))


@pytest.fixture
def make_batches(tmp_path: Path) -> MakeBatches:
    """Batches of `batch_size` of `count` cases."""
    problem = Problem("classification", dims=2, channels=("x",), classes=("a", "b"), values=((0,), (1,)))

    def make(count: int, batch_size: int, *, spoilt: frozenset[int] = frozenset()) -> Batches:
        cases = [Case(f"case{k}", f"case{k}", ()) for k in range(count)]
        dataset = Numbers(cases, Store(tmp_path, problem, []), sampling=Sampling(), seed=0)
        dataset.spoilt = spoilt
        return Batches(dataset, batch_size=batch_size, seed=0)

    return make


@pytest.fixture
def runtime() -> Runtime:
    """The CPU in float32."""
    return Runtime(device=torch.device("cpu"), precision="float32", seed=0)
