"""The audit of a cohort and its split: copies, confounding, balance, and patients that nobody names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hilum.case import Case, Cohort, ImageRef
from hilum.data.audit.balance import balance_findings, described_balance
from hilum.data.audit.columns import Column, columns_of, headers_of
from hilum.data.audit.confounding import label_findings, not_compared, part_findings
from hilum.data.audit.copies import Pair, Scan, find_pairs
from hilum.data.audit.looks import Look, looks_of
from hilum.data.audit.proposals import propose_patients
from hilum.data.audit.verdicts import copy_findings
from hilum.data.splits.base import PARTS, Split
from hilum.errors import DataError, Finding
from hilum.formats.base import Header
from hilum.problem import Problem
from hilum.sources.patients import UNKNOWN
from hilum.targets import encoded_label

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Audit:
    """What the audit found: findings to print, the pairs of copies behind them, and the balance of the parts, a line
    that a second one follows where columns could not be compared.
    """

    findings: tuple[Finding, ...]
    pairs: tuple[Pair, ...]
    balance: str


def audit(
    cohort: Cohort,
    split: Split,
    problem: Problem,
    *,
    headers: Mapping[ImageRef, Header] | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Everything suspicious about a cohort and its split; reads all voxels unless the cache folder remembers them.

    `headers` are those of an index, which are else read here; `progress` is told how many of how many images are done,
    then, on top of them, how many of how many pairs that are likely to be copies.
    Images that cannot be read are left out: the index and the preparation say why.
    """
    if headers is None:
        headers = headers_of(cohort.cases)
    parts: dict[str, Sequence[Case]] = {part: split.part(part) for part in PARTS}
    part_of = {case.id: part for part, cases in parts.items() for case in cases}
    scans = [
        Scan(case, ref, channel, part_of.get(case.id, ""))
        for case in sorted(cohort.cases, key=lambda case: (_rank(part_of.get(case.id, "")), case.id))
        for channel, ref in enumerate(case.images)
        if ref is not None
    ]
    masks = [case.label for case in cohort.cases if isinstance(case.label, ImageRef) and not problem.continuous]
    looks = looks_of([scan.ref for scan in scans], masks=masks, cache=cache, progress=progress)

    def compared(done: int, total: int) -> None:
        if progress:
            progress(len(looks) + done, len(looks) + total)

    pairs = tuple(find_pairs(scans, looks, progress=compared))
    # Numbers are no classes: of a regression nothing is shown, and nothing can be missing.
    classes = () if problem.continuous else problem.foreground
    labelled = cohort.cases if classes else ()
    shown = {case.id: found for case in labelled if (found := _classes(case, problem, looks)) is not None}
    columns = columns_of(cohort.cases, headers)
    findings = [
        *copy_findings(pairs, looks),
        *_associations(cohort, part_of, shown, columns),
        *balance_findings(parts, shown, classes),
        *_patient_findings(cohort, headers),
    ]
    told = [described_balance(parts, shown, classes)]
    if left_out := not_compared(cohort.cases, columns):
        told.append(f"not compared with label and parts, being texts of too many values: {', '.join(left_out)}")
    return Audit(tuple(findings), pairs, "\n".join(told))


def _rank(part: str) -> int:
    """Train before val before test, so that of two copies the one that is learnt from is named first."""
    return [*PARTS, ""].index(part)


def _classes(case: Case, problem: Problem, looks: Mapping[ImageRef, Look]) -> tuple[str, ...] | None:
    """The class of a case, its findings, or the structures that its mask shows; None where that is unknown."""
    if isinstance(case.label, str | tuple):
        try:
            found = encoded_label(case.label, problem)
        except DataError:
            return None
        if isinstance(found, int):
            return (problem.classes[found],)
        return tuple(name for name, value in zip(problem.classes, found, strict=True) if value == 1)
    if case.label is None or case.label not in looks:
        return None
    values = set(looks[case.label].values)
    if problem.unknown_values(values):
        return None  # values without a class, which are told elsewhere, may stand for any structure
    named = zip(problem.classes, problem.values, strict=True)
    return tuple(name for name, own in named if name in problem.foreground and values & set(own))


def _associations(
    cohort: Cohort, part_of: Mapping[str, str], shown: Mapping[str, tuple[str, ...]], columns: Mapping[str, Column]
) -> Iterator[Finding]:
    labels = {case_id: " and ".join(found) or "nothing" for case_id, found in shown.items()}
    if len(set(labels.values())) > 1:
        yield from label_findings(cohort.cases, labels, columns)
    if len(labels) == len(cohort.cases):
        columns = {"the label": labels, **columns}
    yield from part_findings(cohort.cases, part_of, columns)


def _patient_findings(cohort: Cohort, headers: Mapping[ImageRef, Header]) -> Iterator[Finding]:
    """A warning where nobody knows the patients, with the best guess at them."""
    if UNKNOWN not in cohort.notes:
        return
    for proposal in propose_patients(cohort, headers)[:1]:
        way = ", ".join(f"{key}: '{value}'" for key, value in proposal.config.items())
        table = " (a table case_id, patient_id)" if "table" in proposal.config else ""
        yield Finding(
            "warning",
            "cases seem to share patients",
            received=f"{len(cohort.cases)} cases that look like {proposal.count} patients by {proposal.rule}: "
            f"{proposal.evidence}",
            expected="a patient for each case only where nobody was scanned twice",
            fix=f"say who the patients are, such as patients: {{{way}}}{table}: "
            "else one patient may be learnt from and scored",
        )
