"""Every real volume, as it is and written as NRRD and MetaImage: predicted, or refused with a reason that tells why.

`pytest -s -m slow tests/journeys/test_real_volumes.py` prints the table.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from tests.journeys.conftest import Hilum, nifti, read_csv
from tests.oracles.test_formats_simpleitk import itk_affine

REASONS = {
    "2D": "is a single slice, this network takes volumes",
    "channels": r"has \d+ channels, the network takes 1",
    "spacing": "impossible spacing",
}
"""What may be said of a volume that a network of one channel and three dimensions cannot take."""
SUFFIXES = (".nii", ".nii.gz")


def volumes(shared_data: Path) -> list[Path]:
    """The folders and files of all volumes: NIfTI and DICOM series."""
    found = [path for path in sorted(shared_data.rglob("*")) if path.name.endswith(SUFFIXES)]
    return [*found, *sorted(path for path in (shared_data / "dicom").iterdir() if path.is_dir())]


def few(shared_data: Path) -> list[Path]:
    """One of each kind."""
    names = ("anatomical.nii", "someones_anatomy.nii.gz", "example4d.nii.gz", "t2.nii.gz", "hippocampus_crop_series")
    return [path for path in volumes(shared_data) if path.name in names]


def linked(folder: Path, sources: Iterable[Path], root: Path) -> dict[str, Path]:
    """Links to the sources under names of their own, and the source of each name."""
    folder.mkdir()
    made = {}
    for source in sources:
        name = re.sub(r"\W+", "_", str(source.relative_to(root)).partition(".")[0])
        suffix = next((suffix for suffix in reversed(SUFFIXES) if source.name.endswith(suffix)), "")
        (folder / f"{name}{suffix}").symlink_to(source)
        made[name] = source
    return made


def converted(folder: Path, sources: dict[str, Path]) -> dict[str, Path]:
    """The volumes of up to four dimensions as SimpleITK writes them, half of them as NRRD, the others as MetaImage."""
    import SimpleITK

    folder.mkdir()
    made = {}
    for number, (name, source) in enumerate(sources.items()):
        suffix = (".nrrd", ".mha", ".mhd")[number % 3]
        if source.is_dir():
            reader = SimpleITK.ImageSeriesReader()
            reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(source)))
            image = reader.Execute()
        else:
            image = SimpleITK.ReadImage(str(source))
        SimpleITK.WriteImage(image, str(folder / f"{name}{suffix}"), useCompression=suffix != ".mhd")
        made[name] = folder / f"{name}{suffix}"
    return made


def told(sources: dict[str, Path], out: Path) -> list[tuple[str, str, str]]:
    """A line a volume: its name, in how many files it was predicted, and why not."""
    results, failures = Counter[str](), dict[str, str]()
    for row in read_csv(out / "results.csv"):
        results[re.sub(r"_frame-\d+$", "", row["case_id"])] += 1
    for row in read_csv(out / "failures.csv") if (out / "failures.csv").exists() else ():
        failures[re.sub(r"_frame-\d+$", "", row["case_id"])] = row["reason"]
    assert not set(results) & set(failures)
    assert set(results) | set(failures) == set(sources)
    return [(name, str(results[name] or ""), failures.get(name, "")) for name in sources]


def predict_all(
    hilum: Hilum, run: Path, sources: dict[str, Path], folder: Path, out: Path
) -> list[tuple[str, str, str]]:
    done = hilum("predict", run, folder, out)
    assert done.code in (0, 3), done.text
    assert "Traceback" not in done.text
    lines = told(sources, out)
    for name, count, reason in lines:
        print(f"| {name}{''.join(sources[name].suffixes[-2:])} | {count or 'refused'} | {reason} |")
        assert count or any(re.search(known, reason) for known in REASONS.values()), (name, reason)
    return lines


def compare(sources: dict[str, Path], lines: list[tuple[str, str, str]], out: Path) -> None:
    """Labels lie on the grid that SimpleITK reads from the input."""
    import SimpleITK

    for name, count, _ in lines:
        if count == "1" and not sources[name].is_dir():
            image = SimpleITK.ReadImage(str(sources[name]))
            labels = nifti(out / f"{name}.nii.gz") if (out / f"{name}.nii.gz").exists() else nifti(out / f"{name}.nii")
            assert labels.shape[:3] == image.GetSize()[:3], name
            assert np.allclose(labels.affine, itk_affine(image), atol=1e-3), name


@pytest.mark.slow
def test_every_volume_is_predicted_or_refused_with_a_reason(
    hilum: Hilum, trained: Path, shared_data: Path, tmp_path: Path
) -> None:
    sources = linked(tmp_path / "as-they-are", volumes(shared_data), shared_data)
    lines = predict_all(hilum, trained, sources, tmp_path / "as-they-are", tmp_path / "out")
    compare(sources, lines, tmp_path / "out")
    others = converted(tmp_path / "converted", sources)
    predict_all(hilum, trained, others, tmp_path / "converted", tmp_path / "out2")


def test_one_volume_of_each_kind(hilum: Hilum, trained: Path, shared_data: Path, tmp_path: Path) -> None:
    sources = linked(tmp_path / "few", few(shared_data), shared_data)
    lines = predict_all(hilum, trained, sources, tmp_path / "few", tmp_path / "out")
    compare(sources, lines, tmp_path / "out")
