"""Pictures of single cases for a page: the worst, the median and the best, predicted again by who scored them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from hilum.case import Case, ImageRef
from hilum.errors import HilumError, SplitError, number_of
from hilum.experiment import load
from hilum.formats.reading import read_image, read_mask
from hilum.inference.predictor import Predictor
from hilum.pipeline.pictures import flat_image, painted
from hilum.pipeline.restore import restore
from hilum.report.classification import extremes
from hilum.report.page.cases import FAILURES, CasePictures, ImageView, worst_first
from hilum.report.page.planes import CaseView
from hilum.report.page.scored import Scored
from hilum.run import Run
from hilum.volume import Volume, resample

RunOf = Callable[[str], Run]
"""The run that scored a case, by its id."""
Known = Callable[[], dict[str, Case]]
"""The cases by their ids."""

SHOWN_IMAGES = 6
"""Classified images in a row of the page."""
PICTURES = ("scores_{}.png", "cases_{}.png")
"""In a folder, for tasks whose cases are not drawn one by one on the page."""


def case_pictures(
    run_of: RunOf,
    scored: Scored,
    *,
    seconds: float | None = None,
    overrides: Sequence[str] = (),
    known: Known | None = None,
) -> CasePictures:
    """Pictures of the cases that are worth a look; where they cannot be made, a note that says why.

    `run_of` gives the run that scored a case: of a cross-validation each fold is one. `known` finds cases that are not
    those of the run.
    """
    if not scored.rows:
        return CasePictures()
    try:
        if scored.task not in ("classification", "segmentation"):
            return CasePictures(note=_drawn_elsewhere(run_of, scored))
        first = str(scored.rows[0]["case_id"])
        cases = _cases(run_of(first), scored.task, overrides) if known is None else known()
        if scored.scored_classes:
            return _classified(scored, cases)
        return _segmented(run_of, scored, cases=cases, seconds=seconds, overrides=overrides)
    except (HilumError, OSError) as error:
        return CasePictures(note=f"Pictures of single cases are left out: {error}")


def _drawn_elsewhere(run_of: RunOf, scored: Scored) -> str:
    """Where the pictures of a part lie whose cases the page does not draw; empty where there are none."""
    home = scored.files.folder
    folders = dict.fromkeys([home, *(run_of(str(row["case_id"])).folder for row in scored.rows)])
    files = [folder / name.format(scored.part) for folder in folders for name in PICTURES]
    names = [str(Path(os.path.relpath(file, home))) for file in files if file.is_file()]
    return f"Pictures of the cases: {', '.join(names)}." if names else ""


def _classified(scored: Scored, cases: dict[str, Case]) -> CasePictures:
    """The images that the classifier got most wrong, was least sure of, and got most right."""
    answers = scored.answers()
    if answers is None:
        return CasePictures()
    decided = np.array([answers.classes.index(str(row["predicted"])) for row in scored.rows])
    groups = extremes(answers.truth, answers.probabilities, SHOWN_IMAGES, predicted=decided)
    ids = {title: [answers.case_ids[index] for index in indices] for title, indices in groups.items()}
    shown = {title: [_image(_known(cases, case_id)) for case_id in found] for title, found in ids.items()}
    return CasePictures(images=shown)


def _segmented(
    run_of: RunOf, scored: Scored, *, cases: dict[str, Case], seconds: float | None, overrides: Sequence[str]
) -> CasePictures:
    """The worst, the median and the best case, then those that come after the worst, until the time is over."""
    order = worst_first(scored)
    if not order:
        return CasePictures(note="Pictures of single cases are left out: no score says which are worst.")
    predictors: dict[Path, Predictor] = {}
    titled = _titled(order)
    views: list[CaseView] = []
    start = perf_counter()
    for title, case_id in titled:
        if views and seconds is not None and perf_counter() - start > seconds:
            break
        run = run_of(case_id)
        if run.folder not in predictors:
            predictors[run.folder] = _predictor(run, overrides)
        views.append(_view(_known(cases, case_id), title, predictor=predictors[run.folder], scored=scored))
    left = len(titled) - len(views)
    hint = f"would have taken too long: hilum report {scored.files.folder.name} makes them"
    note = f"{number_of(left, 'picture')} of further cases {hint}." if left else ""
    extreme = [view for view in views if view.title in ("worst", "median", "best")]
    return CasePictures(extreme, [view for view in views if view not in extreme], note=note)


def _predictor(run: Run, overrides: Sequence[str]) -> Predictor:
    restored = restore(run, overrides)
    return restored.predictor(restored.experiment.runtime.start(alone=True))


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
