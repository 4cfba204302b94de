"""File names of the Brain Imaging Data Structure, read as entities and a suffix, and its tables of participants."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.errors import DataError
from hilum.sources.tables import Table, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGE_SUFFIXES = (".nii.gz", ".nii")

EMPTY = "n/a"
"""What BIDS writes into a cell that has no value."""

WHO = ("sub", "ses", "run")
"""Entities that tell cases apart; the others tell the images of a case apart."""

ENTITY = re.compile(r"([a-zA-Z0-9]+)-([a-zA-Z0-9+]+)")


@dataclass(frozen=True)
class BidsName:
    """An image whose name follows BIDS: sub-01_ses-2_acq-fast_T1w.nii.gz has three entities and the suffix T1w."""

    path: Path
    entities: Mapping[str, str]
    suffix: str

    @property
    def others(self) -> dict[str, str]:
        """The entities that do not say whose scan it is."""
        return {key: value for key, value in self.entities.items() if key not in WHO}


@dataclass(frozen=True)
class Wanted:
    """Which images are meant: those of a suffix that have all of these entities."""

    suffix: str
    entities: Mapping[str, str]

    def choose(self, names: Sequence[BidsName]) -> list[BidsName]:
        """The images that are meant; where some have these entities and no other, only those."""
        fitting = [
            name for name in names if name.suffix == self.suffix and self.entities.items() <= name.others.items()
        ]
        return [name for name in fitting if self.is_exactly(name)] or fitting

    def is_exactly(self, name: BidsName) -> bool:
        """Whether an image has this suffix, these entities and no other."""
        return name.suffix == self.suffix and name.others == dict(self.entities)

    def __str__(self) -> str:
        return "_".join([*(f"{key}-{value}" for key, value in self.entities.items()), self.suffix])


def shared_out(names: Sequence[BidsName], channels: Iterable[Wanted]) -> list[list[BidsName]]:
    """The images that each channel means; one that a channel names exactly is no other channel's."""
    wanted = list(channels)
    taken = {name.path for name in names if any(one.is_exactly(name) for one in wanted)}
    return [one.choose([name for name in names if name.path not in taken or one.is_exactly(name)]) for one in wanted]


def parse_wanted(text: str) -> Wanted:
    """What `acq-hires_T1w` asks for. Raises ValueError for anything else than entities and a suffix."""
    *entities, suffix = text.split("_")
    parsed = [ENTITY.fullmatch(entity) for entity in entities]
    if not re.fullmatch(r"[a-zA-Z0-9]+", suffix) or not all(parsed):
        raise ValueError(f"a BIDS suffix, after any entities, such as T1w or acq-hires_T1w (received '{text}')")
    found = {match[1]: match[2] for match in parsed if match}
    if found.keys() & {*WHO}:
        raise ValueError(f"entities other than sub, ses and run, which tell cases apart (received '{text}')")
    return Wanted(suffix, found)


def read_name(path: Path) -> BidsName | None:
    """The parts of an image's name; None where it is no image or does not follow BIDS."""
    end = next((end for end in IMAGE_SUFFIXES if path.name.endswith(end)), None)
    if end is None:
        return None
    *entities, suffix = path.name.removesuffix(end).split("_")
    parsed = [ENTITY.fullmatch(entity) for entity in entities]
    if not entities or not all(parsed):
        return None
    found = {match[1]: match[2] for match in parsed if match}
    return BidsName(path, found, suffix) if "sub" in found else None


def scans(root: Path, datatype: str = "anat") -> list[BidsName]:
    """All images of a data type, of every participant and session, sorted by path."""
    return [name for name in map(read_name, image_files(root, datatype)) if name]


def image_files(root: Path, datatype: str) -> list[Path]:
    """All files of images of a data type, whatever their names, sorted by path."""
    folders = [*root.glob(f"sub-*/{datatype}"), *root.glob(f"sub-*/ses-*/{datatype}")]
    files = (path for folder in folders if folder.is_dir() for path in folder.iterdir())
    return sorted(path for path in files if path.name.endswith(IMAGE_SUFFIXES) and not path.name.startswith("."))


def agrees(name: BidsName) -> bool:
    """Whether a file lies in the folders of the participant and the session that its name tells."""
    expected = [f"sub-{name.entities['sub']}"]
    expected += [f"ses-{name.entities['ses']}"] if "ses" in name.entities else []
    return list(name.path.parts[-2 - len(expected) : -2]) == expected


def participants(root: Path) -> Table | None:
    """The table participants.tsv; None where there is none, which BIDS allows. Raises DataError where it is broken."""
    return _table(root / "participants.tsv", "participant_id")


def sessions(root: Path, participant: str) -> Table | None:
    """The table of a participant's sessions; None where there is none. Raises DataError where it is broken."""
    return _table(root / participant / f"{participant}_sessions.tsv", "session_id")


def without_blanks(row: Mapping[str, str]) -> dict[str, str]:
    """The cells of a row, empty where it has no value."""
    return {column: "" if cell == EMPTY else cell for column, cell in row.items()}


def _table(path: Path, key: str) -> Table | None:
    if not path.is_file():
        return None
    table = read_table(path)
    table.require([key])
    twice = [name for name, count in Counter(row[key] for row in table.rows).items() if count > 1]
    if twice:
        raise DataError(f"{path}: {key} has to be unique, found more than once: {', '.join(sorted(twice)[:5])}")
    return table
