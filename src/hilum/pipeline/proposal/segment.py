"""The recipe of a segmentation: patch, batch and depth of the U-Net that this machine affords, and all around it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hilum.networks.unet import UNetConfig
from hilum.pipeline.estimate import validation_bytes
from hilum.pipeline.proposal.intensities import has_pose, kind_of, normalisation
from hilum.pipeline.proposal.machine import Machine
from hilum.pipeline.proposal.recipe import ANISOTROPIC, Recipe, by, patch_course, percent, spacing_step
from hilum.pipeline.proposal.survey import Survey, Triple
from hilum.pipeline.proposal.write import Entry, Step
from hilum.problem import Problem

FEWEST = 4
"""No axis of the lowest level is shorter."""
MOST_LEVELS = 5
MOST_CHANNELS = 320
FEW_SLICES = 12
"""Fewer thick slices than this say little about each other: slice by slice then."""
LARGEST_2D = {False: 256, True: 512}
"""Longest axis of a 2D patch on a CPU and on a GPU: smaller ones show more different places in a batch."""
LEARNING_RATES = {2: 3e-3, 3: 5e-3}
"""Highest ones of AdamW. In 3D, after 144 steps on other patients of the hippocampus, three seeds: 0.845 to 0.861 with
0.005, 0.833 to 0.859 with 0.003."""
BATCHES = {2: (32, 16, 8, 4, 2), 3: (4, 2)}
RARE, COMMON = 0.01, 0.2
"""Shares of structures among the voxels below and above which patches are placed on them more or less often."""


@dataclass(frozen=True)
class Frame:
    """A patch, the steps of pooling below it, and the batch."""

    size: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    batch_size: int = 2

    def network(self, width: int) -> UNetConfig:
        """The U-Net with these poolings."""
        channels = tuple(min(MOST_CHANNELS, width * 2**level) for level in range(len(self.strides) + 1))
        plain = all(set(stride) == {2} for stride in self.strides)
        return UNetConfig(channels=channels, strides=None if plain else self.strides)  # type: ignore[arg-type]


def segmentation(survey: Survey, problem: Problem, machine: Machine) -> Recipe:
    """The recipe, with its reasons."""
    kind, why = kind_of(survey)
    step, spacing = spacing_step(survey, machine)
    typical = survey.typical(spacing, box=survey.zero_background)
    axis = _slice_axis(survey, typical, spacing)
    frame = _frame(problem, machine, typical, spacing=spacing, axis=axis)
    network = frame.network(machine.width)
    prepare = [] if survey.flat or survey.unit == "pixel" else [_canonical()]
    if survey.zero_background:
        prepare.append(Step({"kind": "crop_foreground"}, "cuts the wide border of exact zeros away"))
    prepare += [step] if step else []
    cases = len(survey.split.part("train"))
    cost = _cost_reason(frame, problem, machine, survey=survey, prepared=typical)
    course = patch_course(cases, frame.batch_size, machine)
    posed = has_pose(survey.title) or kind != "picture"
    data = (
        Entry("prepare", (*prepare, normalisation(survey, kind, why)), "on every image, computed once"),
        Entry("augment", augmentation(survey, kind, posed=posed), "on training samples only"),
        _patch(survey, frame, course.samples_per_case, typical=typical, axis=axis),
        *([] if axis is None or survey.flat else [Entry("slice_axis", axis, _slice_reason(spacing, typical, axis))]),
        Entry("batch_size", frame.batch_size, cost),
    )
    edge = min(step for number, step in enumerate(spacing) if number != axis)
    tolerance = float(f"{edge:.2g}") if survey.unit == "mm" else 2.0
    sections = (
        Entry("network", _unet(network), _depth_reason(frame, spacing)),
        Entry("loss", "dice_ce", _loss_reason(survey)),
        Entry(
            "metrics",
            ["dice", "hd95", {"kind": "nsd", "tolerance_mm": tolerance}],
            f"the first one chooses the best checkpoint; nsd: the share of the surface within {tolerance:g} "
            f"{'mm' if survey.unit == 'mm' else 'pixels'}",
        ),
        Entry("optimizer", {"kind": "adamw", "lr": LEARNING_RATES[len(frame.size)]}),
        *course.entries(clip=True),
        _predict(posed=posed),
    )
    return Recipe(data, sections)


def _predict(*, posed: bool) -> Entry:
    why = "after training: largest components, small ones and holes, as far as it helps the validation patients"
    if posed:
        return Entry("predict", {"postprocess": "auto"}, why)
    mirrored = {"flips": ["vertical", "horizontal"], "postprocess": "auto"}
    return Entry("predict", mirrored, f"averages over mirrored views; {why}")


def augmentation(survey: Survey, kind: str, *, posed: bool) -> tuple[Step, ...]:
    """The random changes of training samples: mirroring only where the sides mean nothing."""
    if kind == "picture":
        flip = Step({"kind": "flip", "axes": ["vertical", "horizontal"]}, "by its name a data set without up and left")
        turn = Step(
            {"kind": "affine", "rotate_degrees": 15, "probability": 0.8},
            "no flips: nothing says that up and left mean nothing here. Where they do not, add\n"
            "  - {kind: flip, axes: [vertical, horizontal]}",
        )
        elastic = Step({"kind": "elastic", "probability": 0.5})
        return (turn if posed else flip, elastic, Step({"kind": "brightness", "probability": 0.5}))
    affine = {"kind": "affine", "rotate_degrees": 20, "scale": [0.85, 1.18], "probability": 0.8}
    why = "no flips: a left side is not a right side"
    shared = (
        Step(affine, why),
        Step({"kind": "blur", "sigma_voxels": [0.3, 1.2], "probability": 0.3}, "as scans of coarser voxels look"),
        Step({"kind": "noise", "probability": 0.3}),
        Step({"kind": "brightness", "probability": 0.3}),
    )
    return shared if kind == "ct" else (*shared, Step({"kind": "gamma", "probability": 0.3}))


def _canonical() -> Step:
    return Step({"kind": "canonical"}, "axes point right, anterior, superior, however the scanner stored them")


def _slice_axis(survey: Survey, typical: tuple[int, int, int], spacing: Triple) -> int | None:
    """The axis that slices are taken along where a 2D network suits better, else None."""
    if survey.flat:
        return 2
    coarse = max(range(3), key=lambda axis: spacing[axis])
    thick = spacing[coarse] / min(spacing) > ANISOTROPIC and typical[coarse] < FEW_SLICES
    if thick:
        return coarse
    return min(range(3), key=lambda axis: typical[axis]) if min(typical) < FEWEST else None


def _slice_reason(spacing: Triple, typical: tuple[int, int, int], axis: int) -> str:
    return (
        f"slice by slice across axis {axis}: {typical[axis]} slices of {spacing[axis]:g} mm against "
        f"{min(spacing):g} mm within them are too few and too thick for a 3D network"
    )


def _frame(
    problem: Problem, machine: Machine, typical: tuple[int, int, int], *, spacing: Triple, axis: int | None
) -> Frame:
    """The largest patch, up to the typical image, with the largest batch that the machine affords."""
    axes = [other for other in range(3) if other != axis]
    room = [float(typical[other]) for other in axes]
    if len(axes) == 2:
        room = [min(length, LARGEST_2D[machine.accelerated]) for length in room]
    lengths_mm = [spacing[other] for other in axes]
    while True:
        frame = _pooled(room, lengths_mm)
        for batch_size in BATCHES[len(axes)]:
            sized = problem.resized(len(frame.size), frame.size)
            if machine.affords(frame.network(machine.width), sized, size=frame.size, batch_size=batch_size):
                return replace(frame, batch_size=batch_size)
        longest = max(range(len(room)), key=lambda i: room[i] * lengths_mm[i] if room[i] > 4 * FEWEST else 0)
        if room[longest] <= 4 * FEWEST:
            return replace(frame, batch_size=BATCHES[len(axes)][-1])
        room[longest] *= 0.9


def _pooled(room: list[float], spacing: list[float]) -> Frame:
    """The patch that covers `room` voxels, rounded up to what its poolings divide.

    An axis is halved while at least FEWEST voxels remain, and only with axes whose voxels are up to twice as fine.
    """
    lengths, steps, strides = list(room), list(spacing), list[tuple[int, ...]]()
    while len(strides) < MOST_LEVELS - 1:
        able = [axis for axis, length in enumerate(lengths) if length / 2 >= FEWEST]
        if not able:
            break
        finest = min(steps[axis] for axis in able)
        stride = tuple(2 if axis in able and steps[axis] < 2 * finest else 1 for axis in range(len(room)))
        strides.append(stride)
        lengths = [length / factor for length, factor in zip(lengths, stride, strict=True)]
        steps = [step * factor for step, factor in zip(steps, stride, strict=True)]
    factors = [2 ** sum(stride[axis] == 2 for stride in strides) for axis in range(len(room))]
    covered = [max(2, math.ceil(math.ceil(length) / factor)) for length, factor in zip(room, factors, strict=True)]
    size = tuple(count * factor for count, factor in zip(covered, factors, strict=True))
    return Frame(size, tuple(strides))


def _patch(survey: Survey, frame: Frame, samples: int, *, typical: tuple[int, int, int], axis: int | None) -> Entry:
    share = sum(share for value, share in survey.masks.shares.items() if value != 0)
    foreground = 0.5 if share < RARE else 0.0 if share > COMMON else 0.33
    value: dict[str, object] = {"size": list(frame.size), "foreground": foreground}
    value |= {"samples_per_case": samples} if samples > 1 else {}
    across = [length for other, length in enumerate(typical) if other != axis]
    how = f"a typical training image has {by(across)} {'pixels' if survey.flat else 'voxels'} after preparation"
    whole = all(length >= image for length, image in zip(frame.size, across, strict=True))
    how += ": the patch holds all of it" if whole else ": the largest patch that this machine affords"
    if len(frame.size) == 2:
        how += "; two numbers make the network two-dimensional"
    placed = {0.5: "half", 0.33: "a third"}.get(foreground, "none")
    how += f". Structures fill {percent(share)} of the voxels: {placed} of the patches are placed on one"
    return Entry("patch", value, how)


def _unet(network: UNetConfig) -> dict[str, object]:
    value: dict[str, object] = {"kind": "unet", "channels": list(network.channels)}
    if network.strides is not None:
        value["strides"] = [list(stride) for stride in network.steps(len(network.strides[0]))]  # type: ignore[arg-type]
    return value


def _depth_reason(frame: Frame, spacing: Triple) -> str:
    lowest = [length // 2 ** sum(s[axis] == 2 for s in frame.strides) for axis, length in enumerate(frame.size)]
    why = f"{len(frame.strides) + 1} levels take the patch of {by(frame.size)} down to {by(lowest)}"
    uneven = any(len(set(stride)) > 1 for stride in frame.strides)
    return why + (
        f"; strides: coarse and short axes ({by(spacing)} mm) are halved later or not at all" if uneven else ""
    )


def _cost_reason(frame: Frame, problem: Problem, machine: Machine, *, survey: Survey, prepared: tuple[int, ...]) -> str:
    """What training costs; `prepared` is the shape of a typical case after preparation."""
    sized = problem.resized(len(frame.size), frame.size)
    cost = machine.affords(frame.network(machine.width), sized, size=frame.size, batch_size=frame.batch_size)
    validation = validation_bytes(sized, prepared=prepared, source=survey.typical())
    if cost is None:
        return f"more than {machine.described} can do in about a second, but the patch cannot be smaller"
    memory = machine.run_reason(cost, validation, cases=survey.prepared_bytes(prepared))
    return (
        f"{memory}; a step has {cost.multiply_adds / 1e9:.0f} billion multiply-adds forward, about a second on this "
        "machine"
    )


def _loss_reason(survey: Survey) -> str:
    if sum(value != 0 for value in survey.masks.shares) < 2:
        return "Dice and cross-entropy: overlap of the structure, and certainty in every voxel"
    rarest = min((share for value, share in survey.masks.shares.items() if value != 0), default=0.0)
    return f"the rarest structure fills {percent(rarest)} of the voxels: Dice weighs all structures alike"
