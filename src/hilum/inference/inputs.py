"""What is to be predicted: one file, every image of a folder, or the rows of a manifest."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hilum.case import Case, ImageRef
from hilum.errors import DataError, nearest
from hilum.formats.reading import is_image, stem
from hilum.sources.tables import read_table

ID_COLUMN, PATIENT_COLUMN, IMAGE_COLUMN = "case_id", "patient_id", "image"


def find_inputs(source: Path, channels: Sequence[str], *, images_per_case: int) -> tuple[Case, ...]:
    """The cases of a file, a folder (recursive) or a manifest CSV, each under an id of its own.

    A manifest has a column `image`, or one for each channel where a case has several images, and may have `case_id`
    and `patient_id`; its paths are relative to it. Raises DataError where nothing can be predicted; broken files are
    found later, one by one.
    """
    if not source.exists():
        siblings = [path.name for path in source.parent.iterdir()] if source.parent.is_dir() else []
        close = nearest(source.name, siblings)
        raise DataError(f"{source}: no such file or folder" + (f"; did you mean '{close}'?" if close else ""))
    columns = tuple(channels) if images_per_case > 1 else (IMAGE_COLUMN,)
    if source.suffix.lower() == ".csv":
        return _from_manifest(source, columns)
    if images_per_case > 1:
        raise DataError(
            f"{source}: this network takes {images_per_case} images a case; "
            f"expected a manifest CSV with the columns {', '.join(columns)}"
        )
    if source.is_file():
        return (_case(_name(source), (source,)),)
    files = sorted(
        path for path in source.rglob("*") if path.is_file() and is_image(path) and not path.name.startswith(".")
    )
    if not files:
        raise DataError(f"{source}: holds no image that hilum reads (.nii, .nii.gz, .png, .jpg and others)")
    return tuple(_case(name, (path,)) for name, path in zip(_distinct_names(files, source), files, strict=True))


def _from_manifest(file: Path, columns: tuple[str, ...]) -> tuple[Case, ...]:
    table = read_table(file)
    table.require(columns)
    table.require_cells(columns)
    if not table.rows:
        raise DataError(f"{file}: has a header but no row: there is nothing to predict")
    cases = []
    for row in table.rows:
        paths = tuple(file.parent / row[column] for column in columns)
        cases.append(_case(row.get(ID_COLUMN) or _name(paths[0]), paths, patient=row.get(PATIENT_COLUMN)))
    repeated = [name for name, count in Counter(case.id for case in cases).items() if count > 1]
    if repeated:
        raise DataError(
            f"{file}: {len(repeated)} ids occur twice, such as {', '.join(repeated[:3])}: "
            f"give each row its own {ID_COLUMN}"
        )
    unsafe = [case.id for case in cases if "/" in case.id or "\\" in case.id or case.id in (".", "..")]
    if unsafe:
        raise DataError(f"{file}: ids name the output files and cannot hold slashes, received {', '.join(unsafe[:3])}")
    return tuple(cases)


def _distinct_names(files: Sequence[Path], folder: Path) -> list[str]:
    """The files' names without suffix; where several share one, with what tells them apart.

    That is the folders, else also the suffix, else a number.
    """
    names = [_name(path) for path in files]
    for longer in (_with_folders, _with_folders_and_suffix):
        count = Counter(names)
        names = [
            longer(path.relative_to(folder)) if count[name] > 1 else name
            for name, path in zip(names, files, strict=True)
        ]
    distinct: dict[str, None] = {}
    for name in names:
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        distinct[name if name not in distinct else next(free for free in numbered if free not in distinct)] = None
    return list(distinct)


def _with_folders(path: Path) -> str:
    return "_".join((*path.parts[:-1], _name(path)))


def _with_folders_and_suffix(path: Path) -> str:
    return "_".join(path.parts)


def _case(name: str, paths: tuple[Path, ...], patient: str | None = None) -> Case:
    return Case(id=name, patient=patient or name, images=tuple(ImageRef(path) for path in paths))


def _name(path: Path) -> str:
    """The file's name without its format's suffix; the whole name where the format is unknown."""
    try:
        return stem(path)
    except DataError:
        return path.name
