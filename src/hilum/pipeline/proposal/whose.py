"""Whose scans they are, where the layout does not say: what names, numbers and headers suggest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hilum.case import Cohort
from hilum.data.audit import propose_patients
from hilum.pipeline.proposal.origin import Origin
from hilum.pipeline.proposal.survey import Head

HOW_TO = "patients: {regex: '^(.+?)_'} or patients: {table: patients.csv}"


@dataclass(frozen=True)
class Whose:
    """The origin with its patients, the reason, and where they were proposed the patient of each case.

    `table` is the text of the table of patients that has to be written for it.
    """

    origin: Origin
    why: str
    patients: Mapping[str, str] | None = None
    table: str | None = None


def whose(origin: Origin, cohort: Cohort, heads: Sequence[Head], *, table: Path | None) -> Whose:
    """The patients as the layout has them, or else as they are most likely; `table` is where a table may be written."""
    doubts = "; ".join(f"not certain: {doubt}" for doubt in origin.layout.doubts)
    if not origin.guessed_patients:
        return Whose(origin, doubts)
    headers = {head.case_id: head.header for head in heads}
    known = {case.files[0]: headers[case.id] for case in cohort.cases if case.id in headers}
    official = any(case.part for case in cohort.cases)
    proposals = [] if official else propose_patients(cohort, known, table=str(table or "patients.csv"))
    usable = [proposal for proposal in proposals if table is not None or "table" not in proposal.config]
    if not usable:
        return Whose(
            origin,
            "nothing says whose scans they are: each_case makes every case a patient of its own, and every report "
            f"repeats it. Where one patient has several, say so, as in\n  {HOW_TO}\n"
            "Else training and test share patients, and scores are too good",
        )
    best = usable[0]
    settings = {**origin.layout.settings, "patients": dict(best.config)}
    why = (
        f"{best.confidence}, not known: {best.count} patients by {best.rule}, since {best.evidence}. "
        "If every case is a patient of its own: patients: {each_case: true}"
    )
    changed = replace(origin, layout=replace(origin.layout, settings=settings, doubts=()))
    return Whose(changed, why, best.patients, best.as_csv() if "table" in best.config else None)
