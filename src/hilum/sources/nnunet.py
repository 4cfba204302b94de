"""Folders in the raw layout of nnU-Net (version 2): dataset.json, imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.case import Case, Cohort, ImageRef, natural_order
from hilum.errors import DataError, Finding, nearest
from hilum.formats.reading import read_header
from hilum.sources.base import SourceConfig, make_cohort
from hilum.sources.labels import DeclaredLabels, nnunet_labels, read_description
from hilum.sources.patients import PatientsConfig

CHANNEL = re.compile(r"(.+)_(\d{4})")
"""A case's name and the number of one of its channels."""

Files = dict[str, dict[int, Path]]
"""The file of each channel of each case."""


@dataclass(frozen=True)
class Description:
    """What dataset.json says: names of the channels, suffix of the files, and the cases where it lists them."""

    path: Path
    channels: tuple[str, ...]
    ending: str
    declared_count: int | None
    listed: Mapping[str, Any] | None


class NnunetConfig(SourceConfig, kind="nnunet"):
    """A raw data set of nnU-Net v2 (Isensee et al. 2021): dataset.json, imagesTr and labelsTr."""

    root: Path
    """The folder DatasetXXX_NAME that holds dataset.json, relative to the current folder."""
    patients: PatientsConfig
    """How patients are known: the layout does not say."""

    def cohort(self, task_kind: str) -> Cohort:
        """The labelled cases of imagesTr, by name; a channel without a file is a missing modality.

        Cases without a mask are left out with a warning. Raises DataError for everything else that does not match.
        """
        path = self.root / "dataset.json"
        if task_kind != "segmentation":
            raise DataError(f"{path}: holds masks for segmentation, received the task {task_kind}")
        description = _read(path)
        findings: list[Finding] = []
        if description.listed is None:
            images, labels = _from_folders(self.root, description, findings)
        else:
            images, labels = _from_list(self.root, description.listed, description)
        names = [name for name in sorted(images, key=natural_order) if name in labels]
        findings += _unpaired(images, labels, self.root / "labelsTr")
        findings += _counted(description, len(names))
        stacked = _channels_in_one_file(images, description)
        patients = self.patients.assign(names, folder=self.root)
        cases = [
            Case(name, patients[name], _refs(images[name], len(description.channels), stacked), ImageRef(labels[name]))
            for name in names
        ]
        return make_cohort(
            cases, channels=description.channels, notes=self.patients.notes, origin=path, findings=findings
        )

    def declared_labels(self) -> DeclaredLabels | None:
        """The labels of dataset.json: classes, or regions, and the value to ignore."""
        path = self.root / "dataset.json"
        return nnunet_labels(path, read_description(path).get("labels"))


def _read(path: Path) -> Description:
    content = read_description(path)
    if "modality" in content and "channel_names" not in content:
        raise DataError(f"{path}: describes data of the Decathlon (or nnU-Net v1): use {{kind: decathlon}}")
    names = content.get("channel_names")
    if (
        not isinstance(names, dict)
        or sorted(names, key=natural_order) != [str(number) for number in range(len(names))]
        or not names
        or not all(isinstance(name, str) and name for name in names.values())
    ):
        raise DataError(f"{path}: expected a mapping 'channel_names' from 0, 1, ... to names, such as {{'0': 'T2'}}")
    ending = content.get("file_ending")
    if not isinstance(ending, str) or not ending.startswith("."):
        raise DataError(f"{path}: expected 'file_ending', such as '.nii.gz', received {ending!r}")
    nnunet_labels(path, content.get("labels"))
    count, listed = content.get("numTraining"), content.get("dataset")
    if listed is not None and not isinstance(listed, dict):
        raise DataError(f"{path}: expected a mapping 'dataset' from cases to their images and label")
    channels = tuple(names[str(number)] for number in range(len(names)))
    return Description(path, channels, ending, count if isinstance(count, int) else None, listed)


