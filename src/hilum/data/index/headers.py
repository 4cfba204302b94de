"""What the headers of one case say about each other: modalities and mask on one grid, one volume each, real labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hilum.case import Case, ImageRef
from hilum.data.index.grids import differs, odd
from hilum.errors import Finding
from hilum.formats.base import Header
from hilum.formats.reading import read_header, several_frames

FORMS_TOLERANCE_VOXELS = 0.1
"""How far the two positions that a NIfTI header can tell may be apart before it is worth a word."""

ODD_FACTS = {
    "mended": (
        "header mended",
        "{}",
        "a header as the standard has it",
        "see whether the voxels lie where they should, and write the file anew",
    ),
    "orientation_tag": (
        "picture to be turned",
        "orientation tag {}",
        "1, or none",
        "pixels are read as stored, not turned: where that matters, turn images and masks and save them anew",
    ),
    "slice_gap": (
        "slices may be missing",
        "{}",
        "no gaps, or known ones",
        "see whether the series is complete: every other slice may have been lost",
    ),
}
"""Facts of a header that are worth a warning: its kind, how the fact is told, what was expected, and what to do."""


def case_findings(case: Case, headers: Mapping[ImageRef, Header]) -> Iterator[Finding]:
    """What is wrong or odd with those files of a case whose headers could be read."""
    other = frames_finding(case) if all(ref in headers for ref in case.files) else None
    if other is not None:
        yield other
    images = [ref for ref in case.files if ref in headers]
    mask = case.label if isinstance(case.label, ImageRef) and case.label in headers else None
    refs = dict.fromkeys([*images, *([mask] if mask is not None else [])])
    for ref in refs:
        yield from _alone(ref, headers[ref], case.id)
    if mask is not None and headers[mask].facts.get("photometric") == "MINISWHITE":
        yield Finding(
            "warning",
            "mask in which white is 0",
            case.id,
            str(mask),
            received="MINISWHITE",
            expected="MINISBLACK",
            fix="labels are the numbers as stored, viewers show them turned round: see whether 0 is the background",
        )
    if mask is not None and headers[mask].channels > 1 and headers[mask].grid.unit == "mm":
        yield Finding(
            "error",
            "mask with channels",
            case.id,
            str(mask),
            received=f"{headers[mask].channels} values a voxel",
            expected="1",
            fix="write one label value into each voxel",
        )
    for ref in list(refs)[1:]:
        apart = differs(ref, headers[ref].grid, like=next(iter(refs)), like_grid=headers[next(iter(refs))].grid)
        if apart is not None:
            yield Finding(**{**vars(apart), "case": case.id})


def frames_finding(case: Case) -> Finding | None:
    """That the 4-D file which holds the channels of a case as frames has more or fewer of them than there are channels.

    Raises DataError where its header cannot be read.
    """
    frames = [ref for ref in case.files if ref.index is not None and ref.key is None]
    if not frames or len({ref.path for ref in frames}) > 1:
        return None
    whole = read_header(ImageRef(frames[0].path)).frames
    if whole == len(frames):
        return None
    return Finding(
        "error",
        "other frames",
        case.id,
        str(frames[0].path),
        received=f"{whole} frames",
        expected=f"{len(frames)}, one for each channel",
        fix="name every frame as a channel, or remove those that are none from the file",
    )


def _alone(ref: ImageRef, header: Header, case: str) -> Iterator[Finding]:
    if header.frames > 1:
        yield Finding(**{**vars(several_frames(ref, header)), "case": case})
    yield from odd(ref, header.grid, case=case)
    if header.facts.get("sform_code") == header.facts.get("qform_code") == "0":
        yield Finding(
            "warning",
            "no orientation",
            case,
            str(ref),
            received="neither sform nor qform",
            expected="one of them",
            fix="left and right are guessed from the order of voxels: convert the file anew from what it was made of",
        )
    for fact, (kind, received, expected, fix) in ODD_FACTS.items():
        if fact in header.facts:
            told = received.format(header.facts[fact])
            yield Finding("warning", kind, case, str(ref), received=told, expected=expected, fix=fix)
    yield from _two_forms(ref, header, case)


def _two_forms(ref: ImageRef, header: Header, case: str) -> Iterator[Finding]:
    """Where sform and qform place the voxels of a NIfTI file differently, or the qform is no place at all."""
    told = header.facts.get("forms_differ_mm", "0")
    try:
        received = f"two positions, {float(told):.3g} mm apart"
        differ = not float(told) <= FORMS_TOLERANCE_VOXELS * min(header.grid.spacing)  # NaN differs too
    except ValueError:
        received, differ = told, True
    if differ:
        yield Finding(
            "warning",
            "sform and qform differ",
            case,
            str(ref),
            received=received,
            expected=f"one position (within {FORMS_TOLERANCE_VOXELS:g} voxel)",
            fix="the sform is used, other programs may take the qform: make both equal",
        )
