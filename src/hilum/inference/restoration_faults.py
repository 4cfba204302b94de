"""What a restoration asks of the sections data and predict, and what only a restoration may ask of them."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.augment.base import IntensityAugment
from hilum.case import Cohort, ImageRef
from hilum.data.section import DataConfig, PatchConfig
from hilum.inference.section import PredictConfig
from hilum.problem import Problem

Place = tuple[str | int, ...]


def restoration_faults(data: DataConfig, predict: PredictConfig, problem: Problem) -> Iterator[tuple[Place, str]]:
    """Each fault with the key to mend; for other tasks that nothing is there for a restoration only."""
    if problem.kind != "restoration":
        if data.degrade:
            yield ("data", "degrade"), f"is for restoration, the task is {problem.kind}: remove it"
        return
    yield from _step_faults(data)
    if data.missing is not None:
        yield ("data", "missing"), "is for tasks that are not restoration: remove it"
    if predict.memory_gb is not None:
        yield ("predict", "memory_gb"), "is for segmentation, the task is restoration: remove it"
    patch = data.patch
    for name in ("foreground", "classes") if patch is not None else ():
        if getattr(patch, name) not in (0, PatchConfig.model_fields[name].default):  # a resolved file has the defaults
            yield ("data", "patch", name), "places patches on structures, which a restoration has not: remove it"


def _step_faults(data: DataConfig) -> Iterator[tuple[Place, str]]:
    for index, step in enumerate(data.degrade):
        if not isinstance(step, IntensityAugment):
            message = f"{step.kind}: moves voxels, expected a step that changes intensities, such as noise or blur"
            yield ("data", "degrade", index), message
    for index, prepare in enumerate(data.prepare):
        if not prepare.undoes:
            message = f"{prepare.kind}: its intensities do not lead back to those of the image; take zscore or window"
            yield ("data", "prepare", index), message


def pair_faults(cohort: Cohort, data: DataConfig, problem: Problem) -> Iterator[tuple[str, str]]:
    """Whether the wanted images of a restoration come from the source or from `data.degrade`, with the key to mend."""
    if problem.kind != "restoration":
        return
    labelled = [case.id for case in cohort.cases if isinstance(case.label, ImageRef)]
    if data.degrade and labelled:
        yield "degrade", f"the source names wanted images already ({labelled[0]}): remove one of the two"
    if not data.degrade and len(labelled) < len(cohort.cases):
        lacking = next(case.id for case in cohort.cases if not isinstance(case.label, ImageRef))
        yield (
            "source",
            f"case {lacking} has no wanted image: name them (label), or make the network's input with data.degrade",
        )
