"""A thousand random cohorts through every kind of split: nobody in two parts, all tested once, strata even."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.case import Case
from hilum.data.splits.base import Split, SplitConfig
from hilum.data.splits.dealing import CHANCE, apportion, deal
from hilum.data.splits.everything import AllConfig
from hilum.data.splits.holdout import HoldoutConfig
from hilum.data.splits.kfold import KFoldConfig
from hilum.data.splits.leave_one_group_out import LeaveOneGroupOutConfig
from hilum.data.splits.nested import NestedConfig
from hilum.data.splits.predefined import PredefinedConfig
from hilum.data.splits.repeated_kfold import RepeatedKFoldConfig
from hilum.data.splits.strata import Patient
from hilum.errors import SplitError

CHUNKS = 4
Cohort = tuple[list[Case], dict[str, str]]


@pytest.fixture
def cohorts(request: pytest.FixtureRequest) -> int:
    """How many random cohorts are looked at; a thousand: `pytest tests/properties/test_splits.py --cohorts 1000`."""
    return int(request.config.getoption("--cohorts"))


def person(case: Case) -> str:
    """Whose scan it is in truth, however the id of the patient is spelt."""
    return case.id.split("-")[1]


def people(cases: Sequence[Case]) -> int:
    return len({person(case) for case in cases})


def random_cohort(number: int) -> Cohort:
    """Patients with 1 to 6 scans of 1 to 4 classes from 1 to 3 sites; cells are missing, rows are shuffled.

    In every second cohort all scans of a patient agree; in the others class and site may differ from scan to scan.
    In every fifth the id of a patient is spelt in another way from scan to scan.
    """
    rng = random.Random(number)
    classes, sites, agree = rng.randint(1, 4), rng.randint(1, 3), number % 2 == 0
    missing = rng.choice([0.0, 0.3])
    cases: list[Case] = []
    labels: dict[str, str] = {}
    for patient in range(rng.choice([1, 2, 3, 4, 5, 7, 10, 13, 20])):
        own = (f"class {rng.randrange(classes)}", f"site {rng.randrange(sites)}")
        sex = "" if rng.random() < missing else rng.choice("FM")
        for scan in range(rng.randint(1, 6)):
            label, site = own if agree else (f"class {rng.randrange(classes)}", f"site {rng.randrange(sites)}")
            metadata = {"site": site, "sex": sex, "age": str(patient * 7 % 50 + 20)}
            name = f"p{patient}" if number % 5 else rng.choice(["p{}", "P{}", "p0{}", "p {}", "P-00{}"]).format(patient)
            case = Case(f"{number}-{patient}-{scan}", name, (), label, metadata=metadata)
            cases.append(case)
            labels[case.id] = label
    rng.shuffle(cases)
    return cases, labels


def configs(number: int) -> Iterator[SplitConfig]:
    """One configuration of every kind that is drawn, for a cohort."""
    rng = random.Random(-number)
    chosen: list[dict[str, Any]] = [
        {},
        {"stratify": []},
        {"stratify": ["label", "site"]},
        {"stratify": ["site", "sex", "label"]},
        {"stratify": [{"column": "age", "bins": 3}, "label"]},
    ]
    common = {**rng.choice(chosen), "seed": rng.randrange(99)}
    val, test = rng.choice([(0.2, 0.2), (0.1, 0.3), (0.25, 0.0), (0.0, 0.5), (0.15, 0.15)])
    yield HoldoutConfig(val=val, test=test, **common)
    yield KFoldConfig(folds=rng.randint(2, 5), val=val, **common)
    yield RepeatedKFoldConfig(folds=rng.randint(2, 3), repeats=2, val=val, **common)
    yield NestedConfig(outer_folds=rng.randint(2, 4), inner_folds=rng.randint(2, 3), **common)
    yield LeaveOneGroupOutConfig(by="site", val=val, **common)
    yield AllConfig()


REFUSALS = "a single case cannot be|nobody is left to train on|nothing is left out"
"""What a cohort that cannot be divided in a way is told."""


def assigned(config: SplitConfig, cohort: Cohort) -> tuple[list[SplitConfig], list[Split]]:
    """The runs of a configuration and their splits; without those for which the cohort is too small.

    A cross-validation is possible as a whole or not at all.
    """
    cases, labels = cohort
    made: list[tuple[SplitConfig, Split]] = []
    refused: list[str] = []
    try:
        runs = config.runs(cases)
    except SplitError as error:
        runs, refused = (), [str(error)]
    for run in runs:
        try:
            made.append((run, run.assign(cases, labels=labels)))
        except SplitError as error:
            refused.append(str(error))
    assert all(re.search(REFUSALS, message) for message in refused)
    assert not made or not refused or config.kind == "leave_one_group_out"
    return [run for run, _ in made], [split for _, split in made]


def check_parts(split: Split, cases: Sequence[Case], *, whole: bool) -> None:
    """Nobody and no case in two parts, somebody to train on; all cases in a part, or `whole` is False."""
    parts = defaultdict(set)
    seen = Counter(case.id for part in split.parts.values() for case in part)
    for part, members in split.parts.items():
        for case in members:
            parts[person(case)].add(part)
    assert split.part("train")
    assert set(seen.values()) == {1}
    assert split.one_patient or all(len(found) == 1 for found in parts.values())
    assert not split.one_patient or (len(parts) == 1 and split.notes)
    assert not whole or set(seen) == {case.id for case in cases}


def count_tested(splits: Sequence[Split]) -> Counter[str]:
    return Counter(case.id for split in splits for case in split.part("test"))


def by_name(config: SplitConfig, cases: Sequence[Case], pattern: str, splits: Sequence[Split]) -> list[list[Split]]:
    """The splits of all runs, those whose names begin alike together."""
    groups: dict[str, list[Split]] = defaultdict(list)
    for run, split in zip(config.runs(cases), splits, strict=True):
        groups[re.match(pattern, run.run_name)[0]].append(split)  # type: ignore[index]
    return [*groups.values()]


def check_coverage(config: SplitConfig, splits: Sequence[Split], cases: Sequence[Case]) -> None:
    """How often each case is tested, and chosen on, over all runs."""
    ids = {case.id for case in cases}
    if isinstance(config, KFoldConfig):
        assert count_tested(splits) == dict.fromkeys(ids, 1)
    if isinstance(config, RepeatedKFoldConfig):
        for repeat in by_name(config, cases, r"repeat-\d+", splits):
            assert count_tested(repeat) == dict.fromkeys(ids, 1)
    if isinstance(config, NestedConfig):
        outer = by_name(config, cases, r"outer-\d+", splits)
        assert count_tested([runs[0] for runs in outer]) == dict.fromkeys(ids, 1)
        for runs in outer:
            test_ids = {case.id for case in runs[0].part("test")}
            assert all({case.id for case in run.part("test")} == test_ids for run in runs)
            chosen_on = Counter(case.id for run in runs for case in run.part("val"))
            assert chosen_on == (dict.fromkeys(ids - test_ids, 1) if len(runs) > 1 else {})
    if isinstance(config, LeaveOneGroupOutConfig):
        assert all(len({case.metadata["site"] for case in split.part("test")}) == 1 for split in splits)
        for split in splits:
            held_out = split.part("test")[0].metadata["site"]
            rest = (*split.part("train"), *split.part("val"))
            assert all(case.metadata["site"] != held_out for case in rest)
        assert set(count_tested(splits).values()) == {1}


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_kind_on_random_cohorts(chunk: int, cohorts: int) -> None:
    looked_at: Counter[str] = Counter()
    for number in range(chunk, cohorts, CHUNKS):
        cases, labels = cohort = random_cohort(number)
        for config in configs(number):
            runs, splits = assigned(config, cohort)
            if not splits:
                assert len(cases) == 1 or config.kind == "leave_one_group_out"
                continue
            for split in splits:
                check_parts(split, cases, whole=config.kind != "leave_one_group_out")
            check_coverage(config, splits, cases)
            looked_at[config.kind] += 1
            # Another order of rows and of columns changes nothing.
            run = runs[len(runs) // 2]
            turned = [Case(c.id, c.patient, (), c.label, metadata=dict([*c.metadata.items()][::-1])) for c in cases]
            turned.sort(key=lambda case: case.id[::-1])
            again = run.assign(turned, labels=dict(sorted(labels.items())))
            assert again.as_csv() == splits[len(runs) // 2].as_csv()
    assert set(looked_at) == {"holdout", "kfold", "repeated_kfold", "nested", "leave_one_group_out", "all"}
    assert looked_at["holdout"] == looked_at["all"] == len(range(chunk, cohorts, CHUNKS))
    assert min(looked_at.values()) > looked_at["all"] // 3


def test_given_parts_are_taken_whole_or_refused() -> None:
    """Random parts by case: refused exactly where a patient is in two of them."""
    outcomes: Counter[bool] = Counter()
    for number in range(1000):
        rng = random.Random(number)
        cases, _ = random_cohort(number)
        by_patient = {person(case): rng.choice(["train", "train", "val", "test"]) for case in cases}
        careless = rng.random() < 0.5
        drawn = {c.id: rng.choice(["train", "val"]) if careless else by_patient[person(c)] for c in cases}
        given = [Case(c.id, c.patient, (), c.label, part=drawn[c.id]) for c in cases]
        parts = defaultdict(set)
        for case in given:
            parts[person(case)].add(case.part)
        possible = all(len(found) == 1 for found in parts.values()) and "train" in drawn.values()
        try:
            split = PredefinedConfig().assign(given, labels={})
        except SplitError:
            assert not possible
        else:
            assert possible
            check_parts(split, given, whole=True)
        outcomes[possible] += 1
    assert min(outcomes.values()) > 250


# -------------------------------------------------------------------------------------------------- strata
def strata_counts(
    cases: Sequence[Case], groups: Sequence[Sequence[Case]], columns: Sequence[str]
) -> Iterator[list[int]]:
    """How many patients of each stratum each group has; of the first column alone, of the first two, and so on."""
    for depth in range(len(columns) + 1):
        strata: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for case in cases:
            row = {**case.metadata, "label": str(case.label)}
            strata[tuple(row[column] or "(none)" for column in columns[:depth])].add(person(case))
        for patients in strata.values():
            yield [len({person(case) for case in group} & patients) for group in groups]


@pytest.mark.parametrize("columns", [["label"], ["site", "label"], ["label", "site", "sex"]])
def test_folds_have_equally_many_patients_of_every_stratum(columns: list[str], cohorts: int) -> None:
    for number in range(0, cohorts, 4):  # the cohorts in which all scans of a patient agree
        cases, labels = random_cohort(number)
        folds = random.Random(number).randint(2, 5)
        if people(cases) < folds + 2:
            continue
        for config in (
            KFoldConfig(folds=folds, stratify=tuple(columns), val=0, seed=number),
            NestedConfig(outer_folds=2, inner_folds=folds, outer=1, stratify=tuple(columns), seed=number),
        ):
            if isinstance(config, NestedConfig) and people(cases) < 2 * folds + 1:
                continue
            splits = [run.assign(cases, labels=labels) for run in config.runs(cases)]
            part: Any = "test"
            if isinstance(config, NestedConfig):
                part, splits = "val", splits[-folds:]
            groups = [split.part(part) for split in splits]
            members = [case for group in groups for case in group]
            for counts in strata_counts(members, groups, columns):
                assert max(counts) - min(counts) <= 1, (number, config)


@pytest.mark.parametrize("columns", [["label"], ["site", "label"], ["label", "site", "sex"]])
def test_parts_have_their_share_of_every_stratum_within_one_patient(columns: list[str], cohorts: int) -> None:
    exact = 0
    for number in range(0, cohorts, 2):
        cases, labels = random_cohort(number)
        patients = people(cases)
        val, test = random.Random(number).choice([(0.2, 0.2), (0.1, 0.3), (0.25, 0.0), (0.0, 0.5), (0.33, 0.33)])
        if patients < 3:
            continue
        split = HoldoutConfig(val=val, test=test, stratify=tuple(columns), seed=number).assign(cases, labels=labels)
        groups = [split.part(part) for part in ("train", "val", "test")]
        wanted = [1 - Fraction(str(val)) - Fraction(str(test)), Fraction(str(val)), Fraction(str(test))]
        found = [people(group) for group in groups]
        for count, share in zip(found[1:], wanted[1:], strict=True):
            assert count in (max(math.floor(patients * share), share > 0), max(math.ceil(patients * share), share > 0))
            assert abs(count - patients * share) <= Fraction(1, 2) or count == 1
        counted = list(strata_counts(cases, groups, columns))
        within = [abs(n - sum(row) * f) < 1 for row in counted for n, f in zip(row, wanted, strict=True)]
        if abs(found[0] - patients * wanted[0]) < 1:
            exact += 1
            assert all(within), (number, counted, wanted)
        else:  # one patient each for val and test is more than their share: that of the totals is kept instead
            own = [[sum(row) * Fraction(total, patients) for total in found] for row in counted]
            assert all(
                abs(n - x) < 2
                for row, expected in zip(counted, own, strict=True)
                for n, x in zip(row, expected, strict=True)
            )
    assert exact > 0.25 * cohorts


@pytest.mark.parametrize("number", range(8))
def test_several_columns_are_even_together_and_each_for_itself(number: int) -> None:
    """80 to 200 patients in up to 60 strata: the folds' patients of every single value differ by two at most."""
    rng = random.Random(number)
    cases = [
        Case(f"big-{p}-{s}", str(p), (), "sick" if rng.random() < 0.3 else "healthy", metadata=metadata)
        for p in range(rng.randint(80, 200))
        for metadata in [{"site": rng.choice("AAABBC"), "sex": rng.choice("FM"), "scanner": rng.choice("12345")}]
        for s in range(rng.randint(1, 4))
    ]
    config = KFoldConfig(folds=5, val=0, stratify=("site", "sex", "scanner"), seed=number)
    folds = [run.assign(cases, labels={}).part("test") for run in config.runs(cases)]
    for column in ("site", "sex", "scanner"):
        assert all(max(counts) - min(counts) <= 2 for counts in strata_counts(cases, folds, [column]))
    for counts in strata_counts(cases, folds, ["site", "sex", "scanner"]):
        assert max(counts) - min(counts) <= 1


