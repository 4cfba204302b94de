"""Guesses about a table: which columns name images and masks, which one is the class, the patient or the part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.case import ImageRef
from hilum.errors import DataError
from hilum.formats.reading import is_image, stem
from hilum.sources.base import PARTS
from hilum.sources.files import subfolders
from hilum.sources.layout_classes import classes_of
from hilum.sources.layout_masks import look_at_masks
from hilum.sources.layout_patients import guess_patients
from hilum.sources.layout_record import Guess, Layout
from hilum.sources.tables import Table, read_table

LOOKED_AT = 60
"""Rows whose cells are tried as names of files."""

FOLDERS = 200
"""Folders near the table that files may be relative to."""

MOST_CLASSES = 50
"""More different texts than this in a column are no classes."""

PATIENT = {
    "patient", "patientid", "patientname", "patientno", "patientnumber", "patientuid", "subject", "subjectid",
    "subjectno", "participant", "participantid", "person", "personid", "sub", "subid", "pid", "mrn", "donor", "donorid",
}  # fmt: skip
"""What columns of patients are called, in small letters without separators, the likeliest first."""

CLASS = (
    "label",
    "class",
    "target",
    "diagnosis",
    "dx",
    "category",
    "y",
    "finding",
    "group",
    "disease",
    "grade",
    "outcome",
)
"""What columns of classes are called, the likeliest first."""

DESCRIBES = re.compile(
    r"sex|gender|age|view|site|scanner|centre|center|manufacturer|field|protocol|split|fold|part|set$"
)
"""Columns with few different texts that say something else about a case."""

MASK = re.compile(r"mask|seg|label|gt$|truth|annotation|contour")
"""Columns of files that are masks."""


@dataclass(frozen=True)
class Columns:
    """Columns of files in a table, and the folder that they are relative to."""

    root: Path
    images: tuple[str, ...]
    masks: tuple[str, ...]


def table_layouts(file: Path) -> list[Layout]:
    """Ways to read a table: its masks, its classes; none where no column names images that are there."""
    try:
        table = read_table(file)
    except DataError:
        return []
    files = _file_columns(table)
    if files is None:
        return []
    settings: dict[str, Any] = {"file": str(file)}
    if files.root != file.parent:
        settings["root"] = str(files.root)
    settings["image"] = files.images[0] if len(files.images) == 1 else {_plain(name): name for name in files.images}
    who, first = _who(table, files), table.rows[0][files.images[0]]
    evidence = f"{len(table.rows)} rows; column {', '.join(files.images)} names images such as {first}"
    found = [*_segmentation(table, files), *_classification(table, files)]
    return [
        Layout(
            "csv_table",
            {**settings, **label.settings, **who.settings},
            evidence + label.evidence,
            label.task_kind,
            label.classes,
            (*who.doubts, *label.doubts),
        )
        for label in found
    ]


def _file_columns(table: Table) -> Columns | None:
    """The columns whose cells are files, relative to the folder near the table that explains most of them."""
    step = max(1, len(table.rows) // LOOKED_AT)
    rows = table.rows[::step]
    best: Columns | None = None
    for root in _folders(table.path.parent):
        named = [column for column in table.columns if _are_files(root, [row[column] for row in rows])]
        masks = tuple(column for column in named if MASK.search(column.lower())) if len(named) > 1 else ()
        images = tuple(column for column in named if column not in masks)
        if images and (best is None or len(named) > len(best.images) + len(best.masks)):
            best = Columns(root, images, masks)
    return best


def _folders(start: Path) -> Iterator[Path]:
    """The table's folder, those in it, and those in these."""
    yield start
    inner = subfolders(start)
    yield from inner[:FOLDERS]
    yield from [deeper for folder in inner[:FOLDERS] for deeper in subfolders(folder)][:FOLDERS]


def _are_files(root: Path, cells: Sequence[str]) -> bool:
    """Whether nearly all cells that are not empty are images."""
    given = [cell for cell in cells if cell]
    if not given or len(given) * 2 < len(cells):
        return False
    missing = 0
    for cell in given:
        missing += not _is_image_file(root / cell)
        if missing * 10 > len(given):
            return False
    return True


def _is_image_file(path: Path) -> bool:
    try:
        return path.exists() and is_image(path)
    except (OSError, ValueError):
        return False


