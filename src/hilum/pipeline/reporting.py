"""Writes the page of a run from its files, with pictures of a handful of cases predicted again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum import __version__
from hilum.case import Case, ImageRef
from hilum.data.splits.base import PARTS
from hilum.errors import HilumError, SplitError, nearest, number_of
from hilum.experiment import load
from hilum.formats.reading import read_image, read_mask
from hilum.inference.predictor import Predictor
from hilum.pipeline.pictures import flat_image, painted
from hilum.pipeline.restore import restore
from hilum.report.classification import extremes
from hilum.report.page.cases import FAILURES, CasePictures, ImageView, worst_first
from hilum.report.page.document import figures, page, sections
from hilum.report.page.files import RunFiles, read_files
from hilum.report.page.planes import CaseView
from hilum.report.page.scored import Scored
from hilum.report.page.wording import moment
from hilum.run import Run, now, open_run, write_text
from hilum.volume import Volume, resample

Say = Callable[[str], None]

SHOWN_IMAGES = 6
"""Classified images in a row of the page."""
PICTURE = "scores_{}.png"
"""In the run's folder, for tasks whose cases are not drawn one by one."""
REPORT_NAME = "report.html"
FIGURES_NAME = "figures"


def write_report(
    folder: Path | str,
    *,
    part: str | None = None,
    output: Path | str | None = None,
    seconds: float | None = None,
    overrides: Sequence[str] = (),
    say: Say = print,
) -> Path:
    """The HTML file that was written, by default `report.html` in the run folder, with its charts in `figures`.

    `part` is val or test; by default test where that was scored, else val. Every number comes from the run's files:
    what is missing is said in the page. `seconds` bounds the time for pictures of cases, which are predicted again;
    those that are not made in time are left out, and the page says so. `overrides` say where the data are now.
    Raises CheckpointError where the folder is no run, SplitError for another part, DataError where nothing can be
    written.
    """
    run = _opened(Path(folder))
    files = read_files(run.folder)
    scored = Scored(files, _part(files, part))
    pictures = case_pictures(run, scored, seconds=seconds, overrides=overrides)
    found = sections(scored, pictures)
    out = Path(output) if output is not None else run.folder / REPORT_NAME
    write_text(out, page(scored, found, written=f"hilum {__version__} at {moment(now())}"))
    for name, content in figures(found, pictures, list(scored.classes)):
        write_text(run.folder / FIGURES_NAME / f"{scored.part}_{name}", content)
    say(f"report of the {scored.part} part: {out}")
    return out


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


def case_pictures(
    run: Run, scored: Scored, *, seconds: float | None = None, overrides: Sequence[str] = ()
) -> CasePictures:
    """Pictures of the cases that are worth a look; where they cannot be made, a note that says why."""
    if not scored.rows:
        return CasePictures()
    try:
        if scored.task not in ("classification", "segmentation"):
            return CasePictures(note=f"The picture of all cases of a {scored.task} is {PICTURE.format(scored.part)}.")
        if scored.scored_classes:
            return _classified(run, scored, overrides)
        return _segmented(run, scored, seconds=seconds, overrides=overrides)
    except (HilumError, OSError) as error:
        return CasePictures(note=f"Pictures of single cases are left out: {error}")


def _classified(run: Run, scored: Scored, overrides: Sequence[str]) -> CasePictures:
    """The images that the classifier got most wrong, was least sure of, and got most right."""
    answers = scored.answers()
    if answers is None:
        return CasePictures()
    cases = _cases(run, "classification", overrides)
    groups = extremes(answers.truth, answers.probabilities, SHOWN_IMAGES)
    ids = {title: [answers.case_ids[index] for index in indices] for title, indices in groups.items()}
    shown = {title: [_image(_known(cases, case_id)) for case_id in found] for title, found in ids.items()}
    return CasePictures(images=shown)


