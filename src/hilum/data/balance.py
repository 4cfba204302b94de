"""Which case and which structure a patch is drawn for, so that rare structures are seen as often as one wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hilum.data.dataset import Dataset
from hilum.errors import ConfigError, Fault, nearest
from hilum.problem import Problem


@dataclass(frozen=True)
class ClassBalance:
    """Draws the structure first, then one of the cases that show it.

    A patch is placed on a structure with probability `foreground`; `shares` of these fall to each structure, and
    `cases` are the positions of the cases that show it.
    """

    foreground: float
    shares: Mapping[int, float]
    cases: Mapping[int, Sequence[int]]

    def draw(self, rng: np.random.Generator, case: int) -> tuple[int, tuple[int, ...]]:
        """The case of a sample and the structure that its patch is placed on; the case given and none otherwise."""
        if rng.random() >= self.foreground:
            return case, ()
        structures = sorted(self.shares)
        bounds = np.cumsum([self.shares[structure] for structure in structures])
        structure = structures[int(np.searchsorted(bounds / bounds[-1], rng.random(), side="right"))]
        showing = self.cases[structure]
        return showing[int(rng.integers(len(showing)))], (structure,)


def class_balance(dataset: Dataset, weights: Mapping[str, float] | None, foreground: float) -> ClassBalance:
    """The balance of a data set by weights of its structures by name, which give those not named no patch.

    Without weights every structure that the cases show counts the same. Opens every case. Raises ConfigError for a
    structure with a weight that no case shows.
    """
    problem = dataset.problem
    first = problem.num_outputs - len(problem.foreground)
    cases: dict[int, list[int]] = {}
    for position in range(len(dataset)):
        for structure in dataset.prepared(position).structures:
            cases.setdefault(structure, []).append(position)
    if weights is None:
        shares = {structure: 1 / len(cases) for structure in cases}
    else:
        shares = {first + problem.foreground.index(name): weight for name, weight in weights.items()}
    absent = [problem.classes[structure] for structure in shares if structure not in cases]
    if absent or not cases:
        message = f"no training case shows {', '.join(absent) or 'any structure'}: there is nothing to place patches on"
        raise ConfigError([Fault("configuration", "data.patch.classes", message)])
    return ClassBalance(foreground, shares, cases)


def unknown_structures(weights: Mapping[str, float], problem: Problem) -> list[str]:
    """A sentence for each name that is no structure of the problem, with the nearest one that is."""
    faults = []
    for name in weights:
        if name not in problem.foreground:
            close = nearest(name, problem.foreground)
            hint = f"; did you mean '{close}'?" if close else ""
            faults.append(f"received '{name}', expected some of {', '.join(problem.foreground)}{hint}")
    return faults
