"""The picture of a restoration's part: worst, median and best case, predicted again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hilum.case import Case
from hilum.data.voxels import read_target
from hilum.evaluation.rows import Row
from hilum.experiment import Experiment
from hilum.inference.predictor import Predictor
from hilum.inference.restoring import degraded_and_restored
from hilum.pipeline.degrading import degrade_of
from hilum.report.montage import worst_median_best
from hilum.report.restored import RestoredCase, restored_montage
from hilum.volume import Volume


def draw_restored(
    out: Path, rows: Sequence[Row], cases: Mapping[str, Case], *, predictor: Predictor, experiment: Experiment
) -> None:
    """Write the PNG of the worst, the median and the best case by the monitored score."""
    monitor = experiment.monitored
    values = {str(row["case_id"]): row[monitor.column] for row in rows}
    scores = {case: float("nan") if value is None else float(value) for case, value in values.items()}
    shown = []
    for title, case_id in worst_median_best(scores, better=monitor.better):
        case = cases[case_id]
        image = predictor.read(case.images)
        wanted = read_target(case, predictor.problem)
        truth = wanted if isinstance(wanted, Volume) else image
        degrade = degrade_of(experiment, case.id, predictor.problem.dims)
        given, answer = degraded_and_restored(predictor, image, degrade)
        named = f"{title}: {case_id}, {monitor.column} {scores[case_id]:.4g}"
        shown.append(RestoredCase(named, *(_middle(volume) for volume in (given, answer, truth))))
    restored_montage(shown, out)


def _middle(volume: Volume) -> npt.NDArray[np.float64]:
    """The middle slice (I, J) of the first channel."""
    values: npt.NDArray[np.float64] = volume.tensor[0].double().numpy()
    return values[:, :, values.shape[2] // 2]