def _segmented(run: Run, scored: Scored, *, seconds: float | None, overrides: Sequence[str]) -> CasePictures:
    """The worst, the median and the best case, then those that come after the worst, until the time is over."""
    order = worst_first(scored)
    if not order:
        return CasePictures(note="Pictures of single cases are left out: no score says which are worst.")
    restored = restore(run, overrides)
    predictor = restored.predictor(restored.experiment.runtime.start(alone=True))
    cases = _cases(run, "segmentation", overrides)
    titled = _titled(order)
    views: list[CaseView] = []
    start = perf_counter()
    for title, case_id in titled:
        if views and seconds is not None and perf_counter() - start > seconds:
            break
        views.append(_view(_known(cases, case_id), title, predictor=predictor, scored=scored))
    left = len(titled) - len(views)
    hint = f"would have taken too long: hilum report {run.folder.name} makes them"
    note = f"{number_of(left, 'picture')} of further cases {hint}." if left else ""
    extreme = [view for view in views if view.title in ("worst", "median", "best")]
    return CasePictures(extreme, [view for view in views if view not in extreme], note=note)


def _titled(order: Sequence[str]) -> list[tuple[str, str]]:
    """Titles and case ids of those that are shown: the extremes first, none twice."""
    if len(order) < 3:
        return list(zip(("worst", "best"), order, strict=False))
    extremes_of = {"worst": order[0], "median": order[(len(order) - 1) // 2], "best": order[-1]}
    later = [case for case in order[1 : 1 + FAILURES] if case not in extremes_of.values()]
    return [*extremes_of.items(), *((f"{order.index(case) + 1} of {len(order)}", case) for case in later)]


def _cases(run: Run, task: str, overrides: Sequence[str]) -> dict[str, Case]:
    experiment = load(run.config, list(overrides))
    return {case.id: case for case in experiment.data.source.cohort(task).cases}


def _known(cases: dict[str, Case], case_id: str) -> Case:
    if case_id not in cases:
        raise SplitError(f"case {case_id} is no longer in the data")
    return cases[case_id]


def _image(case: Case) -> ImageView:
    return ImageView(case.id, flat_image(read_image(case.files)))


def _view(case: Case, title: str, *, predictor: Predictor, scored: Scored) -> CaseView:
    """A case predicted again, with axes that point right, anterior and superior where it has a place in space."""
    image = predictor.read(case.images)
    predicted = predictor.segment(image)
    truth = read_mask(case.label) if isinstance(case.label, ImageRef) else None
    remark = _differs(predicted, case.id, predictor=predictor, scored=scored)
    anatomical = image.grid.unit == "mm" and image.grid.shape[2] > 1
    shown = next(index for index, ref in enumerate(case.images) if ref is not None)
    grid = image.grid.canonical() if anatomical else image.grid

    def upright(volume: Volume) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = resample(volume, grid, "nearest").tensor[0].numpy()
        return values

    return CaseView(
        id=case.id,
        title=title,
        image=upright(Volume(image.tensor[shown : shown + 1], image.grid)).astype(np.float32),
        spacing=grid.spacing,
        truth=None if truth is None else painted(upright(truth), predictor.problem),
        prediction=painted(upright(predicted), predictor.problem),
        anatomical=anatomical,
        remark=remark,
    )


def _differs(predicted: Volume, case_id: str, *, predictor: Predictor, scored: Scored) -> str:
    """What to say where this prediction is not the one that was scored: data, settings or machine changed since."""
    problem = predictor.problem
    inside = problem.membership(predicted.tensor[0].numpy())
    sizes = {name: int(mask.sum()) for name, mask in zip(problem.foreground, inside, strict=True)}
    told = {str(row["class"]): int(row["predicted_voxels"] or 0) for row in scored.rows if row["case_id"] == case_id}
    changed = [
        f"{name} {told[name]} then, {size} now" for name, size in sizes.items() if name in told and told[name] != size
    ]
    if not changed or problem.ignore is not None:  # voxels that the truth ignores are in no row
        return ""
    return f"Predicted again for this picture, and not as it was scored (voxels of {'; '.join(changed)})."
