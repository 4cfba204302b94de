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
from hilum.evaluation.decision import PREDICTED, told
from hilum.evaluation.rows import PREDICTED_PREFIX, PROBABILITY_PREFIX
from hilum.formats.reading import read_mask
from hilum.inference.restoring import restored
from hilum.volume import Volume, resample

if TYPE_CHECKING:
    import numpy.typing as npt

    from hilum.evaluation.decision import Points
    from hilum.inference.predictor import Predictor
    from hilum.problem import Problem

    Labels = npt.NDArray[np.integer]

LARGEST_DIFFERENCE = 1e-3
"""Most by which a probability may differ; float32 sums in another order differ by about 1e-5."""
LEAST_AGREEMENT = 0.999
"""Least share of a case's voxels with the same label."""
UNDECIDED = {"numbers": "in standard deviations", "image": "as a share of the input's range"}
"""Answers about which nothing is decided, and what their differences are measured in."""
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
    """Share of voxels or findings that are decided alike; of a classification 1 where the class is the same, else 0.
    Always 1 of numbers and images, about which nothing is decided."""
    difference: float | None = None
    """Largest difference of a probability, anywhere and of any class; None where labels alone are compared. Of numbers
    in standard deviations of the training part, of images in shares of the range of the input."""
    lowest_dice: float | None = None
    """Dice of the two answers for the structure in which it is lowest; None where there are no structures."""
    of: str = ""
    """What is compared, where it is no map of labels: a class, findings, numbers or an image."""

    @property
    def line(self) -> str:
        """The comparison on one line."""
        decided = self.of not in UNDECIDED
        parts = [f"same {self.of or 'labels'} {self.same:.4%}"] if decided else []
        if self.lowest_dice is not None:
            parts.append(f"lowest Dice {self.lowest_dice:.5f}")
        if self.difference is not None:
            what = "of a probability" if decided else UNDECIDED[self.of]
            parts.append(f"largest difference {what} {self.difference:.1e}")
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


def compare_answers(
    case: str, image: Volume, theirs: Mapping[str, Any], *, predictor: Predictor, point: Points | None = None
) -> CaseParity:
    """What another program says of a whole image, in the columns of results.csv, against hilum: the class or the
    findings as the operating points decide, and the probability of each, or the numbers.
    """
    problem = predictor.problem
    ours = told(predictor.classify(image).double().numpy(), point, problem)
    prefix = PREDICTED_PREFIX if problem.continuous else PROBABILITY_PREFIX
    stds = [std for _, std in problem.scales] or [1.0] * problem.num_outputs
    columns = [f"{prefix}{name}" for name in problem.classes]
    difference = max(abs(ours[name] - theirs[name]) / std for name, std in zip(columns, stds, strict=True))
    if problem.continuous:
        return CaseParity(case, same=1.0, difference=difference, of="numbers")
    decided = [PREDICTED] if problem.exclusive else [f"{PREDICTED_PREFIX}{name}" for name in problem.classes]
    same = float(np.mean([ours[name] == theirs[name] for name in decided]))
    return CaseParity(case, same=same, difference=difference, of="class" if problem.exclusive else "findings")


def compare_images(case: str, image: Volume, written: Path, *, predictor: Predictor) -> CaseParity:
    """A restored image that another program wrote against hilum's."""
    found: Any = nib.load(written)
    ours = restored(predictor, image).tensor.numpy()
    theirs = np.asarray(found.dataobj, dtype=np.float32)
    theirs = np.moveaxis(theirs.reshape(*image.grid.shape, -1), -1, 0)
    if ours.shape != theirs.shape:
        raise ParityError(f"{case}: the exported network wrote an image of {theirs.shape}, hilum one of {ours.shape}")
    width = float(image.tensor.max() - image.tensor.min()) or 1.0
    return CaseParity(case, same=1.0, difference=float(np.abs(ours - theirs).max()) / width, of="image")


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
