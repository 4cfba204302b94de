"""How often each structure is drawn for: binomial tests against the configured shares."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import stats

from hilum.case import Case
from hilum.data.balance import class_balance, unknown_structures
from hilum.data.dataset import Dataset, Sampling
from hilum.data.loader import Batches
from hilum.data.prepared import Prepared, structures_of
from hilum.data.section import PatchConfig
from hilum.data.store import Store
from hilum.errors import ConfigError
from hilum.problem import Problem
from hilum.volume import Grid

PROBLEM = Problem(
    "segmentation", 3, ("scan",), classes=("background", "organ", "lesion", "never"), values=((0,), (1,), (2,), (3,))
)
SHAPE, SIZE = (24, 20, 16), (6, 5, 4)
CASES, RARE = 12, 7
SAMPLES = 1200


class Cohort(Dataset):
    """Cases of one voxel of organ each, at another corner or inside; one of them has one voxel of lesion, too."""

    def prepared(self, index: int) -> Prepared:
        target = np.zeros((1, *SHAPE), dtype=np.int16)
        target[0, *self.spot(index)] = 1
        if index == RARE:
            target[0, 20, 3, 2] = 2
        image = np.full((1, *SHAPE), index, dtype=np.float32)
        case = self.cases[index]
        return Prepared(case, image, target, structures_of(target, self.problem), Grid(SHAPE, np.eye(4)))

    @staticmethod
    def spot(index: int) -> tuple[int, int, int]:
        return ((0, 0, 0), (23, 19, 15), (12, 10, 8), (0, 10, 15))[index % 4]


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    cases = [Case(f"case{k}", f"case{k}", ()) for k in range(CASES)]
    return Cohort(cases, Store(tmp_path, PROBLEM, []), sampling=Sampling(SIZE, foreground=0.5), seed=4)


def batches(cohort: Cohort, weights: dict[str, float] | None, foreground: float, **settings: Any) -> Batches:
    balance = class_balance(cohort, weights, foreground)
    return Batches(cohort, 10, seed=4, samples_per_case=SAMPLES // CASES, balance=balance, workers=1, **settings)


def by_chance(spot: tuple[int, ...]) -> float:
    """The share of uniformly placed patches that hold a voxel."""
    return float(
        np.prod(
            [
                sum(start <= place < start + side for start in range(length - side + 1)) / (length - side + 1)
                for place, side, length in zip(spot, SIZE, SHAPE, strict=True)
            ]
        )
    )


def test_chance_in_closed_form() -> None:
    assert by_chance((0, 0, 0)) == pytest.approx(1 / (19 * 16 * 13))
    assert by_chance((12, 10, 8)) == pytest.approx(6 * 5 * 4 / (19 * 16 * 13))


@pytest.mark.parametrize(
    ("weights", "organ", "lesion"), [(None, 0.5, 0.5), ({"organ": 1, "lesion": 3}, 0.25, 0.75), ({"lesion": 2}, 0, 1)]
)
@pytest.mark.parametrize("foreground", [0.33, 1.0])
def test_the_share_of_patches_with_a_class_is_as_configured(
    cohort: Cohort, weights: dict[str, float] | None, organ: float, lesion: float, foreground: float
) -> None:
    uniform = 1 - foreground
    in_all = float(np.mean([by_chance(Cohort.spot(index)) for index in range(CASES)]))
    expected = {
        1: foreground * organ + uniform * in_all,
        2: foreground * lesion + uniform * by_chance((20, 3, 2)) / CASES,
    }
    counts: Counter[int] = Counter()
    for batch in batches(cohort, weights, foreground).epoch(0):
        for target in batch.targets:
            counts.update(set(target.unique().tolist()))
    for structure, share in expected.items():
        # The two voxels of the rare case lie too far apart for one patch, so that nothing else adds to a share.
        within = max(0.0, min(1.0, float(share)))
        assert stats.binomtest(counts[structure], SAMPLES, within).pvalue > 1e-3, (structure, counts)


def test_every_case_that_shows_a_structure_is_drawn_equally_often(cohort: Cohort) -> None:
    drawn: Counter[str] = Counter()
    for batch in batches(cohort, {"organ": 1}, 1.0).epoch(3):
        drawn.update(batch.ids)
    assert len(drawn) == CASES
    assert stats.chisquare(list(drawn.values())).pvalue > 1e-3


def test_without_it_a_rare_structure_is_met_in_its_own_case_alone(cohort: Cohort) -> None:
    plain = Batches(cohort, 10, seed=4, samples_per_case=SAMPLES // CASES, workers=1)
    counts = sum(int((batch.targets == 2).flatten(1).any(1).sum()) for batch in plain.epoch(0))
    share = (0.25 + 0.5 * by_chance((20, 3, 2))) / CASES  # half of the placed patches of one case in twelve
    assert stats.binomtest(counts, SAMPLES, share).pvalue > 1e-3


def test_away_from_the_border_the_voxel_lies_anywhere_in_the_middle_half(cohort: Cohort) -> None:
    """Counts of its place in the patch, against even ones; at a corner it can have one place only."""
    places: Counter[tuple[int, ...]] = Counter()
    corner: set[tuple[int, ...]] = set()
    for batch in batches(cohort, {"organ": 1}, 1.0).epoch(1):
        for target, name in zip(batch.targets, batch.ids, strict=True):
            place = tuple(torch.nonzero(target == 1)[0].tolist())
            if int(name.removeprefix("case")) % 4 == 2:
                places[place] += 1
            elif int(name.removeprefix("case")) % 4 == 0:
                corner.add(place)
    assert {tuple(set(axis)) for axis in zip(*places, strict=True)} == {(1, 2, 3, 4), (1, 2, 3), (1, 2)}
    assert len(places) == 4 * 3 * 2
    assert stats.chisquare(list(places.values())).pvalue > 1e-3
    assert corner == {(0, 0, 0)}


def test_samples_depend_on_their_number_alone(cohort: Cohort) -> None:
    whole = batches(cohort, None, 0.7)
    all_of_them = list(whole.epoch(2))
    resumed = list(whole.epoch(2, first_step=5))
    halves = [list(batches(cohort, None, 0.7, rank=rank, world=2).epoch(2)) for rank in (0, 1)]
    for step, batch in enumerate(all_of_them):
        assert batch.ids == halves[0][step].ids + halves[1][step].ids
        assert torch.equal(batch.targets, torch.cat([halves[0][step].targets, halves[1][step].targets]))
        if step >= 5:
            assert torch.equal(batch.images, resumed[step - 5].images)
            assert torch.equal(batch.targets, resumed[step - 5].targets)
    other = next(iter(whole.epoch(3)))
    assert other.ids != all_of_them[0].ids


def test_a_structure_that_no_case_shows_is_refused(cohort: Cohort) -> None:
    with pytest.raises(ConfigError, match=r"data.patch.classes: no training case shows never"):
        class_balance(cohort, {"never": 1.0, "organ": 1.0}, 0.5)
    assert set(class_balance(cohort, None, 0.5).shares) == {1, 2}


def test_settings_that_cannot_apply_are_refused() -> None:
    assert unknown_structures({"organs": 1.0}, PROBLEM) == [
        "received 'organs', expected some of organ, lesion, never; did you mean 'organ'?"
    ]
    for settings, words in (
        ({"classes": "balanced", "foreground": 0.0}, "foreground above 0"),
        ({"classes": {}}, "at least one structure"),
        ({"classes": "balancd"}, "did you mean 'balanced'"),
        ({"classes": {"organ": 0}}, "greater than 0"),
    ):
        with pytest.raises(ValidationError, match=words):
            PatchConfig.model_validate({"size": [8, 8], **settings})
