"""Scoring a model on whole cases, each on its own grid; the cases are shared among the ranks and scored once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hilum.case import Batch, Case, ImageRef
from hilum.data.dataset import Dataset
from hilum.data.loader import collate
from hilum.data.modalities import MODALITIES, modalities
from hilum.data.prepared import Prepared
from hilum.data.voxels import read_target
from hilum.errors import DataError
from hilum.evaluation.by_image import restoration_row
from hilum.evaluation.rows import CaseKey, Row, image_row, segmentation_rows
from hilum.evaluation.summary import overall, summarise
from hilum.formats.base import described
from hilum.formats.reading import read_mask
from hilum.inference.predictor import Predictor
from hilum.inference.restoring import degraded_and_restored
from hilum.metrics.base import CaseMetric, MetricConfig
from hilum.pipeline.degrading import Degrading, degrade_of, degraded
from hilum.pipeline.restore import make_predictor
from hilum.pipeline.study import Study
from hilum.problem import Problem
from hilum.runtime import Runtime
from hilum.training.interrupt import StopRequest
from hilum.volume import Volume

TOGETHER = 64
"""Whole images that pass the network together in validation."""


def score_case(
    case: Case,
    part: str,
    *,
    predictor: Predictor,
    metrics: Sequence[MetricConfig],
    degrade: Degrading | None = None,
) -> list[Row]:
    """The rows of a case, read and predicted from its files, scored on its own grid.

    `degrade` makes the input of a restoration, which needs it, from the prepared image. Raises DataError naming the
    case where it cannot be used.
    """
    try:
        image = predictor.read(case.images)
        if not predictor.problem.dense:
            return [_image_row(case, part, predictor.classify(image), predictor)]
        if degrade is not None:
            return [_restored_row(case, part, image, predictor=predictor, metrics=metrics, degrade=degrade)]
        truth = _read_truth(case)
        if not truth.grid.matches(image.grid):
            raise DataError(
                f"image and mask lie on different grids: {described(image.grid)} and {described(truth.grid)}"
            )
    except DataError as error:
        raise DataError(f"case {case.id}: {error}") from error
    predicted, key = predictor.segment(image), case_key(case, part, predictor)
    return _mask_rows(key, truth=truth, predicted=predicted, problem=predictor.problem, metrics=metrics)


def case_key(case: Case, part: str, predictor: Predictor) -> CaseKey:
    """Whose row it is; where cases may lack channels, also which of them the case has."""
    channels = predictor.problem.channels
    groups = {MODALITIES: modalities(case, channels)} if predictor.may_lack_channels else {}
    return CaseKey(case.id, case.patient, part, groups)


@dataclass(frozen=True)
class Validation:
    """Scores of this rank's share of the validation part, gathered from all ranks."""

    study: Study
    runtime: Runtime
    stop: StopRequest
    dataset: Dataset

    def scores(self, model: nn.Module, loss: nn.Module) -> dict[str, float]:
        """The mean of each metric over the validation cases, and the loss on one fixed sample of each case."""
        rows = self.runtime.gather(list(self._rows(model)))
        metrics = self.study.experiment.metrics
        summary = summarise(rows, self.study.problem, metrics=metrics, bootstrap=None)
        return {"loss": self._loss(model, loss), **overall(summary)}

    def _rows(self, model: nn.Module) -> Iterator[Row]:
        study = self.study
        predictor = make_predictor(
            study.experiment, study.problem, axes=study.frame.axes, model=model, runtime=self.runtime
        )
        if not study.problem.dense:
            yield from self._image_rows(predictor)
            return
        if study.problem.kind == "restoration":
            yield from self._restored_rows(predictor)
            return
        for index, case in enumerate(self.dataset.cases):
            self._stop_if_asked()
            prepared, truth = self.dataset.prepared(index), _read_truth(case)
            volume = Volume(torch.from_numpy(prepared.image), prepared.grid)
            predicted = predictor.labels(volume, truth.grid)
            yield from _mask_rows(
                case_key(case, "val", predictor),
                truth=truth,
                predicted=predicted,
                problem=study.problem,
                metrics=study.experiment.metrics,
            )

    def _image_rows(self, predictor: Predictor) -> Iterator[Row]:
        """Images of one shape pass the network together."""
        waiting: list[Prepared] = []
        for index in range(len(self.dataset)):
            self._stop_if_asked()
            prepared = self.dataset.prepared(index)
            if waiting and (len(waiting) == TOGETHER or waiting[0].image.shape != prepared.image.shape):
                yield from _image_rows_of(waiting, predictor)
                waiting = []
            waiting.append(prepared)
        if waiting:
            yield from _image_rows_of(waiting, predictor)

    def _restored_rows(self, predictor: Predictor) -> Iterator[Row]:
        """As in an evaluation, from the files: what is scored has the intensities of these."""
        experiment, dims = self.study.experiment, self.study.problem.dims
        for case in self.dataset.cases:
            self._stop_if_asked()
            degrade = degrade_of(experiment, case.id, dims)
            yield from score_case(case, "val", predictor=predictor, metrics=experiment.metrics, degrade=degrade)

    def _stop_if_asked(self) -> None:
        """Stop between two cases; several ranks go on to the next step, where all of them stop together."""
        if self.runtime.world == 1:
            self.stop.check()

    def _loss(self, model: nn.Module, loss: nn.Module) -> float:
        """The mean loss over one sample of each validation case, drawn once and for all, not augmented."""
        losses: list[float] = []
        model.eval()
        with torch.no_grad():
            for index in range(len(self.dataset)):
                # The number that the case has among those of all ranks: its sample must not depend on their count.
                number = self.runtime.rank + index * self.runtime.world
                batch = collate([self.dataset.sample(index, epoch=0, index=number)], epoch=0, indices=(number,))
                losses.append(self._batch_loss(model, loss, batch))
        everywhere = [value for value in self.runtime.gather(losses) if math.isfinite(value)]
        return sum(everywhere) / len(everywhere) if everywhere else math.nan

    def _batch_loss(self, model: nn.Module, loss: nn.Module, batch: Batch) -> float:
        batch = degraded(batch, self.study.experiment, self.study.frame)
        with self.runtime.autocast():
            logits = model(batch.images.to(self.runtime.device))
        return float(loss(logits, batch.targets.to(self.runtime.device)))


