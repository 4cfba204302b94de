"""What goes together with the label is told, chance is not: over many cohorts no more often than the level allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.stats import binom

from hilum.case import Case, ImageRef
from hilum.data.audit.columns import columns_of
from hilum.data.audit.confounding import counts, label_findings, not_compared, part_findings
from hilum.formats.base import Header
from hilum.volume import Grid

Table = dict[str, dict[str, str]]


def cohort(seed: int, patients: int = 60, *, scans: int = 3, follow_label: float = 0.0) -> tuple[list[Case], Table]:
    """Patients with 1 to `scans` scans, three groupings and two measurements of their own, by chance.

    The site is that of the label in a share `follow_label` of the patients.
    """
    draw = np.random.default_rng(seed)
    cases: list[Case] = []
    columns: Table = {name: {} for name in ("site", "sex", "scanner", "age", "dose")}
    for patient in range(patients):
        label = str(draw.choice(["sick", "well"], p=[0.35, 0.65]))
        own = {
            "site": str(draw.choice(list("ABC"))),
            "sex": str(draw.choice(["F", "M"])),
            "scanner": str(draw.choice(list("PQRSTU"), p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05])),
            "age": str(draw.integers(20, 90)),
            "dose": f"{draw.gamma(2):.3f}",
        }
        if draw.random() < follow_label:
            own["site"] = {"sick": "A", "well": "B"}[label]
        for scan in range(int(draw.integers(1, scans + 1))):
            name = f"{patient}-{scan}"
            cases.append(Case(name, str(patient), (), label))
            for column, value in own.items():
                columns[column][name] = value
    return cases, columns


def labels(cases: list[Case]) -> dict[str, str]:
    return {case.id: str(case.label) for case in cases}


def test_chance_is_reported_in_no_more_cohorts_than_the_level_allows() -> None:
    cohorts, alpha = 100, 0.05
    alarms = 0
    for seed in range(cohorts):
        cases, columns = cohort(seed)
        alarms += bool(list(label_findings(cases, labels(cases), columns)))
    assert alarms <= binom.ppf(0.999, cohorts, alpha)


def test_a_confounded_cohort_is_reported_with_its_counts() -> None:
    for seed in range(10):
        cases, columns = cohort(seed, follow_label=0.6)
        (finding,) = label_findings(cases, labels(cases), columns)
        assert finding.kind == "goes together with the label"
        assert finding.received.startswith(("site (strong: Cramer's V 0.", "site (moderate: Cramer's V 0."))
        assert "60 patients" in finding.received
        share = [
            len({c.patient for c in cases if c.label == label and columns["site"][c.id] == "A"})
            / len({c.patient for c in cases if c.label == label})
            for label in ("sick", "well")
        ]
        assert f"A {100 * share[0]:.0f} % of sick, {100 * share[1]:.0f} % of well" in finding.received


def test_many_scans_of_one_patient_are_one_piece_of_evidence() -> None:
    cases = [Case(f"{p}-{s}", p, (), "sick" if p < "3" else "well") for p in "012345" for s in range(50)]
    column = {case.id: "A" if case.patient in "013" else "B" for case in cases}
    table, rows, values = counts(cases, labels(cases), column)
    assert (rows, values) == (["sick", "well"], ["A", "B"])
    np.testing.assert_allclose(table, [[2, 1], [1, 2]])
    assert not list(label_findings(cases, labels(cases), {"site": column}))


def test_measurements_days_and_their_absence() -> None:
    cases = [Case(str(index), str(index), (), "sick" if index % 2 else "well") for index in range(200)]
    draw = np.random.default_rng(3)
    late = {case.id: f"20{15 + 3 * (case.label == 'sick')}-{draw.integers(1, 13):02d}-10" for case in cases}
    late |= {case.id: f"20{int(draw.integers(15, 19))}-0{draw.integers(1, 9)}-20" for case in cases[:40]}
    weight = {case.id: f"{draw.normal(70, 9):.1f}" for case in cases}
    dose = {
        case.id: "n/a" if case.label == "sick" and draw.random() < 0.5 else f"{draw.normal():.3f}" for case in cases
    }
    found = [
        one.received for one in label_findings(cases, labels(cases), {"day": late, "weight": weight, "dose": dose})
    ]
    assert [text.split(" (")[0] for text in found] == ["day", "whether dose is given"]
    assert "median 2018." in found[0]
    assert "no 5" in found[1] or "no 4" in found[1]


def test_many_sites_are_compared_and_names_are_not() -> None:
    cases = [Case(str(index), str(index), (), "sick" if index % 2 else "well") for index in range(400)]
    draw = np.random.default_rng(5)
    site = {case.id: f"site {int(draw.integers(15)) + 15 * (case.label == 'sick')}" for case in cases}
    name = {case.id: f"Mr {case.id}" for case in cases}
    found = list(label_findings(cases, labels(cases), {"site": site, "name": name}))
    assert len(found) == 1
    assert found[0].received.startswith("site (strong")


def test_a_column_that_says_the_label_is_no_confounder() -> None:
    cases = [Case(str(index), str(index), (), ["pneumonia", "no_finding"][index % 2]) for index in range(60)]
    words = {case.id: "No Finding" if case.label == "no_finding" else "Edema|Pneumonia" for case in cases}
    (finding,) = label_findings(cases, labels(cases), {"words": words})
    assert finding.kind == "column restates the label"


def test_uneven_parts_are_reported() -> None:
    cases = [Case(str(index), str(index), (), "sick") for index in range(120)]
    parts = {case.id: "train" if index < 80 else "test" for index, case in enumerate(cases)}
    site = {case.id: "A" if index < 80 or index % 5 == 0 else "B" for index, case in enumerate(cases)}
    (finding,) = part_findings(cases, parts, {"site": site})
    assert finding.kind == "parts differ"
    assert "A 20 % of test, 100 % of train" in finding.received
    assert not list(part_findings(cases, dict.fromkeys(parts, "train"), {"site": site}))


def two_classes(patients: int) -> list[Case]:
    return [Case(str(index), str(index), (), "ab"[index % 2]) for index in range(patients)]


def test_a_measurement_of_few_values_is_compared() -> None:
    """Ages 20 to 28 and 60 to 68: any two patients of two classes differ in the same direction."""
    cases = two_classes(30)
    age = {case.id: str({"a": 20, "b": 60}[str(case.label)] + index // 2 % 9) for index, case in enumerate(cases)}
    assert len(set(age.values())) == 18
    (finding,) = label_findings(cases, labels(cases), {"age": age})
    assert finding.received.startswith("age (strong: AUC 1.00, p ")


def test_many_spacings_and_sizes_are_compared_as_numbers() -> None:
    """Fine in one class and coarse in the other, each scan in its own way; each is told once."""
    cases, headers = [], {}
    for index in range(60):
        step = 0.5 + 0.01 * (index // 2 % 13) + (index % 2)
        ref = ImageRef(Path(f"{index}.nii"))
        shape = (100 + index // 2 % 13, 100 + 50 * (index % 2), 30)
        headers[ref] = Header(Grid(shape, np.diag([step, step, 2.0, 1.0])), 1, 1, "int16")
        cases.append(Case(str(index), str(index), (ref,), "ab"[index % 2]))
    found = [one.received for one in label_findings(cases, labels(cases), columns_of(cases, headers))]
    assert sorted(text.split(":")[0] for text in found) == ["image size", "spacing"]
    assert all("AUC 1.00" in text or "Cramer's V 1.00" in text for text in found)
    assert any("voxel volume" in text for text in found)


def test_columns_that_cannot_be_compared_are_named() -> None:
    cases = two_classes(40)
    text = {case.id: f"{case.id} mm" for case in cases}
    column = {case.id: str(int(case.id) % 3) for case in cases}
    assert not_compared(cases, {"gap": text, "site": column, "name": text}) == ["gap", "name"]