def _segmentation(table: Table, files: Columns) -> Iterator[Layout]:
    for column in files.masks:
        masks = [ImageRef(files.root / row[column]) for row in table.rows if row[column]]
        seen = look_at_masks(masks)
        doubts = seen.doubts + _empty(table, column)
        yield Layout("", {"label": column}, f", column {column} their masks", "segmentation", seen.classes, doubts)


def _classification(table: Table, files: Columns) -> Iterator[Layout]:
    """One for each column that could be the class, the likeliest first."""
    likely = sorted(_class_columns(table, files), key=_rank)
    named = [column for column in likely if _rank(column) < len(CLASS)]
    for column in named or ([] if files.masks else likely):
        classes = classes_of(row[column] for row in table.rows if row[column])
        doubts = list(_empty(table, column))
        if not named:
            doubts.append(f"which column is the class: '{column}' is taken because it has few different texts")
        others = [other for other in likely if other != column]
        if others:
            doubts.append(f"other columns that could be the class: {', '.join(others)}")
        evidence = f", column {column} holds {len(classes)} classes"
        yield Layout("", {"label": column}, evidence, "classification", classes, tuple(doubts))


def _class_columns(table: Table, files: Columns) -> Iterator[str]:
    for column in table.columns:
        name, texts = column.lower(), {row[column] for row in table.rows if row[column]}
        few = 2 <= len(texts) <= min(MOST_CLASSES, max(2, len(table.rows) // 2))
        if few and column not in (*files.images, *files.masks) and _plain(column) not in PATIENT:
            several = any("|" in text for text in texts)
            if not DESCRIBES.search(name) and not several and not texts <= {*PARTS}:
                yield column


def _rank(column: str) -> int:
    """How likely a column is the class by its name: 0 is best."""
    words = re.split(r"[^a-z]+", column.lower())
    return next((rank for rank, word in enumerate(CLASS) if word in words), len(CLASS))


def _who(table: Table, files: Columns) -> Guess:
    """Settings for the patients, ids, parts and order, as far as columns tell them."""
    settings: dict[str, Any] = {}
    doubts: tuple[str, ...] = ()
    names = [stem(Path(row[files.images[0]])) if row[files.images[0]] else "" for row in table.rows]
    ids = [column for column in table.columns if _plain(column) in ("caseid", "id", "case", "imageid", "scanid")]
    unique = [column for column in ids if len({row[column] for row in table.rows}) == len(table.rows)]
    if unique and unique[0] not in files.images and all(_is_name(row[unique[0]]) for row in table.rows):
        settings["id"] = unique[0]
        names = [row[unique[0]] for row in table.rows]
    elif len({*names}) < len(names):
        doubts += ("ids: names of image files occur twice, and no column has an id for each row",)
    patient = [
        column for column in table.columns if _plain(column) in PATIENT and all(row[column] for row in table.rows)
    ]
    if patient:
        settings["patient"] = patient[0]
    else:
        guess = guess_patients(table.path.parent, names)
        settings["patients"] = dict(guess.settings)
        doubts += guess.doubts
    for column in table.columns:
        texts = {row[column] for row in table.rows}
        if "train" in texts and len(texts) > 1 and texts <= {*PARTS, ""}:
            settings["part"] = column
    if patient and len({row[patient[0]] for row in table.rows}) == 1:
        settings |= _order(table)
    return Guess(settings, doubts)


def _order(table: Table) -> dict[str, str]:
    """The column with the position in a stack, where all images are of one patient."""
    for column in table.columns:
        cells = [row[column] for row in table.rows]
        if _plain(column) in ("order", "position", "slice", "slicenumber", "z", "index", "frame") and all(
            re.fullmatch(r"-?\d+(\.\d+)?", cell) for cell in cells
        ):
            return {"order": column}
    return {}


def _empty(table: Table, column: str) -> tuple[str, ...]:
    empty = sum(not row[column] for row in table.rows)
    return (f"{empty} rows have nothing in column {column}: fill them in, or take them out",) if empty else ()


def _plain(column: str) -> str:
    """A column's name in small letters and digits."""
    return re.sub(r"[^a-z0-9]", "", column.lower()) or column


def _is_name(text: str) -> bool:
    return bool(text) and "/" not in text and "\\" not in text