def _read_truth(case: Case) -> Volume:
    if not isinstance(case.label, ImageRef):
        raise DataError("has no mask")
    return read_mask(case.label)


def _mask_rows(
    key: CaseKey, *, truth: Volume, predicted: Volume, problem: Problem, metrics: Sequence[MetricConfig]
) -> list[Row]:
    return segmentation_rows(
        key,
        truth.tensor[0].numpy(),
        predicted=predicted.tensor[0].numpy(),
        problem=problem,
        grid=truth.grid,
        metrics=[metric for metric in metrics if isinstance(metric, CaseMetric)],
    )


def _image_rows_of(images: Sequence[Prepared], predictor: Predictor) -> Iterator[Row]:
    volumes = [Volume(torch.from_numpy(prepared.image), prepared.grid) for prepared in images]
    for prepared, answers in zip(images, predictor.classify_prepared(volumes), strict=True):
        yield _image_row(prepared.case, "val", answers, predictor)


def _restored_row(
    case: Case,
    part: str,
    image: Volume,
    *,
    predictor: Predictor,
    metrics: Sequence[MetricConfig],
    degrade: Degrading,
) -> Row:
    """The row of a restoration: the wanted image is that of the source, or the case's own where its input is made."""
    wanted = read_target(case, predictor.problem)
    if wanted is None and not degrade.acts:
        raise DataError("has no wanted image, and data.degrade makes no input from it")
    truth = wanted if isinstance(wanted, Volume) else image
    if not truth.grid.matches(image.grid) or truth.tensor.shape != image.tensor.shape:
        raise DataError(f"image and wanted image differ: {described(image.grid)} and {described(truth.grid)}")
    given, answer = degraded_and_restored(predictor, image, degrade)
    as_floats = [one.tensor.double().numpy() for one in (truth, answer, given)]
    key = case_key(case, part, predictor)
    return restoration_row(key, as_floats[0], restored=as_floats[1], given=as_floats[2], metrics=metrics)


def _image_row(case: Case, part: str, answers: Tensor, predictor: Predictor) -> Row:
    truth = read_target(case, predictor.problem)
    if truth is None or isinstance(truth, Volume):
        raise AssertionError("an image was read for a task with one answer an image")
    key = case_key(case, part, predictor)
    return image_row(key, truth, answers=answers.numpy(), problem=predictor.problem)
