"""Folders in the layout of the Medical Segmentation Decathlon: dataset.json, images and masks."""

import json
from pathlib import Path
from typing import Any

from hilum.case import Case, Cohort, ImageRef
from hilum.errors import DataError
from hilum.formats.reading import stem
from hilum.sources.base import SourceConfig, make_cohort
from hilum.sources.patients import PatientsConfig


class DecathlonConfig(SourceConfig, kind="decathlon"):
    """A folder with dataset.json, imagesTr and labelsTr (Medical Segmentation Decathlon, Antonelli et al. 2022)."""

    root: Path
    """The folder that holds dataset.json, relative to the current folder."""
    patients: PatientsConfig
    """How patients are known: the layout does not say."""

    def cohort(self, task_kind: str) -> Cohort:
        """The labelled cases, in the order of dataset.json; several modalities are the frames of one file.

        Raises DataError for a broken dataset.json, missing files, or a task other than segmentation.
        """
        description = self.root / "dataset.json"
        if task_kind != "segmentation":
            raise DataError(f"{description}: holds masks for segmentation, received the task {task_kind}")
        content = _read_description(description)
        channels = _channels(content["modality"])
        pairs = [(self.root / pair["image"], self.root / pair["label"]) for pair in content["training"]]
        patients = self.patients.assign([stem(image) for image, _ in pairs], folder=self.root)
        cases = [
            Case(
                id=stem(image), patient=patients[stem(image)], images=_refs(image, len(channels)), label=ImageRef(label)
            )
            for image, label in pairs
        ]
        return make_cohort(cases, channels=channels, notes=self.patients.notes, origin=description)


def _read_description(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    pairs = content.get("training") if isinstance(content, dict) else None
    if not isinstance(pairs, list) or not all(
        isinstance(pair, dict) and all(isinstance(pair.get(key), str) for key in ("image", "label")) for pair in pairs
    ):
        raise DataError(f"{path}: expected a list 'training' of pairs with 'image' and 'label'")
    modality = content.get("modality")
    if (
        not isinstance(modality, dict)
        or not modality
        or not all(number.isdecimal() and isinstance(name, str) for number, name in modality.items())
    ):
        raise DataError(f"{path}: expected a mapping 'modality' from channel numbers to names")
    return dict(content)


def _channels(modality: dict[str, str]) -> tuple[str, ...]:
    return tuple(modality[number] for number in sorted(modality, key=int))


def _refs(image: Path, count: int) -> tuple[ImageRef, ...]:
    return (ImageRef(image),) if count == 1 else tuple(ImageRef(image, index=index) for index in range(count))
