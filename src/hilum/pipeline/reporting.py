"""Writes the page of a run, a cross-validation or a comparison from its files, and its charts as files beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from hilum import __version__
from hilum.config import read as read_config
from hilum.data.splits.base import PARTS
from hilum.errors import CheckpointError, ConfigError, DataError, SplitError, nearest
from hilum.pipeline.case_pictures import case_pictures
from hilum.pipeline.charts import show_charts, write_charts
from hilum.pipeline.comparing import COMPARISON_NAME
from hilum.pipeline.crossvalidation import CONFIG_NAME, is_crossval
from hilum.pipeline.external_section import DATA_NAME, SCORING_NAME
from hilum.pipeline.reporting_elsewhere import Wanted, write_page
from hilum.report.page.comparison import Comparison, comparison_page, comparison_sections
from hilum.report.page.crossval import crossval_page, crossval_sections, read_folds, read_pooled
from hilum.report.page.document import figures, page, sections
from hilum.report.page.files import RunFiles, read_files
from hilum.report.page.scored import Scored
from hilum.report.page.shell import charts_of
from hilum.report.page.wording import moment
from hilum.run import Run, now, open_run, write_text

Say = Callable[[str], None]

REPORT_NAME = "report.html"
PICTURES_S = 20.0
"""Time for pictures of cases where a page ends another command; `hilum report` takes as long as it needs."""


def write_report(
    folder: Path | str,
    *,
    part: str | None = None,
    output: Path | str | None = None,
    seconds: float | None = None,
    overrides: Sequence[str] = (),
    say: Say = print,
) -> Path:
    """The HTML file that was written, by default `report.html` in the folder, with its charts in `figures`.

    The folder is that of a run, of a cross-validation, of a comparison, or of what `hilum evaluate` made of other data
    or of another tool's outputs. `part` is val or test; by default test where
    that was scored, else val. Every number comes from the files: what is missing is said in the page. `seconds` bounds
    the time for pictures of cases, which are predicted again; those that are not made in time are left out, and the
    page says so. `overrides` say where the data are now. Raises CheckpointError where the folder is none of these,
    SplitError for another part, ConfigError for what a comparison has not, DataError where nothing can be written.
    """
    home = Path(folder)
    out = Path(output) if output is not None else home / REPORT_NAME
    if is_crossval(home):
        return _of_crossval(home, part, out=out, seconds=seconds, overrides=overrides, say=say)
    if (home / DATA_NAME).is_file() or (home / SCORING_NAME).is_file():
        about = write_page(home, part, Wanted(out, seconds, overrides, _written()))
        say(f"report of {about}: {out}")
        return out
    if (home / COMPARISON_NAME).is_file() and not (home / "config.yaml").is_file():
        if part is not None or overrides:
            raise ConfigError(
                f"{home} is a comparison: it has one part, and no settings; leave out --part and key=value"
            )
        return _of_comparison(home, out=out, say=say)
    return _of_run(_opened(home), part, out=out, seconds=seconds, overrides=overrides, say=say)


def _of_run(
    run: Run, part: str | None, *, out: Path, seconds: float | None, overrides: Sequence[str], say: Say
) -> Path:
    files = read_files(run.folder)
    scored = Scored(files, _part(files, part))
    pictures = case_pictures(lambda case_id: run, scored, seconds=seconds, overrides=overrides)
    found = sections(scored, pictures)
    write_text(out, page(scored, found, written=_written()))
    write_charts(run.folder, figures(found, pictures, list(scored.classes)), prefix=f"{scored.part}_")
    say(f"report of the {scored.part} part: {out}")
    return out


def _of_crossval(
    folder: Path, part: str | None, *, out: Path, seconds: float | None, overrides: Sequence[str], say: Say
) -> Path:
    config = folder / CONFIG_NAME
    files = read_pooled(folder, read_config(config).data, config.read_text(encoding="utf-8"))
    if not files.summaries:
        raise CheckpointError(f"{folder}: its folds have not been pooled yet: hilum crossval goes on and pools them")
    scored = Scored(files, _part(files, part))
    runs = {str(row["case_id"]): Run(folder / str(row["fold"])) for row in scored.rows}
    pictures = case_pictures(runs.__getitem__, scored, seconds=seconds, overrides=overrides)
    folds = read_folds(folder, list(scored.folds.get("each") or ()))
    found = crossval_sections(scored, folds, pictures)
    write_text(out, crossval_page(scored, found, written=_written()))
    charts = write_charts(folder, figures(found, pictures, list(scored.classes)), prefix=f"{scored.part}_")
    show_charts(folder, charts, group=scored.part, say=say)
    say(f"report of the cross-validation: {out}")
    return out


def _of_comparison(folder: Path, *, out: Path, say: Say) -> Path:
    file = folder / COMPARISON_NAME
    try:
        comparison = Comparison(json.loads(file.read_text(encoding="utf-8")))
        found = comparison_sections(comparison)
        content = comparison_page(comparison, found, written=_written())
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file} is no comparison that hilum wrote ({error!r}): compare again") from error
    write_text(out, content)
    show_charts(folder, write_charts(folder, charts_of(found)), group="comparison", say=say)
    say(f"report of the comparison: {out}")
    return out


def _written() -> str:
    return f"hilum {__version__} at {moment(now())}"


def _opened(folder: Path) -> Run:
    """The run in a folder, of which some files may be missing. Raises CheckpointError where all of them are."""
    run = Run(folder)
    some = any(file.is_file() for file in (run.summary, run.cases, run.log, run.provenance))
    return run if some else open_run(folder)


def _part(files: RunFiles, wanted: str | None) -> str:
    """The part that the page is about: the one that is wanted, else test, else val, else what was scored."""
    if wanted is None:
        return next((part for part in ("test", "val", *files.summaries) if part in files.summaries), "val")
    known = list(dict.fromkeys([*PARTS, *files.summaries]))
    if wanted not in known:
        close = nearest(wanted, known)
        hint = f"; did you mean '{close}'?" if close else ""
        raise SplitError(f"received the part '{wanted}', expected one of {', '.join(known)}{hint}")
    return wanted
