"""Chooses post-processing on the validation patients, once a network is trained, and keeps the choice with the run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hilum.case import ImageRef
from hilum.evaluation.confusion import Overlaps
from hilum.formats.reading import read_mask
from hilum.geometry.components import components
from hilum.inference.postprocess.apply import change, voxel_ml
from hilum.inference.postprocess.base import PostprocessConfig
from hilum.inference.postprocess.fill_holes import FillHolesConfig
from hilum.inference.postprocess.largest_component import LargestComponentConfig
from hilum.inference.postprocess.min_size import MinSizeConfig
from hilum.pipeline.restore import restore
from hilum.pipeline.session import Session
from hilum.problem import Problem
from hilum.run import Run
from hilum.runtime import Runtime
from hilum.volume import Grid, Volume

Say = Callable[[str], None]
Labels = npt.NDArray[np.integer]
Scores = npt.NDArray[np.float64]

SIZE_QUANTILES = (0.05, 0.25)
"""Limits of size that are tried, among the sizes of the true components of a structure."""


@dataclass
class Predicted:
    """One validation case: truth and prediction as files of label values, and how they overlap."""

    case_id: str
    patient: str
    grid: Grid
    truth_file: Path
    labels_file: Path
    overlaps: Overlaps

    @property
    def truth(self) -> Labels:
        """Label values (I, J, K) of the truth, mapped."""
        return np.load(self.truth_file, mmap_mode="r")

    @property
    def labels(self) -> Labels:
        """Label values (I, J, K) as predicted, and changed by the steps chosen so far; mapped."""
        return np.load(self.labels_file, mmap_mode="r")

    def tried(self, step: PostprocessConfig, problem: Problem) -> Overlaps:
        """How truth and prediction would overlap after one more step."""
        box, after = change(self.labels, self.grid, step=step, problem=problem)
        if after is None:
            return self.overlaps
        truth = self.truth[box]
        return self.overlaps.exchanged(truth, before=self.labels[box], after=after)

    def take(self, step: PostprocessConfig, problem: Problem) -> None:
        """Apply the step for good."""
        self.overlaps = self.tried(step, problem)
        box, after = change(self.labels, self.grid, step=step, problem=problem)
        if after is not None:
            np.load(self.labels_file, mmap_mode="r+")[box] = after


@dataclass(frozen=True)
class Trial:
    """A step that was tried: the mean Dice of the classes with it, those that it lowers, and whether it was taken."""

    step: PostprocessConfig
    dice: float
    lowered: tuple[str, ...]
    taken: bool

    @property
    def record(self) -> dict[str, Any]:
        """The trial as JSON."""
        return {"step": self.step.model_dump(mode="json"), "dice": self.dice, "lowered": list(self.lowered)}


def choose_postprocess(session: Session, *, say: Say) -> None:
    """Write into the run which post-processing its network shall have, where the experiment leaves that to be found.

    Every rank predicts its share of the validation cases with the weights that are scored, and all decide alike.
    """
    if session.study.experiment.predict.postprocess != "auto":
        return
    run, runtime, problem = session.run, session.runtime, session.study.problem
    runtime.barrier()  # until the main rank has written its checkpoint
    restored = restore(run, ["predict.postprocess=[]"])
    with _folder(run, runtime) as folder:
        cases = list(_predicted(session, restored.predictor(runtime), folder))
        before = means(cases, [case.overlaps for case in cases], runtime)
        trials = search(cases, candidates(cases, problem, runtime), problem=problem, runtime=runtime)
        after = means(cases, [case.overlaps for case in cases], runtime)
    if not runtime.is_main:
        return
    chosen = [trial.step for trial in trials if trial.taken]
    content = {
        "steps": [step.model_dump(mode="json") for step in chosen],
        "weights_sha256": restored.weights_sha256,
        "validation_dice": {
            name: {"without": float(low), "with": float(high)}
            for name, low, high in zip(problem.foreground, before, after, strict=True)
        },
        "tried": [trial.record for trial in trials],
    }
    run.write_json(run.postprocess, content)
    run.write_json(run.provenance, run.read_json(run.provenance) | {"postprocess": content["steps"]})
    gain = f"mean Dice of the validation patients {before.mean():.4f}, with it {after.mean():.4f}"
    named = "; ".join(step.described for step in chosen)
    say(f"post-processing: {named} ({gain})" if chosen else f"post-processing: none of {len(trials)} tried helps")


def candidates(cases: Sequence[Predicted], problem: Problem, runtime: Runtime) -> list[list[PostprocessConfig]]:
    """The steps to try, in groups of which at most one is taken.

    The largest component of all structures together, as nnU-Net tries first (Isensee et al. 2021), then that of each
    structure or limits of its components' size, then its holes.
    """
    names = problem.foreground
    in_ml = all(runtime.gather([voxel_ml(case.grid) is not None for case in cases]))
    groups: list[list[PostprocessConfig]] = [[LargestComponentConfig(of=names)]] if len(names) > 1 else []
    for name in names:
        sizes = runtime.gather([size for case in cases for size in _true_sizes(case, name, problem, in_ml=in_ml)])
        groups.append([LargestComponentConfig(of=(name,)), *_limits(name, sizes, in_ml=in_ml)])
    return groups + [[FillHolesConfig(of=(name,))] for name in names]


def search(
    cases: Sequence[Predicted], groups: Sequence[Sequence[PostprocessConfig]], *, problem: Problem, runtime: Runtime
) -> list[Trial]:
    """What came of every step, group after group, each tried on top of those taken before it.

    Of a group the one of the highest mean Dice is taken, if it raises the mean and lowers no class: means over the
    patients, of each patient's mean over the cases.
    """
    trials: list[Trial] = []
    current = means(cases, [case.overlaps for case in cases], runtime)
    for group in groups:
        scores = [means(cases, [case.tried(step, problem) for case in cases], runtime) for step in group]
        fitting = [index for index, score in enumerate(scores) if (score >= current).all()]
        best = max(fitting, key=lambda index: scores[index].mean(), default=None)
        taken = best if best is not None and scores[best].mean() > current.mean() else None
        for index, (step, score) in enumerate(zip(group, scores, strict=True)):
            lowered = tuple(name for name, worse in zip(problem.foreground, score < current, strict=True) if worse)
            trials.append(Trial(step, float(score.mean()), lowered, index == taken))
        if taken is not None:
            current = scores[taken]
            for case in cases:
                case.take(group[taken], problem)
    return trials


def means(cases: Sequence[Predicted], overlaps: Sequence[Overlaps], runtime: Runtime) -> Scores:
    """The mean Dice (classes,) over the patients of all ranks, from how truth and prediction of each case overlap."""
    own = [(case.patient, case.case_id, each.dice) for case, each in zip(cases, overlaps, strict=True)]
    by_patient: dict[str, list[Scores]] = {}
    for patient, _, dice in sorted(runtime.gather(own), key=lambda row: row[:2]):
        by_patient.setdefault(patient, []).append(dice)
    return np.mean([np.mean(scores, axis=0) for scores in by_patient.values()], axis=0)


def _predicted(session: Session, predictor: Any, folder: Path) -> Iterator[Predicted]:
    """The validation cases of this rank with what the network says of them."""
    problem, dataset = session.study.problem, session.validation.dataset
    for index, case in enumerate(dataset.cases):
        if session.runtime.world == 1:
            session.validation.stop.check()
        assert isinstance(case.label, ImageRef), "validation has read its mask before"
        prepared, mask = dataset.prepared(index), read_mask(case.label)
        truth = mask.tensor[0].numpy()
        labels = predictor.labels(Volume(torch.from_numpy(prepared.image), prepared.grid), mask.grid).tensor[0].numpy()
        files = [folder / f"{index}.{name}.npy" for name in ("truth", "labels")]
        for file, values in zip(files, (truth, labels), strict=True):
            np.save(file, values)
        overlaps = Overlaps.of(truth, labels, problem)
        yield Predicted(case.id, case.patient, mask.grid, files[0], files[1], overlaps)


def _true_sizes(case: Predicted, name: str, problem: Problem, *, in_ml: bool) -> list[float]:
    """The sizes of the components that a structure has in truth, in ml or in voxels."""
    truth = problem.membership(case.truth)[problem.foreground.index(name)]
    _, sizes = components(truth)
    unit = voxel_ml(case.grid) if in_ml else None
    return [float(size) * (unit or 1.0) for size in sizes]


def _limits(name: str, sizes: Sequence[float], *, in_ml: bool) -> list[PostprocessConfig]:
    if not sizes:
        return []
    quantiles = np.quantile(sizes, SIZE_QUANTILES).tolist()
    if in_ml:
        limits = dict.fromkeys(float(f"{size:.3g}") for size in quantiles)
        return [MinSizeConfig(of=(name,), ml=limit) for limit in limits]
    return [MinSizeConfig(of=(name,), voxels=limit) for limit in dict.fromkeys(map(round, quantiles)) if limit > 1]


@contextmanager
def _folder(run: Run, runtime: Runtime) -> Iterator[Path]:
    """A folder of this rank in the run, for masks that may be too many for the memory; empty at first, then removed."""
    folder = run.folder / f".choosing-{runtime.rank}"
    shutil.rmtree(folder, ignore_errors=True)  # what a killed process left
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
