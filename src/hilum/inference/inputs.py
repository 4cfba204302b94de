"""What is to be predicted: one file, every image of a folder, or the rows of a manifest."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hilum.case import Case, ImageRef
from hilum.data.parallel import side_by_side
from hilum.errors import DataError, nearest
from hilum.formats.dicom import FORMAT as DICOM
from hilum.formats.dicom import readable_series
from hilum.formats.reading import format_of, is_image, read_header, stem
from hilum.inference.channel_files import NUMBERED, Found, by_case, endings
from hilum.sources.tables import SUFFIXES, read_table

ID_COLUMN, PATIENT_COLUMN, IMAGE_COLUMN = "case_id", "patient_id", "image"


Frames = Sequence[int | None]
"""What a case is read from: one entry an image; numbers are the frames of one 4-D file, None is a file of its own."""


def frames_of(case: Case) -> list[int | None]:
    """How the images of a case lie in files, for `find_inputs` to read new ones alike."""
    one_file = len({ref.path for ref in case.files}) == 1 and len(case.files) > 1
    return [ref.index if one_file and ref else None for ref in case.images]


def find_inputs(source: Path, channels: Sequence[str], *, frames: Frames) -> tuple[Case, ...]:
    """The cases of a file, a folder (recursive) or a manifest, each under an id of its own.

    A manifest (CSV, TSV or Parquet) has a column `image`, or one for each channel where a case has several images, and
    may have `case_id` and `patient_id`; its paths are relative to it, and an empty cell is a missing channel. In a
    folder, several images of a case end in _0000, _0001 and so on, in the order of the channels. For a network of one
    channel, each frame of a series (4-D) is a case: CASE_frame-000. Raises DataError where nothing can be predicted;
    broken files are found later, one by one.
    """
    if not source.exists():
        siblings = [path.name for path in source.parent.iterdir()] if source.parent.is_dir() else []
        close = nearest(source.name, siblings)
        raise DataError(f"{source}: no such file or folder" + (f"; did you mean '{close}'?" if close else ""))
    several = len(frames) > 1 and frames[0] is None
    if source.suffix.lower() in SUFFIXES and source.is_file():
        cases = _from_manifest(source, tuple(channels) if several else (IMAGE_COLUMN,), frames)
    elif several:
        cases = _by_number(source, channels)
    else:
        cases = _from_files(source, frames)
    return _frame_by_frame(cases) if len(channels) == len(frames) == 1 else cases


def _from_files(source: Path, frames: Frames) -> tuple[Case, ...]:
    """A case for each image."""
    if source.is_file():
        return (_case(_name(source), (ImageRef(source),), frames),)
    found = _found_under(source)
    names = _distinct_names([path for path, _ in found], source)
    return tuple(_case(name, (ref,), frames) for name, (_, ref) in zip(names, found, strict=True))


def _by_number(source: Path, channels: Sequence[str]) -> tuple[Case, ...]:
    """A case for the images of one name, whose channels are told by the number at its end."""
    found = _found_under(source) if source.is_dir() else []
    if not any(NUMBERED.fullmatch(_name(path)) for path, _ in found):
        raise DataError(
            f"{source}: this network takes {len(channels)} images a case; expected a manifest CSV with the columns "
            f"{', '.join(channels)}, or a folder of files that end in {endings(channels)}"
        )
    cases = by_case(found, channels, name_of=_name)
    names = _distinct_names([path for path, _ in cases], source)
    return tuple(Case(id=name, patient=name, images=refs) for name, (_, refs) in zip(names, cases, strict=True))


def _frame_by_frame(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases, with one for each frame in place of those whose file holds several."""
    counts = side_by_side(_frames, cases)
    found = tuple(
        case if count == 1 else _frame(case, number, count)
        for case, count in zip(cases, counts, strict=True)
        for number in range(count)
    )
    repeated = [name for name, count in Counter(case.id for case in found).items() if count > 1]
    if repeated:
        raise DataError(f"{repeated[0]} is the name of a file and of a frame of another: rename the file")
    return found


def _frames(case: Case) -> int:
    """How many frames the one image of a case has; 1 where it cannot be read, which is told later."""
    ref = case.files[0]
    try:
        header = read_header(ref) if ref.path.is_file() else None
    except DataError:
        return 1
    return header.frames if header is not None and header.channels == 1 else 1


def _frame(case: Case, number: int, count: int) -> Case:
    digits = max(3, len(str(count - 1)))
    images = (replace(case.files[0], index=number),)
    return replace(case, id=f"{case.id}_frame-{number:0{digits}d}", images=images)


