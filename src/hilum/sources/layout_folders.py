"""Guesses about folders: a folder for each class, images and masks side by side, or a folder for each case."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.case import ImageRef, natural_order
from hilum.errors import DataError
from hilum.formats.reading import format_of, read_header
from hilum.sources.files import PART_FOLDERS, id_of, images_in, images_under, match, subfolders, walk
from hilum.sources.layout_classes import classes_of
from hilum.sources.layout_masks import is_mask, look_at_masks
from hilum.sources.layout_patients import guess_patients
from hilum.sources.layout_record import Layout

IMAGES = ("images", "image", "imagestr", "img", "imgs", "scans", "input", "inputs")
MASKS = ("masks", "mask", "labels", "label", "labelstr", "segmentations", "segmentation", "seg", "gt", "annotations")
"""What folders of images and of masks are called."""

MASK_WORD = re.compile(
    r"seg|mask|label|(?:^|[^a-z])gt(?:[^a-z]|$)|truth|lesion|(?:^|[^a-z])ot(?:[^a-z]|multi|$)|manual"
)
NO_LABEL = re.compile(r"brain_?mask|brain[^a-z]|skull|bet_")
"""Words in the names of masks that are to be learnt, and of those that only cut the head out."""

SHARE = 0.5
"""Share of case folders in which a file has to be found to count as one of their modalities."""

MOST_MODALITIES = 12

SAMPLED = 12
"""Headers that are compared before folders count as classes."""


def folder_layouts(root: Path) -> list[Layout]:
    """Ways to read a folder's images by where they lie; none where no rule explains them."""
    try:
        return [*_pairs(root)] or [*_case_folders(root)] or [*_classes(root)]
    except DataError:
        return []


def _pairs(root: Path) -> Iterator[Layout]:
    """Folders of images and masks in `root`, or in its folders of official parts."""
    parts = [folder for folder in subfolders(root) if folder.name.lower() in PART_FOLDERS]
    for base in [root, *parts]:
        named = {folder.name.lower(): folder for folder in subfolders(base)}
        images, masks = (next((named[name] for name in names if name in named), None) for names in (IMAGES, MASKS))
        if images and masks:
            yield from _matched(root, images, masks)
            return


def _matched(root: Path, images: Path, masks: Path) -> Iterator[Layout]:
    found, drawn = ({id_of(ref, folder): ref for ref in images_under(folder)} for folder in (images, masks))
    matched = match(found, drawn)
    together = [name for name, names in matched.items() if len(names) == 1]
    if not together:
        return
    seen = look_at_masks([drawn[matched[name][0]] for name in together])
    patients = guess_patients(root, [*found], [found[name] for name in sorted(found, key=natural_order)])
    doubts = [*patients.doubts, *seen.doubts]
    if len(together) < len(found):
        doubts.append(f"{len(found) - len(together)} images without a mask, which are left out")
    settings: dict[str, Any] = {"root": str(root), "patients": dict(patients.settings)}
    settings |= {"images": images.name, "masks": masks.name}
    evidence = f"{len(together)} images in {images.relative_to(root)} with masks in {masks.relative_to(root)}"
    yield Layout("folders", settings, evidence, "segmentation", seen.classes, tuple(doubts))


@dataclass(frozen=True)
class Modalities:
    """Files that case folders have in common: how many have each, and one of them."""

    counts: Mapping[str, int]
    examples: Mapping[str, ImageRef]
    folders: tuple[Path, ...]


