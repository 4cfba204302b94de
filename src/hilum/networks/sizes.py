"""What networks that halve and double their maps say about sizes that do not divide."""

from __future__ import annotations

from collections.abc import Sequence


def multiple_faults(size: Sequence[int], factors: Sequence[int]) -> list[str]:
    """A sentence for each axis of `size` that is no multiple of its factor, with the nearest lengths that are."""
    faults = []
    for axis, (length, factor) in enumerate(zip(size, factors, strict=True)):
        if length % factor:
            below, above = length // factor * factor, -(-length // factor) * factor
            nearest = f"{below} or {above}" if below else f"{above}"
            faults.append(f"patch axis {axis} is {length}, must be a multiple of {factor}: nearest {nearest}")
    return faults


def single_voxel_faults(size: Sequence[int], factors: Sequence[int]) -> list[str]:
    """Why a network with instance norm cannot shrink a patch of `size` by these factors: none unless to one voxel."""
    if tuple(size) != tuple(factors):
        return []
    patch = "x".join(map(str, size))
    return [
        f"a patch of {patch} shrinks to a single voxel, whose instance norm is 0: take a larger one or fewer levels"
    ]
