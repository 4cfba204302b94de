"""What is asked of the machine does what it says."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from hilum.hardware import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(20):
    torch.ones(2**24)  # until it has found its place
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(2**24)  # 64 MiB, freed at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc manages its memory itself")
def test_memory_that_is_kept_is_not_asked_for_again() -> None:
    faults = {
        how: int(subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, check=True).stdout)
        for how in ("keep", "give back")
    }
    assert faults["give back"] > 20 * 16_000 / 512  # every page of every tensor, be it a huge one
    assert faults["keep"] < faults["give back"] / 10
