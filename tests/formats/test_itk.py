"""MetaImage and NRRD: geometry in RAS+, channels, frames, data files beside the header, and files that are broken."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.reading import files_of, read, read_header
from hilum.formats.writing import mask_suffix, write_mask_like

READERS = [read_header, read]


def values(shape: tuple[int, ...] = (4, 5, 6)) -> npt.NDArray[np.int16]:
    return np.random.default_rng(0).integers(-500, 500, shape).astype("int16")


def meta(path: Path, array: npt.NDArray[Any], *, data: str = "LOCAL", drop: str = "-", **fields: str) -> Path:
    """A MetaImage of an array (slices, rows, columns[, components]) of spacing 1 x 2 x 3 with changed fields."""
    components = array.shape[3] if array.ndim == 4 else 1
    lines = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "10 20 30",
        "ElementSpacing": "1 2 3",
        "DimSize": " ".join(str(size) for size in array.shape[2::-1]),
        "ElementNumberOfChannels": str(components),
        "ElementType": {"int16": "MET_SHORT", "uint8": "MET_UCHAR", "float32": "MET_FLOAT"}[array.dtype.name],
        **fields,
        "ElementDataFile": data,
    }
    head = "".join(f"{name} = {value}\n" for name, value in lines.items() if name != drop).encode()
    path.write_bytes(head + (array.tobytes() if data == "LOCAL" else b""))
    return path


def nrrd(
    path: Path, array: npt.NDArray[Any], lines: dict[str, str] | None = None, *, content: bytes | None = None
) -> Path:
    """A NRRD of an array (slices, rows, columns) of spacing 1 x 2 x 3 with changed lines; empty ones are left out."""
    fields = {
        "type": {"int16": "short", "uint8": "uchar", "float32": "float"}[array.dtype.name],
        "dimension": str(array.ndim),
        "space": "left-posterior-superior",
        "sizes": " ".join(str(size) for size in array.shape[::-1]),
        "space directions": "(1,0,0) (0,2,0) (0,0,3)",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(10,20,30)",
        **(lines or {}),
    }
    head = "NRRD0004\n# made by hand\n" + "".join(f"{name}: {value}\n" for name, value in fields.items() if value)
    inside = b"\n" + (array.tobytes() if content is None else content)
    path.write_bytes(head.encode() + (b"" if "data file" in fields else inside))
    return path


def make(kind: str, path: Path, array: npt.NDArray[Any]) -> Path:
    return meta(path / "a.mha", array) if kind == "mha" else nrrd(path / "a.nrrd", array)


@pytest.mark.parametrize("kind", ["mha", "nrrd"])
def test_positions_become_right_anterior_superior(kind: str, tmp_path: Path) -> None:
    array = values()
    volume = read(ImageRef(make(kind, tmp_path, array)))
    assert np.array_equal(volume.tensor[0], array.T)
    assert volume.grid.unit == "mm"
    affine = [[-1.0, 0.0, 0.0, -10.0], [0.0, -2.0, 0.0, -20.0], [0.0, 0.0, 3.0, 30.0], [0.0, 0.0, 0.0, 1.0]]
    assert np.array_equal(volume.grid.affine, affine)
    assert read_header(ImageRef(tmp_path / f"a.{kind}")).stored == "int16"


@pytest.mark.parametrize(
    ("space", "signs"),
    [("right-anterior-superior", (1, 1, 1)), ("LPS", (-1, -1, 1)), ("left-anterior-superior", (-1, 1, 1))],
)
def test_the_space_of_a_nrrd_is_kept(space: str, signs: tuple[int, ...], tmp_path: Path) -> None:
    affine = read_header(ImageRef(nrrd(tmp_path / "a.nrrd", values(), {"space": space}))).grid.affine
    assert np.array_equal(affine[:3, :3], np.diag(signs) * (1.0, 2.0, 3.0))
    assert np.array_equal(affine[:3, 3], np.array(signs) * (10.0, 20.0, 30.0))


def test_directions_that_are_sheared_are_kept(tmp_path: Path) -> None:
    sheared = nrrd(tmp_path / "a.nrrd", values(), {"space directions": "(1,0,0) (0,2,0) (0,1,3)"})
    assert np.allclose(read(ImageRef(sheared)).grid.affine[:3, 2], (0.0, -1.0, 3.0))
    skewed = meta(tmp_path / "a.mha", values(), TransformMatrix="1 0 0 0 1 0 0 0.5 1")
    assert np.allclose(read(ImageRef(skewed)).grid.affine[:3, 2], (0.0, -1.5, 3.0))


def test_a_flat_image_is_one_slice_in_mm(tmp_path: Path) -> None:
    flat = values((5, 6))
    path = tmp_path / "b.mha"
    header = (
        "ObjectType = Image\nNDims = 2\nBinaryData = True\nElementSpacing = 0.5 0.25\nOffset = 1 2\nDimSize = 6 5\n"
    )
    path.write_bytes(f"{header}ElementType = MET_SHORT\nElementDataFile = LOCAL\n".encode() + flat.tobytes())
    volume = read(ImageRef(path))
    assert volume.grid.shape == (6, 5, 1)
    assert volume.grid.spacing == (0.5, 0.25, 1.0)
    assert np.array_equal(volume.tensor[0, :, :, 0], flat.T)
    assert volume.grid.affine[:3, 3].tolist() == [-1.0, -2.0, 0.0]


@pytest.mark.parametrize("kind", ["mha", "nrrd"])
def test_without_a_spacing_axes_are_those_of_pictures(kind: str, tmp_path: Path) -> None:
    array = values()
    if kind == "mha":
        path = meta(tmp_path / "a.mha", array, drop="ElementSpacing")
    else:
        path = nrrd(tmp_path / "a.nrrd", array, {"space": "", "space directions": "", "space origin": ""})
    volume = read(ImageRef(path))
    assert volume.grid.unit == "pixel"
    assert np.array_equal(volume.tensor[0], array.transpose(1, 2, 0))
    labels = np.random.default_rng(0).integers(0, 3, volume.grid.shape)
    out = tmp_path / f"mask{mask_suffix(path)}"
    write_mask_like(labels, path, out)
    assert np.array_equal(read(ImageRef(out)).tensor[0], labels)
    assert read_header(ImageRef(out)).grid == volume.grid


def test_components_are_channels_and_a_fourth_axis_frames(tmp_path: Path) -> None:
    vectors = values((4, 5, 6, 2))
    path = meta(tmp_path / "v.mha", vectors)
    assert read_header(ImageRef(path)).channels == 2
    assert np.array_equal(read(ImageRef(path)).tensor, vectors.transpose(3, 2, 1, 0))
    series = values((3, 4, 5, 6))
    lines = {"space directions": "", "space": "", "space origin": "", "spacings": "1 2 3 1"}
    path = nrrd(tmp_path / "t.nrrd", series, lines)
    assert (read_header(ImageRef(path)).frames, read_header(ImageRef(path)).channels) == (3, 1)
    with pytest.raises(DataError, match="3 frames"):
        read(ImageRef(path))
    assert np.array_equal(read(ImageRef(path, index=1)).tensor[0], series[1].T)
    with pytest.raises(DataError, match="frame 3 was asked for, the file has frames 0 to 2"):
        read(ImageRef(path, index=3))


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1.0), ("um", 0.001), ("cm", 10.0)])
def test_units_of_a_nrrd_become_millimetres(unit: str, scale: float, tmp_path: Path) -> None:
    path = nrrd(tmp_path / "a.nrrd", values(), {"space units": f'"{unit}" "{unit}" "{unit}"'})
    assert read_header(ImageRef(path)).grid.spacing == pytest.approx((scale, 2 * scale, 3 * scale))
    odd = nrrd(tmp_path / "b.nrrd", values(), {"space units": '"mm" "mm" "s"'})
    with pytest.raises(DataError, match="units are mm mm s, expected one length for all axes"):
        read_header(ImageRef(odd))


def test_data_files_beside_the_header_belong_to_the_image(tmp_path: Path) -> None:
    array = values()
    (tmp_path / "a.raw").write_bytes(array.tobytes())
    for number, plane in enumerate(array):
        (tmp_path / f"s{number}.raw").write_bytes(plane.tobytes())
    planes = [tmp_path / f"s{number}.raw" for number in range(4)]
    names = "\n".join(path.name for path in planes)
    cases = {
        meta(tmp_path / "one.mhd", array, data="a.raw"): [tmp_path / "a.raw"],
        meta(tmp_path / "list.mhd", array, data=f"LIST\n{names}"): planes,
        meta(tmp_path / "pattern.mhd", array, data="s%d.raw 0 3 1"): planes,
        nrrd(tmp_path / "one.nhdr", array, {"data file": "a.raw"}): [tmp_path / "a.raw"],
        nrrd(tmp_path / "list.nhdr", array, {"data file": f"LIST\n{names}"}): planes,
        nrrd(tmp_path / "pattern.nhdr", array, {"data file": "s%d.raw 0 3 1"}): planes,
    }
    for path, expected in cases.items():
        assert files_of(ImageRef(path)) == (path, *expected), path
        assert np.array_equal(read(ImageRef(path)).tensor[0], array.T), path
    (tmp_path / "a.raw").rename(tmp_path / "b.raw")
    for name in ("one.mhd", "one.nhdr"):
        with pytest.raises(DataError, match=rf"{name}: its voxels are in .*a\.raw, and there is no such file; did you"):
            read_header(ImageRef(tmp_path / name))


def test_compressed_voxels_are_read(tmp_path: Path) -> None:
    import gzip

    array = values()
    packed = zlib.compress(array.tobytes())
    path = meta(tmp_path / "z.mhd", array, data="z.zraw", CompressedData="True", CompressedDataSize=str(len(packed)))
    (tmp_path / "z.zraw").write_bytes(packed)
    assert np.array_equal(read(ImageRef(path)).tensor[0], array.T)
    lines = {"encoding": "gzip"}
    path = nrrd(tmp_path / "z.nrrd", array, lines, content=gzip.compress(array.tobytes()))
    assert np.array_equal(read(ImageRef(path)).tensor[0], array.T)


@pytest.mark.parametrize("reader", READERS)
def test_broken_metaimages_are_named_and_quietly(
    reader: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = meta(tmp_path / "a.mha", values())
    content = whole.read_bytes()
    whole.write_bytes(content[:-5])
    with pytest.raises(DataError, match=rf"a\.mha: truncated: by its header {len(content)} .* {len(content) - 5} are"):
        reader(ImageRef(whole))
    for broken in (b"", b"hello\n" * 20, content[:100]):
        whole.write_bytes(broken)
        with pytest.raises(DataError, match=r"a\.mha: not a readable MetaImage file"):
            reader(ImageRef(whole))
    for change in ({"DimSize": "6 five 4"}, {"DimSize": "6 5"}, {"TransformMatrix": "0 0 0 0 1 0 0 0 1"}):
        with pytest.raises(DataError, match=r"b\.mha"):
            reader(ImageRef(meta(tmp_path / "b.mha", values(), **change)))
    (tmp_path / "p.raw").write_bytes(b"1" * 10)
    with pytest.raises(DataError, match=r"c\.mhd: its data files are given as 's%d\.raw zero 3', expected a pattern"):
        reader(ImageRef(meta(tmp_path / "c.mhd", values(), data="s%d.raw zero 3")))
    assert capfd.readouterr().err == ""


def test_broken_nrrds_are_named_and_quietly(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = nrrd(tmp_path / "a.nrrd", values())
    content = path.read_bytes()
    for broken in (b"", b"hello", b"NRRD0004\n"):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"a\.nrrd: (not a readable NRRD file|the header cannot be read)"):
            read_header(ImageRef(path))
    path.write_bytes(content[:-5])
    with pytest.raises(DataError, match=r"a\.nrrd: voxels cannot be read \(.*only 117 2-sized things, not 120"):
        read(ImageRef(path))
    with pytest.raises(DataError, match=r"b\.nrrd: .*(finite|determinant)"):
        read(ImageRef(nrrd(tmp_path / "b.nrrd", values(), {"space directions": "(1,0,0) (0,2,0) (0,0,0)"})))
    assert capfd.readouterr().err == ""


def test_masks_of_volumes_are_nifti_on_their_grid(tmp_path: Path) -> None:
    path = meta(tmp_path / "a.mha", values(), TransformMatrix="0 1 0 -1 0 0 0 0 1")
    labels = np.random.default_rng(0).integers(0, 3, (6, 5, 4))
    assert mask_suffix(path) == ".nii.gz"
    write_mask_like(labels, path, tmp_path / "m.nii.gz")
    assert np.array_equal(read(ImageRef(tmp_path / "m.nii.gz")).tensor[0], labels)
    header = read_header(ImageRef(tmp_path / "m.nii.gz"))
    assert header.grid.matches(read_header(ImageRef(path)).grid)
    assert (header.stored, header.facts["sform_code"], header.facts["qform_code"]) == ("uint8", "1", "1")
