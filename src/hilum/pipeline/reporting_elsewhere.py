"""The page of what is no part of a run's split: other data that it scored, or the outputs of another tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hilum.case import Case
from hilum.config import read
from hilum.errors import CheckpointError, ConfigError, SplitError
from hilum.pipeline.case_pictures import case_pictures
from hilum.pipeline.charts import write_charts
from hilum.pipeline.external import divided, other_cohort
from hilum.pipeline.external_section import DATA_NAME, SCORING_NAME
from hilum.pipeline.restore import problem_from
from hilum.report.page.cases import CasePictures
from hilum.report.page.document import figures, page, sections
from hilum.report.page.elsewhere import read_external, read_outputs
from hilum.report.page.scored import Scored
from hilum.run import Run, write_text
from hilum.training import checkpoint

NO_IMAGES = "There are no pictures of single cases: the images are not known, only masks or probabilities."
OF_A_RUN = ("origin",)
"""Sections that mean nothing without a run."""


@dataclass(frozen=True)
class Wanted:
    """How a page is written: its file, the time for pictures, where data are now, and the words of the last line."""

    out: Path
    seconds: float | None
    overrides: Sequence[str]
    written: str


def write_page(folder: Path, part: str | None, wanted: Wanted) -> str:
    """What the page is about, after writing it and its charts.

    Raises SplitError for another part than the one that there is, ConfigError for settings that cannot apply,
    CheckpointError where nothing was scored yet.
    """
    external = (folder / DATA_NAME).is_file()
    scored, pictures = _external(folder, wanted) if external else _outputs(folder, wanted)
    if part is not None and part != scored.part:
        raise SplitError(f"received the part '{part}', but {folder} has '{scored.part}' only: leave out --part")
    found = [section for section in sections(scored, pictures) if external or section.anchor not in OF_A_RUN]
    write_text(wanted.out, page(scored, found, written=wanted.written))
    write_charts(folder, figures(found, pictures, list(scored.classes)), prefix=f"{scored.part}_")
    return scored.whole


def _external(folder: Path, wanted: Wanted) -> tuple[Scored, CasePictures]:
    """Other data, whose cases the run predicts again for their pictures."""
    run = Run(folder.resolve().parent.parent)
    if not run.config.is_file():
        raise CheckpointError(
            f"{folder} holds scores of a run, which is not in {run.folder}: bring them together again"
        )
    scored = Scored(read_external(folder, run.folder), _only_part(folder))
    of_data, of_run = divided(wanted.overrides)

    def known() -> dict[str, Case]:
        _, facts = checkpoint.load(run.scored_checkpoint)
        cohort, _ = other_cohort(read(folder / DATA_NAME, of_data), problem_from(facts["problem"]))
        return {case.id: case for case in cohort.cases}

    shown = case_pictures(lambda case_id: run, scored, seconds=wanted.seconds, overrides=of_run, known=known)
    return scored, shown


def _outputs(folder: Path, wanted: Wanted) -> tuple[Scored, CasePictures]:
    """Outputs of another tool, whose images nobody named."""
    if wanted.overrides:
        raise ConfigError(f"{wanted.overrides[0]}: {folder} holds scores of another tool's outputs, and no settings")
    file = folder / SCORING_NAME
    files = read_outputs(folder, read(file).data, file.read_text(encoding="utf-8"))
    return Scored(files, _only_part(folder)), CasePictures(note=NO_IMAGES)


def _only_part(folder: Path) -> str:
    home = Run(folder)
    parts = list(home.read_json(home.summary))
    if not parts:
        raise CheckpointError(f"{folder} holds no scores: there is no {home.summary.name}; use hilum evaluate")
    return parts[0]
