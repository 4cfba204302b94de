"""Devices, precision and ranks: what is chosen, what is refused, and two processes that are one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import nn

from hilum import hardware
from hilum import runtime as module
from hilum.errors import DataError, DeviceError
from hilum.hardware import has_bfloat16, machine
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem
from hilum.registry import parse
from hilum.runtime import Runtime, RuntimeConfig, runs_on_main_rank, seed_weights

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


# --------------------------------------------------------------------------------------- what is chosen
@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_takes_bfloat16_only_where_the_device_computes_in_it(
    monkeypatch: pytest.MonkeyPatch, native: bool, expected: str
) -> None:
    no_gpu(monkeypatch)
    monkeypatch.setattr(module, "has_bfloat16", lambda device: native)
    found = RuntimeConfig().start()
    assert (found.device, found.precision, found.rank, found.world) == (CPU, expected, 0, 1)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_given_precision_is_kept(precision: Any) -> None:
    assert RuntimeConfig(device="cpu", precision=precision).start().precision == precision


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("flags : fpu avx512f avx512_bf16", True), ("flags : amx_bf16", True), ("flags : avx2", False), (None, False)],
)
def test_the_cpu_says_whether_it_has_bfloat16(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str | None, expected: bool
) -> None:
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(hardware, "Path", lambda _: tmp_path / "cpuinfo")
    assert has_bfloat16("cpu") is expected
    assert has_bfloat16("mps") is False


def laid_out(kind: str, dims: Literal[2, 3], memory_format: Any) -> nn.Module:
    """A tiny network on the CPU, as the memory format places it."""
    config = parse("networks", {"kind": kind})
    assert isinstance(config, NetworkConfig)
    task = config.task
    problem = Problem(
        task, dims, ("image",), ("a", "b"), ((0,), (1,)), size=(32,) * dims if config.needs_size else None
    )
    runtime = RuntimeConfig(device="cpu", memory_format=memory_format).start()
    return runtime.place(config.tiny().build(problem))


def is_channels_last(model: nn.Module, dims: int) -> bool:
    wanted = torch.channels_last if dims == 2 else torch.channels_last_3d
    kernels = [parameter for parameter in model.parameters() if parameter.ndim == dims + 2 and parameter.shape[1] > 1]
    return all(kernel.is_contiguous(memory_format=wanted) for kernel in kernels)


@pytest.mark.parametrize(
    ("kind", "dims", "expected"),
    [("resnet", 2, True), ("densenet", 2, True), ("resnet", 3, False), ("unet", 2, False), ("unet", 3, False)],
)
def test_auto_lays_two_dimensional_networks_with_batch_norm_channels_last(
    kind: str, dims: Literal[2, 3], expected: bool
) -> None:
    assert is_channels_last(laid_out(kind, dims, "auto"), dims) is expected
    assert is_channels_last(laid_out(kind, dims, "channels_last"), dims)
    assert not is_channels_last(laid_out(kind, dims, "contiguous"), dims)


@pytest.mark.parametrize(("kind", "dims"), [("resnet", 2), ("densenet", 2), ("unet", 3)])
def test_the_memory_format_changes_nothing_but_rounding(kind: str, dims: Literal[2, 3]) -> None:
    seed_weights(3)
    plain = laid_out(kind, dims, "contiguous").double()
    laid = laid_out(kind, dims, "channels_last").double()
    laid.load_state_dict(plain.state_dict())
    images = torch.randn(2, 1, *(32,) * dims, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for model in (plain, laid):
        model(images).square().mean().backward()
    assert is_channels_last(laid, dims)
    assert torch.allclose(plain(images), laid(images), rtol=1e-9, atol=1e-12)
    for one, other in zip(plain.parameters(), laid.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad, rtol=1e-8, atol=1e-12)


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    try:
        RuntimeConfig(device="cpu", threads=2).start()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# -------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch, device: Any
) -> None:
    no_gpu(monkeypatch)
    with pytest.raises(DeviceError, match=rf"runtime\.device: received {device}, .* have: cpu$"):
        RuntimeConfig(device=device).start()


def test_float16_needs_a_gpu() -> None:
    with pytest.raises(DeviceError, match=r"runtime\.precision: float16 needs a CUDA device.*bfloat16 or float32"):
        RuntimeConfig(device="cpu", precision="float16").start()


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(DeviceError, match="process 3 on a machine with 2 GPUs"):
        RuntimeConfig(device="cuda", precision="float32").start()


# ------------------------------------------------------------------------------------------ what it does
def test_autocast_is_the_precision() -> None:
    linear, x = nn.Linear(2, 2), torch.ones(1, 2)
    with Runtime(CPU, "bfloat16", 0).autocast():
        assert linear(x).dtype == torch.bfloat16
    with Runtime(CPU, "float32", 0).autocast():
        assert linear(x).dtype == torch.float32


def test_the_scaler_is_for_float16_only() -> None:
    assert not Runtime(CPU, "bfloat16", 0).scaler().is_enabled()
    assert not Runtime(CPU, "float32", 0).scaler().is_enabled()


def test_one_process_is_a_world() -> None:
    alone, model, value = Runtime(CPU, "float32", 0), nn.Linear(2, 2), torch.tensor([1.0, 2.0])
    assert alone.is_main
    assert alone.parallel(model) is model
    assert torch.equal(alone.mean(value), value)
    assert alone.gather([1, 2]) == [1, 2]
    assert alone.main_first(lambda: 5) == 5
    with pytest.raises(DataError, match="broken"):
        alone.main_first(lambda: (_ for _ in ()).throw(DataError("broken")))
    alone.barrier()
    alone.share_buffers(model)
    alone.stop()


def test_the_main_rank_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs_on_main_rank()
    monkeypatch.setenv("RANK", "1")
    assert not runs_on_main_rank()


def test_weights_come_from_the_seed() -> None:
    drawn = []
    for seed in (1, 1, 2):
        seed_weights(seed)
        drawn.append(nn.Linear(3, 3).weight)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_the_machine_is_described() -> None:
    assert machine().keys() == {"platform", "python", "cpu", "threads", "gpu"}


# -------------------------------------------------------------------------------------------- two ranks
@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes found out, each about itself."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, str(Path(__file__).with_name("two_ranks.py"))]
    processes = [
        subprocess.Popen(
            [*command, str(folder / f"{rank}.json")],
            env={**shared, "RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        for process in processes:
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_two_ranks_speak_with_each_other(ranks: list[dict[str, Any]]) -> None:
    assert [rank["is_main"] for rank in ranks] == [True, False]
    for number, rank in enumerate(ranks):
        assert rank["world"] == 2
        assert rank["mean"] == [1.5, 15.0]
        assert rank["original"] == [number + 1.0, 10.0 * (number + 1)]  # what was averaged is not changed
        assert rank["gathered"] == ["0a", "0b", "1a"]
        assert rank["main_first"] == "made by 0"
        assert rank["error"] == "DataError: broken"
        assert rank["interrupted"] == "Interrupted: SIGTERM"
    assert ranks[0]["buffers"] == ranks[1]["buffers"]


def test_two_ranks_train_as_one(ranks: list[dict[str, Any]]) -> None:
    losses, _, weights = ranks[0]["alone"]
    for rank in ranks:
        assert rank["plain"][0] == pytest.approx(losses, rel=1e-12)
        assert rank["plain"][2] == pytest.approx(weights, rel=1e-9)


@pytest.mark.parametrize("number", range(5))
def test_the_loss_curve_is_that_of_one_process_with_the_same_global_batch(
    ranks: list[dict[str, Any]], number: int
) -> None:
    """Ranks with other shares of organ and of ignored voxels: a mean of the ranks' own means would differ."""
    for rank in ranks:
        assert rank["curves"][number] == pytest.approx(ranks[0]["curves_alone"][number], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("device", "norm"), [("cuda", nn.SyncBatchNorm), ("cpu", nn.BatchNorm2d)])
def test_batch_norms_share_their_statistics_where_the_device_can(
    monkeypatch: pytest.MonkeyPatch, device: str, norm: type[nn.Module]
) -> None:
    monkeypatch.setattr(nn.parallel, "DistributedDataParallel", lambda model: model)
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    weight = model[1].weight
    Runtime(torch.device(device), "float32", 0, rank=0, world=2).parallel(model)
    assert type(model[1]) is norm
    assert model[1].weight is weight


def test_two_ranks_score_the_same_model(ranks: list[dict[str, Any]]) -> None:
    assert ranks[0]["plain"][1] == ranks[1]["plain"][1]
    assert ranks[0]["batch_norm"][1] == ranks[1]["batch_norm"][1]
