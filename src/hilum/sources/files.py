"""Images as they lie in folders: which there are, what each is called, and which names belong together."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.case import ImageRef, natural_order
from hilum.errors import DataError, Finding
from hilum.formats import dicom
from hilum.formats.reading import format_of, is_image, stem

if TYPE_CHECKING:
    from collections.abc import Sequence

HIDDEN = (".", "__MACOSX")
"""How names begin that nobody put there on purpose."""

PART_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Names of folders that hold an official part, and the part."""

NO_PICTURES = {
    *(".txt", ".md", ".rst", ".html", ".pdf", ".log", ".csv", ".tsv", ".xlsx", ".xml", ".json", ".yaml", ".yml"),
    *(".raw", ".zraw", ".img", ".bval", ".bvec", ".db", ".ini", ".py", ".sh"),
}
"""Suffixes of files beside images that are expected to be none: texts, tables, and voxels that a header names."""

AFFIX = r"(?:masks?|segs?|segmentations?|labels?|gt|groundtruth|ground_truth|annotations?|images?|img|0000)"
ENDING = re.compile(rf"[_\-. ]{AFFIX}$", re.IGNORECASE)
BEGINNING = re.compile(rf"^{AFFIX}[_\-. ]", re.IGNORECASE)


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, hidden ones and leftovers of archives left out, in natural order."""
    return sorted((path for path, is_folder in _entries(folder) if is_folder), key=natural_order)


def images_in(folder: Path) -> list[ImageRef]:
    """The images that lie in this very folder, in natural order; the slices of a DICOM series are one of them.

    Raises DataError where a DICOM file is broken.
    """
    files = [path for path, is_folder in _entries(folder) if not is_folder and is_image(path)]
    plain = [ImageRef(path) for path in files if format_of(path) is not dicom.FORMAT]
    series = [info.ref for info in dicom.series_in(folder)] if len(plain) < len(files) else []
    return sorted([*plain, *series], key=natural_order)


def images_under(folder: Path) -> list[ImageRef]:
    """All images in a folder and below it, in natural order. Symbolic links are followed, but never in a circle.

    Raises DataError where a DICOM file is broken.
    """
    return sorted((image for inner in walk(folder) for image in images_in(inner)), key=natural_order)


def unread(folder: Path) -> Iterator[Finding]:
    """A warning for each file in a folder and below it that may well be a picture, of a format that is not read."""
    for inner in walk(folder):
        for path, is_folder in sorted(_entries(inner)):
            if not (is_folder or is_image(path) or path.suffix.lower() in NO_PICTURES or not path.suffix):
                expected = "an image of a format that hilum reads"
                yield Finding("warning", "other file", "", str(path), path.name, expected, "it is left out: convert it")


def walk(folder: Path) -> Iterator[Path]:
    """The folder and those below it, each once, parents first."""
    seen: set[Path] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop(0)
        real = current.resolve()
        if real not in seen:
            seen.add(real)
            yield current
            waiting += subfolders(current)


def name_of(image: ImageRef) -> str:
    """What an image is called: its file without suffix, or its DICOM folder and which series of it is meant."""
    return "_".join((stem(image.path), *([image.key] if image.key else [])))


def id_of(image: ImageRef, folder: Path) -> str:
    """A case's id from where its image lies under a folder: a_b for a/b.png."""
    return "_".join((*image.path.relative_to(folder).parent.parts, name_of(image)))


def core_name(name: str) -> str:
    """The name of an image or mask without what tells images from masks: patient7 for mask_patient7 or patient7_seg."""
    while ENDING.search(name) and ENDING.sub("", name):
        name = ENDING.sub("", name)
    return BEGINNING.sub("", name) or name


def match(images: Iterable[str], masks: Iterable[str]) -> dict[str, list[str]]:
    """The masks of each image, by name: the same name, or else names that differ only by words such as _mask or _seg.

    Folders in the names, as in a/b, have to be the same. Most images have one mask; wrong names have none or several.
    """
    masks = list(masks)
    exact, cores = set(masks), defaultdict(list)
    for mask in masks:
        cores[_core_path(mask)].append(mask)
    images = list(images)
    named = {image for image in images if image in exact}
    return {
        image: [image] if image in named else [mask for mask in cores[_core_path(image)] if mask not in named]
        for image in images
    }


def _core_path(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return folder + slash + core_name(last).casefold()


def part_of(folders: Sequence[str]) -> str | None:
    """The official part that the outermost folder names, if it does."""
    return PART_FOLDERS.get(folders[0].lower()) if folders else None


def _entries(folder: Path) -> list[tuple[Path, bool]]:
    """What lies in a folder, and whether it is a folder too. Raises DataError where it may not be looked into."""
    try:
        with os.scandir(folder) as entries:
            return [(Path(entry.path), _is_folder(entry)) for entry in entries if not entry.name.startswith(HIDDEN)]
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a symbolic link in a circle, named as a missing file later
        return False
