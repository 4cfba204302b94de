"""canonical, spacing, resize and crop_foreground: image and label stay on one grid, in place in the world."""

import numpy as np
import pytest
import torch
from scipy.ndimage import center_of_mass

from hilum.errors import DataError
from hilum.prepare.base import PrepareConfig
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.crop_foreground import CropForegroundConfig
from hilum.prepare.resize import ResizeConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.volume import Grid, Volume, resample

AFFINE = np.array([[0, 0, -3.0, 40], [-0.8, 0, 0, 30], [0, 0.8, 0, -20], [0, 0, 0, 1]])
GRID = Grid((30, 34, 10), AFFINE)
BOX = (slice(6, 16), slice(12, 28), slice(3, 7))
PICTURE = Grid((12, 20, 1), np.eye(4), "pixel")


def pair(grid: Grid = GRID) -> tuple[Volume, Volume]:
    """A bright box and its label."""
    box = torch.zeros(1, *grid.shape)
    box[0][BOX] = 2.0
    return Volume(box, grid), Volume((box > 0).to(torch.int16), grid)


def place(volume: Volume) -> np.ndarray:
    """World position of the centre of what is bright."""
    return np.asarray((volume.grid.affine @ (*center_of_mass(volume.tensor[0].numpy()), 1))[:3])


STEPS = {
    "canonical": CanonicalConfig(),
    "spacing": SpacingConfig(mm=(1.0, 1.0, 1.0)),
    "coarse": SpacingConfig(mm=(2.4, 2.4, None)),
    "resize": ResizeConfig(size=(15, 17, 20)),
    "crop": CropForegroundConfig(margin_voxels=2),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_image_and_label_stay_together_and_in_place(step: PrepareConfig) -> None:
    image, label = pair()
    moved, moved_label = step.apply(image, label)
    assert moved_label is not None
    assert moved.grid == moved_label.grid
    assert moved_label.tensor.dtype == torch.int16
    np.testing.assert_allclose(place(moved), place(image), atol=0.1)
    np.testing.assert_allclose(place(moved_label), place(image), atol=1.3)
    alone, nothing = step.apply(image, None)
    assert nothing is None
    assert torch.equal(alone.tensor, moved.tensor)


@pytest.mark.parametrize("step", [CanonicalConfig(), CropForegroundConfig(margin_voxels=1)])
def test_copies_return_bit_for_bit(step: PrepareConfig) -> None:
    image, _ = pair()
    assert torch.equal(resample(step.apply(image, None)[0], image.grid, outside=0.0).tensor, image.tensor)


def test_canonical_points_right_anterior_superior() -> None:
    assert CanonicalConfig().apply(*pair())[0].grid.orientation == ("R", "A", "S")


def test_canonical_leaves_pictures_alone() -> None:
    image = Volume(torch.randn(3, *PICTURE.shape), PICTURE)
    assert CanonicalConfig().apply(image, None)[0] is image


def test_spacing_is_what_was_asked_and_null_leaves_an_axis() -> None:
    moved, _ = SpacingConfig.model_validate({"mm": [1, 1.6, None]}).apply(*pair())
    assert moved.grid.spacing == pytest.approx((1.0, 1.6, 3.0))
    assert moved.grid.shape == (24, 17, 10)


def test_spacing_refuses_pictures() -> None:
    with pytest.raises(DataError, match="use 'resize' instead"):
        SpacingConfig(mm=(1.0, 1.0, 1.0)).apply(Volume(torch.zeros(1, *PICTURE.shape), PICTURE), None)


def test_antialias_can_be_switched_off() -> None:
    image = Volume(torch.randn(1, *GRID.shape), GRID)
    smooth, rough = (
        SpacingConfig(mm=(4.0, 4.0, 3.0), antialias=on).apply(image, None)[0].tensor for on in (True, False)
    )
    assert smooth.std() < 0.6 * rough.std()
    smooth, rough = (ResizeConfig(size=(6, 7), antialias=on).apply(image, None)[0].tensor for on in (True, False))
    assert smooth.std() < 0.6 * rough.std()


def test_resize_takes_two_or_three_sizes_and_says_so() -> None:
    image = Volume(torch.randn(3, *PICTURE.shape), PICTURE)
    flat, deep = ResizeConfig(size=(7, 9)), ResizeConfig(size=(7, 9, 2))
    assert flat.apply(image, None)[0].tensor.shape == (3, 7, 9, 1)
    assert deep.apply(image, None)[0].tensor.shape == (3, 7, 9, 2)
    assert (flat.fixed_size, deep.fixed_size) == ((7, 9), (7, 9, 2))
    assert CanonicalConfig().fixed_size is None


def test_crop_is_the_box_of_every_channel_with_its_margin() -> None:
    box = torch.zeros(2, *GRID.shape)
    box[0][BOX] = 1.0
    box[1, 29, 30, 5] = 0.5
    moved, _ = CropForegroundConfig(margin_voxels=2).apply(Volume(box, GRID), None)
    assert torch.equal(moved.tensor, box[:, 4:30, 10:33, 1:9])
    tight, _ = CropForegroundConfig(threshold=0.7).apply(Volume(box, GRID), None)
    assert torch.equal(tight.tensor, box[:, 6:16, 12:28, 3:7])


def test_crop_refuses_an_image_without_foreground() -> None:
    with pytest.raises(DataError, match=r"no voxel above 5 \(the brightest is 2\)"):
        CropForegroundConfig(threshold=5).apply(*pair())
