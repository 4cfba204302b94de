"""Which part of a batch a process does, where several processes or machines share it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hilum.errors import ConfigError

SPELT = re.compile(r"(\d+)\s*/\s*(\d+)")


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `of` parts of a batch."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def name(self) -> str:
        """What its files are called: 2-of-8."""
        return f"{self.number}-of-{self.of}"

    @property
    def siblings(self) -> tuple[Shard, ...]:
        """All parts of the same division, this one too."""
        return tuple(Shard(number, self.of) for number in range(1, self.of + 1))

    def takes(self, case_id: str) -> bool:
        """Whether a case belongs to this part: told by its id alone, so that a folder that grows meanwhile moves none.

        The parts are of equal size only by chance, as many cases as there are.
        """
        digest = hashlib.sha256(case_id.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1


WHOLE = Shard(1, 1)


@dataclass(frozen=True)
class Launch:
    """The part that this process does, who said so, and whether it has to end together with the others.

    torchrun stops all processes as soon as one ends with an exit code, such as that of a failed case.
    """

    shard: Shard = WHOLE
    by: str = ""
    together: bool = False


def launched(text: str | None, environment: Mapping[str, str] | None = None) -> Launch:
    """The part that `--shard` names, else the one that torchrun or Slurm gave this process, else the whole batch.

    Raises ConfigError for what is no part, and where torchrun or Slurm divide the batch as well.
    """
    around = _from_environment(os.environ if environment is None else environment)
    if text is None:
        return around
    if around.shard.of > 1:
        raise ConfigError(f"--shard {text}: {around.by} divides the batch already ({around.shard}): leave it away")
    match = SPELT.fullmatch(text.strip())
    number, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= of:
        raise ConfigError(f"--shard: received '{text}', expected a part and their number, from 1/8 to 8/8 for eight")
    return Launch(Shard(number, of), "--shard")


def _from_environment(environment: Mapping[str, str]) -> Launch:
    """What torchrun or srun say. The script of a Slurm job is not one of its tasks: it has a job, and no step."""
    if "RANK" in environment and "WORLD_SIZE" in environment:
        together = "TORCHELASTIC_RUN_ID" in environment
        return _numbered(environment["RANK"], environment["WORLD_SIZE"], by="torchrun", together=together)
    in_script = "SLURM_JOB_ID" in environment and "SLURM_STEP_ID" not in environment
    if "SLURM_PROCID" in environment and "SLURM_NTASKS" in environment and not in_script:
        return _numbered(environment["SLURM_PROCID"], environment["SLURM_NTASKS"], by="Slurm")
    return Launch()


def _numbered(rank: str, world: str, *, by: str, together: bool = False) -> Launch:
    """The part of a process by its number from 0. Raises ConfigError for what are no numbers."""
    try:
        shard = Shard(int(rank) + 1, int(world))
    except ValueError:
        shard = Shard(0, 0)
    if not 1 <= shard.number <= shard.of:
        raise ConfigError(f"{by} says that this is process {rank} of {world}: expected a number from 0 and their count")
    return Launch(shard, by, together) if shard.of > 1 else Launch()
