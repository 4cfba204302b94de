"""`hilum compare`: several methods on the same patients, from the rows that were scored, as tables and in words."""

from __future__ import annotations

import csv
import glob
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hilum.case import natural_order
from hilum.errors import ConfigError, DataError, nearest
from hilum.evaluation.comparing import compare as compared
from hilum.evaluation.comparison_table import comparison_table
from hilum.evaluation.intervals import Bootstrap
from hilum.evaluation.pairing import Scored
from hilum.pipeline.scored_folders import ScoredFolder, read_scored
from hilum.run import write_text

Say = Callable[[str], None]
COMPARISON_NAME = "compare.json"
PREFERRED = ("test", "val")
"""Parts that are compared where none is named: the first that every folder has."""


@dataclass(frozen=True)
class Target:
    """Where compare.csv and compare.json go."""

    folder: Path = Path("compare")
    overwrite: bool = False

    @property
    def files(self) -> tuple[Path, Path]:
        """The table and the JSON."""
        return self.folder / "compare.csv", self.folder / COMPARISON_NAME

    def refuse_existing(self) -> None:
        """Raise ConfigError where there is a comparison already, which `overwrite` would replace."""
        for file in self.files:
            if file.exists() and not self.overwrite:
                raise ConfigError(f"{file} exists already: replace it with --overwrite, or name another folder with -o")


def compare(
    methods: Sequence[str | Path], *, part: str | None = None, target: Target | None = None, say: Say = print
) -> dict[str, Any]:
    """The comparison of methods on the same patients, after writing compare.csv and compare.json and printing them.

    Each method is a folder (a run, a cross-validation, scores of other data or outputs), or `NAME=FOLDER` with several,
    separated by commas or as a pattern such as `A=runs/a-*`: its seeds, whose scores are averaged. Nothing is predicted
    again. Raises ConfigError for methods that cannot be told apart, CheckpointError where nothing was scored, DataError
    where patients, classes or truths differ.
    """
    target = target or Target()
    target.refuse_existing()
    folders = {name: [read_scored(folder) for folder in found] for name, found in _folders(methods).items()}
    everything = [one for found in folders.values() for one in found]
    part = _part(everything, part)
    sides: Mapping[str, Sequence[Scored]] = {name: [one.part(part) for one in found] for name, found in folders.items()}
    result = {"part": part, **compared(sides, _bootstrap(everything))}
    table, content = target.files
    write_text(table, _csv(result["comparisons"]))
    write_text(content, json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    for line in comparison_table(result):
        say(line)
    say(f"{table}: every difference, also of each structure; {content}: these, the methods' scores and the rankings")
    return result


def _folders(methods: Sequence[str | Path]) -> dict[str, list[Path]]:
    """The folders of each method by its name: the one given, or that of its folder."""
    found: dict[str, list[Path]] = {}
    for given in methods:
        text = str(given)
        name, equals, places = text.partition("=")
        if Path(text).exists() or not equals:
            name, places = Path(text).name, text
        if not name or name in found:
            raise ConfigError(
                f"received '{text}' under the name '{name}', expected a name of its own for each method: NAME=FOLDER"
            )
        found[name] = [folder for place in places.split(",") for folder in _matching(place.strip())]
    if len(found) < 2:
        raise ConfigError(f"received {len(found)} method, expected at least two: hilum compare runs/a runs/b")
    used = [folder.resolve() for folders in found.values() for folder in folders]
    twice = next((folder for folder in used if used.count(folder) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is given more than once: a method compared with itself shows nothing")
    return found


def _matching(place: str) -> list[Path]:
    """The folders that a path or a pattern stands for, slice-2 before slice-10."""
    if not glob.has_magic(place) or Path(place).exists():
        return [Path(place)]
    found = sorted((Path(name) for name in glob.glob(place)), key=natural_order)  # noqa: PTH207 (absolute ones too)
    if not found:
        siblings = [file.name for file in Path(place).parent.glob("*")]
        close = nearest(Path(place).name.strip("*?"), siblings)
        raise ConfigError(f"no folder matches '{place}'" + (f"; did you mean '{close}'?" if close else ""))
    return found


def _part(everything: Sequence[ScoredFolder], wanted: str | None) -> str:
    """The part that is compared: the one that was named, or the first that all folders have.

    Outputs of other tools and scores of other data are of no part of a split: they go with any part.
    """
    folders = [one for one in everything if not one.whole] or list(everything)[:1]
    shared = [part for part in folders[0].parts if all(part in one.parts for one in folders)]
    there = "; ".join(f"{one.folder}: {', '.join(one.parts)}" for one in folders)
    if wanted is not None and wanted not in shared:
        raise DataError(f"not all have scores of the part '{wanted}' ({there}): evaluate it with --part {wanted}")
    if wanted is not None:
        return wanted
    if not shared:
        raise DataError(f"no part was scored by all ({there}): evaluate the same one in each")
    return next((part for part in PREFERRED if part in shared), shared[0])


def _bootstrap(folders: Sequence[ScoredFolder]) -> Bootstrap:
    """The draws that the first folder's settings mean; the formulas of single scores do not apply to differences."""
    bootstrap = folders[0].evaluate.bootstrap
    return bootstrap if bootstrap.method == "percentile" else replace(bootstrap, method="bca")


def _csv(lines: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
