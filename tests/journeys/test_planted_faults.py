"""Faults planted into sound data, one at a time: each is found, named in words that tell it, and nothing is written."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from tests.journeys import planted_layouts  # noqa: F401 (registers more faults)
from tests.journeys.conftest import Hilum, is_root
from tests.journeys.planted import (
    AFFINE,
    CASES,
    PIXELS,
    PLANTS,
    SIDE,
    Plant,
    Site,
    flat_labels,
    grey,
    labels,
    masked_pictures,
    patch_header,
    patched,
    pictures,
    planted,
    recompress,
    save,
    snapshot,
    two_modalities,
    volume,
    volumes,
    write_table,
)


# ------------------------------------------------------------------------------------------------ files
@planted("truncated gzip", "case c1", "c1.nii.gz", "unreadable file")
def _(site: Site) -> None:
    path = site.image(1)
    path.write_bytes(path.read_bytes()[:-2000])


@planted("truncated before its header ends", "case c1", "c1.nii.gz", "unreadable file")
def _(site: Site) -> None:
    site.image(1).write_bytes(site.image(1).read_bytes()[:60])


@planted("truncated without compression", "case c2", "c2.nii", "unreadable file")
def _(site: Site) -> None:
    site.image(2).write_bytes(site.image(2).read_bytes()[:3000])


@planted("checksum of gzip broken", "case c3", "m3.nii.gz", "unreadable file")
def _(site: Site) -> None:
    content = bytearray(site.mask(3).read_bytes())
    content[-6] ^= 255
    site.mask(3).write_bytes(content)


@planted("no gzip although the name says so", "case c1", "c1.nii.gz", "unreadable file")
def _(site: Site) -> None:
    site.image(1).write_text("this is a note and no image " * 50)


@planted("plain NIfTI called .nii.gz", "case c1", "c1.nii.gz", "unreadable file")
def _(site: Site) -> None:
    site.image(1).write_bytes(site.image(2).read_bytes())


@planted("wrong magic", "case c2", "c2.nii", "unreadable file")
def _(site: Site) -> None:
    patch_header(site.image(2), magic=b"xxx")


@planted("no header of NIfTI", "case c2", "c2.nii", "unreadable file")
def _(site: Site) -> None:
    site.image(2).write_bytes(b"\1" * 9000)


@planted("header tells of more voxels than there are", "case c2", "c2.nii", "unreadable file")
def _(site: Site) -> None:
    patch_header(site.image(2), dim=[3, SIDE, SIDE, 400, 1, 1, 1, 1])


@planted("header tells of negative sizes", "case c2", "c2.nii", "unreadable file")
def _(site: Site) -> None:
    patch_header(site.image(2), dim=[3, SIDE, -SIDE, SIDE, 1, 1, 1, 1])


HUGE = [3, 32767, 32767, 32767, 1, 1, 1, 1]
"""Sizes of 128 TiB of voxels, for which nobody may ask for memory."""


@planted("header lies about a huge size", "case c2", "c2.nii", "voxels cannot be read", "bytes, the file has")
def _(site: Site) -> None:
    patch_header(site.image(2), dim=HUGE)


@planted("compressed header lies about a huge size", "case c1", "c1.nii.gz", "voxels cannot be read")
def _(site: Site) -> None:
    recompress(site.image(1), lambda content: patched(content, dim=HUGE))


@planted("no voxel along an axis", "case c2", "c2.nii", "unreadable file")
def _(site: Site) -> None:
    patch_header(site.image(2), dim=[3, SIDE, 0, SIDE, 1, 1, 1, 1])


@planted("type of voxels and their bits at odds", code=0)
def _(site: Site) -> None:
    patch_header(site.image(2), bitpix=8)


@planted("values shifted by infinity", "case c2", "c2.nii", "unreadable file")
def _(site: Site) -> None:
    patch_header(site.image(2), scl_slope=1, scl_inter=np.inf)


@planted("bytes in the other order", code=0)
def _(site: Site) -> None:
    image = nib.Nifti1Image(volume(2), AFFINE, nib.Nifti1Header(endianness=">"))
    nib.save(image, site.image(2))


@planted("type of voxels unknown", "case c2", "c2.nii", "unreadable file")
def _(site: Site) -> None:
    patch_header(site.image(2), datatype=7777)


@planted("empty file", "case c4", "c4.nii", "empty file")
def _(site: Site) -> None:
    site.image(4).write_bytes(b"")


@planted("first file of all broken", "c0.nii", "not a readable")
def _(site: Site) -> None:
    site.image(0).write_bytes(b"broken")


@planted("folder in place of a file", "case c2", "c2.nii", "folder")
def _(site: Site) -> None:
    site.image(2).unlink()
    site.image(2).mkdir()


@planted("text under gzip", "case c1", "c1.nii.gz", "unreadable file")
def _(site: Site) -> None:
    site.image(1).write_bytes(gzip.compress(b"this is a note and no image " * 50))


@planted("pair of .hdr and .img", "c2.hdr", "unknown kind of file")
def _(site: Site) -> None:
    nib.save(nib.Nifti1Pair(volume(2), AFFINE), site.folder / "c2.img")
    site.rows[2]["image"] = "c2.hdr"
    site.write_rows()


@planted("half of a pair called .nii", "case c2", "c2.nii", "unreadable file")
def _(site: Site) -> None:
    nib.save(nib.Nifti1Pair(volume(2), AFFINE), site.folder / "pair.img")
    (site.folder / "pair.hdr").rename(site.image(2))


@planted("pipe in place of a mask", "case c3", "m3.nii.gz", "not a file", flags=("--voxels",))
def _(site: Site) -> None:
    site.mask(3).unlink()
    os.mkfifo(site.mask(3))


@planted("pipe in place of a file", "case c2", "c2.nii", "not a file")
def _(site: Site) -> None:
    site.image(2).unlink()
    os.mkfifo(site.image(2))


@planted("dangling link", "c2.nii", "link")
def _(site: Site) -> None:
    site.image(2).unlink()
    site.image(2).symlink_to("nowhere.nii")


@planted("loop of links", "m2.nii", "link")
def _(site: Site) -> None:
    site.mask(2).unlink()
    site.mask(2).symlink_to("loop.nii")
    (site.folder / "loop.nii").symlink_to(site.mask(2))


@planted("no permission", "case c2", "c2.nii", "no permission")
def _(site: Site) -> None:
    site.image(2).chmod(0)


@planted("mask missing", "m3.nii.gz", "missing file", "did you mean")
def _(site: Site) -> None:
    site.mask(3).rename(site.folder / "mm3.nii.gz")


@planted("image missing", "c2.nii", "missing file")
def _(site: Site) -> None:
    site.image(2).unlink()


@planted("NIfTI called .png", "c2.png", "not a readable picture")
def _(site: Site) -> None:
    site.image(2).rename(site.folder / "c2.png")
    site.rows[2]["image"] = "c2.png"
    site.write_rows()


@planted("format unknown", "scan.xyz", "unknown")
def _(site: Site) -> None:
    site.image(2).rename(site.folder / "scan.xyz")
    site.rows[2]["image"] = "scan.xyz"
    site.write_rows()


@planted("truncated picture", "case c2", "c2.png", "unreadable file", base=pictures)
def _(site: Site) -> None:
    site.image(2).write_bytes(site.image(2).read_bytes()[:-200])


@planted("one file for two patients", "c1.nii.gz", "one file, several patients")
def _(site: Site) -> None:
    site.rows[2] |= {"image": site.rows[1]["image"]}
    for number, row in enumerate(site.rows):
        row["name"] = f"c{number}"
    site.write_rows()
    site.text = site.text.replace("csv_table,", "csv_table, id: name,")


@planted("link to another channel's file", "case c2", "t2.nii", "one file, several channels", base=two_modalities)
def _(site: Site) -> None:
    (site.folder / "t2.nii").unlink()
    (site.folder / "t2.nii").symlink_to("c2.nii")


@planted("link to another patient's file", "case c4", "case c2", "one file, several patients")
def _(site: Site) -> None:
    site.image(2).unlink()
    site.image(2).symlink_to(site.image(4).name)


@planted("one mask for two patients", "case c4", "m2.nii", "one file, several patients")
def _(site: Site) -> None:
    site.rows[4]["label"] = site.rows[2]["label"]
    site.write_rows()


@planted("image named as its own mask", "c2.nii", "image is its own mask")
def _(site: Site) -> None:
    site.rows[2]["label"] = site.rows[2]["image"]
    site.write_rows()


@planted("link to the image as its mask", "case c2", "m2.nii", "image is its own mask")
def _(site: Site) -> None:
    site.mask(2).unlink()
    site.mask(2).symlink_to(site.image(2).name)


@planted("one file for two channels", "case c2", "c2.nii", "one file, several channels", base=two_modalities)
def _(site: Site) -> None:
    site.rows[2]["second"] = site.rows[2]["image"]
    site.write_rows()


# ------------------------------------------------------------------------------------------------ headers
def moved(millimetres: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 3] += millimetres
    return affine


@planted("mask shifted by 0.1 voxel", "case c2", "m2.nii", "origin differs", "0.1 voxels off", "0.001 voxel")
def _(site: Site) -> None:
    save(site.mask(2), labels(2), moved(0.1))


@planted("mask shifted by a millionth of a voxel", code=0)
def _(site: Site) -> None:
    save(site.mask(2), labels(2), moved(1e-6))


@planted("mask of another shape", "case c2", "m2.nii", "shape differs", "(12, 12, 11)", "(12, 12, 12)")
def _(site: Site) -> None:
    save(site.mask(2), labels(2)[:, :, :-1])


@planted("transposed mask", "case c2", "m2.nii", "shape differs", "(10, 12, 12)", "another order")
def _(site: Site) -> None:
    save(site.image(2), volume(2)[:, :, :10])
    save(site.mask(2), labels(2)[:, :, :10].transpose(2, 1, 0))


@planted("mask of another spacing", "case c2", "m2.nii", "spacing differs", "(1, 1, 2)", "(1, 1, 1.5)")
def _(site: Site) -> None:
    save(site.mask(2), labels(2), np.diag([1.0, 1.0, 2.0, 1.0]))


@planted("mask of another orientation", "case c2", "m2.nii", "orientation differs", "LPS", "RAS")
def _(site: Site) -> None:
    save(site.mask(2), labels(2), np.diag([-1.0, -1.0, 1.0, 1.0]) @ AFFINE)


@planted("mask turned by 2 degrees", "case c2", "m2.nii", "direction differs", "2 degrees")
def _(site: Site) -> None:
    turn = np.eye(4)
    angle = np.radians(2)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    save(site.mask(2), labels(2), turn @ AFFINE)


@planted("modality on another grid", "case c2", "t2.nii", "shape differs", base=two_modalities)
def _(site: Site) -> None:
    save(site.folder / "t2.nii", volume(9)[:-2])


@planted("four dimensions", "case c2", "c2.nii", "4-D series", "3 frames")
def _(site: Site) -> None:
    save(site.image(2), np.stack([volume(k) for k in range(3)], axis=-1))


@planted("mask of four dimensions", "case c2", "m2.nii", "4-D series", "2 frames")
def _(site: Site) -> None:
    save(site.mask(2), np.stack([labels(2)] * 2, axis=-1))


@planted("one slice among volumes", "case c2", "c2.nii", "images and volumes mixed", "one slice")
def _(site: Site) -> None:
    save(site.image(2), volume(2)[:, :, :1])
    save(site.mask(2), labels(2)[:, :, 5:6])


@planted("picture among volumes", "case c2", "c2.png", "unit differs in the cohort", "pixel")
def _(site: Site) -> None:
    Image.fromarray(grey(2)).save(site.folder / "c2.png")
    Image.fromarray(flat_labels(2)).save(site.folder / "m2.png")
    site.rows[2] |= {"image": "c2.png", "label": "m2.png"}
    site.write_rows()


@planted("colours among greys", "case c2", "c2.png", "channels differ", "3 channels", "1 channel", base=pictures)
def _(site: Site) -> None:
    Image.fromarray(np.stack([grey(2)] * 3, axis=-1)).save(site.image(2))


@planted("neither sform nor qform", "case c2", "c2.nii", "m2.nii", "no orientation", code=0)
def _(site: Site) -> None:
    for path in (site.image(2), site.mask(2)):
        patch_header(path, sform_code=0, qform_code=0)


@planted("voxel size of zero", "case c2", "c2.nii", "unreadable file", "1 x 0 x 1 mm")
def _(site: Site) -> None:
    patch_header(site.image(2), sform_code=0, qform_code=0, pixdim=[1, 1, 0, 1, 1, 1, 1, 1])


@planted("voxel size of NaN", "case c2", "c2.nii", "unreadable file", "nan x 1 x 1 mm")
def _(site: Site) -> None:
    patch_header(site.image(2), sform_code=0, qform_code=0, pixdim=[1, np.nan, 1, 1, 1, 1, 1, 1])


@planted("negative voxel size", "case c2", "c2.nii", "header mended", "should be positive", code=0)
def _(site: Site) -> None:
    patch_header(site.image(2), pixdim=[1, -1, 1, 1.5, 1, 1, 1, 1])


@planted("code of the sform unknown", "case c2", "c2.nii", "header mended", "sform_code 258 not valid", code=0)
def _(site: Site) -> None:
    patch_header(save(site.image(2), volume(2), qform=AFFINE), sform_code=258)


@planted("qform that is no rotation", "case c2", "c2.nii", "sform and qform differ", "no rotation", code=0)
def _(site: Site) -> None:
    patch_header(site.image(2), qform_code=1, quatern_b=1, quatern_c=1, quatern_d=1)


@planted("affine of NaN", "case c2", "c2.nii", "finite")
def _(site: Site) -> None:
    patch_header(site.image(2), srow_x=[np.nan, 0, 0, 0])


@planted("affine that flattens the volume", "case c2", "c2.nii", "determinant 0")
def _(site: Site) -> None:
    patch_header(site.image(2), srow_x=[0, 1, 0, 0], srow_y=[0, 1, 0, 0])


@planted("sform and qform apart", "case c2", "c2.nii", "sform and qform differ", "20 mm", code=0)
def _(site: Site) -> None:
    save(site.image(2), volume(2), qform=moved(20.0))


@planted("axes askew", "case c2", "axes not at right angles", "75.00 degrees", "c2.nii", code=0)
def _(site: Site) -> None:
    skewed(site, 15.0)


@planted("axes beyond any gantry", "case c2", "axes not at right angles", "c2.nii")
def _(site: Site) -> None:
    skewed(site, 50.0)


def skewed(site: Site, degrees: float) -> None:
    affine = np.eye(4)
    affine[1, 2] = np.tan(np.radians(degrees))
    save(site.image(2), volume(2), affine)
    save(site.mask(2), labels(2), affine)


@planted("metres for millimetres", "case c2", "c2.nii", "impossible spacing", "1500 mm")
def _(site: Site) -> None:
    save(site.image(2), volume(2), unit="meter")
    save(site.mask(2), labels(2), unit="meter")


@planted("voxels five times as long", "case c2", "c2.nii", "unusual spacing", code=0)
def _(site: Site) -> None:
    save(site.image(2), volume(2), np.diag([5.0, 5.0, 7.5, 1.0]))
    save(site.mask(2), labels(2), np.diag([5.0, 5.0, 7.5, 1.0]))


@planted("unit of length unknown", "case c2", "c2.nii", "unit of length")
def _(site: Site) -> None:
    patch_header(site.image(2), xyzt_units=5)


@planted("complex numbers", "case c2", "c2.nii", "expected real numbers")
def _(site: Site) -> None:
    save(site.image(2), volume(2).astype(np.complex64))


@planted("RGB voxels", "case c2", "c2.nii", "expected real numbers")
def _(site: Site) -> None:
    save(site.image(2), np.zeros((SIDE,) * 3, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]))


@planted("picture in CMYK", "case c2", "c2.jpg", "CMYK", base=pictures)
def _(site: Site) -> None:
    Image.fromarray(grey(2)).convert("CMYK").save(site.folder / "c2.jpg")
    site.rows[2]["image"] = "c2.jpg"
    site.write_rows()


@planted("pictures of two sizes", "case c2", "(32, 28)", "resize", base=pictures)
def _(site: Site) -> None:
    Image.fromarray(np.pad(grey(2), ((0, 4), (0, 0)), mode="edge")).save(site.image(2))


# ------------------------------------------------------------------------------------------------ voxels
def with_voxel(value: float) -> np.ndarray:
    voxels = volume(2)
    voxels[3, 4, 5] = value
    return voxels


@planted("NaN", "case c2", "c2.nii", "not finite", "1 of 1728")
def _(site: Site) -> None:
    save(site.image(2), with_voxel(np.nan))


@planted("infinity in the second channel", "case c2", "t2.nii", "not finite", base=two_modalities)
def _(site: Site) -> None:
    save(site.folder / "t2.nii", with_voxel(np.inf))


@planted("beyond what float32 holds", "case c2", "c2.nii", "not finite")
def _(site: Site) -> None:
    save(site.image(2), with_voxel(0).astype(np.float64) * 1e300)


@planted("NaN in a case of the test part", "case c5", "c5.nii.gz", "not finite")
def _(site: Site) -> None:
    save(site.image(5), with_voxel(np.nan))


@planted("constant volume", "case c2", "c2.nii", "constant image", "7 in every voxel")
def _(site: Site) -> None:
    save(site.image(2), np.full((SIDE,) * 3, 7, np.int16))


@planted("constant picture", "case c2", "c2.png", "constant image", code=0, base=pictures)
def _(site: Site) -> None:
    Image.fromarray(np.full((PIXELS, PIXELS), 9, np.uint8)).save(site.image(2))


@planted("constant channel", "case c2", "t2.nii", "constant channel", code=0, base=two_modalities)
def _(site: Site) -> None:
    save(site.folder / "t2.nii", np.zeros((SIDE,) * 3, np.int16))


@planted(
    "label 3 of 3", "case c2", "m2.nii", "label values [3]", "{background: 0, organ: 1, vessel: 2}", "task.classes"
)
def _(site: Site) -> None:
    save(site.mask(2), np.where(labels(2) == 2, 3, labels(2)).astype(np.uint8))


@planted("negative label", "case c3", "m3.nii.gz", "label values [-1]")
def _(site: Site) -> None:
    save(site.mask(3), labels(3).astype(np.int16) - 1)


@planted("labels of 255 in a picture", "case c2", "m2.png", "label values [255]", base=masked_pictures)
def _(site: Site) -> None:
    Image.fromarray(np.where(flat_labels(2) > 0, 255, 0).astype(np.uint8)).save(site.mask(2))


@planted("label beyond 32 bits", "case c2", "m2.nii", "exceed 32 bits")
def _(site: Site) -> None:
    save(site.mask(2), labels(2).astype(np.int64) * 2**40)


@planted("half labels", "case c2", "m2.nii", "not whole numbers", "0.5")
def _(site: Site) -> None:
    save(site.mask(2), (labels(2) / 2).astype(np.float32))


@planted("NaN in a mask", "case c2", "m2.nii", "not whole numbers", "nan")
def _(site: Site) -> None:
    save(site.mask(2), np.where(labels(2) == 2, np.nan, labels(2)).astype(np.float32))


@planted("labels of 0.99999997", "case c2", "m2.nii", "labels rounded", code=0)
def _(site: Site) -> None:
    save(site.mask(2), (labels(2) * np.float64(0.99999997)).astype(np.float64))


@planted("float labels that are whole", code=0)
def _(site: Site) -> None:
    save(site.mask(2), labels(2).astype(np.float32))


@planted("labels as bits", code=0, base=masked_pictures)
def _(site: Site) -> None:
    for case in range(1, CASES):  # the first keeps the vessel: a class of the task that no case has is an error
        Image.fromarray(flat_labels(case) > 0).save(site.mask(case))


@planted("empty mask", "case c2", "m2.nii", "empty mask", code=0)
def _(site: Site) -> None:
    save(site.mask(2), np.zeros_like(labels(2)))


@planted("all masks of the test part empty", "empty mask (2)", "case c4", "m5.nii.gz", code=0)
def _(site: Site) -> None:
    for case in (4, 5):
        save(site.mask(case), np.zeros_like(labels(case)))


@planted("image and mask swapped", "case c2", "m2.nii", "image and mask swapped")
def _(site: Site) -> None:
    save(site.image(2), labels(2))
    save(site.mask(2), volume(2))


@planted("columns of image and mask swapped", "image and mask swapped (6)", "c1.nii.gz")
def _(site: Site) -> None:
    site.text = site.text.replace("image: image, label: label", "image: label, label: image")
    parts = [{"case_id": f"m{case}", "part": "train" if case < 4 else "test"} for case in range(CASES)]
    write_table(site.folder / "parts.csv", parts)


@planted("mask that holds intensities", "case c2", "m2.nii", "intensities in a mask")
def _(site: Site) -> None:
    save(site.mask(2), (volume(2) * 100).astype(np.uint16))


@planted("mask given as the image", "case c2", "c2.nii", "image holds labels", code=0)
def _(site: Site) -> None:
    save(site.image(2), labels(2))


@planted("picture with transparency", "case c2", "c2.png", "transparency", base=pictures)
def _(site: Site) -> None:
    Image.fromarray(np.stack([grey(2)] * 4, axis=-1), "RGBA").convert("LA").save(site.image(2))


@planted("picture of RGBA in use", "case c2", "c2.png", "transparency", base=pictures)
def _(site: Site) -> None:
    Image.fromarray(np.stack([grey(2)] * 3 + [grey(3)], axis=-1), "RGBA").save(site.image(2))


@planted("mask in colours", "case c2", "m2.png", "colours", base=masked_pictures)
def _(site: Site) -> None:
    coloured = np.stack([flat_labels(2) * 100, flat_labels(2), np.zeros((PIXELS, PIXELS), np.uint8)], axis=-1)
    Image.fromarray(coloured).save(site.mask(2))


@planted("picture of 16 bits", code=0, base=pictures)
def _(site: Site) -> None:
    Image.fromarray(grey(2).astype(np.uint16) * 257).save(site.image(2))


# ------------------------------------------------------------------------------------------------ tables
def cells(site: Site) -> str:
    return (site.folder / "cases.csv").read_text()


@planted("byte order mark", code=0)
def _(site: Site) -> None:
    site.table(cells(site).encode("utf-8-sig"))


@planted("semicolons", code=0)
def _(site: Site) -> None:
    site.table(cells(site).replace(",", ";"))


@planted("lines of Windows, blank lines and quotes", code=0)
def _(site: Site) -> None:
    quoted = ["", *(",".join(f'"{cell}"' for cell in line.split(",")) for line in cells(site).splitlines()), "", ""]
    site.table("\r\n".join(quoted[1:]))


@planted("line break within quotes", code=0)
def _(site: Site) -> None:
    site.table(cells(site).replace("north", '"north,\nupper floor"'))


@planted("table is a folder", "cases.csv", "directory")
def _(site: Site) -> None:
    (site.folder / "cases.csv").unlink()
    (site.folder / "cases.csv").mkdir()


@planted("image in place of the table", "cases.csv", "UTF-8")
def _(site: Site) -> None:
    site.table(site.image(1).read_bytes())


@planted("missing column", "cases.csv", "missing column", "did you mean 'lable'")
def _(site: Site) -> None:
    site.table(cells(site).replace("label", "lable", 1))


@planted("empty cell", "cases.csv:4", "empty cell", "patient")
def _(site: Site) -> None:
    site.rows[2]["patient"] = ""
    site.write_rows()


@planted("uneven rows", "cases.csv", "line 8 has 2")
def _(site: Site) -> None:
    site.table(cells(site) + "c9.nii,m9.nii\n")


@planted("header only", "cases.csv", "no case")
def _(site: Site) -> None:
    site.table(cells(site).splitlines()[0] + "\n")


@planted("empty table", "cases.csv", "is empty")
def _(site: Site) -> None:
    site.table("")


@planted("table missing", "cases.csv", "No such file")
def _(site: Site) -> None:
    (site.folder / "cases.csv").unlink()


@planted("column twice", "cases.csv", "twice", "patient")
def _(site: Site) -> None:
    site.table(cells(site).replace("site", "patient"))


@planted("latin-1 text", "cases.csv", "UTF-8", "line 2")
def _(site: Site) -> None:
    site.table(cells(site).replace("north", "Köln").encode("latin-1"))


@planted("UTF-16 text", "cases.csv", "UTF-16")
def _(site: Site) -> None:
    site.table(cells(site).encode("utf-16"))


@planted("quote never closed", "cases.csv", "cannot be read as a table")
def _(site: Site) -> None:
    site.table(cells(site).replace("c2.nii", '"c2.nii'))


@planted("row twice", "duplicate id", "c2")
def _(site: Site) -> None:
    site.rows.append(site.rows[2])
    site.write_rows()


@planted("one id for two files", "duplicate id", "case c2")
def _(site: Site) -> None:
    (site.folder / "other").mkdir()
    save(site.folder / "other/c2.nii", volume(77))
    save(site.folder / "other/m2.nii", labels(1))
    site.rows.append(site.rows[2] | {"image": "other/c2.nii", "label": "other/m2.nii", "patient": "p77"})
    site.write_rows()


def with_ids(site: Site, first: str, second: str) -> None:
    for number, row in enumerate(site.rows):
        row["name"] = {0: first, 2: second}.get(number, f"c{number}")
    site.write_rows()
    site.text = site.text.replace("csv_table,", "csv_table, id: name,")
    parts = [{"case_id": row["name"], "part": "test" if k == 5 else "train"} for k, row in enumerate(site.rows)]
    write_table(site.folder / "parts.csv", parts)


@planted("ids that differ in case", "similar case ids", "'hip_A', 'hip_a'", code=0)
def _(site: Site) -> None:
    with_ids(site, "hip_a", "hip_A")


@planted("ids that differ in zeros", "similar case ids", "'hip_007', 'hip_7'", code=0)
def _(site: Site) -> None:
    with_ids(site, "hip_7", "hip_007")


@planted("one patient under two spellings", "similar patient ids", "'P 2', 'p2'", code=0)
def _(site: Site) -> None:
    site.rows[0]["patient"] = "P 2"
    site.write_rows()


@planted("path out of the root", "cases.csv:4", "path outside the root")
def _(site: Site) -> None:
    site.rows[2]["image"] = f"../{site.folder.name}/c2.nii"
    site.write_rows()


@planted("path traversal hidden in the middle", "cases.csv:4", "path outside the root")
def _(site: Site) -> None:
    site.rows[2]["image"] = f"x/../../{site.folder.name}/c2.nii"
    site.write_rows()


@planted("id that names a folder", "unusable id", "../c2")
def _(site: Site) -> None:
    with_ids(site, "c0", "../c2")


# ------------------------------------------------------------------------------------------- patients and parts
def patients_from(site: Site, setting: str) -> None:
    site.text = site.text.replace("patient: patient", f"patients: {setting}")


@planted("table of patients incomplete", "patients.csv", "c5")
def _(site: Site) -> None:
    known = [{"case_id": f"c{case}", "patient_id": f"p{case}"} for case in range(CASES - 1)]
    write_table(site.folder / "patients.csv", known)
    patients_from(site, "{table: patients.csv}")


@planted("table of patients that contradicts itself", "c3", "p3", "p9")
def _(site: Site) -> None:
    known = [{"case_id": f"c{case}", "patient_id": f"p{case}"} for case in range(CASES)]
    write_table(site.folder / "patients.csv", [*known, {"case_id": "c3", "patient_id": "p9"}])
    patients_from(site, "{table: patients.csv}")


@planted("regular expression without a match", "regex", "c0")
def _(site: Site) -> None:
    patients_from(site, "{regex: '^sub-([0-9]+)'}")


@planted("patient in two parts", "patient", "p1")
def _(site: Site) -> None:
    site.rows[4]["patient"] = "p1"
    site.write_rows()


def parted(site: Site, parts: dict[str, str]) -> None:
    write_table(site.folder / "parts.csv", [{"case_id": case, "part": part} for case, part in parts.items()])


@planted("part unknown", "dev", "train")
def _(site: Site) -> None:
    parted(site, {f"c{case}": "dev" if case == 3 else "train" for case in range(CASES)})


@planted("case without a part", "c4", "no part")
def _(site: Site) -> None:
    parted(site, {f"c{case}": "train" for case in range(CASES) if case != 4})


@planted("no training part", "train")
def _(site: Site) -> None:
    parted(site, {f"c{case}": "test" for case in range(CASES)})


@planted("class unknown", "task.classes", "'moribund'", base=pictures)
def _(site: Site) -> None:
    site.rows[2]["label"] = "moribund"
    site.write_rows()


@planted("class misspelt", "task.classes", "'helthy'", "did you mean 'healthy'", base=pictures)
def _(site: Site) -> None:
    site.rows[2]["label"] = "helthy"
    site.write_rows()


@planted("class missing", "cases.csv:4", "empty cell", "label", base=pictures)
def _(site: Site) -> None:
    site.rows[2]["label"] = ""
    site.write_rows()


# ------------------------------------------------------------------------------------------------ the checks
SMALL = ("few patients of a class", "class missing from a part")
"""What is told of any cohort as small as these."""


@dataclass(frozen=True)
class Told:
    code: int
    text: str

    @property
    def warnings(self) -> list[str]:
        """The first line of each kind of warning but SMALL."""
        lines = [line for line in self.text.splitlines() if "warning: " in line]
        return [line for line in lines if not any(kind in line for kind in SMALL)]


def told(hilum: Hilum, plant: Plant, folder: Path) -> tuple[Told, Site]:
    """What `hilum check` says of a fault planted into a folder; fails where it left a file behind."""
    site = plant.base(folder)
    site.config.write_text(site.text)
    plant.make(site)
    site.config.write_text(site.text)
    before = snapshot(folder)
    done = hilum("check", site.config, *plant.flags)
    assert snapshot(folder) == before, "nothing may be written but the cache"
    early = done.code == 2 and ("understood" not in done.out or "for a moment only" in done.out)
    assert not (early and (folder / "cache").exists()), "nor that, before voxels are looked at in earnest"
    assert "Traceback" not in done.text
    return Told(done.code, done.text), site


@pytest.fixture(autouse=True)
def _modes_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of mode 0 cannot be read, by root either."""
    access = os.access
    if is_root():
        monkeypatch.setattr(os, "access", lambda path, mode: access(path, mode) and Path(path).stat().st_mode & 0o400)


@pytest.mark.parametrize("base", [volumes, pictures, masked_pictures, two_modalities])
def test_sound_data_pass_in_silence(hilum: Hilum, tmp_path: Path, base: object) -> None:
    said, _ = told(hilum, Plant("", lambda site: None, (), 0, base), tmp_path)  # type: ignore[arg-type]
    assert (said.code, said.warnings) == (0, []), said.text
    assert said.text.endswith(": all checks passed\n"), said.text


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found_and_named(hilum: Hilum, tmp_path: Path, name: str) -> None:
    plant = PLANTS[name]
    said, _ = told(hilum, plant, tmp_path)
    assert said.code == plant.code, said.text
    for word in plant.words:
        assert word in said.text, said.text
    if plant.code == 0:
        assert bool(said.warnings) == bool(plant.words), said.text
    if plant.code == 2:
        assert not list(tmp_path.glob("runs/*"))


def test_there_are_sixty_kinds() -> None:
    assert sum(bool(plant.words) for plant in PLANTS.values()) >= 60
