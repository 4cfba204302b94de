"""MetaImage volumes (.mha, and .mhd with its raw files)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hilum.errors import DataError
from hilum.formats.base import Format, reason
from hilum.formats.itk import numbered_files, open_itk, require_files, text_header

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hilum.case import ImageRef
    from hilum.formats.base import Opened

LAST_FIELD = "ElementDataFile"
"""Where the voxels are; they may follow the line."""

TYPE_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}
"""Bytes of a component by the name of its type, without `MET_` and the `U` of unsigned ones."""


def open_metaimage(ref: ImageRef) -> Opened:
    """A MetaImage with its header read, in millimetres; in pixels where the header has no spacing.

    Raises DataError for a broken file, and for data files that are missing or too small.
    """
    fields, files = _fields(ref.path), data_files(ref)
    need_bytes = _stored_bytes(ref.path, fields)
    if files == (ref.path,):
        require_files(ref.path, files, need_bytes=need_bytes + _header_bytes(ref.path))
    else:
        require_files(ref.path, files[1:], need_bytes=need_bytes)
    facts = {name: fields[key] for key, name in FACTS.items() if key in fields}
    spaced = "ElementSpacing" in fields or "ElementSize" in fields
    return open_itk(ref, unit_mm=1.0 if spaced else None, facts=facts)


FACTS = {"Modality": "modality", "AnatomicalOrientation": "anatomical_orientation", "Name": "name"}
"""Fields that tell more than the geometry, and the names of the facts that they become."""


def data_files(ref: ImageRef) -> tuple[Path, ...]:
    """The header and every file of voxels that it names: one file, a list, or a numbered pattern."""
    fields, folder = _fields(ref.path), ref.path.parent
    named = fields[LAST_FIELD]
    words = named.split()
    if named.upper() == "LOCAL":
        return (ref.path,)
    if named.upper().startswith("LIST"):
        lines = text_header(ref.path).split(LAST_FIELD, 1)[1].splitlines()[1:]
        return (ref.path, *(folder / line.strip() for line in lines if line.strip()))
    if "%" in words[0]:
        return (ref.path, *numbered_files(ref.path, words))
    return (ref.path, folder / named)


def _fields(path: Path) -> Mapping[str, str]:
    """The header's `name = value` lines, the last of which tells where the voxels are."""
    fields: dict[str, str] = {}
    for line in text_header(path).splitlines():
        name, equals, value = line.partition("=")
        if not equals:
            break
        fields[name.strip()] = value.strip()
        if name.strip() == LAST_FIELD:
            return fields
    raise DataError(f"{path}: not a readable MetaImage file (no line '{LAST_FIELD} = ...' at the end of its header)")


def _header_bytes(path: Path) -> int:
    """The length of a header that the voxels follow."""
    text = text_header(path)
    return text.find("\n", text.index(LAST_FIELD)) + 1


def _stored_bytes(path: Path, fields: Mapping[str, str]) -> int:
    """How many bytes of voxels the header promises at least."""
    try:
        kind = fields["ElementType"].removeprefix("MET_").removesuffix("_ARRAY").removeprefix("U")
        if fields.get("CompressedData", "").lower() == "true":
            return int(fields.get("CompressedDataSize", 0))
        sizes = [int(size) for size in fields["DimSize"].split()]
        if len(sizes) != int(fields["NDims"]):
            raise ValueError(f"{fields['NDims']} sizes expected, received {sizes}")
        components = int(fields.get("ElementNumberOfChannels", 1))
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: not a readable MetaImage file ({reason(error)})") from error
    text = fields.get("BinaryData", "true").lower() == "false"
    return math.prod(sizes) * components * (1 if text else TYPE_BYTES.get(kind, 1))


FORMAT = Format((".mha", ".mhd"), open_metaimage, mask_by_grid=True, files=data_files)
