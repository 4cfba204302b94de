"""What both tasks have in common: the parts of a recipe, voxel size, and how long to train."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hilum.errors import number_of
from hilum.pipeline.proposal.machine import Machine
from hilum.pipeline.proposal.survey import Survey, Triple
from hilum.pipeline.proposal.write import Entry, Step

ANISOTROPIC = 3.0
"""Ratio of spacings above which the coarse axis keeps its own: slices that thick cannot be interpolated."""
SAME = 1.01
"""Ratio of spacings up to which they count as equal."""
MOST_COARSENED = 2.0
"""Voxels are made no coarser than this many times the median to spare memory and time."""
WARMUP_STEPS = 50
EPOCH_STEPS = 40
"""Fewest steps of an epoch on patches: enough to be worth a validation, few enough to take minutes at most."""
LONG_RUN_STEPS = 300
"""Runs this long keep a moving average over about the last 100 steps, shorter ones over 20."""
VALIDATIONS = 6


@dataclass(frozen=True)
class Recipe:
    """The entries of the data section behind source and split, and the sections behind data."""

    data: tuple[Entry, ...]
    sections: tuple[Entry, ...]


@dataclass(frozen=True)
class Course:
    """How long a run takes: steps in an epoch, epochs, samples taken from each case."""

    steps_per_epoch: int
    epochs: int
    samples_per_case: int = 1
    shortened: bool = False
    """Whether an epoch shows a part of the cases only, another one each time."""

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.epochs

    def entries(self, *, clip: bool) -> tuple[Entry, Entry]:
        """The sections schedule and train."""
        warmup = min(WARMUP_STEPS, max(1, 2 * self.steps_per_epoch // 3))
        train: dict[str, float] = {"epochs": self.epochs, "ema": 0.99 if self.steps >= LONG_RUN_STEPS else 0.95}
        train |= {"clip_norm": 1.0} if clip else {}
        every = max(1, round(self.epochs / VALIDATIONS))
        train |= {"validate_every": every} if every > 1 else {}
        train |= {"steps_per_epoch": self.steps_per_epoch} if self.shortened else {}
        steps = f"{self.epochs} epochs of {number_of(self.steps_per_epoch, 'step')}"
        steps += " (others of the many cases each time)" if self.shortened else ""
        steps += f": {self.steps} steps"
        return (
            Entry("schedule", {"kind": "cosine", "warmup": warmup}, "rises for some steps, then falls to 0"),
            Entry(
                "train",
                train,
                f"{steps}, enough for a first result; more often gain some. "
                "ema: a moving average of the weights is what is scored and used",
            ),
        )


def spacing_step(survey: Survey, machine: Machine) -> tuple[Step | None, Triple]:
    """The step that gives all volumes one voxel size, and that size; none where there are no sizes in mm."""
    median = survey.spacing
    if survey.unit != "mm":
        return None, median
    shape, depth = survey.typical(), survey.flat
    coarse = max(range(3), key=lambda axis: median[axis])
    ratio = max(median) / min(median)
    kept = 2 if depth else (coarse if ratio > ANISOTROPIC else None)
    voxels = float(shape[0] * shape[1] * shape[2])
    axes = 3 if kept is None else 2
    factor = min(MOST_COARSENED, max(1.0, (voxels / machine.volume_voxels) ** (1 / axes)))
    target = [float(f"{step * factor:.3g}") for step in median]
    wanted: list[float | None] = [None if axis == kept else step for axis, step in enumerate(target)]
    if kept is not None:
        target[kept] = median[kept]
    why = _spacing_reason(survey, ratio if kept == coarse and not depth else None)
    if factor > SAME:
        why += (
            f". Made {factor:.2g} times coarser, because a typical scan has {voxels / 1e6:.1f} million voxels "
            f"and this machine has {machine.described}: the median itself is {by(median)}"
        )
    return Step({"kind": "spacing", "mm": wanted}, why), (target[0], target[1], target[2])


def _spacing_reason(survey: Survey, ratio: float | None) -> str:
    lowest, highest = survey.spacings.min(axis=0), survey.spacings.max(axis=0)
    if ratio is not None:
        return (
            "the median voxel size in mm, but null along the coarse axis, where it is "
            f"{ratio:.2g} times that of the finest: slices so thick are left as they are"
        )
    if (highest <= SAME * lowest).all():
        return "the voxel size in mm of all training images, so that new images of another size are brought to it"
    return f"the median voxel size in mm (training images have {by(lowest)} to {by(highest)})"


def patch_course(cases: int, batch_size: int, machine: Machine) -> Course:
    """A run on patches: as many from each case that an epoch has EPOCH_STEPS at least."""
    samples = max(1, -(-EPOCH_STEPS * batch_size // max(1, cases)))
    whole = -(-cases * samples // batch_size)
    steps = min(whole, machine.epoch_steps)
    return Course(steps, max(3, round(machine.steps / steps)), samples, shortened=steps < whole)


def image_course(cases: int, batch_size: int, machine: Machine) -> Course:
    """A run on whole images: about 500 steps, but 10 to 60 epochs."""
    whole = -(-cases // batch_size)
    steps = min(whole, machine.epoch_steps)
    epochs = min(60, max(10, round(machine.steps * 0.45 / steps)))
    return Course(steps, epochs, shortened=steps < whole)


def percent(share: float) -> str:
    """A share in percent, however small: 12.3%, 0.0041%."""
    return f"{100 * share:.3g}%" if share >= 1e-3 else f"{100 * share:.2g}%"


def by(sizes: Iterable[float]) -> str:
    """Sizes in words: 36 x 50 x 35."""
    return " x ".join(f"{float(size):.4g}" for size in sizes)
