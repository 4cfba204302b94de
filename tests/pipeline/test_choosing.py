"""Which post-processing is chosen: what raises the mean over the patients and lowers no class, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hilum.evaluation.confusion import Overlaps
from hilum.inference.postprocess.apply import Labels, postprocessed
from hilum.inference.postprocess.base import PostprocessConfig
from hilum.inference.postprocess.fill_holes import FillHolesConfig
from hilum.inference.postprocess.largest_component import LargestComponentConfig
from hilum.inference.postprocess.min_size import MinSizeConfig
from hilum.metrics.dice import dice
from hilum.metrics.pair import MaskPair
from hilum.pipeline.choosing import Predicted, candidates, means, search
from hilum.problem import Problem
from hilum.runtime import Runtime
from hilum.volume import Grid

MakeCase = Callable[..., Predicted]
PROBLEM = Problem(
    "segmentation", 3, ("scan",), classes=("background", "organ", "lesion"), values=((0,), (1,), (2,)), ignore=9
)
GRID = Grid((12, 10, 8), np.diag([1.0, 1.0, 1.0, 1.0]))
ALONE = Runtime(device=torch.device("cpu"), precision="float32", seed=0)


@pytest.fixture
def case(tmp_path: Path) -> MakeCase:
    """Writes a validation case."""

    def make(name: str, truth: Labels, labels: Labels, *, patient: str | None = None) -> Predicted:
        files = [tmp_path / f"{name}.{kind}.npy" for kind in ("truth", "labels")]
        np.save(files[0], truth)
        np.save(files[1], labels)
        return Predicted(name, patient or name, GRID, files[0], files[1], Overlaps.of(truth, labels, PROBLEM))

    return make


def truth() -> Labels:
    """A box of organ and, apart from it, two lesions."""
    mask = np.zeros(GRID.shape, dtype=np.uint8)
    mask[1:6, 1:6, 1:6] = 1
    mask[8:10, 7:9, 1:3] = 2
    mask[8:10, 1:3, 5:7] = 2
    return mask


def of(kind: type[PostprocessConfig], name: str, **settings: object) -> PostprocessConfig:
    return kind.model_validate({"of": [name], **settings})


def scored(pairs: list[tuple[str, Labels, Labels]]) -> np.ndarray:
    """Mean Dice of each class by patient, counted structure by structure."""
    by_patient: dict[str, list[list[float]]] = {}
    for patient, true, predicted in pairs:
        seen = true != 9
        scores = [dice(MaskPair((true == c) & seen, (predicted == c) & seen, (1.0, 1.0, 1.0))) for c in (1, 2)]
        by_patient.setdefault(patient, []).append(scores)
    return np.mean([np.mean(scores, axis=0) for scores in by_patient.values()], axis=0)


def test_what_helps_one_class_is_taken_for_that_class(case: MakeCase) -> None:
    predicted = truth()
    predicted[3, 3, 3] = 0  # a hole in the organ
    predicted[10:12, 9, 7] = 1  # a speck of organ
    predicted[0, 0, 7] = 2  # a speck of lesion: its largest component would lose a true lesion
    cases = [case("a", truth(), predicted), case("b", truth(), truth())]
    groups = candidates(cases, PROBLEM, ALONE)
    assert {step for group in groups for step in group} >= {LargestComponentConfig(of=("organ", "lesion"))}
    trials = search(cases, groups, problem=PROBLEM, runtime=ALONE)
    taken = [trial.step for trial in trials if trial.taken]
    assert taken == [
        of(LargestComponentConfig, "organ"),
        of(MinSizeConfig, "lesion", ml=0.008),
        of(FillHolesConfig, "organ"),
    ]
    assert np.array_equal(cases[0].labels, truth())
    assert means(cases, [each.overlaps for each in cases], ALONE).tolist() == [1.0, 1.0]
    together = next(trial for trial in trials if len(trial.step.of) == 2)
    assert (together.lowered, together.taken) == (("lesion",), False)


def test_scores_and_choice_are_those_of_brute_force(case: MakeCase) -> None:
    rng = np.random.default_rng(5)
    for trial in range(4):
        masks = []
        for number in range(4):
            true, noisy = truth(), truth()
            true[rng.random(GRID.shape) < 0.02] = 9
            flipped = rng.random(GRID.shape) < 0.04
            noisy[flipped] = rng.integers(0, 3, int(flipped.sum()))
            masks.append((f"p{number // 2}", true, noisy))
        cases = [case(f"{trial}-{k}", t, p, patient=who) for k, (who, t, p) in enumerate(masks)]
        groups = candidates(cases, PROBLEM, ALONE)
        trials = iter(search(cases, groups, problem=PROBLEM, runtime=ALONE))
        for group in groups:
            current, best = scored(masks), None
            for step in group:
                after = [(who, t, postprocessed(p, GRID, steps=[step], problem=PROBLEM)) for who, t, p in masks]
                score, received = scored(after), next(trials)
                assert received.dice == pytest.approx(score.mean(), abs=1e-12)
                assert received.lowered == tuple(np.array(PROBLEM.foreground)[score < current])
                if (score >= current).all() and score.mean() > (current if best is None else best[0]).mean():
                    best = (score, after)
            masks = masks if best is None else best[1]
        assert np.array_equal(cases[0].labels, masks[0][2])


def test_each_patient_counts_once(case: MakeCase) -> None:
    """Three scans of one patient gain and one of another loses: by scans the mean rises, by patients it falls."""
    speck, halves = truth(), truth()
    speck[10:12, 9, :] = 1
    halves[4, 1:6, 1:6] = 0  # the organ as predicted is in two parts
    step = of(LargestComponentConfig, "organ")

    def taken(many: Labels, one: Labels) -> bool:
        cases = [case(f"many{k}", truth(), many, patient="many") for k in range(3)] + [case("one", truth(), one)]
        return search(cases, [[step]], problem=PROBLEM, runtime=ALONE)[0].taken

    gain = 1 - dice(MaskPair(truth() == 1, speck == 1, (1.0, 1.0, 1.0)))
    largest = postprocessed(halves, GRID, steps=[step], problem=PROBLEM)
    loss = scored([("a", truth(), halves)])[0] - scored([("a", truth(), largest)])[0]
    assert 0 < gain < loss < 3 * gain
    assert not taken(speck, halves)  # by scans it would gain
    assert taken(speck, speck)


def test_nothing_is_taken_where_nothing_helps(case: MakeCase) -> None:
    cases = [case("a", truth(), truth())]
    trials = search(cases, candidates(cases, PROBLEM, ALONE), problem=PROBLEM, runtime=ALONE)
    assert not any(trial.taken for trial in trials)


def test_without_voxel_sizes_limits_are_voxels(case: MakeCase) -> None:
    made = case("a", truth(), truth())
    made.grid = Grid(GRID.shape, GRID.affine, "pixel")
    sizes = [step for group in candidates([made], PROBLEM, ALONE) for step in group if isinstance(step, MinSizeConfig)]
    assert [(step.of, step.voxels) for step in sizes] == [(("organ",), 125), (("lesion",), 8)]
