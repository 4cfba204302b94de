"""Which sources could read a folder or file that somebody points at, and with which settings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hilum.errors import DataError
from hilum.formats import dicom
from hilum.formats.reading import format_of, is_image
from hilum.sources.files import images_in, subfolders, walk
from hilum.sources.layout_described import described_layouts, medmnist_layout
from hilum.sources.layout_folders import folder_layouts
from hilum.sources.layout_record import Layout
from hilum.sources.layout_tables import table_layouts
from hilum.sources.tables import SUFFIXES

__all__ = ["Layout", "recognise"]

LISTED = 2000
"""Folders that are looked into when a data set that nothing reads is described."""


def recognise(root: Path) -> list[Layout]:
    """Every way to read what lies there, the most certain first; what describes itself needs no guesses.

    Where nothing can be learnt from it, one layout without a kind that says which images there are; an empty list where
    there are none. Looks at names, tables, descriptions and some headers and masks; never writes.
    """
    if root.is_dir():
        return _of_folder(root) or _of_only_folder(root) or _described(root)
    if root.name.lower().endswith(SUFFIXES):
        return table_layouts(root)
    if root.suffix.lower() == ".npz":
        return medmnist_layout(root)
    if root.is_file() and is_image(root):
        return [Layout("", {}, f"one image, {root.name}", doubts=("a single image is nothing to learn from",))]
    return []


def _of_folder(root: Path) -> list[Layout]:
    found = described_layouts(root) or [layout for folder in subfolders(root) for layout in described_layouts(folder)]
    if found:
        return found
    files = sorted(path for path in root.iterdir() if path.is_file() and not path.name.startswith("."))
    for file in files:
        if file.name.lower().endswith(SUFFIXES):
            found += table_layouts(file)
        elif file.suffix.lower() == ".npz":
            found += medmnist_layout(file)
    return found + folder_layouts(root)


def _of_only_folder(root: Path) -> list[Layout]:
    """What an archive that was unpacked into a folder of its own holds."""
    inner = subfolders(root)
    if len(inner) != 1 or _has_images(root):
        return []
    return [layout for layout in recognise(inner[0]) if layout.trainable]


def _has_images(folder: Path) -> bool:
    try:
        return bool(images_in(folder))
    except DataError:  # of a broken DICOM file
        return True


def _described(root: Path) -> list[Layout]:
    """What images there are, by format, where no source finds labels for them."""
    counts: Counter[str] = Counter()
    for number, folder in enumerate(walk(root)):
        if number == LISTED:
            break
        try:
            images = images_in(folder)
        except DataError:
            counts["broken DICOM series"] += 1
            continue
        for image in images:
            form = format_of(image.path)
            counts["DICOM series" if form is dicom.FORMAT else f"images {_suffix(image.path)}"] += 1
    if not counts:
        return []
    listed = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    doubt = "no labels found: expected masks, folders named by class, or a table that names images and labels"
    return [Layout("", {}, f"{listed} in {root.name or root}", doubts=(doubt,))]


def _suffix(path: Path) -> str:
    return max((end for end in format_of(path).suffixes if path.name.lower().endswith(end)), key=len, default="")
