"""Classes and image sizes of each part: what is missing from one, and what differs between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hilum.case import Case
from hilum.errors import Finding

FEW_PATIENTS = 5
"""A class with fewer patients than this in a part that is scored says little."""


def balance_findings(parts: Mapping[str, Sequence[Case]], shown: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """A warning for each class that a part lacks or has too few patients of; `shown` are the classes of a case id.

    For a segmentation the classes of a case are those that its mask shows.
    """
    classes = sorted({name for names in shown.values() for name in names})
    for part, cases in parts.items():
        for name in classes if cases else ():
            patients = {case.patient for case in cases if name in shown.get(case.id, ())}
            if not patients:
                yield Finding(
                    "warning",
                    "class missing from a part",
                    received=f"no patient with {name} in {part}",
                    expected="every class in every part",
                    fix=_MISSING[part == "train"],
                )
            elif part != "train" and len(patients) < FEW_PATIENTS:
                yield Finding(
                    "warning",
                    "few patients of a class",
                    received=f"{len(patients)} with {name} in {part}",
                    expected=f"at least {FEW_PATIENTS}",
                    fix="scores of this class rest on them: take more folds, or larger parts",
                )


_MISSING = {
    True: "what is never seen is never learnt: stratify the split, or take the class out of task.classes",
    False: "it cannot be scored there: stratify the split, or take more patients into the part",
}


def described_balance(parts: Mapping[str, Sequence[Case]], shown: Mapping[str, Sequence[str]]) -> str:
    """Patients of each class by part, on one line: "train 60 (40 anterior, 60 posterior), val 10 (...)"."""
    classes = sorted({name for names in shown.values() for name in names})
    told = []
    for part, cases in parts.items():
        counts = (
            f"{len({case.patient for case in cases if name in shown.get(case.id, ())})} {name}" for name in classes
        )
        told.append(f"{part} {len({case.patient for case in cases})} patients ({', '.join(counts)})")
    return "; ".join(told)
