"""Classes by part: counted by hand, and told where a part lacks one or has too few patients of it."""

from __future__ import annotations

from hilum.case import Case
from hilum.data.audit.balance import balance_findings, described_balance

COHORT = {
    "train": ["sick", "sick", "well", "well", "well"],
    "val": ["well"] * 6,
    "test": ["sick"] * 4 + ["well"] * 5,
}


def cohort(scans: int) -> tuple[dict[str, list[Case]], dict[str, tuple[str, ...]]]:
    """The cases of each part, so many of each patient, and the class of each case."""
    parts: dict[str, list[Case]] = {}
    shown: dict[str, tuple[str, ...]] = {}
    for part, labels in COHORT.items():
        parts[part] = []
        for number, label in enumerate(labels):
            for scan in range(scans):
                parts[part].append(Case(f"{part}{number}-{scan}", f"{part}{number}", (), label))
                shown[parts[part][-1].id] = (label,)
    return parts, shown


def test_what_is_missing_or_rare_is_counted_in_patients() -> None:
    for scans in (1, 7):  # seven scans of one patient are no seven patients
        parts, shown = cohort(scans)
        found = [(one.severity, one.kind, one.received) for one in balance_findings(parts, shown)]
        assert found == [
            ("warning", "class missing from a part", "no patient with sick in val"),
            ("warning", "few patients of a class", "4 with sick in test"),
        ]
        told = "train 5 patients (2 sick, 3 well); val 6 patients (0 sick, 6 well); test 9 patients (4 sick, 5 well)"
        assert described_balance(parts, shown) == told


def test_what_is_never_seen_is_never_learnt() -> None:
    parts, shown = cohort(1)
    parts["train"] = parts["train"][2:]
    missing = {one.received: one.fix for one in balance_findings(parts, shown) if one.kind.startswith("class missing")}
    assert missing["no patient with sick in train"].startswith("what is never seen is never learnt")
    assert missing["no patient with sick in val"].startswith("it cannot be scored there")


def test_a_mask_may_show_several_structures_and_an_empty_part_lacks_nothing() -> None:
    parts: dict[str, list[Case]] = {"train": [Case(f"c{number}", f"c{number}", ()) for number in range(3)], "val": []}
    shown = {"c0": ("organ", "lesion"), "c1": ("organ",), "c2": ()}
    assert not list(balance_findings(parts, shown))
    assert described_balance(parts, shown).startswith("train 3 patients (1 lesion, 2 organ)")
