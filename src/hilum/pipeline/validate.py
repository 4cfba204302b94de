"""Scoring a model on whole cases, each on its own grid; the cases are shared among the ranks and scored once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from hilum.case import Batch, Case, ImageRef
from hilum.data.loader import collate
from hilum.data.prepared import read_target
from hilum.errors import DataError
from hilum.evaluation.rows import CaseKey, Row, classification_row, segmentation_rows
from hilum.evaluation.summary import overall, summarise
from hilum.formats.reading import read_image, read_mask
from hilum.inference.predictor import Predictor
from hilum.metrics.base import CaseMetric, MetricConfig
from hilum.pipeline.restore import make_predictor
from hilum.pipeline.study import Study
from hilum.runtime import Runtime
from hilum.training.interrupt import StopRequest
from hilum.volume import Volume


@dataclass(frozen=True)
class Scored:
    """A case with its rows and, for pictures, what was predicted: label values (1, I, J, K) or probabilities (C,)."""

    case: Case
    rows: list[Row]
    image: Volume
    predicted: Volume | torch.Tensor
    truth: Volume | None


def score_case(case: Case, part: str, *, predictor: Predictor, metrics: Sequence[MetricConfig]) -> Scored:
    """A case predicted and scored on its own grid. Raises DataError naming the case where it cannot be used."""
    key, problem = CaseKey(case.id, case.patient, part), predictor.problem
    try:
        image = read_image(case.images)
        if problem.kind == "classification":
            probabilities = predictor.classify(image)
            truth = read_target(case, problem)
            assert isinstance(truth, int)
            row = classification_row(key, truth, probabilities=probabilities.numpy(), problem=problem)
            return Scored(case, [row], image, probabilities, None)
        if not isinstance(case.label, ImageRef):
            raise DataError("has no mask")
        mask = read_mask(case.label)
        if not mask.grid.matches(image.grid):
            raise DataError(
                f"image and mask {case.label} lie on different grids: shapes {image.grid.shape} and {mask.grid.shape}"
            )
    except DataError as error:
        raise DataError(f"case {case.id}: {error}") from error
    predicted = predictor.segment(image)
    rows = segmentation_rows(
        key,
        mask.tensor[0].numpy(),
        predicted=predicted.tensor[0].numpy(),
        problem=problem,
        grid=image.grid,
        metrics=[metric for metric in metrics if isinstance(metric, CaseMetric)],
    )
    return Scored(case, rows, image, predicted, mask)


@dataclass(frozen=True)
class Validation:
    """Scores on the validation part."""

    study: Study
    runtime: Runtime
    stop: StopRequest

    def scores(self, model: nn.Module, loss: nn.Module) -> dict[str, float]:
        """The mean of each metric over the validation cases, and the loss on one fixed sample of each case."""
        rows = self.rows(model, self.study.split.part("val"), "val")
        experiment = self.study.experiment
        summary = summarise(rows, self.study.problem, metrics=experiment.metrics, bootstrap=None)
        return {"loss": self._loss(model, loss), **overall(summary)}

    def rows(self, model: nn.Module, cases: Sequence[Case], part: str) -> list[Row]:
        """The rows of cases, one result a case id, whatever the number of ranks."""
        mine = cases[self.runtime.rank :: self.runtime.world]
        scored = [row for item in self.scored(model, mine, part) for row in item.rows]
        return self.runtime.gather(scored)

    def scored(self, model: nn.Module, cases: Sequence[Case], part: str) -> Iterator[Scored]:
        """Cases one by one with their rows."""
        study = self.study
        predictor = make_predictor(
            study.experiment, study.problem, axes=study.frame.axes, model=model, runtime=self.runtime
        )
        for case in cases:
            self.stop.check()
            yield score_case(case, part, predictor=predictor, metrics=self.study.experiment.metrics)

    def _loss(self, model: nn.Module, loss: nn.Module) -> float:
        """The mean loss over one sample of each validation case, drawn once and for all, not augmented."""
        cases = self.study.split.part("val")[self.runtime.rank :: self.runtime.world]
        dataset = self.study.dataset(cases)
        losses: list[float] = []
        model.eval()
        with torch.no_grad():
            for index in range(len(cases)):
                batch = collate([dataset.sample(index, epoch=0, index=index)], epoch=0, indices=(index,))
                losses.append(self._batch_loss(model, loss, batch))
        everywhere = [value for value in self.runtime.gather(losses) if math.isfinite(value)]
        return sum(everywhere) / len(everywhere) if everywhere else math.nan

    def _batch_loss(self, model: nn.Module, loss: nn.Module, batch: Batch) -> float:
        with self.runtime.autocast():
            logits = model(batch.images.to(self.runtime.device))
        return float(loss(logits, batch.targets.to(self.runtime.device)))
