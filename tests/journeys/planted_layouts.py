"""Faults planted into what is more than a table of files: DICOM series, layouts with a description, copies."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.formats.conftest import write_series
from tests.journeys.planted import CASES, SIDE, Site, grey, labels, pictures, planted, save, volume, volumes


# ------------------------------------------------------------------------------------------------ DICOM
def dicom_case(site: Site, keep: list[int]) -> None:
    """Case 2 as a series of 3 mm slices, of which those in `keep` are written."""
    planes = np.moveaxis(volume(2), 2, 0).astype(np.int16)
    positions = [(0.0, 0.0, 3.0 * k) for k in keep]
    write_series(site.folder / "c2", planes[keep], positions=positions)
    site.rows[2]["image"] = "c2"
    site.write_rows()


@planted("slice of a DICOM series missing", "c2", "slice")
def _(site: Site) -> None:
    dicom_case(site, [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11])


@planted("slice of a DICOM series twice", "case c2", "unreadable file", "slice")
def _(site: Site) -> None:
    dicom_case(site, [0, 1, 2, 3, 4, 5, 5, 7, 8, 9, 10, 11])


@planted("pipe among the slices of a DICOM series", "case c2", "orientation differs", "RAS", "LPS")
def _(site: Site) -> None:
    dicom_case(site, list(range(SIDE)))
    os.mkfifo(site.folder / "c2" / "pipe.dcm")


@planted("two series in one DICOM folder", "c2", "series")
def _(site: Site) -> None:
    dicom_case(site, list(range(SIDE)))
    planes = np.moveaxis(volume(3), 2, 0).astype(np.int16)
    write_series(site.folder / "c2", planes, changes={"SeriesInstanceUID": "1.2.3.5"}, prefix="other")


@planted("folder without a DICOM file", "c2", "folder")
def _(site: Site) -> None:
    (site.folder / "c2").mkdir()
    (site.folder / "c2" / "notes.txt").write_text("nothing here")
    site.rows[2]["image"] = "c2"
    site.write_rows()


# ------------------------------------------------------------------------------------------------ layouts
def described(folder: Path, content: Mapping[str, Any]) -> None:
    (folder / "dataset.json").write_text(json.dumps(content))


def decathlon(folder: Path) -> Site:
    """The six volumes in the layout of the Decathlon."""
    site = volumes(folder)
    pairs = [{"image": row["image"], "label": row["label"]} for row in site.rows]
    described(folder, {"modality": {"0": "MRI"}, "numTraining": CASES, "training": pairs})
    return _with_source(site, "decathlon")


def nnunet(folder: Path) -> Site:
    """The six volumes, each with a second channel, as raw data of nnU-Net."""
    site = volumes(folder)
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir()
    for number in range(CASES):
        for channel in range(2):
            save(folder / f"imagesTr/c{number}_{channel:04d}.nii", volume(number + 50 * channel))
        save(folder / f"labelsTr/c{number}.nii", labels(number))
    names = {"background": 0, "organ": 1, "vessel": 2}
    channels = {"0": "T1", "1": "T2"}
    described(folder, {"channel_names": channels, "labels": names, "numTraining": CASES, "file_ending": ".nii"})
    return _with_source(site, "nnunet")


def _with_source(site: Site, kind: str) -> Site:
    line = next(line for line in site.text.splitlines() if "source:" in line)
    source = f"  source: {{kind: {kind}, root: {site.folder}, patients: {{each_case: true}}}}"
    site.text = site.text.replace(line, source)
    return site


def redescribed(site: Site, **changes: Any) -> None:
    content = json.loads((site.folder / "dataset.json").read_text())
    described(site.folder, content | changes)


@planted("decathlon as it should be", code=0, base=decathlon)
def _(site: Site) -> None:
    pass


@planted("byte order mark in JSON", code=0, base=decathlon)
def _(site: Site) -> None:
    file = site.folder / "dataset.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())


@planted("description that is no JSON", "dataset.json", "cannot be read", base=decathlon)
def _(site: Site) -> None:
    (site.folder / "dataset.json").write_text("{'training': []}")


@planted("numTraining of another number", "dataset.json", "numTraining: 7", "6 cases", code=0, base=decathlon)
def _(site: Site) -> None:
    redescribed(site, numTraining=7)


@planted("description that leads out of the root", "path outside the root", "../elsewhere.nii", base=decathlon)
def _(site: Site) -> None:
    content = json.loads((site.folder / "dataset.json").read_text())
    content["training"][2]["image"] = "../elsewhere.nii"
    described(site.folder, content)


@planted("description that lists a case twice", "duplicate id", "c2", base=decathlon)
def _(site: Site) -> None:
    content = json.loads((site.folder / "dataset.json").read_text())
    redescribed(site, training=[*content["training"], content["training"][2]], numTraining=7)


@planted("nnU-Net as it should be", code=0, base=nnunet)
def _(site: Site) -> None:
    pass


@planted("file_ending of other files", "no case", ".mha", base=nnunet)
def _(site: Site) -> None:
    redescribed(site, file_ending=".mha")


@planted("file of a channel missing", "data.missing", "c2 (T2)", base=nnunet)
def _(site: Site) -> None:
    (site.folder / "imagesTr/c2_0001.nii").unlink()


@planted("file of a channel nobody names", "imagesTr/c2_0002.nii", "unknown channel", base=nnunet)
def _(site: Site) -> None:
    save(site.folder / "imagesTr/c2_0002.nii", volume(2))


@planted("mask without an image", "c7", "mask without image", base=nnunet)
def _(site: Site) -> None:
    save(site.folder / "labelsTr/c7.nii", labels(1))


# ------------------------------------------------------------------------------------------------ copies
@planted("copy of a picture in another part", "identical voxels", "case c0", "case c4", code=0, base=pictures)
def _(site: Site) -> None:
    Image.fromarray(grey(0)).save(site.image(4), compress_level=1)


@planted("copy of a volume in another part", "identical voxels", "case c0", "case c4", code=0)
def _(site: Site) -> None:
    save(site.image(4), volume(0).astype(np.float64))


@planted("flipped copy", "mirrored or turned", "case c0", "case c4", code=0, base=pictures)
def _(site: Site) -> None:
    Image.fromarray(grey(0)[:, ::-1]).save(site.image(4))


@planted("copy through JPEG", "near copy", "case c0", "case c4", code=0, base=pictures)
def _(site: Site) -> None:
    Image.fromarray(grey(0)).save(site.folder / "c4.jpg", quality=75)
    site.rows[4]["image"] = "c4.jpg"
    site.write_rows()


@planted("copy with another class", "copies with different labels", "case c0", "case c1", code=0, base=pictures)
def _(site: Site) -> None:
    Image.fromarray(grey(0)).save(site.image(1), compress_level=1)
