"""Folders in the layout of the Medical Segmentation Decathlon: dataset.json, images and masks."""

from collections.abc import Iterator, Mapping
from os.path import normpath
from pathlib import Path
from typing import Any

from hilum.case import Case, Cohort, ImageRef
from hilum.errors import DataError, Finding
from hilum.formats.reading import stem
from hilum.sources.base import SourceConfig, make_cohort
from hilum.sources.labels import DeclaredLabels, decathlon_labels, read_description
from hilum.sources.patients import PatientsConfig


class DecathlonConfig(SourceConfig, kind="decathlon"):
    """A folder with dataset.json, imagesTr and labelsTr (Medical Segmentation Decathlon, Antonelli et al. 2022)."""

    root: Path
    """The folder that holds dataset.json, relative to the current folder."""
    patients: PatientsConfig
    """How patients are known: the layout does not say."""

    def cohort(self, task_kind: str) -> Cohort:
        """The labelled cases, in the order of dataset.json; several modalities are the frames of one file.

        Images listed under `test` have no masks and are left alone. Raises DataError for a broken dataset.json, missing
        files, or a task other than segmentation.
        """
        if task_kind != "segmentation":
            raise DataError(f"{self._description}: holds masks for segmentation, received the task {task_kind}")
        content = _read(self._description)
        channels = _channels(content["modality"])
        pairs = [(self.root / pair["image"], self.root / pair["label"]) for pair in content["training"]]
        ids = [_stem(image, self._description) for image, _ in pairs]
        patients = self.patients.assign(ids, folder=self.root)
        cases = [
            Case(id=name, patient=patients[name], images=_refs(image, len(channels)), label=ImageRef(label))
            for name, (image, label) in zip(ids, pairs, strict=True)
        ]
        findings = [*_counted(content, self._description), *_outside(content, self.root, self._description)]
        return make_cohort(
            cases, channels=channels, notes=self.patients.notes, origin=self._description, findings=findings
        )

    def declared_labels(self) -> DeclaredLabels | None:
        """The labels of dataset.json, where they are written as in the Decathlon."""
        return decathlon_labels(self._description, _read(self._description).get("labels"))

    @property
    def _description(self) -> Path:
        return self.root / "dataset.json"


def _read(path: Path) -> dict[str, Any]:
    content = read_description(path)
    if "channel_names" in content and "training" not in content:
        raise DataError(f"{path}: describes raw data of nnU-Net: use {{kind: nnunet}}")
    pairs = content.get("training")
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
    return content


def _counted(content: Mapping[str, Any], description: Path) -> Iterator[Finding]:
    """A warning where the description tells another number of cases than it lists."""
    declared, count = content.get("numTraining"), len(content["training"])
    if isinstance(declared, int) and declared != count:
        yield Finding(
            "warning",
            "other number of cases",
            file=str(description),
            received=f"{count} cases in the list 'training'",
            expected=f"numTraining: {declared}",
            fix="cases are missing from the list, or the number is old",
        )


def _outside(content: Mapping[str, Any], root: Path, description: Path) -> Iterator[Finding]:
    """An error for each relative path that leads out of the folder; absolute ones mean what they say."""
    for pair in content["training"]:
        for name in (pair["image"], pair["label"]):
            if not Path(name).is_absolute() and Path(normpath(name)).parts[:1] == ("..",):
                yield Finding(
                    "error",
                    "path outside the root",
                    file=str(description),
                    received=name,
                    expected=f"a file in {root}",
                    fix="correct the path in the description",
                )


def _stem(image: Path, description: Path) -> str:
    try:
        return stem(image)
    except DataError as error:
        raise DataError(f"{description}: {error}") from error


def _channels(modality: dict[str, str]) -> tuple[str, ...]:
    return tuple(modality[number] for number in sorted(modality, key=int))


def _refs(image: Path, count: int) -> tuple[ImageRef, ...]:
    return (ImageRef(image),) if count == 1 else tuple(ImageRef(image, index=index) for index in range(count))
