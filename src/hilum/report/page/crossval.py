"""The page of a cross-validation: the pooled scores of all patients, fold by fold, and the cases that went worst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hilum.report.page.cases import CasePictures, cases_section
from hilum.report.page.document import charts_section
from hilum.report.page.elsewhere import OF_RUNS_ONLY
from hilum.report.page.files import RunFiles, read_files
from hilum.report.page.folds import Fold, folds_section, trained_section
from hilum.report.page.opening import opening
from hilum.report.page.origin import settings_section
from hilum.report.page.scored import Scored, Section
from hilum.report.page.scores import scores_section, subgroups_section
from hilum.report.page.shell import whole_page


def read_pooled(folder: Path, config: Mapping[str, Any], config_text: str) -> RunFiles:
    """What the folder of a cross-validation holds; `config` are the settings that its folds share."""
    found = read_files(folder)
    lacking = tuple(said for said in found.lacking if not said.startswith(OF_RUNS_ONLY))
    return replace(
        found,
        config=config,
        config_text=config_text,
        provenance={"seed": (config.get("runtime") or {}).get("seed", 0)},
        lacking=lacking,
    )


def read_folds(folder: Path, names: Sequence[str]) -> list[Fold]:
    """The files of each fold."""
    return [Fold(name, read_files(folder / name)) for name in names]


def crossval_sections(scored: Scored, folds: Sequence[Fold], pictures: CasePictures) -> list[Section]:
    """All sections that the files have something for, in the order of the page."""
    found = [
        scores_section(scored),
        folds_section(scored),
        charts_section(scored),
        cases_section(scored, pictures),
        subgroups_section(scored),
        trained_section(folds, scored.monitor),
        settings_section(scored.files),
    ]
    return [section for section in found if section is not None]


def crossval_page(scored: Scored, found: Sequence[Section], *, written: str) -> str:
    """The whole page; `written` says by which version and when."""
    title = f"{scored.files.name}: report of a cross-validation by hilum"
    said = f"{written} from the files of the cross-validation and its folds"
    return whole_page(scored.files.name, title, opening(scored), found, written=said)
