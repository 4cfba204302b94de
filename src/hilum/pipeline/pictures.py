"""The pictures of an evaluated part: worst, median and best cases, or the most wrong and most right images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.case import Case, ImageRef
from hilum.evaluation.rows import PREDICTED_PREFIX, PROBABILITY_PREFIX, TRUTH_PREFIX, Row
from hilum.experiment import Experiment
from hilum.formats.reading import read_image, read_mask
from hilum.inference.predictor import Predictor
from hilum.metrics.base import MetricConfig
from hilum.pipeline.restored_pictures import draw_restored
from hilum.problem import Problem
from hilum.report.classification import ImageCase, classification_panels, extremes, image_montage
from hilum.report.findings import finding_curves
from hilum.report.montage import MontageCase, montage, worst_median_best
from hilum.report.numbers import Numbers, number_panels
from hilum.run import Run
from hilum.volume import Volume

SHOWN_IMAGES = 6
"""Pictures in each row of a classification's montage."""


def draw(
    run: Run, part: str, *, rows: Sequence[Row], cases: Sequence[Case], predictor: Predictor, experiment: Experiment
) -> None:
    """Write the PNG files of a part into the run folder."""
    by_id, monitor = {case.id: case for case in cases}, experiment.monitored
    if predictor.problem.kind == "restoration":
        draw_restored(run.folder / f"cases_{part}.png", rows, by_id, predictor=predictor, experiment=experiment)
    elif predictor.problem.kind == "segmentation":
        _segmentation(run, part, rows=rows, cases=by_id, predictor=predictor, monitor=monitor)
    elif predictor.problem.kind == "classification":
        _classification(run, part, rows=rows, cases=by_id, problem=predictor.problem)
    else:
        draw_outputs(run.folder / f"scores_{part}.png", rows, predictor.problem)


def _segmentation(
    run: Run, part: str, *, rows: Sequence[Row], cases: dict[str, Case], predictor: Predictor, monitor: MetricConfig
) -> None:
    scores: dict[str, list[float]] = {}
    for row in rows:
        value = row[monitor.column]
        scores.setdefault(str(row["case_id"]), []).append(float(value) if value is not None else float("nan"))
    means = {case: float(np.mean(values)) for case, values in scores.items()}
    shown = [
        _montage_case(cases[case], title, predictor=predictor, rows=rows, column=monitor.column)
        for title, case in worst_median_best(means, better=monitor.better)
    ]
    names = dict(enumerate(predictor.problem.foreground, start=1))
    montage(shown, run.folder / f"cases_{part}.png", names)


def _montage_case(case: Case, title: str, *, predictor: Predictor, rows: Sequence[Row], column: str) -> MontageCase:
    image = predictor.read(case.images)
    shown = next(index for index, ref in enumerate(case.images) if ref is not None)
    label, problem = case.label, predictor.problem
    truth = painted(read_mask(label).tensor[0].numpy(), problem) if isinstance(label, ImageRef) else None
    predicted = painted(predictor.segment(image).tensor[0].numpy(), problem)
    own = [row for row in rows if row["case_id"] == case.id]
    scores = {f"{row['class']} {column}": _as_float(row[column]) for row in own}
    return MontageCase(case.id, image.tensor[shown].numpy(), image.grid.spacing, truth, predicted, scores, title)


def painted(values: npt.NDArray[np.integer], problem: Problem) -> npt.NDArray[np.uint8]:
    """The number of the structure to show at each voxel (from 1, 0: none) of a map of label values.

    Of overlapping regions the one listed last is shown, which is the innermost where they are nested.
    """
    shown = np.zeros(values.shape, dtype=np.uint8)
    for number, inside in enumerate(problem.membership(values), start=1):
        shown[inside] = number
    return shown


def _classification(run: Run, part: str, *, rows: Sequence[Row], cases: dict[str, Case], problem: Problem) -> None:
    truth = np.array([problem.classes.index(str(row["truth"])) for row in rows])
    probabilities = np.array([[_as_float(row[f"p_{name}"]) for name in problem.classes] for row in rows])
    predicted = np.array([problem.classes.index(str(row["predicted"])) for row in rows])
    groups = {
        title: [_image_case(cases[str(rows[index]["case_id"])], rows[index], problem) for index in indices]
        for title, indices in extremes(truth, probabilities, SHOWN_IMAGES, predicted=predicted).items()
    }
    image_montage(groups, run.folder / f"cases_{part}.png")
    out = run.folder / f"scores_{part}.png"
    classification_panels(truth, probabilities, problem.classes, out, predicted=predicted)


def draw_outputs(out: Path, rows: Sequence[Row], problem: Problem) -> None:
    """Write the picture of each number or finding from the cases in which it is known; none where there are none."""
    prefix = PREDICTED_PREFIX if problem.continuous else PROBABILITY_PREFIX
    known: dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = {}
    for name in problem.classes:
        pairs = [(row[f"{TRUTH_PREFIX}{name}"], row[f"{prefix}{name}"]) for row in rows]
        both = np.array([(_as_float(true), _as_float(answer)) for true, answer in pairs if true is not None])
        if both.size:
            known[name] = (both[:, 0], both[:, 1])
    if not known:
        return
    if not problem.continuous:
        finding_curves(known, out)
        return
    units = dict(zip(problem.classes, problem.units, strict=True))
    number_panels([Numbers(name, units[name], *both) for name, both in known.items()], out)


def _image_case(case: Case, row: Row, problem: Problem) -> ImageCase:
    named = {name: _as_float(row[f"p_{name}"]) for name in problem.classes}
    return ImageCase(case.id, flat_image(read_image(case.files)), str(row["truth"]), named)


def flat_image(image: Volume) -> npt.NDArray[np.float32]:
    """The middle slice (I, J) of an image, in colour (I, J, 3) where it has three channels."""
    middle = image.tensor[..., image.grid.shape[2] // 2].numpy()
    return np.moveaxis(middle, 0, -1) if len(middle) == 3 else middle[0]


def _as_float(value: str | float | None) -> float:
    return float("nan") if value is None else float(value)
