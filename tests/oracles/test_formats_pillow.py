"""Pictures against Pillow and SimpleITK on real films and slices."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.case import ImageRef
from hilum.formats.reading import read, read_header, read_mask


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


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "jpeg"])
@pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB", "P"])
def test_tiffs_written_by_pillow_read_as_it_reads_them(mode: str, compression: str, tmp_path: Path) -> None:
    if compression == "jpeg" and mode not in ("L", "RGB"):
        pytest.skip("JPEG holds greys and colours of 8 bits only")
    smooth = np.add.outer(np.arange(16), np.arange(24)).astype("uint8") * 5
    picture = (
        Image.fromarray(smooth.astype("uint16") * 200) if mode == "I;16" else Image.fromarray(smooth).convert(mode)
    )
    picture.save(tmp_path / "a.tif", compression=compression)
    with Image.open(tmp_path / "a.tif") as written:
        expected = np.asarray(written.convert("RGB") if mode == "P" else written)
    found = np.moveaxis(read(ImageRef(tmp_path / "a.tif")).tensor[..., 0].numpy(), 0, -1)
    assert np.abs(found - expected.reshape(found.shape).astype(int)).max() <= (2 if compression == "jpeg" else 0)


def test_every_real_picture_reads_as_pillow_reads_it(shared_data: Path) -> None:
    paths = sorted(shared_data.rglob("*.png"))
    assert len(paths) > 700
    for path in paths:
        with Image.open(path) as picture:
            expected = np.asarray(picture)
        volume = read(ImageRef(path))
        assert np.array_equal(volume.tensor[..., 0], np.moveaxis(expected.reshape(*volume.grid.shape[:2], -1), -1, 0))


@pytest.mark.parametrize("dtype", ["bool", "uint8"])
def test_tiffs_in_which_white_is_0_read_as_pillow_shows_them(dtype: str, tmp_path: Path) -> None:
    import tifffile

    values = np.array([[0, 1, 2], [1, 0, 200]]).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    with Image.open(tmp_path / "a.tif") as picture:
        assert np.array_equal(read(ImageRef(tmp_path / "a.tif")).tensor[0, :, :, 0], np.asarray(picture))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_tags_by_which_pillow_turns_a_picture_are_told(name: str, tmp_path: Path) -> None:
    from PIL import ImageOps

    exif, values = Image.Exif(), np.add.outer(np.arange(8), np.arange(16)).astype("uint8")
    for tag in range(1, 9):
        exif[274] = tag
        Image.fromarray(values).save(tmp_path / name, exif=exif)
        as_stored = read(ImageRef(tmp_path / name)).tensor[0, :, :, 0]
        with Image.open(tmp_path / name) as picture:
            turned = not np.array_equal(np.asarray(ImageOps.exif_transpose(picture)), as_stored)
        assert ("orientation_tag" in read_header(ImageRef(tmp_path / name)).facts) == turned == (tag > 1)
