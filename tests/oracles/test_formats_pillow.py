"""Pictures against Pillow and SimpleITK on real films and slices."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.case import ImageRef
from hilum.formats.reading import read, read_mask


@pytest.mark.parametrize("name", ["isbi2012_em/train/image/0.png", "nih_cxr14/images/00001018_005.png"])
def test_real_pictures_are_rows_and_columns(name: str, shared_data: Path) -> None:
    import SimpleITK

    volume = read(ImageRef(shared_data / name))
    assert np.array_equal(volume.tensor[0, :, :, 0], np.asarray(Image.open(shared_data / name)))
    assert np.array_equal(
        volume.tensor[0, :, :, 0], SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(shared_data / name)))
    )


def test_real_masks_keep_their_values(shared_data: Path) -> None:
    path = shared_data / "isbi2012_em/train/label/0.png"
    mask = read_mask(ImageRef(path)).tensor
    assert np.array_equal(mask[0, :, :, 0], np.asarray(Image.open(path)))
    assert mask.unique().tolist() == [0, 255]
