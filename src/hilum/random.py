"""Every random draw of hilum as a pure function of (seed, epoch, sample index, purpose)."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, epoch: int, index: int, purpose: str) -> np.random.Generator:
    """A generator that depends on nothing but its arguments: not on workers, ranks, batch mates or earlier draws.

    The counter-based Philox generator (Salmon et al. 2011) is keyed by a hash of the arguments.
    """
    return np.random.Generator(np.random.Philox(key=_key(seed, epoch, index, purpose)))


def torch_seed(seed: int, epoch: int, index: int, purpose: str) -> int:
    """A 63-bit seed for torch's own generators, derived in the same way."""
    return _key(seed, epoch, index, purpose) & (2**63 - 1)


def _key(seed: int, epoch: int, index: int, purpose: str) -> int:
    text = f"{seed}/{epoch}/{index}/{purpose}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")
