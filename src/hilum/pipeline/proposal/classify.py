"""The recipe of a classification: image size, network and batch that this machine affords, and all around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hilum.networks.base import NetworkConfig
from hilum.pipeline.proposal.intensities import has_pose, kind_of, normalisation
from hilum.pipeline.proposal.machine import Machine
from hilum.pipeline.proposal.recipe import Recipe, by, image_course
from hilum.pipeline.proposal.survey import Survey
from hilum.pipeline.proposal.write import Entry, Step
from hilum.problem import Problem
from hilum.registry import parse

SMALL = 64
"""Images up to this long an axis are taken as they are, by a network that does not shrink them at once."""
TINY = 32
LONGEST = {(2, False): 128, (2, True): 224, (3, False): 64, (3, True): 96}
"""Longest axis of larger images by dimensions and whether there is a GPU."""
DENSENET_SHORTEST = 32
BATCHES_PER_EPOCH = 16
MANY_MULTIPLY_ADDS = 3e13
"""Arithmetic of a whole run (forward passes) that a CPU core should not be asked for: half an hour or so."""


@dataclass(frozen=True)
class Chosen:
    """A network with its settings as written, the learning rate that suits it, and why it was taken."""

    value: dict[str, Any]
    lr: float
    why: str

    @property
    def network(self) -> NetworkConfig:
        """The network."""
        return parse("networks", self.value)  # type: ignore[return-value]


def classification(survey: Survey, problem: Problem, machine: Machine, *, loss: Entry) -> Recipe:
    """The recipe, with its reasons; `loss` depends on the counts of the classes alone."""
    kind, why = kind_of(survey)
    dims = 2 if survey.flat else 3
    size, resize = _size(survey, dims, machine)
    cases = len(survey.split.part("train"))
    chosen = _network(size, dims, cases=cases, machine=machine, problem=problem)
    batch_size, cost = _batch(chosen, problem.resized(dims, size), size, machine=machine, survey=survey)
    course = image_course(cases, batch_size, machine)
    steps = (
        []
        if survey.flat or survey.unit == "pixel"
        else [Step({"kind": "canonical"}, "axes point right, anterior, superior, however the scanner stored them")]
    )
    if survey.zero_background:
        steps.append(Step({"kind": "crop_foreground"}, "the wide border of exact zeros goes"))
    steps += [resize] if resize else []
    tiny = max(size) <= TINY and kind == "picture"
    data = (
        Entry("prepare", (*steps, normalisation(survey, kind, why)), "on every image, computed once"),
        Entry("augment", augmentation(kind, tiny, dims=dims, posed=has_pose(survey.title)), "on training images only"),
        Entry("batch_size", batch_size, cost),
    )
    sections = (
        Entry("network", chosen.value, chosen.why),
        loss,
        Entry(
            "metrics",
            ["auroc", "balanced_accuracy", "accuracy", "f1"],
            "the first one chooses the best checkpoint; auroc is that of the last class where there are two",
        ),
        Entry("optimizer", {"kind": "adamw", "lr": chosen.lr, "weight_decay": 0.05}),
        *course.entries(clip=False),
    )
    return Recipe(data, sections)


def augmentation(kind: str, tiny: bool, *, dims: int, posed: bool) -> tuple[Step, ...]:
    """The random changes of training images: mirroring only where the sides mean nothing."""
    if not posed:
        axes = ["vertical", "horizontal", "depth"][:dims]
        return (
            Step({"kind": "affine", "rotate_degrees": 30, "scale": [0.8, 1.25], "probability": 0.9}),
            Step({"kind": "flip", "axes": axes}, "by its name a data set without up and left"),
        )
    if tiny and dims == 2:
        return (
            Step(
                {"kind": "affine", "rotate_degrees": 15, "scale": [0.8, 1.25], "translate": 0.1, "probability": 0.9},
                "no flips: which sides mean nothing is known to you alone",
            ),
            Step({"kind": "brightness", "shift": 0.3, "scale": [0.7, 1.4], "probability": 0.8}),
            Step({"kind": "gamma", "exponent": [0.6, 1.7], "probability": 0.5}),
            Step({"kind": "noise", "std": [0.0, 0.3], "probability": 0.3}),
        )
    turn = Step(
        {"kind": "affine", "rotate_degrees": 10, "scale": [0.9, 1.1], "translate": 0.05, "probability": 0.9},
        "no flips: which sides mean nothing is known to you alone",
    )
    bright = Step({"kind": "brightness", "probability": 0.5})
    return (turn, bright) if kind == "picture" else (turn, bright, Step({"kind": "noise", "probability": 0.3}))


def _size(survey: Survey, dims: int, machine: Machine) -> tuple[tuple[int, ...], Step | None]:
    """The size that the network sees, and the step that gives it where images do not have it already."""
    typical = survey.typical(box=survey.zero_background)[:dims]
    same = bool((survey.shapes == survey.shapes[0]).all()) and not survey.zero_background
    if max(typical) <= SMALL and same:
        return typical, None
    extent = np.array(typical, dtype=float)
    if survey.unit == "mm":
        extent *= np.array(survey.spacing[:dims])
    longest = min(LONGEST[dims, machine.accelerated], max(typical))
    wanted = 8 * np.round(longest * extent / extent.max() / 8).clip(1)
    size = tuple(min(n, int(w)) if n < 8 else min(n // 8 * 8, int(w)) for n, w in zip(typical, wanted, strict=True))
    unit = "pixels" if survey.flat else "voxels"
    why = f"images have {by(survey.shapes.min(axis=0)[:dims])} to {by(survey.shapes.max(axis=0)[:dims])} {unit}"
    why = why if not same else f"all images have {by(typical)} {unit}"
    why += f", this machine ({machine.described}) affords about {longest} along the longest axis"
    return size, Step({"kind": "resize", "size": list(size)}, why)


def _network(size: tuple[int, ...], dims: int, *, cases: int, machine: Machine, problem: Problem) -> Chosen:
    """Wider and shallower for small images, deeper for large ones."""
    words = f"for images of {by(size)}"
    if max(size) <= SMALL and min(size) > 3:
        value: dict[str, Any] = {"kind": "resnet", "depth": 18, "stem": "small", "width": 32 if dims == 2 else 16}
        small = Chosen(value, 2e-3 if dims == 2 else 1e-3, f"{words}; the small stem does not shrink them at once")
        if max(size) > TINY or dims == 3 or machine.accelerated or not _long(small, size, cases, machine, problem):
            return small
        return Chosen(
            {"kind": "lenet5", "padding": 2, "activation": "relu", "pooling": "max"},
            2e-3,
            f"{words}, {cases} of them on {machine.described}. With more time, a ResNet scores better:\n"
            "  network: {kind: resnet, depth: 18, stem: small, width: 32}",
        )
    if dims == 2 and min(size) >= DENSENET_SHORTEST:
        return Chosen({"kind": "densenet", "depth": 121}, 5e-4, words)
    return Chosen({"kind": "resnet", "depth": 18, "width": 32}, 1e-3, words)


def _long(chosen: Chosen, size: tuple[int, ...], cases: int, machine: Machine, problem: Problem) -> bool:
    """Whether ten epochs of a network would keep this machine busy for hours."""
    from hilum.pipeline.estimate import step_cost

    sized = problem.resized(len(size), size)
    cost = step_cost(chosen.network, sized, size=size, batch_size=2, precision="float32")  # batch norm wants two
    return cost.multiply_adds / 2 * cases * 10 > MANY_MULTIPLY_ADDS * machine.cores


def _batch(
    chosen: Chosen, problem: Problem, size: tuple[int, ...], *, machine: Machine, survey: Survey
) -> tuple[int, str]:
    """The largest batch that the machine affords and that leaves an epoch some steps, and its reason."""
    cases = len(survey.split.part("train"))
    wanted = 128 if max(size) <= TINY and len(size) == 2 else 32 if max(size) <= SMALL else 16
    while wanted > 4 and wanted * BATCHES_PER_EPOCH > cases:
        wanted //= 2
    while wanted > 2:
        cost = machine.affords(chosen.network, problem, size=size, batch_size=wanted)
        if cost is not None:
            memory = machine.run_reason(cost, cases=survey.prepared_bytes(size))
            return wanted, f"{memory}; {cases} training images make {-(-cases // wanted)} batches"
        wanted //= 2
    return wanted, "the least"
