"""What is found out from the data: dimensions, the axis of slices, sizes, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from hilum.errors import ConfigError, DataError
from hilum.experiment import Experiment, load
from hilum.pipeline.study import Study, make_study

CONFIG = """\
name: x
task: {{kind: segmentation, classes: [background, organ]}}
data:
  source: {{kind: csv_table, file: {folder}/cases.csv, patient: patient}}
  cache: {folder}/cache
network: {{kind: unet, channels: [4, 8]}}
loss: dice
metrics: [dice]
"""
Make = Callable[..., Study]


def write(folder: Path, number: int, shape: tuple[int, int, int], affine: npt.NDArray[np.float64]) -> None:
    """Image and mask of a case."""
    values = np.indices(shape).sum(0)
    nib.save(nib.Nifti1Image(values.astype(np.uint8), affine), folder / f"i{number}.nii.gz")
    nib.save(nib.Nifti1Image((values > 9).astype(np.uint8), affine), folder / f"m{number}.nii.gz")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The study of three volumes of a shape and spacing."""

    def study(shape: tuple[int, int, int], zooms: tuple[float, float, float], *words: str) -> Study:
        affine = np.diag([*zooms, 1.0])
        lines = ["image,label,patient"]
        for number in range(3):
            write(tmp_path, number, shape, affine)
            lines.append(f"i{number}.nii.gz,m{number}.nii.gz,p{number}")
        (tmp_path / "cases.csv").write_text("\n".join(lines) + "\n")
        (tmp_path / "x.yaml").write_text(CONFIG.format(folder=tmp_path))
        return make_study(experiment(tmp_path, *words))

    return study


def experiment(folder: Path, *words: str) -> Experiment:
    return load(folder / "x.yaml", list(words))


@pytest.mark.parametrize(
    ("shape", "zooms", "words", "expected"),
    [
        ((16, 16, 16), (1, 1, 1), [], (3, None)),
        ((16, 16, 16), (1, 1, 5), ["data.dims=2"], (2, 2)),
        ((16, 16, 16), (5, 1, 1), ["data.patch.size=[8, 8]"], (2, 0)),
        ((16, 16, 16), (5, 1, 1), ["data.patch.size=[8, 8]", "data.slice_axis=1"], (2, 1)),
        ((16, 16, 1), (1, 1, 1), [], (2, 2)),
        ((16, 16, 1), (1, 2, 1), [], (2, 2)),  # a single slice is never cut across, however fine it is
        ((16, 16, 1), (3, 3, 1), ["data.patch.size=[8, 8]"], (2, 2)),
    ],
)
def test_dimensions_and_the_axis_of_slices(
    make: Make, shape: tuple[int, int, int], zooms: tuple[float, float, float], words: list[str], expected: Any
) -> None:
    study = make(shape, zooms, *words)
    assert (study.problem.dims, study.slice_axis) == expected
    sample = study.dataset(study.split.part("train")).sample(0, epoch=0, index=0)
    kept = [size for axis, size in enumerate(shape) if axis != study.slice_axis]
    assert sample.image.shape[1:] == (tuple(study.problem.size) if study.problem.size else tuple(kept))
    assert sample.target.shape == sample.image.shape[1:]


