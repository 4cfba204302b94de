"""Who the patients could be where nobody says: from names, from numbering, and from what headers have in common."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from hilum.case import Cohort, ImageRef
from hilum.formats.base import Header

NAME_PATTERNS = (
    r"(?i)^(sub-[a-z0-9]+)",
    r"(?i)(pat(?:ient)?[-_ ]?\d+)",
    r"(?i)^([a-z]*[-_]?\d+)[-_.]",
    r"(?i)^([a-z]+\d[a-z0-9]*)[-_.]",
)
"""Where in a case id the patient may stand; the first that fits all ids is taken."""
PERIODS = (2, 3, 4)
"""Scans of a patient that may follow each other in the numbering."""
CONVINCING = 1e-3
"""P values above this, corrected for everything tried, propose nothing."""
AGREEING = 0.01
"""Further traits that favour the same grouping with a p value (not corrected) up to this are named as evidence."""
LARGEST_SHARE = 0.5
"""A name that this share of all cases has is a cohort, not a patient."""

Confidence = Literal["certain", "likely", "guess"]


@dataclass(frozen=True)
class Proposal:
    """A patient for each case id, by which rule, on what evidence, and what to write under `patients:`.

    Where `config` names a table, that is `as_csv()`, to be written into the folder of the data.
    """

    rule: str
    evidence: str
    patients: Mapping[str, str] = field(repr=False)
    config: Mapping[str, str]
    confidence: Confidence

    @property
    def count(self) -> int:
        """How many patients it makes."""
        return len(set(self.patients.values()))

    def as_csv(self) -> str:
        """The table case_id, patient_id."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("case_id", "patient_id"))
        writer.writerows(sorted(self.patients.items()))
        return text.getvalue()


def propose_patients(
    cases: Cohort | Mapping[str, ImageRef], headers: Mapping[ImageRef, Header], *, table: str = "patients.csv"
) -> list[Proposal]:
    """Proposals, the most certain first; none where every case seems to be a patient of its own.

    `cases` is the cohort, or an image for each case id; `table` is what a table of patients would be called.
    """
    images = (
        {case.id: case.files[0] for case in cases.cases if case.files} if isinstance(cases, Cohort) else dict(cases)
    )
    known = {case_id: headers[ref] for case_id, ref in images.items() if ref in headers}
    found = [*_by_header(images, known, table), *_by_numbers(images, known, table), *_by_name(images)]
    return [proposal for proposal in found if 1 < proposal.count < len(images)]


def _by_header(images: Mapping[str, ImageRef], known: Mapping[str, Header], table: str) -> Iterator[Proposal]:
    """The patient that the headers themselves name, as DICOM does."""
    named = {case_id: header.facts["patient_id"] for case_id, header in known.items() if header.facts.get("patient_id")}
    if named and len(named) == len(images):
        evidence = f"every header names its patient, {len(set(named.values()))} different ones"
        yield Proposal("patient id in the headers", evidence, named, {"table": table}, "certain")


def _by_name(images: Mapping[str, ImageRef]) -> Iterator[Proposal]:
    """The first pattern that finds in all ids a part that several of them share."""
    for pattern in NAME_PATTERNS:
        matches = {case_id: re.search(pattern, case_id) for case_id in images}
        patients = {case_id: match[1] for case_id, match in matches.items() if match}
        sizes = Counter(patients.values())
        if len(patients) < len(images) or len(sizes) == len(images):
            continue
        if sizes.most_common(1)[0][1] > max(2, LARGEST_SHARE * len(images)):
            continue
        several = next(patient for patient, size in sizes.most_common(1))
        alike = ", ".join(sorted(case_id for case_id, patient in patients.items() if patient == several)[:2])
        evidence = f"{len(images)} names begin with {len(sizes)} different ids, such as {several} of {alike}"
        yield Proposal("part of the name", evidence, patients, {"regex": pattern}, "guess")
        return


