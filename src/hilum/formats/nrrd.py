"""NRRD volumes (.nrrd, and .nhdr with its data files)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hilum.errors import DataError
from hilum.formats.base import Format
from hilum.formats.itk import numbered_files, open_itk, require_files, text_header

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hilum.case import ImageRef
    from hilum.formats.base import Opened

MILLIMETRES = {"mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3, "µm": 1e-3}
"""How long one unit of the header is. Headers that name none are millimetres by convention."""

SPACING_FIELDS = ("space directions", "spacings")


def open_nrrd(ref: ImageRef) -> Opened:
    """A NRRD with its header read, in millimetres; in pixels where the header has no spacing.

    Raises DataError for a broken file, data files that are missing, and units other than lengths.
    """
    fields = _fields(ref.path)
    require_files(ref.path, data_files(ref)[1:], need_bytes=0)
    facts = {name.replace(" ", "_"): fields[name] for name in ("space", "content", "modality") if name in fields}
    spaced = any(name in fields for name in SPACING_FIELDS)
    return open_itk(ref, unit_mm=_unit_mm(ref.path, fields) if spaced else None, facts=facts)


def data_files(ref: ImageRef) -> tuple[Path, ...]:
    """The header and every file of voxels that it names: one file, a list, or a numbered pattern."""
    fields, folder = _fields(ref.path), ref.path.parent
    named = fields.get("data file", fields.get("datafile"))
    if named is None:
        return (ref.path,)
    words = named.split()
    if not words:
        raise DataError(f"{ref.path}: its data file has no name")
    if words[0].upper() == "LIST":
        lines = text_header(ref.path).splitlines()
        start = next(
            number for number, line in enumerate(lines) if line.lower().startswith(("data file:", "datafile:"))
        )
        return (ref.path, *(folder / line.strip() for line in lines[start + 1 :] if line.strip()))
    if "%" in words[0]:
        return (ref.path, *numbered_files(ref.path, words))
    return (ref.path, folder / named)


def _fields(path: Path) -> Mapping[str, str]:
    """The header's `name: value` and `name:=value` lines, names in small letters."""
    lines = text_header(path).splitlines()
    if not lines or not lines[0].startswith("NRRD"):
        raise DataError(f"{path}: not a readable NRRD file (it does not begin with NRRD)")
    fields: dict[str, str] = {}
    for line in lines[1:]:
        if not line.strip():
            break
        name, colon, value = line.partition(":")
        if colon and not line.startswith("#"):
            fields[name.strip().lower()] = value.removeprefix("=").strip()
    return fields


def _unit_mm(path: Path, fields: Mapping[str, str]) -> float:
    """The length of the header's unit: of `space units`, or of `units` where that is given for each axis."""
    words = fields.get("space units", fields.get("units", "")).replace('"', " ").split()
    lengths = {MILLIMETRES.get(word) for word in words if word not in ("???", "none")}
    if not lengths:
        return 1.0
    length = lengths.pop()
    if lengths or length is None:
        known = ", ".join(MILLIMETRES)
        raise DataError(f"{path}: the header's units are {' '.join(words)}, expected one length for all axes ({known})")
    return length


FORMAT = Format((".nrrd", ".nhdr"), open_nrrd, mask_by_grid=True, files=data_files)