def _found_under(folder: Path) -> list[Found]:
    """The images of a folder. Raises DataError where there is none."""
    found = _images_under(folder)
    if not found:
        raise DataError(f"{folder}: holds no image that hilum reads (.nii, .nii.gz, .png, .jpg, DICOM and others)")
    return found


def _images_under(folder: Path) -> list[Found]:
    """The images at any depth, each with the path that it is named after; a DICOM series is one image."""
    files = sorted(path for path in _files_under(folder) if is_image(path))
    alone = [(path, ImageRef(path)) for path in files if format_of(path) is not DICOM]
    slices = [path for path in files if format_of(path) is DICOM]
    folders = dict.fromkeys(path.parent for path in slices)
    return sorted([*alone, *(image for place in folders for image in _series_under(place))], key=lambda pair: pair[0])


def _files_under(folder: Path) -> Iterator[Path]:
    """The files at any depth, also in linked folders, of which each is gone through once; nothing that is hidden.

    A link that leads nowhere counts as a file, so that the reason is told when it is read. Raises DataError for a
    folder that may not be looked into: nobody would miss what lies there.
    """

    def refuse(error: OSError) -> None:
        why = f"{error.filename}: cannot be listed ({error.strerror})"
        raise DataError(f"{why}: make it readable, hide it (a dot before its name), or take it out of {folder}")

    seen = set[str]()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        files = [Path(place, name) for name in names if real not in seen and not name.startswith(".")]
        seen.add(real)
        yield from (path for path in files if path.is_file() or path.is_symlink())


def _series_under(folder: Path) -> list[Found]:
    """The series of one folder: named after it, after their description where there are several, or after their file.

    Broken files stand for themselves, so that the reason is told when they are read.
    """
    series, broken = readable_series(folder)
    found = [(path, ImageRef(path)) for path in broken]
    for info in series:
        described = folder / re.sub(r"[^\w.+-]+", "_", info.description or info.uid)
        if len(info.files) == 1 and len(series) > 1:
            found.append((info.files[0], info.ref))
        else:
            found.append((folder if len(series) == 1 else described, info.ref))
    return found


def _from_manifest(file: Path, columns: tuple[str, ...], frames: Frames) -> tuple[Case, ...]:
    table = read_table(file)
    table.require(columns)
    if len(columns) == 1:
        table.require_cells(columns)
    if not table.rows:
        raise DataError(f"{file}: has a header but no row: there is nothing to predict")
    cases = []
    for row, line in zip(table.rows, table.lines, strict=True):
        refs = tuple(ImageRef(file.parent / row[column]) if row[column] else None for column in columns)
        named = next((_name(ref.path) for ref in refs if ref), f"line-{line}")
        cases.append(_case(row.get(ID_COLUMN) or named, refs, frames, patient=row.get(PATIENT_COLUMN)))
    repeated = [name for name, count in Counter(case.id for case in cases).items() if count > 1]
    if repeated:
        raise DataError(
            f"{file}: {len(repeated)} ids occur twice, such as {', '.join(repeated[:3])}: "
            f"give each row its own {ID_COLUMN}"
        )
    unsafe = [case.id for case in cases if not case.id.isprintable() or set(case.id) & {"/", "\\"} or case.id[0] == "."]
    if unsafe:
        raise DataError(
            f"{file}: ids name the output files, have no line breaks and no dot in front, and cannot hold slashes, "
            f"received {', '.join(unsafe[:3])}"
        )
    return tuple(cases)


def _distinct_names(files: Sequence[Path], folder: Path) -> list[str]:
    """The files' names without suffix; where several share one, with what tells them apart.

    That is the folders, else also the suffix, else a number.
    """
    names = [_name(path) for path in files]
    for longer in (_with_folders, _with_folders_and_suffix):
        count = Counter(names)
        names = [
            longer(path.relative_to(folder) if path != folder else Path(folder.name)) if count[name] > 1 else name
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


def _case(name: str, refs: Sequence[ImageRef | None], frames: Frames, *, patient: str | None = None) -> Case:
    refs = list(refs) * len(frames) if len(refs) == 1 else refs
    images = tuple(None if ref is None else replace(ref, index=frame) for ref, frame in zip(refs, frames, strict=True))
    return Case(id=name, patient=patient or name, images=images)


def _name(path: Path) -> str:
    """The file's name without its format's suffix; the whole name where the format is unknown."""
    try:
        return stem(path)
    except DataError:
        return path.name
