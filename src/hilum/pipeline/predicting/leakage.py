"""Cases that a network was trained or chosen on, refused before anything is predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hilum.case import Case
from hilum.data.audit.looks import looks_of
from hilum.data.seen import Seen, incomparable, read_seen, refuse_seen
from hilum.pipeline.predicting.networks import Networks
from hilum.sources.base import listed

Say = Callable[[str], None]


def compared_with_seen(cases: Sequence[Case], networks: Networks, *, say: Say) -> set[str]:
    """Ids of the cases whose voxels none of the networks has seen; says how many, and names those not compared.

    Raises DataError naming every case that one of them was trained or chosen on, and CheckpointError for a run that
    does not know what it has seen.
    """
    cache = networks.first.experiment.data.cache
    seen = [
        row
        for run in networks.runs
        for row in read_seen(run.seen, sha256=run.read_json(run.provenance).get("seen_sha256"))
    ]
    refuse_seen(cases, seen, cache=cache)
    return _compared(cases, seen, cache=cache, say=say)


def _compared(cases: Sequence[Case], seen: Sequence[Seen], *, cache: Path | None, say: Say) -> set[str]:
    """Ids of the cases whose voxels could be compared with what was seen; says how many, and names the others."""
    if said := incomparable(seen):
        say(f"warning: {said}")
        say(f"no identical ids or patients among {len(cases)} cases; voxels were not compared")
        return set()
    looks = looks_of([ref for case in cases for ref in case.files], cache=cache)
    told = {ref for ref, look in looks.items() if look.thumbnail is not None}
    compared = {case.id for case in cases if told.intersection(case.files)}
    say(f"no identical voxels, ids or patients among the {len(compared)} compared")
    others = [case.id for case in cases if case.id not in compared]
    if others:
        say(f"only ids and patients of {len(others)}, which cannot be read or have no contrast: {listed(others)}")
    blank = sorted({row.case_id for row in seen if not row.voxels})
    if blank:
        say(f"only ids and patients are known of {len(blank)} cases that the network has seen: {listed(blank)}")
    return compared
