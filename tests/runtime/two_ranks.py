"""What one of two ranks finds out; started twice by test_runtime.py, with torchrun's variables in the environment."""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hilum.case import Case, Sample
from hilum.data.dataset import Dataset, Sampling
from hilum.data.loader import Batches
from hilum.data.store import Store
from hilum.errors import DataError
from hilum.losses.total import TotalLossConfig
from hilum.optim.schedules import ConstantConfig
from hilum.problem import IGNORE, Problem
from hilum.random import generator
from hilum.runtime import Runtime, RuntimeConfig
from hilum.training.checkpoint import weights_sha256
from hilum.training.interrupt import Interrupted
from hilum.training.settings import TrainConfig
from hilum.training.trainer import Trainer


class Numbers(Dataset):
    """Samples (3,) with a target (1,), in float64."""

    def together(self, case_indices: Sequence[int]) -> None:
        """Samples are drawn here, not whole cases."""

    def sample(self, case_index: int, *, epoch: int, index: int) -> Sample:
        rng = generator(self.seed, epoch, index, "numbers")
        return Sample(str(case_index), torch.from_numpy(rng.normal(size=3)), torch.from_numpy(rng.normal(size=1)))


def trained(runtime: Runtime, *, rank: int, world: int, batch_norm: bool) -> tuple[list[float], str, list[float]]:
    """Losses of the epochs, the hash of the scored model, and its weights, after training on a share of each batch."""
    problem = Problem("classification", dims=2, channels=("x",), classes=("a", "b"), values=((0,), (1,)))
    store = Store(Path(tempfile.gettempdir()), problem, [])
    dataset = Numbers([Case(str(k), str(k), ()) for k in range(12)], store, sampling=Sampling(), seed=0)
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(3, 4), nn.BatchNorm1d(4)] if batch_norm else [nn.Linear(3, 4), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(4, 1)).double()
    trainer = Trainer(
        runtime,
        model,
        loss=nn.MSELoss(),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.05),
        schedule=ConstantConfig(),
        settings=TrainConfig(epochs=2, accumulate=2, clip_norm=1.0, ema=0.5 if batch_norm else None),
    )
    batches = Batches(dataset, batch_size=4, seed=0, rank=rank, world=world)
    results = list(trainer.epochs(batches, augment=lambda batch: batch, after_step=lambda loss, waiting: None))
    weights = [float(value) for parameter in model.parameters() for value in parameter.reshape(-1)]
    state = trainer.scored_model.state_dict()
    return [result.train_loss for result in results], weights_sha256(state), weights


LOSSES: list[list[dict[str, Any]]] = [
    [{"kind": "cross_entropy", "class_weights": {"background": 0.5, "organ": 3.0}}],
    [{"kind": "focal", "class_weights": {"organ": 5.0}}],
    [{"kind": "dice", "batch": True}],
    [{"kind": "dice", "weight": 2.0}, {"kind": "cross_entropy", "weight": 0.25}],
]


class Patches(Dataset):
    """Images (1, 4, 4) of which each has another share of organ and of voxels that are ignored."""

    def sample(self, case_index: int, *, epoch: int, index: int) -> Sample:
        rng = generator(self.seed, epoch, index, "patches")
        target = rng.choice([0, 1, IGNORE], size=(4, 4), p=rng.dirichlet([1, 1, 1]))
        image = rng.normal(size=(1, 4, 4)) + target
        return Sample(str(case_index), torch.from_numpy(image), torch.from_numpy(target))


def curve(runtime: Runtime, loss: list[dict[str, Any]], *, accumulate: int) -> list[float]:
    """Losses of the steps and the weights after them, of a network without batch statistics."""
    problem = Problem("segmentation", 2, ("x",), ("background", "organ"), ((0,), (1,)))
    store = Store(Path(tempfile.gettempdir()), problem, [])
    dataset = Patches([Case(str(k), str(k), ()) for k in range(8)], store, sampling=Sampling(), seed=0)
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.Tanh(), nn.Conv2d(4, 2, 1)]
    model = nn.Sequential(*layers).double()
    trainer = Trainer(
        runtime,
        model,
        loss=TotalLossConfig(losses=loss).build(problem).double(),  # type: ignore[arg-type]
        optimizer=torch.optim.AdamW(model.parameters(), lr=0.01),
        schedule=ConstantConfig(),
        settings=TrainConfig(epochs=3, clip_norm=0.5, accumulate=accumulate),
    )
    batches = Batches(dataset, batch_size=4, seed=0, rank=runtime.rank, world=runtime.world)
    losses: list[float] = []
    list(trainer.epochs(batches, augment=lambda batch: batch, after_step=lambda loss, waiting: losses.append(loss)))
    return [*losses, *(float(value) for weights in model.parameters() for value in weights.reshape(-1))]


def curves(runtime: Runtime) -> list[list[float]]:
    """The curve of each loss, and of the first with accumulation."""
    return [*(curve(runtime, loss, accumulate=1) for loss in LOSSES), curve(runtime, LOSSES[0], accumulate=2)]


def fail(error: Exception) -> None:
    """Raise an error, as work on the main rank may."""
    raise error


def outcome(runtime: Runtime, error: Exception) -> str:
    """The error that work on the main rank raises here."""
    try:
        runtime.main_first(lambda: fail(error))
    except (DataError, Interrupted) as received:
        return f"{type(received).__name__}: {received}"
    return "nothing"


def main() -> dict[str, Any]:
    """Everything that this rank saw."""
    runtime = RuntimeConfig(device="cpu", precision="float32", threads=1).start()
    rank = runtime.rank
    norm = nn.BatchNorm1d(2)
    norm(torch.randn(4, 2, generator=torch.Generator().manual_seed(rank)))
    runtime.share_buffers(norm)
    original = torch.tensor([1.0, 10.0]) * (rank + 1)
    found: dict[str, Any] = {
        "world": runtime.world,
        "is_main": runtime.is_main,
        "mean": runtime.mean(original).tolist(),
        "original": original.tolist(),
        "gathered": runtime.gather([f"{rank}a", f"{rank}b"] if rank == 0 else [f"{rank}a"]),
        "main_first": runtime.main_first(lambda: f"made by {rank}"),
        "error": outcome(runtime, DataError("broken")),
        "interrupted": outcome(runtime, Interrupted(15)),
        "buffers": weights_sha256(dict(norm.named_buffers())),
        "plain": trained(runtime, rank=rank, world=2, batch_norm=False),
        "batch_norm": trained(runtime, rank=rank, world=2, batch_norm=True),
    }
    found["curves"] = curves(runtime)
    runtime.barrier()
    runtime.stop()
    alone = Runtime(torch.device("cpu"), "float32", 0)
    return {**found, "curves_alone": curves(alone), "alone": trained(alone, rank=0, world=1, batch_norm=False)}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(main()), encoding="utf-8")
