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
        found = [(one.severity, one.kind, one.received) for one in balance_findings(parts, shown, ("sick", "well"))]
        assert found == [
            ("warning", "class missing from a part", "no patient with sick in val"),
            ("warning", "few patients of a class", "4 with sick in test"),
        ]
        told = "train 5 patients (2 sick, 3 well); val 6 patients (0 sick, 6 well); test 9 patients (4 sick, 5 well)"
        assert described_balance(parts, shown, ("sick", "well")) == told


def test_what_is_never_seen_is_never_learnt() -> None:
    parts, shown = cohort(1)
    parts["train"] = parts["train"][2:]
    found = balance_findings(parts, shown, ("sick", "well"))
    missing = {one.received: one.fix for one in found if one.kind.startswith("class missing")}
    assert missing["no patient with sick in train"].startswith("what is never seen is never learnt")
    assert missing["no patient with sick in val"].startswith("it cannot be scored there")


def test_a_mask_may_show_several_structures_and_an_empty_part_lacks_nothing() -> None:
    parts: dict[str, list[Case]] = {"train": [Case(f"c{number}", f"c{number}", ()) for number in range(3)], "val": []}
    shown = {"c0": ("organ", "lesion"), "c1": ("organ",), "c2": ()}
    assert not list(balance_findings(parts, shown, ("lesion", "organ")))
    assert described_balance(parts, shown, ("lesion", "organ")).startswith("train 3 patients (1 lesion, 2 organ)")


def test_a_class_that_the_task_has_and_no_case_shows_is_an_error() -> None:
    parts = {"train": [Case(f"c{number}", f"c{number}", (), "a") for number in range(4)], "val": [], "test": []}
    parts["test"] = [Case(f"t{number}", f"t{number}", (), "a") for number in range(5)]
    shown = {case.id: ("a",) for cases in parts.values() for case in cases}
    found = [(one.severity, one.kind, one.received) for one in balance_findings(parts, shown, ("a", "b"))]
    assert found == [
        ("error", "class without a case", "no case with b in any part"),
        ("warning", "class missing from a part", "no patient with b in test"),
    ]
    assert described_balance(parts, shown, ("a", "b")).startswith("train 4 patients (4 a, 0 b)")


def test_what_a_case_shows_may_be_unknown() -> None:
    """A mask that cannot be read may show the class: then nobody can say that no case has it."""
    parts = {"train": [Case(f"c{number}", f"c{number}", ()) for number in range(4)], "test": [Case("t", "t", ())]}
    shown = {f"c{number}": ("a",) for number in range(3)}
    (finding,) = balance_findings(parts, shown, ("a", "b"))  # and nothing of test, of which nothing is known
    assert (finding.severity, finding.received) == ("warning", "no patient with b in train (unknown of 1 case)")