@pytest.mark.parametrize(
    ("shape", "words", "expected"),
    [
        ((16, 16, 16), ["data.slice_axis=1"], "data.slice_axis"),
        ((16, 16, 1), ["data.dims=3"], "one slice"),
        ((16, 16, 16), ["predict.flips=[up]"], "inferior_superior|'up'"),
        ((16, 15, 16), [], r"network: .*axis 1 is 15.*first training case is \(16, 15, 16\) after preparation"),
        ((16, 16, 16), ["data.augment=[{kind: flip, axes: [vertical]}]"], "vertical"),
    ],
)
def test_what_does_not_fit_is_refused(make: Make, shape: tuple[int, int, int], words: list[str], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        make(shape, (1.0, 1.0, 1.0), *words)


def test_a_batch_is_shared_evenly_or_refused(make: Make) -> None:
    from hilum.runtime import Runtime

    study = make((16, 16, 16), (1.0, 1.0, 1.0), "data.batch_size=3")
    import torch

    runtime = Runtime(torch.device("cpu"), "float32", seed=1, rank=0, world=2)
    with pytest.raises(ConfigError, match="multiple of the 2 processes"):
        study.batches(study.dataset(study.cohort.cases), runtime)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_norm_of_a_single_value_is_refused_unless_it_is_frozen(make: Make, frozen: bool) -> None:
    import torch

    from hilum.runtime import Runtime

    words = [
        "data.patch.size=[8, 8, 8]",
        "data.patch.foreground=0",
        "network={kind: unet, channels: [2, 4, 8, 8], norm: batch}",
    ]
    words += ["data.batch_size=1", *(["train.freeze=[encoder.3]"] if frozen else [])]
    study = make((16, 16, 16), (1.0, 1.0, 1.0), *words)
    runtime = Runtime(torch.device("cpu"), "float32", seed=1, rank=0, world=1)
    batches = partial(study.batches, study.dataset(study.cohort.cases), runtime)
    if frozen:
        batches()
    else:
        with pytest.raises(
            ConfigError, match=r"data.batch_size: received 1 a process, of 8 x 8 x 8: layer 'encoder\.3"
        ):
            batches()


def test_whole_cases_that_the_network_cannot_pool_are_named(make: Make) -> None:
    study = make((16, 15, 16), (1.0, 1.0, 1.0), "data.patch.size=[8, 8, 8]")
    whole = replace(study, experiment=experiment_without_patch(study))
    with pytest.raises(DataError, match=r"case i0: .*patch axis 1 is 15(?s:.*)case i1: .*patch axis 1 is 15"):
        whole.dataset(whole.cohort.cases).prepare()


def test_a_classifier_is_not_told_to_take_patches(make: Make) -> None:
    words = [
        "task={kind: classification, classes: [m0.nii.gz, m1.nii.gz, m2.nii.gz]}",
        "network={kind: inception, width: 2}",
        "loss=cross_entropy",
        "metrics=accuracy",
    ]
    with pytest.raises(ConfigError, match=r"image axis 1 is 14.*; end data.prepare with a resize step") as caught:
        make((16, 14, 1), (1.0, 1.0, 1.0), *words)
    assert "patch" not in str(caught.value)


def experiment_without_patch(study: Study) -> Experiment:
    data = study.experiment.data.model_copy(update={"patch": None})
    return study.experiment.model_copy(update={"data": data})


@pytest.mark.parametrize("flips", [True, False])
def test_mirroring_needs_the_same_axes_in_all_cases(make: Make, tmp_path: Path, flips: bool) -> None:
    augment = ["data.augment=[{kind: flip, axes: [left_right]}]"] if flips else []
    study = make((16, 16, 16), (1.0, 1.0, 1.0), "data.split=all", *augment)
    turned = np.diag([1.0, 1.0, 1.0, 1.0])[[1, 0, 2, 3]]  # i points to the front, j to the right
    write(tmp_path, 2, (16, 16, 16), turned)
    cases = study.dataset(study.cohort.cases)
    if flips:
        with pytest.raises(DataError, match=r"case i2: .*has the axes i, j, k.*canonical"):
            cases.prepare()
    else:
        cases.prepare()


def test_other_channels_and_other_sizes_are_found_before_training(make: Make, tmp_path: Path) -> None:
    study = make((16, 16, 16), (1.0, 1.0, 1.0), "data.split=all", "data.batch_size=2")
    write(tmp_path, 1, (16, 16, 8), np.eye(4))
    with pytest.raises(DataError, match=r"case i1: .*is \(16, 16, 8\).*batch_size=1"):
        study.dataset(study.cohort.cases).prepare()
    two = replace(study, problem=replace(study.problem, channels=("a", "b")))
    with pytest.raises(DataError, match=r"case i0: .*has 1 channels, the first training case 2"):
        two.dataset(study.cohort.cases[:1]).prepare()
