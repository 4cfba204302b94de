"""Every random draw of hilum as a pure function of (seed, epoch, sample index, purpose)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

if TYPE_CHECKING:
    import numpy.typing as npt


class _Key(ISeedSequence):
    """A key as numpy takes it in place of a seed: a third of the time of `Philox(key=...)`, which first asks the
    system for a random seed that it then throws away.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> npt.NDArray[np.uint32 | np.uint64]:
        del n_words, dtype  # Philox asks for the two words that its key has
        return np.frombuffer(self._key, dtype="<u8")


def generator(seed: int, epoch: int, index: int, purpose: str) -> np.random.Generator:
    """A generator that depends on nothing but its arguments: not on workers, ranks, batch mates or earlier draws.

    The counter-based Philox generator (Salmon et al. 2011) is keyed by a hash of the arguments.
    """
    key = _Key(_key(seed, epoch, index, purpose))
    return np.random.Generator(np.random.Philox(key))  # type: ignore[arg-type] # any ISeedSequence will do


def torch_seed(seed: int, epoch: int, index: int, purpose: str) -> int:
    """A 63-bit seed for torch's own generators, derived in the same way."""
    return int.from_bytes(_key(seed, epoch, index, purpose), "little") & (2**63 - 1)


def _key(seed: int, epoch: int, index: int, purpose: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{epoch}/{index}/{purpose}".encode(), digest_size=16).digest()
