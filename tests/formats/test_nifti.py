"""NIfTI: every header variant, masks that keep the geometry of their image, and files that are broken."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.nifti import write_volume
from hilum.formats.reading import read, read_header, read_image, read_mask
from hilum.formats.writing import mask_suffix, write_mask_like

OBLIQUE = np.array([[0.0, -1.9, 0.5, 10.0], [-0.8, 0.1, 0.2, -20.0], [0.05, 0.6, 2.9, 30.0], [0, 0, 0, 1.0]])
GEOMETRY = [
    *("pixdim", "qform_code", "sform_code", "xyzt_units"),
    *("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("srow_x", "srow_y", "srow_z"),
]


def values(shape: tuple[int, ...] = (5, 6, 7), dtype: str = "int16") -> npt.NDArray[Any]:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def save(
    path: Path,
    array: npt.NDArray[Any],
    *,
    forms: tuple[int, int] = (1, 1),
    kind: type = nib.Nifti1Image,
    endianness: Literal["<", ">"] = "<",
    change: Callable[[Any], None] = lambda header: None,
) -> Path:
    """A file with the given (sform, qform) codes, byte order and changes of its header."""
    header = kind.header_class(endianness=endianness)  # type: ignore[attr-defined]
    header.set_data_dtype(array.dtype.newbyteorder(endianness))
    image: Any = kind(array, None, header)
    rigid = np.diag([2.0, 3.0, 4.0, 1.0])
    rigid[:3, 3] = (7.0, 8.0, 9.0)
    image.header.set_qform(rigid, code=forms[1])
    image.header.set_sform(OBLIQUE, code=forms[0])
    change(image.header)
    image.to_filename(path)
    return path


def with_units(name: str) -> Callable[[Any], None]:
    def change(header: Any) -> None:
        header.set_xyzt_units(name, "sec")

    return change


def geometry_bytes(path: Path) -> dict[str, bytes]:
    """The fields that place voxels, as they stand in the file."""
    content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    kind = (
        nib.Nifti1Header
        if 348 in (int.from_bytes(content[:4], order) for order in ("little", "big"))
        else nib.Nifti2Header
    )
    header: Any = kind(content[: kind.template_dtype.itemsize], check=False)
    return {field: header.structarr[field].tobytes() for field in GEOMETRY}


VARIANTS: dict[str, dict[str, Any]] = {
    "both forms": {},
    "sform only": {"forms": (2, 0)},
    "qform only": {"forms": (0, 1)},
    "no form": {"forms": (0, 0)},
    "scanner codes": {"forms": (4, 2)},
    "big-endian": {"endianness": ">"},
    "nifti-2": {"kind": nib.Nifti2Image},
    "unknown units": {"change": with_units("unknown")},
    "qfac of zero": {"change": lambda header: header.structarr["pixdim"].__setitem__(0, 0.0)},
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_mask_keeps_header_geometry_to_the_last_bit(variant: str, suffix: str, tmp_path: Path) -> None:
    like = save(tmp_path / f"image{suffix}", values(), **VARIANTS[variant])
    mask = np.zeros((5, 6, 7), dtype=np.int64)
    mask[1, 2, 3] = 200
    out = tmp_path / "out" / f"mask{suffix}"
    write_mask_like(mask, like, out)
    assert geometry_bytes(out) == geometry_bytes(like)
    written: Any = nib.load(out)
    assert np.array_equal(written.affine, nib.load(like).affine)  # type: ignore[attr-defined]
    assert written.get_data_dtype().newbyteorder("=") == np.uint8
    assert np.array_equal(np.asanyarray(written.dataobj), mask)
    assert read_header(ImageRef(out)) == read_header(ImageRef(like))
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_mask_of_a_scaled_series_is_unscaled_and_three_dimensional(tmp_path: Path) -> None:
    like = save(tmp_path / "series.nii", values((4, 5, 6, 3)), change=lambda header: header.set_slope_inter(0.5, -10))
    write_mask_like(np.full((4, 5, 6), -3), like, tmp_path / "mask.nii.gz")
    written: Any = nib.load(tmp_path / "mask.nii.gz")
    assert written.shape == (4, 5, 6)
    assert (np.asanyarray(written.dataobj) == -3).all()
    assert geometry_bytes(tmp_path / "mask.nii.gz") == geometry_bytes(like)


def test_mask_of_the_same_input_has_the_same_bytes(tmp_path: Path) -> None:
    like = save(tmp_path / "image.nii.gz", values())
    for name in ("first.nii.gz", "second.nii.gz"):
        write_mask_like(values() % 3, like, tmp_path / name)
    assert (tmp_path / "first.nii.gz").read_bytes() == (tmp_path / "second.nii.gz").read_bytes()


@pytest.mark.parametrize(("highest", "dtype"), [(255, np.uint8), (256, np.int16), (40000, np.int32)])
def test_mask_takes_the_smallest_type(highest: int, dtype: type, tmp_path: Path) -> None:
    like = save(tmp_path / "image.nii", values())
    write_mask_like(np.full((5, 6, 7), highest), like, tmp_path / "mask.nii")
    assert nib.load(tmp_path / "mask.nii").get_data_dtype() == dtype  # type: ignore[attr-defined]


def test_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    like = save(tmp_path / "image.nii", values())
    with pytest.raises(DataError, match=r"\(5, 6, 8\) does not fit .*\(5, 6, 7\)"):
        write_mask_like(values((5, 6, 8)), like, tmp_path / "mask.nii")
    with pytest.raises(DataError, match="do not fit this format"):
        write_mask_like(np.full((5, 6, 7), 2**40), like, tmp_path / "mask.nii")
    with pytest.raises(DataError, match=r"must end in \.nii\.gz"):
        write_mask_like(values(), like, tmp_path / "mask.png")
    assert mask_suffix(like) == ".nii.gz"
    assert [path.name for path in tmp_path.iterdir()] == ["image.nii"]


def test_series_is_refused_unless_frames_are_channels(tmp_path: Path) -> None:
    array = values((4, 5, 6, 3))
    ref = ImageRef(save(tmp_path / "series.nii.gz", array))
    assert read_header(ref).frames == 3
    with pytest.raises(DataError, match=r"series\.nii\.gz: 4-D series: received 3 frames"):
        read(ref)
    assert np.array_equal(read(ref, frames_as_channels=True).tensor, np.moveaxis(array, -1, 0))
    with pytest.raises(DataError, match="a mask needs one value a voxel, received 3"):
        read_mask(ref)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_frames_of_one_file_are_the_channels_of_a_case(suffix: str, tmp_path: Path) -> None:
    array = values((4, 5, 6, 3))
    path = save(tmp_path / f"modalities{suffix}", array)
    volume = read_image([ImageRef(path, index=2), ImageRef(path, index=0)])
    assert np.array_equal(volume.tensor, np.moveaxis(array[..., [2, 0]], -1, 0))
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0, 0]):
        volume = read_image([ImageRef(path, index=index) for index in order])
        assert np.array_equal(volume.tensor, np.moveaxis(array[..., order], -1, 0))
    with pytest.raises(DataError, match="frame 3 was asked for, the file has frames 0 to 2"):
        read_header(ImageRef(path, index=3))


def test_vector_volumes_and_single_slices_have_their_channels(tmp_path: Path) -> None:
    vectors = values((4, 5, 6, 1, 3))
    volume = read(ImageRef(save(tmp_path / "vectors.nii", vectors)))
    assert np.array_equal(volume.tensor, np.moveaxis(vectors[:, :, :, 0], -1, 0))
    flat = values((4, 5))
    assert np.array_equal(read(ImageRef(save(tmp_path / "flat.nii", flat))).tensor[0, :, :, 0], flat)
    write_mask_like(flat[..., None], tmp_path / "flat.nii", tmp_path / "mask.nii")
    assert nib.load(tmp_path / "mask.nii").shape == (4, 5)  # type: ignore[attr-defined]
    single = save(tmp_path / "single.nii", values((4, 5, 6, 1)))
    assert read_header(ImageRef(single)).frames == 1
    with pytest.raises(DataError, match=r"\(2, 2, 2, 2, 2\) is neither"):
        read(ImageRef(save(tmp_path / "odd.nii", values((2, 2, 2, 2, 2)))))


def test_an_unknown_code_of_the_unit_is_no_defect_of_ours(tmp_path: Path) -> None:
    def change(header: Any) -> None:
        header["xyzt_units"] = 5

    with pytest.raises(DataError, match=r"image\.nii: the header's unit of length has the code 5"):
        read_header(ImageRef(save(tmp_path / "image.nii", values(), change=change)))


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1), ("unknown", 1), ("meter", 1000), ("micron", 0.001)])
def test_grids_are_in_millimetres(unit: str, scale: float, tmp_path: Path) -> None:
    grid = read_header(ImageRef(save(tmp_path / "image.nii", values(), change=with_units(unit)))).grid
    assert np.allclose(grid.affine[:3], scale * OBLIQUE[:3])
    assert grid.unit == "mm"


def test_written_volume_has_the_asked_codes(tmp_path: Path) -> None:
    rigid = np.array([[0, -2.0, 0, 1], [3.0, 0, 0, 2], [0, 0, -4.0, 3], [0, 0, 0, 1]])
    for codes in ((1, 0), (0, 1), (2, 3)):
        write_volume(tmp_path / "volume.nii.gz", values(), rigid, sform_code=codes[0], qform_code=codes[1])
        image: Any = nib.load(tmp_path / "volume.nii.gz")
        assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == codes
        assert image.header.get_xyzt_units()[0] == "mm"
        assert np.allclose(image.affine, rigid, atol=1e-6)
        assert np.array_equal(np.asanyarray(image.dataobj), values())


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty.nii.gz": lambda content: b"",
    "empty.nii": lambda content: b"",
    "truncated.nii.gz": lambda content: content[: len(content) // 2],
    "checksum.nii.gz": lambda content: content[:-6] + bytes([content[-6] ^ 0xFF]) + content[-5:],
    "short.nii": lambda content: gzip.decompress(content)[:1000],
    "headless.nii": lambda content: gzip.decompress(content)[:100],
    "not_gzip.nii.gz": gzip.decompress,
    "wrong_magic.nii": lambda content: b"PNG" * 400,
    "wrong_magic.nii.gz": lambda content: gzip.compress(b"PNG" * 400),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(BROKEN[name](save(tmp_path / "whole.nii.gz", values((20, 20, 20))).read_bytes()))
    with pytest.raises(DataError, match=rf"{name}: (not a readable NIfTI file|voxels cannot be read) \(.+\)"):
        read(ImageRef(path))
    with pytest.raises(DataError, match=name):
        read_mask(ImageRef(path))


def test_a_file_that_only_pretends_to_be_compressed_is_not_called_empty(tmp_path: Path) -> None:
    for name, content, what in (("text.nii.gz", b"no scan", "gzip finds nothing in it"), ("none.nii.gz", b"", "empty")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"{name}: not a readable NIfTI file \({what}"):
            read(ImageRef(tmp_path / name))


def test_voxels_that_are_no_measurements_are_refused(tmp_path: Path) -> None:
    coloured = np.zeros((3, 3, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(DataError, match="expected real numbers"):
        read(ImageRef(save(tmp_path / "rgb.nii", coloured)))
    with pytest.raises(DataError, match="expected real numbers"):
        read(ImageRef(save(tmp_path / "complex.nii", values(dtype="complex64"))))
    array = values(dtype="float32")
    array[0, 0, :2] = np.nan, np.inf
    with pytest.raises(DataError, match="not finite: received 2 of 210 voxels"):
        read(ImageRef(save(tmp_path / "nan.nii", array)))


def test_an_affine_that_places_nothing_is_named(tmp_path: Path) -> None:
    path = save(
        tmp_path / "flat.nii", values(), change=lambda header: header.structarr["srow_x"].__setitem__(slice(3), 0)
    )
    with pytest.raises(DataError, match=r"flat\.nii: .*determinant 0"):
        read_header(ImageRef(path))


def test_reading_a_header_reads_no_voxels(tmp_path: Path) -> None:
    path = save(tmp_path / "image.nii", values())
    os.truncate(path, 352)
    os.truncate(path, 352 + 2**40)  # a hole of 1 TiB, which nobody could read
    assert read_header(ImageRef(path)).grid.shape == (5, 6, 7)


def test_what_a_header_promises_and_nothing_holds_is_told_without_reading(tmp_path: Path) -> None:
    path = save(tmp_path / "image.nii", values())
    size = path.stat().st_size
    os.truncate(path, size - 1)
    with pytest.raises(DataError, match=rf"image\.nii: .* tells of {size:,} bytes, the file has {size - 1:,}"):
        read_header(ImageRef(path))


def test_what_is_mended_in_a_header_is_a_fact_and_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def change(header: Any) -> None:
        header["sform_code"] = 258

    header = read_header(ImageRef(save(tmp_path / "a.nii.gz", values(), change=change)))
    assert header.facts["mended"] == "sform_code 258 not valid; setting to 0"
    assert capfd.readouterr() == ("", "")


def test_facts_of_a_header(tmp_path: Path) -> None:
    def change(header: Any) -> None:
        header["descrip"] = b"scanner 7"
        header["scl_slope"], header["scl_inter"] = 0.5, -3.0

    facts = read_header(ImageRef(save(tmp_path / "a.nii.gz", values(), endianness=">", change=change))).facts
    expected = {"sform_code": "1", "qform_code": "1", "byte_order": "big", "description": "scanner 7"}
    assert facts.items() >= (expected | {"scl_slope": "0.5", "scl_inter": "-3"}).items()
    plain = read_header(ImageRef(save(tmp_path / "b.nii.gz", values(), forms=(2, 0)))).facts
    assert plain == {"sform_code": "2", "qform_code": "0"}


def test_forms_that_differ_are_told_by_how_much(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    moved = np.diag([2.0, 2.0, 2.0, 1.0])
    image: Any = nib.Nifti1Image(values(), None)
    image.header.set_qform(moved, code=1)
    moved[:3, 3] = (3.0, 0.0, 4.0)
    image.header.set_sform(moved, code=1)
    image.to_filename(path)
    assert float(read_header(ImageRef(path)).facts["forms_differ_mm"]) == pytest.approx(5.0, abs=1e-3)
    write_volume(path, values(), moved)
    assert float(read_header(ImageRef(path)).facts["forms_differ_mm"]) < 1e-4


def test_a_header_is_read_from_the_first_bytes_of_a_compressed_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 2**15, (40, 40, 40)).astype("int16")
    path = save(tmp_path / "a.nii.gz", noise)
    whole = read_header(ImageRef(path))
    path.write_bytes(path.read_bytes()[:5000])
    assert read_header(ImageRef(path)) == whole
    with pytest.raises(DataError, match=r"a\.nii\.gz: voxels cannot be read"):
        read(ImageRef(path))


def test_a_wrong_checksum_and_a_second_member_are_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", values())
    content = path.read_bytes()
    for broken in (content[:-8] + b"1234" + content[-4:], content[:-1], content[:-4] + b"1234"):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"a\.nii\.gz: voxels cannot be read"):
            read(ImageRef(path))
    raw = gzip.decompress(content)
    path.write_bytes(gzip.compress(raw[:400]) + gzip.compress(raw[400:]))  # as pigz and bgzip may write
    assert np.array_equal(read(ImageRef(path)).tensor[0], values())
