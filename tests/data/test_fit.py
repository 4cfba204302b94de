"""Settings found in training cases: against NumPy and scikit-learn over their files, remembered, and nobody else's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image
from sklearn.utils.class_weight import compute_class_weight

from hilum.case import Case, ImageRef
from hilum.data import fit
from hilum.data.fit import Fit
from hilum.data.store import Store
from hilum.data.voxels import read_case
from hilum.errors import DataError
from hilum.losses.bce import BinaryCrossEntropyConfig
from hilum.losses.cross_entropy import CrossEntropyConfig
from hilum.losses.dice import DiceConfig
from hilum.prepare.base import PrepareConfig
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.dataset_zscore import DatasetZscoreConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.prepare.window import WindowConfig
from hilum.problem import Problem

WriteCase = Callable[..., Case]


def voxels(ref: Any) -> Any:
    return np.asanyarray(Nifti1Image.from_filename(ref.path).dataobj).copy()


@pytest.fixture
def cases(write_case: WriteCase) -> list[Case]:
    return [write_case(name, shape, seed=k) for k, (name, shape) in enumerate((("b", (12, 10, 8)), ("a", (9, 10, 8))))]


def store(folder: Path, problem: Problem, *steps: PrepareConfig) -> Store:
    return Store(folder / "cache", problem, steps)


def test_a_step_is_fitted_to_all_voxels_inside_structures(
    cases: list[Case], segmentation: Problem, tmp_path: Path
) -> None:
    (step,) = Fit.of(store(tmp_path, segmentation, DatasetZscoreConfig()), cases).steps()
    inside = np.concatenate([voxels(case.files[0])[voxels(case.label) > 0] for case in cases])
    low, high = np.percentile(inside, (0.5, 99.5), method="inverted_cdf")
    assert isinstance(step, DatasetZscoreConfig)
    assert step.fitted is not None
    (found,) = step.fitted
    expected = [low, high, inside.mean(dtype=np.float64), inside.std(dtype=np.float64)]
    np.testing.assert_allclose([found.low, found.high, found.mean, found.std], expected, rtol=1e-5)


def test_a_classification_is_measured_everywhere(
    write_case: WriteCase, classification: Problem, tmp_path: Path
) -> None:
    cases = [write_case(name, label="sick", seed=k) for k, name in enumerate("ab")]
    (step,) = Fit.of(store(tmp_path, classification, DatasetZscoreConfig()), cases).steps()
    values = np.concatenate([voxels(case.files[0]).ravel() for case in cases]).astype(np.float64)
    assert isinstance(step, DatasetZscoreConfig)
    assert step.fitted is not None
    assert (step.fitted[0].mean, step.fitted[0].std) == pytest.approx((values.mean(), values.std()), rel=1e-5)


def test_a_step_is_fitted_to_what_the_steps_before_it_give(
    cases: list[Case], segmentation: Problem, tmp_path: Path
) -> None:
    for number, case in enumerate(cases):  # other voxel sizes, turned axes
        affine = np.diag([-1.0, 2.0 + number, 3.0, 1.0])
        for ref in (case.files[0], case.label):
            assert isinstance(ref, ImageRef)
            nib.save(nib.Nifti1Image(voxels(ref), affine), ref.path)
    steps = (CanonicalConfig(), SpacingConfig(mm="median"), WindowConfig(low=0, high=100), DatasetZscoreConfig())
    canonical, spacing, window, zscore = Fit.of(store(tmp_path, segmentation, *steps), cases).steps()
    assert isinstance(spacing, SpacingConfig)
    assert isinstance(zscore, DatasetZscoreConfig)
    assert spacing.mm == (1.0, 2.5, 3.0)
    prepared = [store(tmp_path, segmentation, canonical, spacing, window).get(case) for case in cases]
    inside = np.concatenate([one.image[np.asarray(one.target) > 0] for one in prepared])
    assert zscore.fitted is not None
    assert zscore.fitted[0].mean == pytest.approx(inside.mean(dtype=np.float64), rel=1e-5)
    assert zscore.fitted[0].high <= 1


def test_the_last_channel_lacking_in_all_cases_is_told(
    cases: list[Case], segmentation: Problem, tmp_path: Path
) -> None:
    problem = replace(segmentation, channels=("t1", "t2"))
    lacking = [replace(case, images=(*case.images, None)) for case in cases]
    with pytest.raises(DataError, match="no training case that has channel 1"):
        Fit.of(store(tmp_path, problem, DatasetZscoreConfig()), lacking).steps()


def test_class_weights_are_those_of_scikit_learn(cases: list[Case], segmentation: Problem, tmp_path: Path) -> None:
    loss = Fit.of(store(tmp_path, segmentation), cases).loss(CrossEntropyConfig(class_weights="balanced"))
    labels = np.concatenate([voxels(case.label).ravel() for case in cases])
    oracle = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert isinstance(loss, CrossEntropyConfig)
    assert isinstance(loss.class_weights, dict)
    assert list(loss.class_weights) == list(segmentation.classes)
    np.testing.assert_allclose(list(loss.class_weights.values()), oracle, rtol=1e-5)


def test_ignored_voxels_are_nobodys(cases: list[Case], segmentation: Problem, tmp_path: Path) -> None:
    problem = replace(segmentation, classes=("background", "box"), values=((0,), (1,)), ignore=2)
    loss = Fit.of(store(tmp_path, problem), cases).loss(CrossEntropyConfig(class_weights="balanced"))
    labels = np.concatenate([voxels(case.label).ravel() for case in cases])
    oracle = compute_class_weight("balanced", classes=np.arange(2), y=labels[labels < 2])
    assert isinstance(loss, CrossEntropyConfig)
    assert isinstance(loss.class_weights, dict)
    np.testing.assert_allclose(list(loss.class_weights.values()), oracle, rtol=1e-5)


def test_regions_weigh_outside_over_inside(cases: list[Case], segmentation: Problem, tmp_path: Path) -> None:
    problem = replace(segmentation, classes=("all", "dot"), values=((1, 2), (2,)), exclusive=False)
    loss = Fit.of(store(tmp_path, problem), cases).loss(BinaryCrossEntropyConfig(pos_weight="balanced"))
    labels = np.concatenate([voxels(case.label).ravel() for case in cases])
    oracle = {
        name: float((~inside).sum() / inside.sum()) for name, inside in (("all", labels > 0), ("dot", labels == 2))
    }
    assert isinstance(loss, BinaryCrossEntropyConfig)
    assert loss.pos_weight == pytest.approx(oracle, rel=1e-5)


def test_cases_of_a_classification_are_counted(write_case: WriteCase, classification: Problem, tmp_path: Path) -> None:
    cases = [write_case(name, label=label) for name, label in (("a", "sick"), ("b", "healthy"), ("c", "healthy"))]
    loss = Fit.of(store(tmp_path, classification), cases).loss(CrossEntropyConfig(class_weights="balanced"))
    assert isinstance(loss, CrossEntropyConfig)
    assert loss.class_weights == {"healthy": 0.75, "sick": 1.5}
    plain = DiceConfig()
    assert Fit.of(store(tmp_path, classification), cases).loss(plain) is plain


# --------------------------------------------------------------------------------------------------- remembered
@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cases that are read to be measured."""
    found: list[str] = []
    read = read_case

    def counted(case: Case, problem: Problem) -> Any:
        found.append(case.id)
        return read(case, problem)

    monkeypatch.setattr(fit, "read_case", counted)
    return found