@dataclass(frozen=True, order=True)
class Grouping:
    """How seldom a trait changes within groups of `period` numbers after number `offset`, and how likely that is."""

    p: float
    period: int
    offset: int
    trait: str
    changes_within: int
    chances_within: int
    changes_between: int
    chances_between: int

    @property
    def words(self) -> str:
        """The evidence: "the type of voxels differs in 0 of 66 such pairs and 16 of 55 others"."""
        return (
            f"the {self.trait} differs in {self.changes_within} of {self.chances_within} such pairs and "
            f"{self.changes_between} of {self.chances_between} others"
        )

    def patient(self, number: int) -> str:
        """The group of a number, counted from 1 for the one that holds number `offset` + 1."""
        return f"{(number + self.period - 1 - self.offset) // self.period:03d}"


def _by_numbers(images: Mapping[str, ImageRef], known: Mapping[str, Header], table: str) -> Iterator[Proposal]:
    """Groups of numbers within which headers never change, though they change between groups."""
    numbered = _numbers(images)
    if numbered is None:
        return
    tried = [
        _grouping({number: said.get(case_id, "") for case_id, number in numbered.items()}, trait, period, offset)
        for trait, said in _traits(known).items()
        for period in PERIODS
        for offset in range(period)
    ]
    best = min(tried, default=None)
    if best is None or best.p * len(tried) > CONVINCING:
        return
    agreeing = [one for one in tried if (one.period, one.offset) == (best.period, best.offset) and one.p <= AGREEING]
    evidence = (
        f"neighbours such as {best.offset + 1} and {best.offset + 2} seldom differ, others such as "
        f"{best.offset + best.period} and {best.offset + best.period + 1} do: "
        f"{'; '.join(one.words for one in sorted(agreeing))} (p {best.p * len(tried):.1g})"
    )
    patients = {case_id: best.patient(number) for case_id, number in numbered.items()}
    yield Proposal(f"{best.period} neighbouring numbers a patient", evidence, patients, {"table": table}, "likely")


def _numbers(images: Mapping[str, ImageRef]) -> dict[str, int] | None:
    """The number in each id, where ids differ by one number at their end."""
    found = {case_id: re.fullmatch(r"(.*?)0*(\d{1,18})", case_id) for case_id in images}
    if not found or not all(found.values()) or len({match[1] for match in found.values() if match}) > 1:
        return None
    return {case_id: int(match[2]) for case_id, match in found.items() if match}


def _traits(known: Mapping[str, Header]) -> dict[str, dict[str, str]]:
    """By name, what each header says of voxels, geometry, scanner and so on, where not all agree."""
    traits: dict[str, dict[str, str]] = {}
    for case_id, header in known.items():
        said = {"type of voxels": header.stored, "number of channels": str(header.channels)}
        if header.grid.unit == "mm":
            said["origin"] = str(header.grid.affine[:3, 3].round(2).tolist())
            said["voxel size"] = str([round(step, 3) for step in header.grid.spacing])
            said["orientation"] = "".join(header.grid.orientation)
        for name, text in (said | dict(header.facts)).items():
            traits.setdefault(name.replace("_", " "), {})[case_id] = text
    return {name: said for name, said in traits.items() if len(set(said.values())) > 1}


def _grouping(said: Mapping[int, str], trait: str, period: int, offset: int) -> Grouping:
    """How often what is said of neighbouring numbers changes within and between groups, and how likely so little is.

    Given all changes between neighbours, each lies within a group with the share of neighbours that do (binomial test).
    Slow changes along the numbering, such as a new scanner, do not favour any grouping.
    """
    from scipy.stats import binom

    changes, chances = [0, 0], [0, 0]
    for number, text in said.items():
        if number + 1 in said:
            between = int((number - offset) % period == 0)
            changes[between] += int(text != said[number + 1])
            chances[between] += 1
    p = 1.0
    if all(chances) and sum(changes) > 0:
        p = float(binom.cdf(changes[0], sum(changes), chances[0] / sum(chances)))
    return Grouping(p, period, offset, trait, changes[0], chances[0], changes[1], chances[1])