def test_no_division_of_a_tiny_cohort_is_nearer_to_the_shares() -> None:
    """Brute force: of all tables with these margins that are within one patient, none has a smaller sum of squares."""
    for number in range(300):
        rng = random.Random(number)
        sizes = [rng.randint(1, 5) for _ in range(rng.randint(1, 3))]
        weights = [rng.randint(1, 6) for _ in range(3)] if number % 2 else [1] * rng.randint(2, 4)
        shares = [Fraction(weight, sum(weights)) for weight in weights]
        exact_totals = [share * sum(sizes) for share in shares]
        totals = [math.floor(total) for total in exact_totals]
        raised = rng.sample([k for k, x in enumerate(exact_totals) if x % 1], sum(sizes) - sum(totals))
        totals = [total + (k in raised) for k, total in enumerate(totals)]
        ties = np.random.default_rng(number).integers(CHANCE, size=(len(sizes), len(weights)))
        found = apportion(sizes, np.array(totals), np.array(weights), ties)
        tables = itertools.product(*(list(compositions(n, len(weights))) for n in sizes))
        fitting = [rows for rows in tables if [sum(column) for column in zip(*rows, strict=True)] == totals]
        assert worst(found.tolist(), sizes, shares) < 1
        nearest = min(off(rows, sizes, shares) for rows in fitting if worst(rows, sizes, shares) < 1)
        assert off(found.tolist(), sizes, shares) == nearest
        # "Within the best possible by one patient", for the worst of all strata and parts.
        assert worst(found.tolist(), sizes, shares) < min(worst(rows, sizes, shares) for rows in fitting) + 1


def compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        yield from ((first, *rest) for rest in compositions(total - first, parts - 1))


Table = Sequence[Sequence[int]]


def differences(rows: Table, sizes: Sequence[int], shares: Sequence[Fraction]) -> list[Fraction]:
    pairs = list(zip(rows, sizes, strict=True))
    return [abs(n - size * share) for row, size in pairs for n, share in zip(row, shares, strict=True)]


def off(rows: Table, sizes: Sequence[int], shares: Sequence[Fraction]) -> Fraction:
    return sum((found**2 for found in differences(rows, sizes, shares)), Fraction(0))


def worst(rows: Table, sizes: Sequence[int], shares: Sequence[Fraction]) -> Fraction:
    return max(differences(rows, sizes, shares))


@settings(max_examples=150)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    totals=st.lists(st.integers(0, 60), min_size=2, max_size=7),
    seed=st.integers(0, 9),
)
def test_any_totals_can_be_met(sizes: list[int], totals: list[int], seed: int) -> None:
    totals[-1] += 1
    total, size = sum(totals), sum(sizes)
    wanted = [size * n // total for n in totals]
    wanted[0] += size - sum(wanted)
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 9, len(wanted))
    found = apportion(sizes, np.array(wanted), weights, rng.integers(CHANCE, size=(len(sizes), len(wanted))))
    assert found.min() >= 0
    assert found.sum(0).tolist() == wanted
    assert found.sum(1).tolist() == sizes