def _case_folders(root: Path) -> Iterator[Layout]:
    """A folder for each case, in which files of the same names (but for the case's own) lie."""
    common = _common(root)
    if len(common.folders) < 2 or not 2 <= len(common.counts) <= MOST_MODALITIES:
        return
    masks = [key for key in common.counts if is_mask(common.examples[key])]
    labels = [key for key in masks if MASK_WORD.search(key.lower()) and not NO_LABEL.search(key.lower())]
    images = [key for key in common.counts if key not in masks and not NO_LABEL.search(key.lower())]
    if not labels or not images:
        return
    label = labels[0]
    files = [path for folder in common.folders for path in sorted(folder.glob(label))[:1]]
    seen = look_at_masks([ImageRef(path) for path in files])
    ids = ["_".join(folder.relative_to(root).parts) for folder in common.folders]
    patients = guess_patients(root, ids)
    doubts = [*patients.doubts, *seen.doubts]
    if len(labels) > 1:
        doubts.append(f"which mask is the label: {label} was taken, there are also {', '.join(labels[1:])}")
    others = [key for key in masks if key not in labels]
    if others:
        doubts.append(f"left out: {', '.join(others)}")
    settings = {"root": str(root), "channels": _channel_names(images), "label": label}
    settings["patients"] = dict(patients.settings)
    evidence = f"{len(common.folders)} folders of cases with {', '.join(images)} and {label}"
    yield Layout("folders", settings, evidence, "segmentation", seen.classes, tuple(doubts))


def _common(root: Path) -> Modalities:
    """The patterns of file names that at least half of the folders with images share."""
    counts: Counter[str] = Counter()
    examples: dict[str, ImageRef] = {}
    folders = []
    for folder in walk(root):
        images = [ref for ref in images_in(folder) if not ref.path.is_dir()] if folder != root else []
        if images:
            folders.append(folder)
            keys = {_pattern(ref.path.name, folder): ref for ref in images}
            counts.update(keys.keys())
            examples = keys | examples
    shared = {key: count for key, count in counts.items() if count >= SHARE * len(folders)}
    return Modalities(dict(sorted(shared.items())), examples, tuple(folders))


def _pattern(name: str, folder: Path) -> str:
    """A file's name with a star for what it repeats of its folder's name."""
    return name.replace(folder.name, "*", 1)


def _channel_names(patterns: Sequence[str]) -> dict[str, str]:
    """Short names for the modalities: what their files' names do not have in common."""
    words = [re.split(r"[_\-. ]+", pattern[: -len(_suffix(Path(pattern)))].strip("*_-. ")) for pattern in patterns]
    while len(words) > 1 and len({name[-1] for name in words}) == 1 and min(map(len, words)) > 1:
        words = [name[:-1] for name in words]
    bare = ["_".join(name) for name in words]
    names = [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "image" for name in bare]
    unique = names if len({*names}) == len(names) else [f"channel_{number}" for number in range(len(names))]
    return dict(zip(unique, patterns, strict=True))


def _suffix(path: Path) -> str:
    return max((end for end in format_of(path).suffixes if path.name.lower().endswith(end)), key=len, default="")


def _classes(root: Path) -> Iterator[Layout]:
    """A folder for each class, in `root` or in each of its folders of official parts."""
    parts = [folder for folder in subfolders(root) if folder.name.lower() in PART_FOLDERS]
    found: dict[str, list[ImageRef]] = defaultdict(list)
    for base in parts or [root]:
        for folder in subfolders(base):
            found[folder.name] += images_under(folder)
    found = defaultdict(list, {name: images for name, images in found.items() if images})
    every = [image for images in found.values() for image in images]
    if len(found) < 2 or min(map(len, found.values())) < 2 or not _alike(every):
        return
    ids = [id_of(image, root) for image in every]
    patients = guess_patients(root, ids)
    counted = ", ".join(f"{name} ({len(images)})" for name, images in found.items())
    where = f" in {', '.join(folder.name for folder in parts)}" if parts else ""
    settings = {"root": str(root), "patients": dict(patients.settings)}
    classes = classes_of(found)
    yield Layout(
        "folders", settings, f"a folder for each class{where}: {counted}", "classification", classes, patients.doubts
    )


def _alike(images: Sequence[ImageRef]) -> bool:
    """Whether images of all folders seem to be of one sort: pictures or volumes, no series."""
    sample = images[:: max(1, len(images) // SAMPLED)]
    try:
        headers = [read_header(image) for image in sample]
    except DataError:
        return False
    return len({header.grid.shape[2] == 1 for header in headers}) == 1 and all(h.frames == 1 for h in headers)