def _from_folders(root: Path, description: Description, findings: list[Finding]) -> tuple[Files, dict[str, Path]]:
    """The files of imagesTr and labelsTr by case; odd ones join the findings. Raises DataError for no such folder."""
    folders = root / "imagesTr", root / "labelsTr"
    absent = [folder.name for folder in folders if not folder.is_dir()]
    if absent:
        raise DataError(f"{root}: no folder {' and no folder '.join(absent)}, expected imagesTr and labelsTr")
    images: Files = defaultdict(dict)
    for path, name in _ending_in(folders[0], description.ending, findings):
        match = CHANNEL.fullmatch(name)
        if match and int(match[2]) < len(description.channels):
            images[match[1]][int(match[2])] = path
        else:
            most = f"{len(description.channels) - 1:04d}"
            expected = (
                f"a name that ends in _0000 to _{most}, since dataset.json names {len(description.channels)} channels"
            )
            findings.append(
                Finding("error", "unknown channel", "", str(path), path.name, expected, "rename or remove it")
            )
    labels = {name: path for path, name in _ending_in(folders[1], description.ending, findings)}
    return dict(images), labels


def _ending_in(folder: Path, ending: str, findings: list[Finding]) -> Iterator[tuple[Path, str]]:
    """The files of the announced suffix and their names without it; others are added to the findings."""
    for path in sorted(folder.iterdir(), key=natural_order):
        if path.name.startswith(".") or path.is_dir():
            continue
        if path.name.endswith(ending):
            yield path, path.name.removesuffix(ending)
        else:
            expected = f"files that end in {ending}, the file_ending of dataset.json"
            findings.append(Finding("warning", "other file", "", str(path), path.name, expected, "it is left out"))


def _from_list(root: Path, listed: Mapping[str, Any], description: Description) -> tuple[Files, dict[str, Path]]:
    """The files that dataset.json lists under `dataset`. Raises DataError for entries that are no lists of files."""
    images: Files = {}
    labels: dict[str, Path] = {}
    for name, entry in listed.items():
        files = entry.get("images") if isinstance(entry, dict) else None
        if not isinstance(files, list) or not all(isinstance(file, str) for file in [*files, entry.get("label")]):
            raise DataError(
                f"{description.path}: case {name} under 'dataset': expected 'images', a list of files, and 'label'"
            )
        if len(files) > len(description.channels):
            raise DataError(
                f"{description.path}: case {name} under 'dataset' has {len(files)} images, expected"
                f" {len(description.channels)}, the channels of 'channel_names'"
            )
        images[name] = {number: root / file for number, file in enumerate(files)}
        labels[name] = root / entry["label"]
    return images, labels


def _unpaired(images: Files, labels: Mapping[str, Path], folder: Path) -> Iterator[Finding]:
    for name in images:
        if name not in labels:
            close = nearest(name, labels)
            received = f"no mask in {folder}" + (f"; the nearest is {labels[close].name}" if close else "")
            yield Finding("warning", "no mask", name, "", received, "a mask", "it is left out")
    for name, path in labels.items():
        if name not in images:
            close = nearest(name, images)
            received = "no image" + (f"; the nearest case is {close}" if close else "")
            expected = f"imagesTr/{name}_0000 and so on"
            yield Finding("error", "mask without image", name, str(path), received, expected, "rename or remove it")


def _counted(description: Description, count: int) -> Iterator[Finding]:
    if description.declared_count not in (None, count):
        received = f"{count} cases with image and mask"
        expected = f"numTraining: {description.declared_count}"
        fix = "files are missing, or the description is old"
        yield Finding("warning", "other number of cases", "", str(description.path), received, expected, fix)


def _channels_in_one_file(images: Files, description: Description) -> bool:
    """Whether each file holds all channels, as colour pictures do."""
    several = len(description.channels) > 1
    if not several or not images or any(set(files) != {0} for files in images.values()):
        return False
    first = next(iter(images.values()))[0]
    return first.is_file() and read_header(ImageRef(first)).channels == len(description.channels)


def _refs(files: Mapping[int, Path], channels: int, stacked: bool) -> tuple[ImageRef | None, ...]:
    if stacked:
        return (ImageRef(files[0]),)
    return tuple(ImageRef(files[number]) if number in files else None for number in range(channels))
