"""What a run is computed on: device, precision, determinism and the ranks of several processes."""

import itertools
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from hilum.convolving import keep_sound
from hilum.errors import DeviceError
from hilum.hardware import has_bfloat16
from hilum.settings import Settings

MemoryFormat = Literal["auto", "contiguous", "channels_last"]
Precision = Literal["float32", "bfloat16", "float16"]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""The memory format of kernels, by their number of dimensions."""
Item = TypeVar("Item")

PATIENCE = timedelta(days=2)
"""How long a rank waits for another: the main one may prepare a large cohort while the others have nothing to do."""
_MEETINGS = itertools.count()
"""Numbers the groups of ranks, one a run: the folds of a cross-validation each have their own."""


class RuntimeConfig(Settings):
    """What the run is computed on."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device of the network; auto takes CUDA where there is a GPU, else the CPU."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of the network's arithmetic; auto takes bfloat16 where the device computes in it, else float32."""
    seed: int = 17
    """Seed of the initial weights, the order of samples and every augmentation."""
    threads: PositiveInt | None = None
    """CPU threads of each process; by default as many as it may use."""
    memory_format: MemoryFormat = "auto"
    """How feature maps lie in memory; auto takes channels_last for 2D networks with batch norm, which gain by it, and
    contiguous for all others, of which many lose."""
    compile: bool = False
    """Whether training runs through `torch.compile`: the first step takes a minute or more, the others less."""
    deterministic: bool = True
    """On CUDA: kernels that give the same bits each time where torch has them, a warning where it has none. The CPU
    always gives the same bits with the same number of threads."""

    def start(self, *, alone: bool = False) -> "Runtime":
        """The runtime for this process; joins the other ranks where `torchrun` started several, unless `alone`.

        Raises DeviceError for what this machine cannot do.
        """
        device = self._device()
        precision = self._precision(device)
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        rank, world = (0, 1) if alone else (int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
        if device == "cuda":
            torch.cuda.set_device(_local_gpu())
            torch.backends.cudnn.deterministic = self.deterministic
            torch.backends.cudnn.benchmark = not self.deterministic
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(self.deterministic, warn_only=True)
        if world > 1 and not torch.distributed.is_initialized():
            _meet("nccl" if device == "cuda" else "gloo")
        return Runtime(
            device=torch.device(device),
            precision=precision,
            seed=self.seed,
            rank=rank,
            world=world,
            memory_format=self.memory_format,
            compile=self.compile,
        )

    def _device(self) -> str:
        available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if self.device == "auto":
            return "cuda" if available["cuda"] else "cpu"
        if not available[self.device]:
            usable = ", ".join(name for name, there in available.items() if there)
            raise DeviceError(
                f"runtime.device: received {self.device}, this machine and this build of torch have: {usable}"
            )
        return self.device

    def _precision(self, device: str) -> Precision:
        if self.precision == "auto":
            return "bfloat16" if has_bfloat16(device) else "float32"
        if self.precision == "float16" and device != "cuda":
            raise DeviceError(
                f"runtime.precision: float16 needs a CUDA device, this run is on {device}: take bfloat16 or float32"
            )
        return self.precision


@dataclass(frozen=True)
class Runtime:
    """A device, the precision of the network on it, and this process's place among the ranks."""

    device: torch.device
    precision: Precision
    seed: int
    rank: int = 0
    world: int = 1
    memory_format: MemoryFormat = "contiguous"
    compile: bool = False

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run folder."""
        return self.rank == 0

    def place(self, model: nn.Module) -> nn.Module:
        """The model on the device, its kernels lying in memory as the settings say.

        On a CPU its convolutions choose their precision where that of the runtime would give wrong numbers.
        """
        model = model.to(self.device)
        if self.device.type == "cpu":
            keep_sound(model)
        if self.memory_format == "contiguous" or (self.memory_format == "auto" and not _gains_by_channels_last(model)):
            return model
        for kernel in model.parameters():  # feature maps follow the kernels
            if kernel.ndim in CHANNELS_LAST:
                kernel.data = kernel.data.contiguous(memory_format=CHANNELS_LAST[kernel.ndim])
        return model

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over all ranks; the model itself where there is one.

        On GPUs its batch norms are replaced, in place, by those that take their statistics from all ranks.
        """
        if self.world == 1:
            return model
        from torch.nn.parallel import DistributedDataParallel

        if self.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return DistributedDataParallel(model)

    def autocast(self) -> AbstractContextManager[Any]:
        """The context that the network's forward pass runs in."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.precision])

    def scaler(self) -> torch.amp.GradScaler:
        """The loss scaler that float16 needs; it does nothing in other precisions."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "float16")

    def gradients(self, model: nn.Module, *, shared: bool) -> AbstractContextManager[Any]:
        """The context of a forward and a backward pass of what `parallel` gave.

        Its gradients are averaged over all ranks, with those added up before (`shared`), or added up on each for now.
        """
        if self.world == 1 or shared:
            return nullcontext()
        from torch.nn.parallel import DistributedDataParallel

        assert isinstance(model, DistributedDataParallel)
        return model.no_sync()

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all ranks, with the gradient of a loss that is the same on all of them."""
        if self.world == 1:
            return value
        total = value.detach().clone()
        torch.distributed.all_reduce(total)
        return total + self.world * (value - value.detach())  # nothing is added but the way back

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over all ranks."""
        if self.world > 1:
            value = value.clone()
            torch.distributed.all_reduce(value)
            value /= self.world
        return value

    def share_buffers(self, model: nn.Module) -> None:
        """Give every rank the main rank's buffers (running means of batch norm), so that all score the same model."""
        if self.world > 1:
            for buffer in model.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def highest(self, number: int) -> int:
        """The highest of the ranks' numbers, on every rank."""
        if self.world == 1:
            return number
        shared = torch.tensor(number, device=self.device)
        torch.distributed.all_reduce(shared, op=torch.distributed.ReduceOp.MAX)
        return int(shared)

    def gather(self, items: list[Item]) -> list[Item]:
        """The items of all ranks, in the order of the ranks, on every rank."""
        if self.world == 1:
            return items
        lists: list[list[Item]] = [[] for _ in range(self.world)]
        torch.distributed.all_gather_object(lists, items)
        return [item for part in lists for item in part]

    def main_first(self, work: Callable[[], Item]) -> Item:
        """The result of `work`, done on the main rank alone and sent to the others; its error is raised on all."""
        if self.world == 1:
            return work()
        outcome: list[Any] = [None, None]
        if self.is_main:
            try:
                outcome = [work(), None]
            except Exception as error:
                outcome = [None, error]
        torch.distributed.broadcast_object_list(outcome, src=0)
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    def barrier(self) -> None:
        """Wait for the other ranks."""
        if self.world > 1:
            torch.distributed.barrier()

    def stop(self) -> None:
        """Leave the other ranks."""
        if self.world > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _meet(backend: str) -> None:
    """Wait for the other ranks, each time under another name: what an earlier group left behind would be taken for
    where they are now.
    """
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.rendezvous import rendezvous

    store, rank, world = next(rendezvous("env://", timeout=PATIENCE))
    named = PrefixStore(f"hilum-{next(_MEETINGS)}", store)
    torch.distributed.init_process_group(backend, store=named, rank=rank, world_size=world, timeout=PATIENCE)


def _local_gpu() -> int:
    """The GPU of this process. Raises DeviceError where more processes were started than there are GPUs."""
    index, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if index >= count:
        raise DeviceError(f"torchrun started process {index + 1} on a machine with {count} GPUs: one GPU a process")
    return index


def _gains_by_channels_last(model: nn.Module) -> bool:
    """Whether a network is two-dimensional with batch norms alone: `benchmarks/memory_format.py` has the figures."""
    modules = list(model.modules())
    others = nn.modules.instancenorm._InstanceNorm | nn.GroupNorm | nn.Conv3d
    return any(isinstance(module, nn.BatchNorm2d) for module in modules) and not any(
        isinstance(module, others) for module in modules
    )


def runs_on_main_rank() -> bool:
    """Whether this process is the first of those that `torchrun` started, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def seed_weights(seed: int) -> None:
    """Seed torch's global generators, which initial weights and dropout draw from."""
    torch.manual_seed(seed)
