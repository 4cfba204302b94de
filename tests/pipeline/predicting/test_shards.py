"""Parts of a batch: every case in exactly one of them, told by its id alone, as the user, torchrun or Slurm says."""

import hashlib

import pytest

from hilum.errors import ConfigError
from hilum.pipeline.predicting.shards import WHOLE, Launch, Shard, launched

IDS = [f"case-{number}" for number in range(400)]


@pytest.mark.parametrize("of", [1, 2, 3, 8, 31])
def test_every_case_belongs_to_exactly_one_part(of: int) -> None:
    parts = [{case for case in IDS if part.takes(case)} for part in Shard(1, of).siblings]
    assert sum(map(len, parts)) == len(IDS)
    assert set().union(*parts) == set(IDS)
    assert min(map(len, parts)) > 0


def test_a_case_stays_in_its_part_on_every_machine() -> None:
    """The first eight bytes of SHA-256 by hand: Python's own hash() is another one in every process."""
    for case in IDS[:50]:
        number = int(hashlib.sha256(case.encode()).hexdigest()[:16], 16) % 8
        assert [part.takes(case) for part in Shard(1, 8).siblings].index(True) == number


def test_the_command_names_a_part() -> None:
    assert launched(None, {}) == Launch(WHOLE)
    assert launched(" 2/8", {}).shard == Shard(2, 8)
    assert launched("1/1", {}).shard == WHOLE


@pytest.mark.parametrize("text", ["0/8", "9/8", "2", "2/0", "two/8", "-1/8", "2/8/3", ""])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a part and their number"):
        launched(text, {})


@pytest.mark.parametrize(
    ("environment", "shard", "together"),
    [
        ({"RANK": "1", "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "x"}, Shard(2, 4), True),
        ({"RANK": "1", "WORLD_SIZE": "4"}, Shard(2, 4), False),
        ({"RANK": "0", "WORLD_SIZE": "1", "TORCHELASTIC_RUN_ID": "x"}, WHOLE, False),
        ({"SLURM_PROCID": "7", "SLURM_NTASKS": "8"}, Shard(8, 8), False),
        ({"SLURM_PROCID": "7", "SLURM_NTASKS": "8", "SLURM_JOB_ID": "5", "SLURM_STEP_ID": "0"}, Shard(8, 8), False),
        # The script of a job is no task of it: doing an eighth there would leave the rest undone.
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_JOB_ID": "5"}, WHOLE, False),
        ({"SLURM_NTASKS": "8"}, WHOLE, False),
    ],
)
def test_torchrun_and_slurm_divide_a_batch(environment: dict[str, str], shard: Shard, together: bool) -> None:
    found = launched(None, environment)
    assert (found.shard, found.together) == (shard, together)


def test_two_divisions_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="Slurm divides the batch already"):
        launched("2/8", {"SLURM_PROCID": "7", "SLURM_NTASKS": "8"})
    assert launched("2/8", {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}).shard == Shard(2, 8)
    with pytest.raises(ConfigError, match="this is process 8 of 8"):
        launched(None, {"RANK": "8", "WORLD_SIZE": "8"})
