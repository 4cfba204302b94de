"""The proof of an export: what runs it, in a process of its own, against hilum on the same cases."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from hilum.case import ImageRef
from hilum.errors import HilumError, number_of
from hilum.evaluation.decision import PREDICTED, decided
from hilum.evaluation.rows import PROBABILITY_PREFIX
from hilum.formats.reading import read_mask
from hilum.volume import Volume, resample

if TYPE_CHECKING:
    import numpy.typing as npt

    from hilum.evaluation.decision import OperatingPoint
    from hilum.inference.predictor import Predictor
    from hilum.problem import Problem

    Labels = npt.NDArray[np.integer]

LARGEST_DIFFERENCE = 1e-3
"""Most by which a probability may differ; float32 sums in another order differ by about 1e-5."""
LEAST_AGREEMENT = 0.999
"""Least share of a case's voxels with the same label."""
SHOWN_LINES = 4
"""How much of what a failing program said is shown."""


class ParityError(HilumError):
    """An export that does not answer as hilum does: a defect of hilum or of a library, hence the exit code 1."""

    exit_code = 1


@dataclass(frozen=True)
class CaseParity:
    """How far two answers to one case are apart."""

    case: str
    same: float
    """Share of voxels with the same label; of a classification 1 where the class is the same, else 0."""
    difference: float | None = None
    """Largest difference of a probability, anywhere and of any class; None where labels alone are compared."""
    lowest_dice: float | None = None
    """Dice of the two answers for the structure in which it is lowest; None for a classification."""

    @property
    def line(self) -> str:
        """The comparison on one line."""
        parts = [f"same {'class' if self.lowest_dice is None else 'labels'} {self.same:.4%}"]
        if self.lowest_dice is not None:
            parts.append(f"lowest Dice {self.lowest_dice:.5f}")
        if self.difference is not None:
            parts.append(f"largest difference of a probability {self.difference:.1e}")
        return f"{self.case}: {', '.join(parts)}"


def compare_labels(
    case: str, image: Volume, written: Path, *, predictor: Predictor, probabilities: Path | None = None
) -> CaseParity:
    """A label map that another program wrote for an image against hilum's, and its probabilities where they are given.

    Raises ParityError where the file does not lie on the grid of the image.
    """
    theirs = read_mask(ImageRef(written))
    if not theirs.grid.matches(image.grid):
        raise ParityError(f"{case}: the exported network wrote labels on another grid than that of its input")
    ours = predictor.segment(image)
    return CaseParity(
        case,
        same=float((ours.tensor == theirs.tensor).float().mean()),
        difference=None if probabilities is None else _largest_difference(image, probabilities, predictor),
        lowest_dice=_lowest_dice(predictor.problem, ours.tensor.numpy(), theirs.tensor.numpy()),
    )


def compare_classes(
    case: str, image: Volume, theirs: Mapping[str, Any], *, predictor: Predictor, point: OperatingPoint | None = None
) -> CaseParity:
    """What another program says of an image, in the columns of results.csv, against hilum: its class by the operating
    point, and the probability of each class.
    """
    classes = predictor.problem.classes
    columns = [f"{PROBABILITY_PREFIX}{name}" for name in classes]
    ours = dict(zip(columns, predictor.classify(image).tolist(), strict=True))
    same = decided(ours, point, classes)[PREDICTED] == theirs[PREDICTED]
    return CaseParity(case, same=float(same), difference=max(abs(ours[name] - theirs[name]) for name in columns))


def judge(found: Sequence[CaseParity], *, least: float | None, largest: float | None) -> dict[str, Any]:
    """The content of parity.json. Raises ParityError, which names every case that is too far off.

    `least` is the share of labels that has to be the same, `largest` how much probabilities may differ; None sets no
    limit.
    """
    bad = [
        case
        for case in found
        if (least is not None and case.same < least)
        or (largest is not None and case.difference is not None and not case.difference <= largest)
    ]
    if bad:
        raise ParityError(
            f"the exported network does not answer as hilum does in {number_of(len(bad), 'case')}; nothing was written."
            f" Tolerated: {1 - (least or 0):.1%} of labels that differ, probabilities {largest} apart\n"
            + "\n".join(case.line for case in bad)
        )
    differences = [case.difference for case in found if case.difference is not None]
    return {
        "largest_probability_difference": max(differences, default=None),
        "least_agreement": min(case.same for case in found),
        "tolerated": {"probability_difference": largest, "agreement": least},
        "cases": [asdict(case) for case in found],
    }


def run_alone(arguments: Sequence[str | Path], *, folder: Path) -> None:
    """Run Python on these arguments, in `folder`, without the paths that this process imports from.

    Raises ParityError where it fails, with the end of what it said.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        causes = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]  # the first led to the others
        said = "\n".join([*causes[:1], *lines[-SHOWN_LINES:]])
        raise ParityError(f"the exported network cannot be run (exit code {done.returncode}):\n{said}")


def _largest_difference(image: Volume, file: Path, predictor: Predictor) -> float:
    """Of the probabilities (I, J, K, C) in a file from hilum's on the same grid; class by class, to save memory."""
    found: Any = nib.load(file)
    theirs = np.asarray(found.dataobj, dtype=np.float32)
    ours = predictor.probabilities(predictor.prepared(image))
    worst = 0.0
    for index in range(predictor.problem.num_outputs):
        outside = float(predictor.problem.exclusive and index == 0)
        one = Volume(ours.tensor[index : index + 1].cpu(), ours.grid)
        there = resample(one, image.grid, antialias=False, outside=outside).tensor[0].numpy()
        worst = max(worst, float(np.abs(there - theirs[..., index].reshape(there.shape)).max()))
    return worst


def _lowest_dice(problem: Problem, ours: Labels, theirs: Labels) -> float:
    """Over the structures, of which those that neither answer holds agree."""
    dices = []
    for mine, other in zip(problem.membership(ours), problem.membership(theirs), strict=True):
        size = int(mine.sum()) + int(other.sum())
        dices.append(2 * int((mine & other).sum()) / size if size else 1.0)
    return min(dices)
