"""Classes and image sizes of each part: what is missing from one, and what differs between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hilum.case import Case
from hilum.errors import Finding

FEW_PATIENTS = 5
"""A class with fewer patients than this in a part that is scored says little."""


def balance_findings(
    parts: Mapping[str, Sequence[Case]], shown: Mapping[str, Sequence[str]], classes: Sequence[str]
) -> Iterator[Finding]:
    """An error for each of the task's classes without any case, a warning where a part has none or too few patients.

    `shown` are the classes of a case id: for a segmentation those that its mask shows. A case that is not there, such
    as one whose mask cannot be read, may show any; nothing is said of a part whose cases are all of this kind.
    """
    all_known = all(case.id in shown for cases in parts.values() for case in cases)
    never = {name for name in classes if all_known and not any(name in names for names in shown.values())}
    for name in classes:
        if name in never:
            yield Finding(
                "error",
                "class without a case",
                received=f"no case with {name} in any part",
                expected="cases of every class of the task",
                fix="compare task.classes with what the data call their classes, or take the class out of them",
            )
    for part, cases in parts.items():
        unknown = sum(case.id not in shown for case in cases)
        for name in classes if len(cases) > unknown else ():
            patients = {case.patient for case in cases if name in shown.get(case.id, ())}
            if not patients and part == "train" and name in never:
                continue
            if not patients:
                yield Finding(
                    "warning",
                    "class missing from a part",
                    received=f"no patient with {name} in {part}{_but(unknown)}",
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


def _but(unknown: int) -> str:
    return f" (unknown of {unknown} case{'s' if unknown > 1 else ''})" if unknown else ""


def described_balance(
    parts: Mapping[str, Sequence[Case]], shown: Mapping[str, Sequence[str]], classes: Sequence[str]
) -> str:
    """Patients of each class by part, on one line: "train 60 (40 anterior, 60 posterior), val 10 (...)"."""
    told = []
    for part, cases in parts.items():
        counts = (
            f"{len({case.patient for case in cases if name in shown.get(case.id, ())})} {name}" for name in classes
        )
        each = f" ({', '.join(counts)})" if classes else ""
        told.append(f"{part} {len({case.patient for case in cases})} patients{each}")
    return "; ".join(told)
