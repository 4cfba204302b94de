"""Toy data: the same from the same seed, made of what they say, and refused where a folder holds something else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.reading import read, read_mask
from hilum.sources.toy import ARRAYS, ToyConfig
from hilum.sources.toy_sets import SETS


def toy(folder: Path, **settings: Any) -> ToyConfig:
    return ToyConfig(**{"of": "xor", "folder": folder, "cases": 12, "seed": 3, **settings})


def arrays(folder: Path, **settings: Any) -> dict[str, Any]:
    source = toy(folder, **settings)
    source.cohort(SETS[source.of].task)
    with np.load(folder / ARRAYS) as found:
        return dict(found)


@pytest.mark.parametrize("of", SETS)
def test_a_seed_gives_the_same_data_and_another_one_others(of: str, tmp_path: Path) -> None:
    first, again = arrays(tmp_path / "a", of=of, cases=3), arrays(tmp_path / "b", of=of, cases=3)
    other = arrays(tmp_path / "c", of=of, cases=3, seed=4)
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["images"] != other["images"]).any()


def test_points_are_images_that_are_read_as_any(tmp_path: Path) -> None:
    cohort = toy(tmp_path / "xor", noise=0).cohort("classification")
    points = np.stack([read(case.files[0]).tensor.flatten().numpy() for case in cohort.cases])
    assert points.shape == (12, 2)
    truth = [str(int(x != y)) for x, y in points.tolist()]
    assert [case.label for case in cohort.cases] == truth
    assert sorted(set(map(tuple, points.tolist()))) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert cohort.notes == ("toy data: drawn from a seed, not measured",)
    assert len({case.patient for case in cohort.cases}) == 12


def test_a_line_without_noise_is_the_line_that_is_promised(tmp_path: Path) -> None:
    found = arrays(tmp_path / "line", of="line", noise=0)
    labels = found["labels"].astype(float)
    np.testing.assert_allclose(labels, 0.3 * found["images"].ravel() + 0.7, atol=1e-6)


def test_noise_of_blobs_has_the_spread_that_is_asked_for(tmp_path: Path) -> None:
    found = arrays(tmp_path / "blobs", of="blobs", noise=0.5, cases=4000)
    for number, centre in enumerate([(-1.0, -0.5), (1.0, 0.5)]):
        points = found["images"][found["labels"] == str(number), 0]
        assert len(points) == 2000
        np.testing.assert_allclose(points.mean(0), centre, atol=0.05)
        np.testing.assert_allclose(points.std(0), 0.5, atol=0.03)


def test_membranes_divide_cells_and_bodies_within_them_are_as_dark(tmp_path: Path) -> None:
    cohort = toy(tmp_path / "cells", of="cells", cases=4, noise=0).cohort("segmentation")
    darker = []
    for case in cohort.cases:
        assert isinstance(case.label, ImageRef)
        grey = read(case.files[0]).tensor[0, :, :, 0].numpy()
        membrane = read_mask(case.label).tensor[0, :, :, 0].numpy() == 1
        assert grey.shape == (64, 64)
        assert 0.15 < membrane.mean() < 0.5
        assert ndimage.label(~membrane)[1] >= 10
        # Brightness alone cannot tell them: far inside cells there are pixels darker than membranes are on the whole.
        far = ~ndimage.binary_dilation(membrane, iterations=2)
        darker.append(int((grey[far] <= grey[membrane].mean()).sum()))
    assert min(darker) > 0
    assert sum(darker) > 40


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    source = toy(tmp_path / "xor")
    assert source.makes_files
    source.cohort("classification")
    assert not toy(tmp_path / "xor").makes_files
    with pytest.raises(DataError, match="holds toy data of other settings"):
        toy(tmp_path / "xor", seed=4).cohort("classification")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("not toy data")
    with pytest.raises(DataError, match="exists and holds no toy data"):
        toy(tmp_path / "mine").cohort("classification")
    assert [file.name for file in tmp_path.iterdir() if file.name.endswith(".part")] == []


def test_another_task_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'xor' are for classification, received the task segmentation"):
        toy(tmp_path / "xor").cohort("segmentation")
    assert not (tmp_path / "xor").exists()
