"""A group held out: nothing of it is seen, nobody of it is trained on, and unknown groups are refused."""

import pytest

from hilum.case import Case
from hilum.data.splits.base import PARTS
from hilum.data.splits.leave_one_group_out import LeaveOneGroupOutConfig
from hilum.errors import SplitError


def scan(patient: str, number: int, site: str, **metadata: str) -> Case:
    return Case(f"{patient}-{number}", patient, (), metadata={"site": site, **metadata})


SITES = [scan(f"{site}{k}", s, site) for site in ("Basel", "Oslo", "Turin") for k in range(5) for s in range(2)]


@pytest.mark.parametrize(("group", "expected"), [(0, "Basel"), (2, "Turin"), ("Oslo", "Oslo")])
def test_the_group_and_nothing_else_is_tested(group: int | str, expected: str) -> None:
    split = LeaveOneGroupOutConfig(by="site", group=group).assign(SITES[::-1], labels={})
    assert {case.metadata["site"] for case in split.part("test")} == {expected}
    assert len(split.part("test")) == 10
    assert [len(split.part(part)) for part in ("train", "val")] == [16, 4]
    # val is stratified by group: one patient of each of the other sites
    assert len({case.metadata["site"] for case in split.part("val")}) == 2
    assert split.fold == ["Basel", "Oslo", "Turin"].index(expected)
    assert split.notes == ()


def test_runs_are_all_groups() -> None:
    runs = LeaveOneGroupOutConfig(by="site").runs(SITES)
    assert [run.run_name for run in runs] == ["group-Basel", "group-Oslo", "group-Turin"]
    tested = [case.id for run in runs for case in run.assign(SITES, labels={}).part("test")]
    assert sorted(tested) == sorted(case.id for case in SITES)


def test_scans_elsewhere_of_a_patient_of_the_group_are_left_out_and_named() -> None:
    travelled = scan("Basel0", 9, "Oslo")
    cases = [*SITES, travelled]
    held_out = LeaveOneGroupOutConfig(by="site", group="Basel").assign(cases, labels={})
    assert travelled.id not in {case.id for part in PARTS for case in held_out.part(part)}
    (note,) = held_out.notes
    assert note.startswith("1 cases are in no part")
    assert note.endswith("not of the held-out site: Basel0-9")
    other = LeaveOneGroupOutConfig(by="site", group="Oslo").assign(cases, labels={})
    assert "Basel0-9" in {case.id for case in other.part("test")}
    assert "Basel0" not in {case.patient for part in ("train", "val") for case in other.parts[part]}
    third = LeaveOneGroupOutConfig(by="site", group="Turin").assign(cases, labels={})
    assert sum(len(third.part(part)) for part in PARTS) == len(cases)


def test_numbers_as_names_have_to_be_told_from_positions() -> None:
    cases = [scan(f"p{k}", 0, str(k % 3 + 1)) for k in range(9)]
    with pytest.raises(SplitError, match="1 is the name of a site and the number of another: put it in quotes"):
        LeaveOneGroupOutConfig(by="site", group=1).assign(cases, labels={})
    assert LeaveOneGroupOutConfig(by="site", group=0).assign(cases, labels={}).part("test")[0].metadata["site"] == "1"
    assert LeaveOneGroupOutConfig(by="site", group="1").assign(cases, labels={}).fold == 0


@pytest.mark.parametrize(
    ("settings", "cases", "message"),
    [
        ({"by": "stie"}, SITES, r"no column 'stie'; did you mean 'site'\?"),
        ({"by": "site"}, [Case("1", "a", ())], "no columns of metadata"),
        (
            {"by": "site", "group": "Olso"},
            SITES,
            r"no site 'Olso'; did you mean 'Oslo'\? \(there are Basel, Oslo, Turin\)",
        ),
        ({"by": "site", "group": 3}, SITES, "received 3, expected 0 to 2"),
        ({"by": "site", "group": -1}, SITES, "received -1, expected 0 to 2"),
        ({"by": "site"}, SITES[:10], r"all cases have the same site \(Basel\)"),
        ({"by": "site"}, [*SITES, scan("x", 0, " ")], "1 cases have no site, such as x-0"),
        ({"by": "site"}, [scan("a", 0, "A"), scan("a", 1, "B")], "nobody is left to train on"),
    ],
)
def test_what_cannot_be_held_out_is_refused(settings: dict[str, object], cases: list[Case], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        LeaveOneGroupOutConfig.model_validate(settings).assign(cases, labels={})


def test_two_patients_of_two_sites_have_no_val_part_and_a_note() -> None:
    split = LeaveOneGroupOutConfig(by="site").assign([scan("a", 0, "A"), scan("b", 0, "B")], labels={})
    assert [len(split.part(part)) for part in PARTS] == [1, 0, 1]
    assert "too few patients for a val part" in split.notes[0]


def test_spellings_of_a_group_are_one_group_with_a_note() -> None:
    sites = ("GE", "ge", "Ge ", "Siemens", "siemens", "1.5", "15")
    cases = [scan(f"p{number}", 0, site) for number, site in enumerate(sites * 2)]
    runs = LeaveOneGroupOutConfig(by="site").runs(cases)
    assert [run.run_name for run in runs] == ["group-1.5", "group-15", "group-GE", "group-Siemens"]
    for group in (2, "GE", "ge"):
        split = LeaveOneGroupOutConfig(by="site", group=group).assign(cases, labels={})
        assert {case.metadata["site"].strip() for case in split.part("test")} == {"GE", "Ge", "ge"}
        assert split.notes == ("spellings of one site count as one group: 'GE', 'Ge', 'ge'; 'Siemens', 'siemens'",)
    values = runs[0].values(cases, labels={})["site"]
    assert set(values.values()) == {"1.5", "15", "GE", "Siemens"}
    with pytest.raises(SplitError, match=r"all cases have the same site \(GE\)"):
        LeaveOneGroupOutConfig(by="site").runs(cases[:3])


def test_a_number_in_another_spelling_has_to_be_told_from_a_position_too() -> None:
    cases = [scan(f"p{k}", 0, f"0{k % 3 + 1}") for k in range(9)]
    with pytest.raises(SplitError, match="1 is the name of a site and the number of another"):
        LeaveOneGroupOutConfig(by="site", group=1).assign(cases, labels={})
