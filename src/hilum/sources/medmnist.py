"""MedMNIST files: thousands of small labelled images in one .npz, with an official split."""

import hashlib
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from hilum.case import Case, Cohort, ImageRef
from hilum.errors import DataError
from hilum.formats.atomic import write_whole
from hilum.formats.npz import array_names, load_array
from hilum.sources.base import PARTS, SourceConfig, channel_names, make_cohort
from hilum.sources.patients import PatientsConfig

DOWNLOADS = "https://zenodo.org/records/10519652/files/{name}?download=1"
"""Where the authors keep the files (version 2 with the corrections of 2024)."""

TIMEOUT_S = 60.0

MD5 = {
    "adrenalmnist3d": "bbd3c5a5576322bc4cdfea780653b1ce",
    "bloodmnist": "7053d0359d879ad8a5505303e11de1dc",
    "breastmnist": "750601b1f35ba3300ea97c75c52ff8f6",
    "chestmnist": "02c8a6516a18b556561a56cbdd36c4a8",
    "dermamnist": "0744692d530f8e62ec473284d019b0c7",
    "fracturemnist3d": "6aa7b0143a6b42da40027a9dda61302f",
    "nodulemnist3d": "8755a7e9e05a4d9ce80a24c3e7a256f3",
    "octmnist": "c68d92d5b585d8d81f7112f81e2d0842",
    "organamnist": "68e3f8846a6bd62f0c9bf841c0d9eacc",
    "organcmnist": "b9ceb9546e10131b32923c5bbeaea2b1",
    "organmnist3d": "a0c5a1ff56af4f155c46d46fbb45a2fe",
    "organsmnist": "9ab87b696fb54e2a387ebe992d6ed5f1",
    "pathmnist": "a8b06965200029087d5bd730944a56c1",
    "pneumoniamnist": "28209eda62fecd6e6a2d98b1501bb15f",
    "retinamnist": "bd4c0672f1bba3e3a89f0e4e876791e4",
    "synapsemnist3d": "1235b78a3cd6280881dd7850a78eadb6",
    "tissuemnist": "ebe78ee8b05294063de985d821c1c34b",
    "vesselmnist3d": "b41fd4f7e7e2feedddb201585ecafa1b",
}
"""Published checksums of the 28-pixel files."""

CLASS_NAMES = {
    "adrenalmnist3d": ("normal", "hyperplasia"),
    "breastmnist": ("malignant", "benign"),  # benign, or nothing found
    "fracturemnist3d": ("buckle", "nondisplaced", "displaced"),
    "nodulemnist3d": ("benign", "malignant"),
    "octmnist": ("choroidal_neovascularization", "diabetic_macular_edema", "drusen", "normal"),
    "pneumoniamnist": ("normal", "pneumonia"),
    "synapsemnist3d": ("inhibitory", "excitatory"),
    "vesselmnist3d": ("vessel", "aneurysm"),
}
"""What the numbers of some files mean."""


class MedmnistConfig(SourceConfig, kind="medmnist"):
    """One MedMNIST file (Yang et al. 2023): small images or volumes with a class each, and the official split."""

    file: Path
    """The .npz file, relative to the current folder."""
    patients: PatientsConfig
    """How patients are known: the files do not say, so mostly `{each_case: true}`."""
    download: bool = False
    """Fetch the 28-pixel file from its authors where it is missing, and compare its checksum."""

    @property
    def makes_files(self) -> bool:
        """Whether the file has to be downloaded first."""
        return self.download and not self.file.is_file()

    def cohort(self, task_kind: str) -> Cohort:
        """One case an image, named by official part and row (train-00012); classes are numbers as text.

        Raises DataError for a missing or broken file, several labels an image, or a task that needs other labels.
        """
        if task_kind not in ("classification", "restoration"):
            raise DataError(f"{self.file}: holds classes for classification, received the task {task_kind}")
        if not self.file.is_file():
            fetch(self.file) if self.download else _explain_missing(self.file)
        cases = [case for part in PARTS for case in _cases(self.file, part)]
        assigned = self.patients.assign([case.id for case in cases], folder=self.file.parent)
        labelled = task_kind == "classification"  # a restoration makes its input from the images themselves
        cases = [
            Case(case.id, assigned[case.id], case.images, case.label if labelled else None, case.part) for case in cases
        ]
        channels = channel_names(cases[0].files[0]) if cases else ()
        return make_cohort(cases, channels=channels, notes=self.patients.notes, origin=self.file)


def fetch(file: Path) -> None:
    """Download the MedMNIST file of this name; it appears only once its checksum is right.

    Raises DataError for an unknown name, a failed download or a wrong checksum.
    """
    if file.stem not in MD5:
        raise DataError(
            f"{file}: no MedMNIST file known by this name; there are {', '.join(f'{name}.npz' for name in MD5)}"
        )
    url = DOWNLOADS.format(name=file.name)
    try:
        with urlopen(url, timeout=TIMEOUT_S) as response:
            content = response.read()
    except (URLError, OSError) as error:
        raise DataError(f"{file}: download from {url} failed ({error}): fetch it by hand") from error
    received = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if received != MD5[file.stem]:
        raise DataError(f"{file}: download from {url} has md5 {received}, expected {MD5[file.stem]}: try again")
    write_whole(file, content)


def _explain_missing(file: Path) -> None:
    url = DOWNLOADS.format(name=file.name)
    raise DataError(f"{file}: no such file; set `download: true` to fetch it, or put it there yourself from {url}")


def _cases(file: Path, part: str) -> list[Case]:
    names = array_names(file)
    images, labels = f"{part}_images", f"{part}_labels"
    if images not in names or labels not in names:
        raise DataError(f"{file}: expected the arrays {images} and {labels}, received {', '.join(names)}")
    classes = load_array(file, labels)
    count = len(load_array(file, images))
    if classes.ndim == 2 and classes.shape[1] > 1 and len(classes) == count:
        raise DataError(
            f"{file}: {labels} holds {classes.shape[1]} labels for each image (multi-label), expected one class each:"
            " several findings at once are learnt from a table (csv_table, task multilabel), choose another file"
        )
    if classes.size != len(classes) or classes.dtype.kind not in "iu" or len(classes) != count:
        raise DataError(f"{file}: {labels} has shape {classes.shape}, expected one class for each of {count} images")
    return [
        Case(id=f"{part}-{row:05d}", patient="", images=(ImageRef(file, images, row),), label=str(value), part=part)
        for row, value in enumerate(classes.reshape(-1).tolist())
    ]
