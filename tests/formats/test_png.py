"""Pictures: channels by colour model, masks by value, and files that are broken."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.reading import read, read_header, read_mask
from hilum.formats.writing import mask_suffix, write_mask_like

GREY = (np.arange(12, dtype=np.uint8) * 20).reshape(3, 4)
COLOUR = np.stack([GREY, GREY + 1, GREY + 2], axis=-1)


def save(path: Path, picture: Image.Image) -> ImageRef:
    picture.save(path)
    return ImageRef(path)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".PNG"])
def test_grey_picture_is_one_channel_of_rows_and_columns(suffix: str, tmp_path: Path) -> None:
    ref = save(tmp_path / f"grey{suffix}", Image.fromarray(GREY))
    volume = read(ref)
    assert np.array_equal(volume.tensor, GREY[None, :, :, None])
    header = read_header(ref)
    assert (header.grid, header.channels, header.frames) == (volume.grid, 1, 1)
    assert (volume.grid.shape, volume.grid.unit) == ((3, 4, 1), "pixel")
    assert volume.grid.spacing == (1, 1, 1)


def test_colours_are_three_channels(tmp_path: Path) -> None:
    ref = save(tmp_path / "colour.png", Image.fromarray(COLOUR))
    assert read_header(ref).channels == 3
    assert np.array_equal(read(ref).tensor[..., 0], np.moveaxis(COLOUR, -1, 0))
    with pytest.raises(DataError, match="one value a pixel, received colours"):
        read_mask(ref)


def test_sixteen_bits_are_kept(tmp_path: Path) -> None:
    deep = np.array([[0, 300], [40000, 65535]], dtype=np.uint16)
    ref = save(tmp_path / "deep.png", Image.fromarray(deep))
    assert np.array_equal(read(ref).tensor[0, :, :, 0], deep.astype(np.float32))
    assert np.array_equal(read_mask(ref).tensor[0, :, :, 0], deep.astype(np.int32))


def test_jpeg_reads_as_pillow_does(tmp_path: Path) -> None:
    ref = save(tmp_path / "photo.jpeg", Image.fromarray(COLOUR))
    assert np.array_equal(read(ref).tensor[..., 0], np.moveaxis(np.asarray(Image.open(ref.path)), -1, 0))


def test_opaque_alpha_is_dropped_and_transparency_refused(tmp_path: Path) -> None:
    picture = Image.fromarray(COLOUR).convert("RGBA")
    ref = save(tmp_path / "opaque.png", picture)
    assert read_header(ref).channels == 3
    assert np.array_equal(read(ref).tensor[..., 0], np.moveaxis(COLOUR, -1, 0))
    picture.putpixel((0, 0), (1, 2, 3, 128))
    with pytest.raises(DataError, match=r"seen\.png: uses transparency"):
        read(save(tmp_path / "seen.png", picture))


def test_colour_table_means_colours_in_images_and_numbers_in_masks(tmp_path: Path) -> None:
    numbers = np.array([[0, 1], [2, 1]], dtype=np.uint8)
    picture = Image.fromarray(numbers)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    ref = save(tmp_path / "table.png", picture)
    assert np.array_equal(read_mask(ref).tensor[0, :, :, 0], numbers)
    assert np.array_equal(read(ref).tensor[:, 0, 1, 0], [255, 0, 0])
    assert read_header(ref).channels == 3


def test_masks_of_one_bit_and_of_equal_colours_have_one_value(tmp_path: Path) -> None:
    bits = np.array([[True, False], [False, True]])
    assert np.array_equal(read_mask(save(tmp_path / "bits.png", Image.fromarray(bits))).tensor[0, :, :, 0], bits)
    grey_as_colour = np.repeat(GREY[..., None], 3, axis=-1)
    ref = save(tmp_path / "same.png", Image.fromarray(grey_as_colour))
    assert np.array_equal(read_mask(ref).tensor[0, :, :, 0], GREY)


def test_other_colour_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="colour mode CMYK, expected greys or RGB"):
        read(save(tmp_path / "print.jpg", Image.fromarray(COLOUR).convert("CMYK")))


@pytest.mark.parametrize("highest", [255, 65535])
def test_mask_is_written_as_label_values(highest: int, tmp_path: Path) -> None:
    like = save(tmp_path / "photo.jpg", Image.fromarray(COLOUR)).path
    labels = np.zeros((3, 4, 1), dtype=np.int64)
    labels[1, 2] = highest
    out = tmp_path / f"mask{mask_suffix(like)}"
    write_mask_like(labels, like, out)
    assert np.array_equal(np.asarray(Image.open(out)), labels[:, :, 0])
    assert np.array_equal(read_mask(ImageRef(out)).tensor[0], labels)


def test_mask_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    like = save(tmp_path / "grey.png", Image.fromarray(GREY)).path
    with pytest.raises(DataError, match=r"shape \(4, 3, 1\) does not fit .* 3 rows and 4 columns"):
        write_mask_like(np.zeros((4, 3, 1), dtype=int), like, tmp_path / "mask.png")
    with pytest.raises(DataError, match="from -1 to 0 do not fit"):
        write_mask_like(np.array([[[-1]] * 4, [[0]] * 4, [[0]] * 4]), like, tmp_path / "mask.png")
    with pytest.raises(DataError, match=r"must end in \.png"):  # JPEG would change the values
        write_mask_like(np.zeros((3, 4, 1), dtype=int), like, tmp_path / "mask.jpg")


@pytest.mark.parametrize("name", ["empty.png", "truncated.png", "text.png", "empty.jpg", "truncated.jpg"])
def test_broken_files_are_named(name: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    path = save(tmp_path / name, Image.fromarray(noise)).path
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "truncated": content[: len(content) // 2], "text": b"no picture"}[path.stem])
    for reader in (read, read_mask):
        with pytest.raises(DataError, match=rf"{name}: (not a readable picture|pixels cannot be read) \(.+\)"):
            reader(ImageRef(path))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_are_kept_in_colours_too(channels: int, tmp_path: Path) -> None:
    import imagecodecs

    array = np.random.default_rng(0).integers(0, 65536, (5, 6, channels)).astype("uint16")
    if channels in (2, 4):
        array[..., -1] = 65535
    path = tmp_path / "deep.png"
    path.write_bytes(imagecodecs.png_encode(array.squeeze()))
    header = read_header(ImageRef(path))
    kept = 1 if channels < 3 else 3
    assert (header.channels, header.stored, header.facts["bits"]) == (kept, "uint16", "16")
    assert np.array_equal(read(ImageRef(path)).tensor[..., 0], np.moveaxis(array[..., :kept], -1, 0))
    if channels in (2, 4):
        array[1, 1, -1] = 9
        path.write_bytes(imagecodecs.png_encode(array))
        with pytest.raises(DataError, match=r"deep\.png: uses transparency"):
            read(ImageRef(path))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_greys_of_few_bits_are_as_they_were_stored(bits: int, tmp_path: Path) -> None:
    rows = np.arange(2 * 8).reshape(2, 8) % 2**bits
    packed = [np.packbits(((row[:, None] >> np.arange(bits)[::-1]) & 1).astype("uint8")).tobytes() for row in rows]

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 2, bits, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in packed)))
    path = tmp_path / "few.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + pixels + chunk(b"IEND", b""))
    assert np.array_equal(read(ImageRef(path)).tensor[0, :, :, 0], rows)
    assert np.array_equal(read_mask(ImageRef(path)).tensor[0, :, :, 0], rows)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "b.png", "a.tif"])
def test_a_camera_that_was_turned_is_told(name: str, tmp_path: Path) -> None:
    path, exif = tmp_path / name, Image.Exif()
    for tag, told in ((6, "6"), (1, None), (0, None)):
        exif[274] = tag
        Image.fromarray(GREY).save(path, exif=exif)
        if name == "b.png":  # what a camera noted may stand behind the pixels
            content = path.read_bytes()
            start = content.index(b"eXIf") - 4
            end = start + 12 + int.from_bytes(content[start : start + 4], "big")
            path.write_bytes(content[:start] + content[end:-12] + content[start:end] + content[-12:])
        assert read_header(ImageRef(path)).facts.get("orientation_tag") == told
        assert read(ImageRef(path)).tensor.shape == (1, 3, 4, 1)


def test_broken_notes_of_a_camera_harm_no_picture(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png"):
        Image.fromarray(GREY).save(tmp_path / name, exif=b"Exif\0\0no notes at all")
        assert "orientation_tag" not in read_header(ImageRef(tmp_path / name)).facts
        assert read(ImageRef(tmp_path / name)).tensor.shape == (1, 3, 4, 1)
