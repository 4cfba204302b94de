"""What to do about a run that memory, the disk or another process ended."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.errors import TrainingError
from hilum.hardware import memory_bytes, out_of_memory
from hilum.pipeline.estimate import step_cost
from hilum.pipeline.study import Study
from hilum.run import Run
from hilum.runtime import Runtime

GIB = 2**30
USABLE = 0.8
"""Share of the memory that a step may be estimated to take: the estimate is good within a factor of 1.5."""
LOST_PEER = ("Connection closed by peer", "Connection reset by peer", "Socket closed", "remote process exited")
"""What gloo and NCCL say where another process is gone."""


def stopped_by(error: Exception, run: Run, study: Study, runtime: Runtime) -> TrainingError | None:
    """What the user can do about an error that is not one of hilum's; None for one that nobody foresaw."""
    resume_with = f"then continue with: hilum train --resume {run.folder}"
    if out_of_memory(error):
        try:
            advice = _smaller(study, runtime)
        except (RuntimeError, NotImplementedError):  # a network of one's own that cannot be looked at without memory
            advice = "Lower data.batch_size and raise train.accumulate by as much"
        return TrainingError(f"out of memory: {error}. {advice}; {resume_with} key=value")
    if isinstance(error, OSError):
        place = f" ({error.filename})" if error.filename else ""
        return TrainingError(f"the run folder cannot be written: {error.strerror}{place}. Mend this, {resume_with}")
    if runtime.world > 1 and any(words in str(error) for words in LOST_PEER):
        return TrainingError(f"another process of this run ended: see what it says. Mend this, {resume_with}")
    return None


def _smaller(study: Study, runtime: Runtime) -> str:
    """What to lower and to what, by the estimate that `hilum check` is made of."""
    data, train = study.experiment.data, study.experiment.train
    size = study.problem.size or study.frame.shape
    available = memory_bytes(runtime.device.type)
    share = data.samples_per_step // runtime.world

    def memory(batch_size: int, size: tuple[int, ...]) -> float:
        problem = study.problem.resized(len(size), size) if study.problem.size else study.problem
        network, precision = study.experiment.network, runtime.precision
        return step_cost(network, problem, size=size, batch_size=batch_size, precision=precision).memory_bytes

    now = memory(share, size)
    said = f"a step is estimated to take {now / GIB:.1f} GiB, {runtime.device.type} has {available / GIB:.1f} GiB"
    for part in (part for part in range(share // 2, 0, -1) if share % part == 0):
        needed = memory(part, size)
        if needed <= USABLE * available or part == 1:
            times = share // part * train.accumulate
            return (
                f"{said}; set data.batch_size={part * runtime.world} train.accumulate={times} "
                f"({needed / GIB:.1f} GiB; the weights change by the same number of samples)"
            )
    for smaller in _halved(study, size):
        return (
            f"{said}; set data.patch.size={list(smaller)} ({memory(share, smaller) / GIB:.1f} GiB) in a new run, "
            "or lower network.channels"
        )
    return f"{said}; take a smaller network, or smaller images, in a new run"


def _halved(study: Study, size: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Patches of half the size along one axis that the network takes, the longest axis first."""
    if study.experiment.data.patch is None:
        return
    for axis in sorted(range(len(size)), key=lambda axis: -size[axis]):
        halved = tuple(length // 2 if other == axis else length for other, length in enumerate(size))
        if size[axis] % 2 == 0 and not study.experiment.network.size_faults(halved):
            yield halved
