"""Cohorts of phantom patients: drawn from a seed, written once as NIfTI with a manifest, read like any table."""

import csv
import io
import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from hilum.case import Cohort
from hilum.formats.atomic import write_whole
from hilum.formats.nifti import write_volume
from hilum.random import generator
from hilum.sources.base import SourceConfig
from hilum.sources.csv_table import CsvTableConfig
from hilum.sources.generated import write_once
from hilum.sources.phantom_anatomy import LESION, draw_anatomy
from hilum.sources.phantom_scan import scan

VERSION = 1
"""Raised when the same settings draw other patients."""

MANIFEST, SETTINGS = "cases.csv", "phantom.json"

FORM_CODES = ((1, 1), (1, 0), (2, 1))
"""sform and qform codes as scanners and tools leave them, in turn."""


class PhantomConfig(SourceConfig, kind="phantom"):
    """Generated patients with an organ (1) that may hold lesions (2), among look-alikes of the same brightness."""

    folder: Path = Path("phantom")
    """Where the cohort is written, unless it is there already, relative to the current folder."""
    patients: PositiveInt = 24
    """How many patients there are."""
    scans_per_patient: PositiveInt = 2
    """Most scans of a patient: every patient has between one and so many, each on a grid of its own."""
    diseased: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Share of patients with lesions."""
    spacing_mm: PositiveFloat = 2.0
    """Distance of voxels, about; slices of some scans are up to twice as thick."""
    seed: NonNegativeInt = 17
    """Another seed gives other patients."""

    @property
    def makes_files(self) -> bool:
        """Whether the patients have to be generated first."""
        return not (self.folder / SETTINGS).is_file()

    def cohort(self, task_kind: str) -> Cohort:
        """The scans: masks for segmentation, the finding (lesion or none) for classification.

        Raises DataError where the folder holds something else.
        """
        self.write()
        label = "label" if task_kind == "segmentation" else "finding"
        table = CsvTableConfig(file=self.folder / MANIFEST, id="case_id", patient="patient_id", label=label)
        found = table.cohort(task_kind)
        return Cohort(found.cases, found.channels, ("phantom patients: generated, not measured", *found.notes))

    def write(self) -> None:
        """Write the cohort, if it is not there."""
        write_once(self.folder, self._settings, record=SETTINGS, what="phantom patients", write=self._write)

    @property
    def _settings(self) -> str:
        return json.dumps({"version": VERSION, **self.model_dump(mode="json", exclude={"folder"})}, indent=1)

    def _write(self, folder: Path) -> None:
        rows = [row for patient in range(self.patients) for row in self._write_patient(folder, patient)]
        write_whole(folder / MANIFEST, _as_csv(rows))

    def _write_patient(self, folder: Path, patient: int) -> list[dict[str, str]]:
        rng = generator(self.seed, 0, patient, "phantom.patient")
        anatomy = draw_anatomy(rng, diseased=self._is_diseased(patient))
        rows = []
        for number in range(int(rng.integers(1, self.scans_per_patient + 1))):
            taken = scan(anatomy, generator(self.seed, number, patient, "phantom.scan"), spacing_mm=self.spacing_mm)
            name = f"phantom-{patient:03d}-{number}"
            row = {
                "case_id": name,
                "patient_id": f"p{patient:03d}",
                "image": f"images/{name}.nii.gz",
                "label": f"labels/{name}.nii.gz",
            }
            sform, qform = FORM_CODES[(patient + number) % len(FORM_CODES)]
            write_volume(folder / row["image"], taken.voxels, taken.affine, sform_code=sform, qform_code=qform)
            write_volume(folder / row["label"], taken.labels, taken.affine, sform_code=sform, qform_code=qform)
            finding = "lesion" if (taken.labels == LESION).any() else "none"
            rows.append({**row, "finding": finding, "protocol": taken.protocol})
        return rows

    def _is_diseased(self, patient: int) -> bool:
        """Exactly the wanted share of patients, rounded, in an order drawn from the seed."""
        order = generator(self.seed, 0, 0, "phantom.diseased").permutation(self.patients)
        return bool(order[patient] < round(self.diseased * self.patients))


def _as_csv(rows: list[dict[str, str]]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()
