"""What this machine can do and has left: processors, precision, memory. Beside `runtime`, all that names devices."""

import ctypes
import os
import platform
from contextlib import suppress
from pathlib import Path

import torch

KEEP_FREED_MEMORY = ((-4, 0), (-1, -1), (-2, 64 * 2**20))
"""Options of glibc's mallopt: no pieces of their own (M_MMAP_MAX), nothing given back (M_TRIM_THRESHOLD), and growth in
large steps (M_TOP_PAD)."""
GIVE_BACK_FREED_MEMORY = ((-3, 8 * 2**20),)
"""A piece of its own from 8 MiB on (M_MMAP_THRESHOLD). glibc otherwise raises that up to 32 MiB as pieces are freed,
and keeps those below it among others that are still needed. From 1 MiB on, windows took four times as long."""


def machine() -> dict[str, str | int]:
    """What the run was computed on, for its provenance."""
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        if cpuinfo.exists()
        else []
    )
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpu": names[0] if names else platform.processor(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
    }


def usable_cores() -> int:
    """CPU cores that this process may use: a batch system often gives it fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def keep_freed_memory() -> bool:
    """Let this process keep the memory that tensors free for the next ones; gives whether the C library can (glibc).

    It hands each large piece back to the system otherwise, and gets it again page by page, cleared, in every training
    step: half of the time of a step at times (`benchmarks/steps.py`). What the process holds never falls from then on.
    """
    return _mallopt(KEEP_FREED_MEMORY)


def give_back_freed_memory() -> bool:
    """Let this process hold little more than its tensors take; gives whether the C library can (glibc)."""
    return _mallopt(GIVE_BACK_FREED_MEMORY)


def _mallopt(options: tuple[tuple[int, int], ...]) -> bool:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library: macOS, musl, Windows
        return False
    return all(mallopt(option, value) for option, value in options)


def has_bfloat16(device: str) -> bool:
    """Whether a device computes in bfloat16 itself; emulation would be slower than float32."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return False
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text() if cpuinfo.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the CPU or on the device."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def memory_bytes(device: str) -> int:
    """Memory that a device has in all; of this machine as much as the process may use."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
    import psutil

    limits = [Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory/memory.limit_in_bytes")]
    texts = [file.read_text().strip() for file in limits if file.is_file()]
    return min([int(psutil.virtual_memory().total), *(int(text) for text in texts if text.isdecimal())])


def resident_bytes() -> int:
    """The memory that this process has now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def forget_peak_memory(device: torch.device) -> None:
    """Begin to measure the highest memory anew; where the system does not allow that, it counts from the start."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # Linux: sets VmHWM to what the process has now


def peak_memory_bytes(device: torch.device) -> int:
    """The highest memory since `forget_peak_memory`: of tensors on a GPU, else of this process as a whole."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else []:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: in bytes


def devices() -> dict[str, str]:
    """The devices that a run can be computed on, by name, each in words."""
    cores, threads = os.cpu_count() or 1, torch.get_num_threads()
    cpu = f"{machine()['cpu']}, {cores} cores, {threads} threads, {memory_bytes('cpu') / 2**30:.1f} GiB of memory"
    found = {"cpu": f"{cpu}, {'with' if has_bfloat16('cpu') else 'without'} bfloat16"}
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        found[f"cuda:{index}"] = (
            f"{facts.name}, {facts.total_memory / 2**30:.1f} GiB, compute capability {facts.major}.{facts.minor}, "
            f"{'with' if has_bfloat16('cuda') else 'without'} bfloat16"
        )
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return found