def fitted(folder: Path, problem: Problem, cases: list[Case]) -> tuple[PrepareConfig, ...]:
    return Fit.of(store(folder, problem, DatasetZscoreConfig()), cases).steps()


def test_what_was_found_is_remembered_whatever_the_order_of_the_cases(
    cases: list[Case], segmentation: Problem, tmp_path: Path, measured: list[str]
) -> None:
    first = fitted(tmp_path, segmentation, cases)
    assert sorted(measured) == ["a", "b"]
    assert fitted(tmp_path, segmentation, cases[::-1]) == first
    assert len(measured) == 2
    assert fitted(tmp_path / "elsewhere", segmentation, cases[::-1]) == first  # not remembered there: found again
    assert len(measured) == 4


def test_other_voxels_masks_cases_or_classes_are_measured_anew(
    cases: list[Case], segmentation: Problem, tmp_path: Path, write_case: WriteCase, measured: list[str]
) -> None:
    found = [fitted(tmp_path, segmentation, cases), fitted(tmp_path, segmentation, cases[:1])]
    found.append(fitted(tmp_path, replace(segmentation, values=((0, 1), (2,), (3,))), cases))
    write_case("b", seed=8)
    found.append(fitted(tmp_path, segmentation, cases))
    assert isinstance(cases[1].label, ImageRef)
    mask = voxels(cases[1].label)
    mask[0] = 1
    nib.save(nib.Nifti1Image(mask, np.diag([1.0, 1.0, 2.0, 1.0])), cases[1].label.path)
    found.append(fitted(tmp_path, segmentation, cases))
    assert len({str(steps) for steps in found}) == len(found)
    assert len(measured) == 2 + 1 + 2 + 2 + 2


def test_a_damaged_memory_is_found_again(
    cases: list[Case], segmentation: Problem, tmp_path: Path, measured: list[str]
) -> None:
    first = fitted(tmp_path, segmentation, cases)
    (file,) = (tmp_path / "cache").glob("fit-*.json")
    whole = file.read_text()
    for damage in ("", whole[: len(whole) // 2], "[1, 2]", "{}"):
        file.write_text(damage)
        assert fitted(tmp_path, segmentation, cases) == first
    assert len(measured) == 2 * 5


def test_a_file_that_changes_meanwhile_is_refused(
    cases: list[Case], segmentation: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_case

    def spoilt(case: Case, problem: Problem) -> Any:
        raw = read(case, problem)
        content = bytearray(case.files[0].path.read_bytes())
        content[-1] ^= 1
        case.files[0].path.write_bytes(content)
        return raw

    monkeypatch.setattr(fit, "read_case", spoilt)
    with pytest.raises(DataError, match="changed while they were measured"):
        fitted(tmp_path, segmentation, cases)
    assert not list((tmp_path / "cache").glob("fit-*"))


def test_every_case_that_cannot_be_measured_is_named_and_progress_is_told(
    cases: list[Case], segmentation: Problem, tmp_path: Path
) -> None:
    told: list[tuple[str, int, int]] = []

    @contextmanager
    def progress(doing: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda done, total: told.append((doing, done, total))

    broken = [replace(case, label=None, id=f"x{case.id}") for case in cases]
    with pytest.raises(DataError) as caught:
        Fit.of(store(tmp_path, segmentation, DatasetZscoreConfig()), [*broken, *cases], progress).steps()
    assert [finding.case for finding in caught.value.findings] == ["xa", "xb"]
    assert told == [("measuring for 'dataset_zscore'", done, 4) for done in (1, 2, 3, 4)]
