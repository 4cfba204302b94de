"""Images that no network should be shown: their headers say so, or what is left of them after preparation."""

from __future__ import annotations

from hilum.case import Case
from hilum.data.index.grids import odd
from hilum.data.index.headers import frames_finding
from hilum.errors import DataError
from hilum.formats.reading import read_header
from hilum.volume import Grid, Volume

COLLAPSED_VOXELS, WHOLE_VOXELS = 2, 16
"""An image of more than 16 voxels along an axis of which at most 2 are left along each has a wrong voxel size."""


def refuse_headers(case: Case) -> None:
    """Raise DataError for what the headers tell: other frames than the network takes, impossible voxels."""
    findings = [frames_finding(case)] if len(case.images) > 1 else []
    for ref in case.files:
        findings += [finding for finding in odd(ref, read_header(ref).grid) if finding.severity == "error"]
    wrong = [finding for finding in findings if finding is not None]
    if wrong:
        raise DataError(wrong[:1])


def refuse_collapsed(grid: Grid, prepared: Volume) -> None:
    """Raise DataError where next to nothing is left of a volume, whose voxels the header makes too small."""
    if max(prepared.grid.shape) <= COLLAPSED_VOXELS and max(grid.shape) > WHOLE_VOXELS:
        sizes = " x ".join(f"{step:g}" for step in grid.spacing)
        raise DataError(
            f"impossible spacing: with voxels of {sizes} {grid.unit} all of it is {prepared.grid.shape} voxels "
            "after preparation: correct the voxel size or the unit of length in the header"
        )
