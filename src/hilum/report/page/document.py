"""The page of a run: its sections in their order, and its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from hilum.report.page.agreement import agreement, agreement_chart
from hilum.report.page.cases import CasePictures, cases_section
from hilum.report.page.chart import Drawing, alone
from hilum.report.page.decisions import decisions
from hilum.report.page.learning import best_epoch, learning_curves
from hilum.report.page.markup import element
from hilum.report.page.matrix import confusion_matrix
from hilum.report.page.opening import opening
from hilum.report.page.origin import origin_section, settings_section, split_section
from hilum.report.page.planes import pictures_of
from hilum.report.page.ranking import precision_recall, roc
from hilum.report.page.reliability import reliability, reliability_bins
from hilum.report.page.scored import Scored, Section
from hilum.report.page.scores import outcomes, scores_section, subgroups_section
from hilum.report.page.shell import charts_of, whole_page
from hilum.report.page.strips import strip_plot


def sections(scored: Scored, pictures: CasePictures) -> list[Section]:
    """All sections that the files have something for, in the order of the page."""
    found = [
        scores_section(scored),
        charts_section(scored),
        cases_section(scored, pictures),
        subgroups_section(scored),
        _learning(scored),
        split_section(scored.files),
        origin_section(scored.files),
        settings_section(scored.files),
    ]
    return [section for section in found if section is not None]


def page(scored: Scored, found: Sequence[Section], *, written: str) -> str:
    """The whole page; `written` says by which version and when, for the last line."""
    title = f"{scored.files.name}: report of a hilum run"
    return whole_page(scored.files.name, title, opening(scored), found, written=f"{written} from the files of the run")


def figures(found: Sequence[Section], pictures: CasePictures, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name, without a suffix, and SVG of a file for each chart of the page, and for each plane of the first cases.

    `names` are those of the structures.
    """
    yield from charts_of(found)
    for view in pictures.views:
        yield from ((f"case_{view.title}_{name}", alone(svg)) for name, svg in pictures_of(view, names))


def charts_section(scored: Scored) -> Section | None:
    """What is drawn of the rows; tasks that ask several things of an image have their tables only."""
    if scored.task == "classification":
        return classification_section(scored)
    if scored.task == "segmentation":
        return segmentation_section(scored)
    chosen = decisions(scored)
    return Section("curves", "Thresholds", chosen) if chosen else None


def classification_section(scored: Scored) -> Section | None:
    """Curves with their areas, the confusion matrix, and whether probabilities can be believed; None without rows."""
    answers, confusion = scored.answers(), scored.summary.get("confusion")
    drawings: list[Drawing | None] = []
    if answers is not None:
        drawings = [roc(answers, scored.overall), precision_recall(answers, scored.overall)]
    drawings.append(confusion_matrix(confusion, list(scored.classes)) if confusion else None)
    told = scored.summary.get("reliability") or ({} if answers is None else reliability_bins(answers))
    shown = [drawing for drawing in (*drawings, *reliability(told)) if drawing is not None]
    blocks: list[Markup | Sequence[Drawing]] = [*decisions(scored), *([shown] if shown else [])]
    return Section("curves", "Thresholds and errors", blocks) if blocks else None


def segmentation_section(scored: Scored) -> Section | None:
    """Structures found and missed, every case as a point, and how volumes agree; None where nothing was scored."""
    strips = [
        strip_plot(scored.rows, scored.classes, column=column, facts=facts, seed=scored.seed)
        for column, facts in scored.metrics.items()
    ]
    volumes = [
        agreement_chart(found, name, number)
        for number, name in enumerate(scored.classes)
        if scored.rows and (found := agreement(scored.rows, name)) is not None
    ]
    blocks: list[Markup | Sequence[Drawing]] = [*outcomes(scored)]
    shown = [strip for strip in strips if strip is not None]
    if shown:
        blocks += [element("h3", "Every case", class_="sub"), shown]
    if volumes:
        blocks += [element("h3", "Volumes", class_="sub"), volumes]
    return Section("structures", "Structures, case by case", blocks) if blocks else None


def _learning(scored: Scored) -> Section | None:
    better = (scored.metrics.get(scored.monitor) or {}).get("better")
    log = scored.files.log
    drawings = learning_curves(log, best_epoch(log, scored.monitor, better))
    return Section("learning", "Learning curves", [drawings]) if drawings else None
