"""What to say about pairs of images that show the same: who shares them, and whether their labels agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hilum.case import ImageRef
from hilum.data.audit.copies import Pair, Scan
from hilum.data.audit.looks import Look
from hilum.data.splits.base import PARTS
from hilum.errors import Finding

NAMES = {"identical": "identical voxels", "turned": "identical voxels, mirrored or turned", "near": "near copy"}


def copy_findings(pairs: Sequence[Pair], looks: Mapping[ImageRef, Look]) -> Iterator[Finding]:
    """A warning for each pair, naming both cases, and one more where their labels differ."""
    for pair in pairs:
        if pair.first.case.id == pair.second.case.id:
            yield _within_a_case(pair)
            continue
        yield _shared(pair)
        conflict = _conflict(pair, looks)
        if conflict is not None:
            yield conflict


def _within_a_case(pair: Pair) -> Finding:
    return Finding(
        "warning",
        "two channels show the same",
        pair.first.case.id,
        str(pair.second.ref),
        received=_likeness(pair, pair.first.ref.path.name),
        expected="another modality",
        fix="name the right file for each channel",
    )


def _shared(pair: Pair) -> Finding:
    first, second = _in_order(pair)
    where, fix = "", "leave one of them out"
    if pair.across_parts:
        where = f" in {first.part} and {second.part}"
        fix = "what is learnt from one is scored on the other: give both one patient, or leave one out"
        if not pair.across_patients:
            fix = "what is learnt from one is scored on the other: leave one out"
    elif pair.across_patients:
        where, fix = " of two patients", "give both one patient, or leave one out"
    return Finding(
        "warning",
        f"{NAMES[pair.how]}{where}",
        second.case.id,
        str(second.ref),
        received=_likeness(pair, f"case {first.case.id}") + _whose(pair, first, second),
        fix=fix,
    )


def _conflict(pair: Pair, looks: Mapping[ImageRef, Look]) -> Finding | None:
    first, second = _in_order(pair)
    one, other = first.case.label, second.case.label
    if isinstance(one, str) and isinstance(other, str) and one != other:
        received, expected = f"class {other}", f"class {one} as its copy, case {first.case.id}, has"
    elif pair.how == "identical" and isinstance(one, ImageRef) and isinstance(other, ImageRef):
        if one not in looks or other not in looks or looks[one].voxels == looks[other].voxels:
            return None
        received, expected = "another mask", f"that of its copy, case {first.case.id}"
    else:
        return None
    return Finding(
        "warning",
        "copies with different labels",
        second.case.id,
        str(other if isinstance(other, ImageRef) else second.ref),
        received=received,
        expected=expected,
        fix="see which label is right: nothing can be learnt from both",
    )


def _likeness(pair: Pair, other: str) -> str:
    if pair.how == "identical":
        return f"the same voxels as {other}"
    if pair.how == "turned":
        return f"the same voxels as {other}, its rows or columns in another order"
    words = f", {pair.words}" if pair.words else ""
    return f"{pair.score:.3f} like {other}{words}"


def _in_order(pair: Pair) -> tuple[Scan, Scan]:
    """The two images of a pair, that of the part which is learnt from first."""
    first, second = sorted((pair.first, pair.second), key=lambda scan: ([*PARTS, ""].index(scan.part), scan.case.id))
    return first, second


def _whose(pair: Pair, first: Scan, second: Scan) -> str:
    """Patients and parts of both, where known and not said by the kind: " (patient 61), here patient 71"."""
    told = []
    for scan in (first, second):
        known = pair.across_patients and scan.case.patient != scan.case.id
        part = "" if pair.across_parts else f"in {scan.part}" if scan.part else "in no part"
        told.append(" ".join(word for word in (f"patient {scan.case.patient}" if known else "", part) if word))
    if told[0] == told[1]:
        return f", both {told[0]}" if told[0] else ""
    return f" ({told[0]}), here {told[1]}"
