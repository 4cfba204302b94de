"""Cases that lack some of their channels: what is said of them, refused in them, and taken from them in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hilum.case import Case, Cohort
from hilum.data.section import MissingConfig
from hilum.errors import DataError

MODALITIES = "modalities"
"""The column of tables that says which channels a case has."""
SHOWN = 10
"""How many of many cases a message names."""
SETTING = "data.missing: {presence: true, dropout: 0.25}"


def modalities(case: Case, channels: Sequence[str]) -> str:
    """The names of the channels that a case has, in their order: `flair+t1c`."""
    return "+".join(name for index, name in enumerate(channels) if index not in case.missing)


def is_missing(channel: Tensor) -> bool:
    """Whether all voxels (*spatial) of a channel are NaN; that of most channels the first voxel tells."""
    return bool(channel.flatten()[0].isnan()) and bool(channel.isnan().all())


def with_missing(image: Tensor, there: Sequence[int], total: int) -> Tensor:
    """All `total` channels (total, *spatial) of an image of which `image` holds those `there`; NaN are the others.

    Raises DataError where the files do not hold one channel each.
    """
    if len(there) == total:
        return image
    if len(image) != len(there):
        raise DataError(
            f"{len(there)} of {total} modalities are there, and hold {len(image)} channels: expected one channel a file"
        )
    whole = image.new_full((total, *image.shape[1:]), torch.nan)
    whole[list(there)] = image
    return whole


def drop_channels(image: Tensor, rng: np.random.Generator, share: float) -> Tensor:
    """A sample (C, *spatial) in which each channel is missing (NaN) with probability `share`, never all of them.

    Where chance takes every channel that there is, one of them, drawn evenly, stays.
    """
    present = np.flatnonzero(~image.isnan().flatten(1).all(1).numpy())
    taken = rng.random(len(present)) < share
    spared = rng.integers(len(present)) if len(present) else 0
    if taken.all():
        taken[spared : spared + 1] = False
    dropped = torch.zeros(len(image), dtype=torch.bool)
    dropped[present[taken]] = True
    return image.masked_fill(dropped.view(-1, *[1] * (image.ndim - 1)), torch.nan) if dropped.any() else image


def missing_faults(cohort: Cohort, setting: MissingConfig | None) -> list[str]:
    """Why the cases do not fit `data.missing`: channels missing without it, or nothing that it could change."""
    bare = [case.id for case in cohort.cases if not case.files]
    if bare:
        return [f"{_counted(len(bare))} no image at all: {_listed(bare)}; take them out of the source"]
    lacking = [case for case in cohort.cases if case.missing]
    if setting is None:
        return [_unexpected(lacking, cohort.channels)] if lacking else []
    if len(cohort.channels) == 1:
        return [f"the only channel, '{cohort.channels[0]}', cannot be missing: remove this section"]
    if not lacking and not setting.dropout:
        return ["no case lacks a channel, and with dropout 0 none is taken away: raise dropout or remove this section"]
    return []


def unseen_faults(training: Sequence[Case], channels: Sequence[str]) -> list[str]:
    """The channels that no training case has: the network would never learn what to make of them."""
    unseen = [name for index, name in enumerate(channels) if all(index in case.missing for case in training)]
    if not unseen:
        return []
    return [f"no training case has {', '.join(unseen)}: take this out of the source's channels, or divide otherwise"]


def _unexpected(cases: Sequence[Case], channels: Sequence[str]) -> str:
    named = [f"{case.id} ({', '.join(channels[index] for index in case.missing)})" for case in cases]
    return (
        f"{_counted(len(cases))} not all channels ({', '.join(channels)}); missing: {_listed(named)}. "
        f"Train with what there is by setting {SETTING}, or take these cases out of the source"
    )


def _counted(number: int) -> str:
    return "1 case has" if number == 1 else f"{number} cases have"


def _listed(items: Sequence[str]) -> str:
    more = len(items) - SHOWN
    return ", ".join(items[:SHOWN]) + (f" and {more} more" if more > 0 else "")