# --------------------------------------------------------------------------------------------------- scans
@settings(max_examples=150)
@given(scans=st.lists(st.integers(1, 12), min_size=2, max_size=40), folds=st.integers(2, 6), seed=st.integers(0, 99))
def test_numbers_of_scans_are_even_within_those_of_one_patient(scans: list[int], folds: int, seed: int) -> None:
    patients = [Patient(f"p{k}", (), count) for k, count in enumerate(scans)]
    totals = [len(scans) // folds + (k < len(scans) % folds) for k in range(folds)]
    part_of = deal(patients, totals, shares=[Fraction(1, folds)] * folds, rng=np.random.default_rng(seed))
    found = [sum(p.scans for p in patients if part_of[p.id] == part) for part in range(folds)]
    share = Fraction(sum(scans), len(scans))
    excess = [count - share * total for count, total in zip(found, totals, strict=True)]
    assert sorted(Counter(part_of.values()).values()) == sorted(total for total in totals if total)
    assert max(excess) - min(excess) <= max(max(scans) - 1, 0)


def test_no_single_swap_within_a_stratum_makes_scans_more_even() -> None:
    for number in range(60):
        rng = random.Random(number)
        patients = [Patient(f"p{k}", (rng.choice("abc"),), rng.randint(1, 6)) for k in range(rng.randint(4, 16))]
        totals = [len(patients) - 2 * (len(patients) // 4), len(patients) // 4, len(patients) // 4]
        shares = [Fraction(3, 5), Fraction(1, 5), Fraction(1, 5)]
        part_of = deal(patients, totals, shares=shares, rng=np.random.default_rng(number))
        best = unevenness(patients, part_of, totals)
        for one, other in itertools.combinations(patients, 2):
            if one.stratum == other.stratum:
                swapped = {**part_of, one.id: part_of[other.id], other.id: part_of[one.id]}
                assert unevenness(patients, swapped, totals) >= best


def unevenness(patients: Sequence[Patient], part_of: Mapping[str, int], totals: Sequence[int]) -> Fraction:
    share = Fraction(sum(p.scans for p in patients), len(patients))
    found = [sum(p.scans for p in patients if part_of[p.id] == part) for part in range(len(totals))]
    return sum(((count - share * total) ** 2 for count, total in zip(found, totals, strict=True)), Fraction(0))


# ------------------------------------------------------------------------------------------------- oracles
def test_folds_are_at_least_as_even_as_those_of_scikit_learn() -> None:
    """StratifiedGroupKFold divides the same cohorts: ours are valid where its are, and the classes no less even."""
    from sklearn.model_selection import StratifiedGroupKFold

    better = equal = 0
    for number in range(0, 200, 2):
        cases, labels = random_cohort(number)
        groups = [person(case) for case in cases]
        if len(set(groups)) < 7:
            continue
        theirs = StratifiedGroupKFold(n_splits=3, shuffle=True, random_state=number)
        classes = [labels[case.id] for case in cases]
        if min(Counter(classes).values()) < 3:
            continue
        folds = [[cases[i] for i in test] for _, test in theirs.split(cases, classes, groups)]
        config = KFoldConfig(folds=3, val=0, seed=number)
        ours = [list(run.assign(cases, labels=labels).part("test")) for run in config.runs(cases)]
        spread = [max(max(n) - min(n) for n in strata_counts(cases, found, ["label"])) for found in (ours, folds)]
        assert spread[0] <= 1
        better += spread[0] < spread[1]
        equal += spread[0] == spread[1]
        assert spread[0] <= spread[1]
    assert better > 5
    assert better + equal > 30


def test_nested_cross_validation_never_trains_on_who_is_tested() -> None:
    """Five outer by five inner folds of a hundred subjects: indices into what is left are not indices into all."""
    cases = [Case(f"sub-{k:03d}", f"sub-{k:03d}", ()) for k in range(100)]
    runs = NestedConfig(outer_folds=5, inner_folds=5).runs(cases)
    assert len(runs) == 25
    for run in runs:
        split = run.assign(cases, labels={})
        ids = {part: {case.id for case in split.part(part)} for part in ("train", "val", "test")}
        assert {part: len(found) for part, found in ids.items()} == {"train": 64, "val": 16, "test": 20}
        assert not ids["train"] & ids["test"]
        assert not ids["val"] & ids["test"]
        assert not ids["train"] & ids["val"]
    tested_in = Counter(case.id for run in runs[::5] for case in run.assign(cases, labels={}).part("test"))
    assert tested_in == {case.id: 1 for case in cases}


def test_indices_into_what_is_left_taken_for_indices_into_all_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The defect of a peer, planted here: inner folds are drawn from who is left, and looked up in the whole list."""
    cases = [Case(f"0-{k}-0", f"sub-{k:03d}", ()) for k in range(100)]
    everybody = sorted(case.patient for case in cases)

    def looked_up_in_the_whole_list(patients: Sequence[Patient], *rest: Any, **more: Any) -> dict[str, int]:
        found = deal(patients, *rest, **more)
        return {everybody[place]: found[patient.id] for place, patient in enumerate(patients)}

    config = NestedConfig()
    runs = config.runs(cases)
    check_coverage(config, [run.assign(cases, labels={}) for run in runs], cases)
    monkeypatch.setattr("hilum.data.splits.nested.deal", looked_up_in_the_whole_list)
    with pytest.raises(AssertionError):
        check_coverage(config, [run.assign(cases, labels={}) for run in runs], cases)
