"""Which layout a data set has, what the user said about it, and why nothing can be made of it where that is so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hilum.errors import ConfigError, DataError, nearest
from hilum.pipeline.proposal.lacking import what_is_needed
from hilum.pipeline.proposal.survey import TaskKind
from hilum.registry import kinds
from hilum.sources.files import subfolders
from hilum.sources.layout import Layout, recognise
from hilum.sources.tables import SUFFIXES

SHOWN = 8
"""How many of several data sets or layouts are named."""
WHOLE_SETS = ("bids", "decathlon", "medmnist", "nnunet")
"""Kinds whose root or file is a data set of its own."""


@dataclass(frozen=True)
class Wishes:
    """What the user said about the data; None leaves the choice.

    `patients` is `each_case`, a table, a column, or a regular expression with a group.
    """

    source: str | None = None
    task: TaskKind | None = None
    label: str | None = None
    patients: str | None = None


@dataclass(frozen=True)
class Origin:
    """The layout that was taken, and the others that fit too."""

    layout: Layout
    others: tuple[Layout, ...] = ()

    @property
    def task(self) -> TaskKind:
        """What the labels are."""
        return "segmentation" if self.layout.task_kind == "segmentation" else "classification"

    @property
    def guessed_patients(self) -> bool:
        """Whether nothing says whose scans they are."""
        patients = self.layout.settings.get("patients")
        return isinstance(patients, Mapping) and patients.get("each_case") is True


def find(data: Path, wishes: Wishes) -> Origin:
    """The surest layout that the wishes allow. Raises DataError saying what there is where none can be taken."""
    _refuse_absent(data)
    if wishes.source is not None and wishes.source not in kinds("sources"):
        close = nearest(wishes.source, kinds("sources"))
        hint = f"; did you mean '{close}'?" if close else ""
        raise ConfigError(f"--source: received '{wishes.source}', expected one of {', '.join(kinds('sources'))}{hint}")
    found = recognise(data)
    if not found:
        raise DataError(f"{data}: holds no image and no table that hilum can read: {_content(data)}")
    fitting = [layout for layout in found if layout.trainable]
    if not fitting:
        raise DataError("\n".join([*(f"{data}: {_untrainable(layout)}" for layout in found), *what_is_needed(data)]))
    wanted = [layout for layout in fitting if _as_wished(layout, wishes)]
    if not wanted:
        seen = "\n".join(f"  {described(layout)}" for layout in fitting[:SHOWN])
        raise DataError(f"{data}: no layout is as you said; there is\n{seen}")
    _refuse_several(data, wanted)
    wanted.sort(key=lambda layout: wishes.label not in (None, layout.settings.get("label")))
    return Origin(_with(wanted[0], wishes), tuple(wanted[1:]))


def place(layout: Layout) -> Path:
    """The folder or file that a layout reads."""
    return Path(layout.settings.get("file", layout.settings.get("root", "")))


def described(layout: Layout) -> str:
    """A layout in a line, as the user would ask for it."""
    label = layout.settings.get("label")
    column = f" --label {label}" if layout.kind == "csv_table" and label else ""
    return f"--source {layout.kind} --task {layout.task_kind}{column}: {layout.evidence}"


def _as_wished(layout: Layout, wishes: Wishes) -> bool:
    """Whether a layout is as the user said; another column can be taken of a table that was read for its classes."""
    own = wishes.label in (None, layout.settings.get("label"))
    other = layout.kind == "csv_table" and layout.task_kind == "classification"
    return wishes.source in (None, layout.kind) and wishes.task in (None, layout.task_kind) and (own or other)


def _refuse_absent(data: Path) -> None:
    try:
        there = data.exists()
    except (OSError, ValueError) as error:
        raise DataError(f"{data}: {error}") from error
    if not there:
        siblings = [path.name for path in data.parent.iterdir()] if data.parent.is_dir() else []
        close = nearest(data.name, siblings)
        raise DataError(
            f"{data}: no such file or folder" + (f"; did you mean '{data.parent / close}'?" if close else "")
        )


def _refuse_several(data: Path, layouts: list[Layout]) -> None:
    """Raise DataError where the folder holds several data sets, so that one has to be named."""
    places = {place(layout): layout for layout in layouts}
    whole = all(layout.kind in WHOLE_SETS for layout in layouts)
    if whole and data.is_dir() and data not in places:  # what was found lies deeper: there may be others beside it
        for folder in subfolders(data):
            beside = [layout for layout in recognise(folder) if layout.trainable]
            places |= {folder: beside[0]} if beside and folder not in places else {}
    if len(places) > 1 and whole:
        shown = "\n".join(f"  hilum new {place}   # {layout.evidence}" for place, layout in [*places.items()][:SHOWN])
        raise DataError(f"{data}: holds {len(places)} data sets; name one of them:\n{shown}")


def _content(data: Path) -> str:
    if not data.is_dir():
        return f"a file named {data.name}"
    names = sorted(path.name + ("/" if path.is_dir() else "") for path in data.iterdir())
    return f"it has {', '.join(names[:SHOWN])}" + (" ..." if len(names) > SHOWN else "") if names else "it is empty"


def _untrainable(layout: Layout) -> str:
    return f"{layout.evidence}: {'; '.join(layout.doubts)}. No configuration can be made of it"


def _with(layout: Layout, wishes: Wishes) -> Layout:
    """The layout with the column and the patients that the user named."""
    if wishes.label is not None and layout.settings.get("label") != wishes.label:
        layout = replace(layout, settings={**layout.settings, "label": wishes.label}, classes=None, doubts=())
    if wishes.patients is None:
        return layout
    settings = {key: value for key, value in layout.settings.items() if key not in ("patient", "patients")}
    return replace(layout, settings={**settings, **_patients(wishes.patients, layout)}, doubts=())


def _patients(wish: str, layout: Layout) -> dict[str, Any]:
    """The setting that the words of the user stand for."""
    if wish == "each_case":
        return {"patients": {"each_case": True}}
    if wish.lower().endswith(SUFFIXES):
        return {"patients": {"table": wish}}
    if "(" in wish:
        try:
            re.compile(wish)
        except re.error as error:
            raise ConfigError(f"--patients: received '{wish}', which is no regular expression ({error})") from error
        return {"patients": {"regex": wish}}
    if layout.kind == "csv_table":
        return {"patient": wish}
    raise ConfigError(
        f"--patients: received '{wish}', expected each_case, a table such as patients.csv, or a regular expression "
        f"with a group; a column is for tables, and this is {layout.kind}"
    )
