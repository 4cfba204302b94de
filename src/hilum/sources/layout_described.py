"""Data sets that describe themselves: dataset.json of the Decathlon and of nnU-Net, BIDS, MedMNIST."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.npz import array_names, load_array
from hilum.formats.reading import stem
from hilum.sources.base import PARTS
from hilum.sources.bids_names import BidsName, participants, scans
from hilum.sources.files import subfolders
from hilum.sources.labels import decathlon_labels, nnunet_labels, read_description
from hilum.sources.layout_classes import classes_of
from hilum.sources.layout_masks import look_at_masks
from hilum.sources.layout_patients import UNKNOWN, guess_patients
from hilum.sources.layout_record import Layout
from hilum.sources.medmnist import CLASS_NAMES

MASK_SUFFIXES = ("mask", "dseg")
"""BIDS suffixes of masks in derivatives."""


def described_layouts(root: Path) -> list[Layout]:
    """The layout that the folder's own files tell; none where they tell nothing."""
    file = root / "dataset.json"
    if file.is_file():
        try:
            content = read_description(file)
            return [_decathlon(root, content) if "training" in content else _nnunet(root, content)]
        except DataError:
            return []
    return _bids(root) if any(root.glob("sub-*/")) else []


def _decathlon(root: Path, content: dict[str, Any]) -> Layout:
    pairs = [pair for pair in content["training"] if isinstance(pair, dict) and isinstance(pair.get("image"), str)]
    ids = [stem(Path(pair["image"])) for pair in pairs]
    patients = guess_patients(root, ids)
    declared = decathlon_labels(root / "dataset.json", content.get("labels"))
    evidence = f"dataset.json with a list of {len(pairs)} training images and masks (Decathlon)"
    settings = {"root": str(root), "patients": dict(patients.settings)}
    return Layout(
        "decathlon", settings, evidence, "segmentation", declared.classes if declared else None, patients.doubts
    )


def _nnunet(root: Path, content: dict[str, Any]) -> Layout:
    declared = nnunet_labels(root / "dataset.json", content.get("labels"))
    ending = str(content.get("file_ending", ""))
    labels = [path.name.removesuffix(ending) for path in sorted((root / "labelsTr").glob(f"*{ending}"))]
    patients = guess_patients(root, labels)
    channels = content.get("channel_names", {})
    evidence = f"dataset.json with channel_names, {len(labels)} masks in labelsTr, {len(channels)} channels (nnU-Net)"
    return Layout(
        "nnunet",
        {"root": str(root), "patients": dict(patients.settings)},
        evidence,
        "segmentation",
        declared.classes,
        patients.doubts,
        regions=declared.regions,
        ignore=declared.ignore,
    )


def _bids(root: Path) -> list[Layout]:
    """One layout for each kind of mask in the derivatives, and one for each column of participants.tsv like a class."""
    raw = [name for name in scans(root) if not name.entities.keys() & {"desc", "label"}]
    suffixes = Counter(name.suffix for name in raw)
    if not raw:
        return []
    usual = {suffix: count for suffix, count in suffixes.items() if 2 * count >= max(suffixes.values())}
    image: dict[str, Any] = (
        {"suffix": next(iter(usual))} if len(usual) == 1 else {"channels": {suffix.lower(): suffix for suffix in usual}}
    )
    patients = len({name.entities["sub"] for name in raw})
    evidence = f"{patients} participants with {', '.join(f'{count} {name}' for name, count in suffixes.items())} (BIDS)"
    found = []
    for (derivative, mask, desc), drawn in _masks(root):
        label = {"derivative": derivative, "suffix": mask} | ({"desc": desc} if desc else {})
        settings = {"root": str(root), **image, "label": label}
        seen = f"{evidence}, masks of {derivative}"
        values = look_at_masks([ImageRef(name.path) for name in drawn])
        found.append(Layout("bids", settings, seen, "segmentation", values.classes, values.doubts))
    for column, classes in _diagnoses(root):
        settings = {"root": str(root), **image, "label": column}
        found.append(
            Layout("bids", settings, f"{evidence}, column {column} of participants.tsv", "classification", classes)
        )
    return found


def _masks(root: Path) -> list[tuple[tuple[str, str, str], list[BidsName]]]:
    """The masks of each kind, which is a derivative, a suffix and a desc; the most frequent kind first."""
    kinds: dict[tuple[str, str, str], list[BidsName]] = defaultdict(list)
    outer = root / "derivatives"
    for folder in subfolders(outer) if outer.is_dir() else []:
        for name in scans(folder):
            if name.suffix in MASK_SUFFIXES:
                kinds[folder.name, name.suffix, name.entities.get("desc", "")].append(name)
    return sorted(kinds.items(), key=lambda item: -len(item[1]))


def _diagnoses(root: Path) -> list[tuple[str, dict[str, int | str]]]:
    """Columns of participants.tsv that may be classes, the likeliest first, with their texts."""
    table = participants(root)
    found = []
    for column in table.columns if table else ():
        texts = {row[column] for row in table.rows if row[column] and row[column] != "n/a"} if table else set()
        likely = re.search(r"diag|group|class|label|dx|status|disease|condition", column.lower())
        if likely and 2 <= len(texts) <= 20:
            found.append((column, classes_of(texts)))
    return found


def medmnist_layout(file: Path) -> list[Layout]:
    """The layout of a MedMNIST file; none for any other .npz."""
    try:
        names = array_names(file)
        if not {f"{part}_{what}" for part in PARTS for what in ("images", "labels")} <= {*names}:
            return []
        labels = [load_array(file, f"{part}_labels") for part in PARTS]
    except DataError:
        return []
    counts = " / ".join(str(len(part)) for part in labels)
    evidence = f"arrays of images and labels for train, val and test ({counts} images, MedMNIST)"
    if any(part.size != len(part) for part in labels):
        return [
            Layout(
                "", {}, evidence, doubts=("several labels an image, which are learnt from a table (csv_table) only",)
            )
        ]
    values = np.unique(np.concatenate([part.reshape(-1) for part in labels])).tolist()
    known = CLASS_NAMES.get(file.stem.partition("_")[0], ())
    classes = {known[value] if value < len(known) else f"class_{value}": int(value) for value in values}
    settings = {"file": str(file), "patients": {"each_case": True}}
    return [Layout("medmnist", settings, evidence, "classification", classes, (UNKNOWN,))]
