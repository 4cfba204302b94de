"""What only the voxels of a case tell: values that are no numbers, no labels, no image, or somebody else's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from hilum.case import Case, ImageRef
from hilum.data.findings import of_case, severe
from hilum.data.index.grids import differs
from hilum.errors import DataError, Finding
from hilum.formats.reading import ROUNDING, read_image, read_labels
from hilum.problem import Problem
from hilum.targets import Vector, encoded_label
from hilum.volume import Volume

MANY_VALUES = 40
"""More values without a class than this in a mask are intensities, not labels."""


EXPECTED = {"classification": "class", "multilabel": "finding", "regression": "number"}
"""What the label of an image is."""


@dataclass(frozen=True)
class RawCase:
    """A case as its files have it: the image (C, I, J, K), the encoded mask or label, and warnings about both.

    The target is None where a restoration wants the image itself.
    """

    image: Volume
    target: Volume | int | Vector | None
    findings: tuple[Finding, ...]


def read_case(case: Case, problem: Problem) -> RawCase:
    """The case, read from its files. Raises DataError with every finding about it where one is an error."""
    findings: list[Finding] = []
    image = target = None
    try:
        image = read_image(case.files)
        findings += image_findings(image, case, problem)
    except DataError as error:
        findings += of_case(error, case)
    try:
        target, rounded = _target(case, problem)
        if isinstance(target, Volume) and problem.kind == "segmentation":
            findings += mask_findings(target, case, rounded=rounded)
    except DataError as error:
        findings += of_case(error, case)
    if image is not None and isinstance(target, Volume) and isinstance(case.label, ImageRef):
        apart = differs(case.label, target.grid, like=case.files[0], like_grid=image.grid, case=case.id)
        findings += [apart] if apart is not None else []
    if image is None or severe(findings):
        raise DataError(_with_swap(findings, image, case))
    return RawCase(image, target, tuple(findings))


def read_target(case: Case, problem: Problem) -> Volume | int | Vector | None:
    """The encoded mask on the grid of its file, or the label: a class index, findings (L,) or numbers (T,).

    For a restoration the image that is wanted, None where that is the case's image itself.
    Raises DataError where there is no usable one.
    """
    return _target(case, problem)[0]


def _target(case: Case, problem: Problem) -> tuple[Volume | int | Vector | None, int]:
    """The encoded mask or label, and how many voxels had to be rounded."""
    if problem.kind == "restoration":
        return (read_image((case.label,)) if isinstance(case.label, ImageRef) else None), 0
    if case.label is None:
        raise DataError(
            [Finding("error", "no label", case.id, fix="give it one, or take the case out of the parts that learn")]
        )
    if not problem.dense:
        if isinstance(case.label, ImageRef):
            raise DataError(f"has a mask ({case.label}), a {problem.kind} needs a {EXPECTED[problem.kind]}")
        try:
            return encoded_label(case.label, problem), 0
        except DataError as error:
            raise DataError([Finding("error", f"{EXPECTED[problem.kind]} unknown", case.id, fix=str(error))]) from error
    if not isinstance(case.label, ImageRef):
        raise DataError(f"has the class '{case.label}', a segmentation needs a mask")
    mask, rounded = read_labels(case.label)
    values = mask.tensor[0].numpy()
    try:
        return Volume(torch.from_numpy(problem.encode(values)), mask.grid), rounded
    except DataError as error:
        raise DataError([_unknown(case, case.label, values, problem)]) from error


def image_findings(image: Volume, case: Case, problem: Problem) -> Iterator[Finding]:
    """Channels without contrast, and images whose voxels are the labels of a mask."""
    channels = image.tensor.flatten(1)
    low, high = channels.amin(1), channels.amax(1)
    flat = (low == high).tolist() if channels.shape[1] > 1 else [False] * len(channels)
    several = len(case.files) == len(flat) > 1
    for index, constant in enumerate(flat):
        if not constant:
            continue
        whole = all(flat)
        # A single slice without contrast may be the edge of a stack; a volume without contrast is nobody's scan.
        severity: Literal["error", "warning"] = "error" if whole and image.grid.shape[2] > 1 else "warning"
        yield Finding(
            severity,
            "constant image" if whole else "constant channel",
            case.id,
            str(case.files[index if several else 0]),
            received=f"{float(low[index]):g} in every voxel" + ("" if several or whole else f" of channel {index}"),
            fix="replace the file, or leave the case out",
        )
    labels = {int(value) for group in problem.values for value in group} if problem.kind == "segmentation" else set()
    if len(labels) > 1 and not any(flat) and _holds_only(channels, labels):
        yield Finding(
            "warning",
            "image holds labels",
            case.id,
            str(case.files[0]),
            received=f"no values but {sorted(labels)}",
            expected="intensities",
            fix="see whether a mask was given as the image",
        )


def mask_findings(target: Volume, case: Case, *, rounded: int) -> Iterator[Finding]:
    """Masks without any structure, and labels that were not quite whole numbers."""
    if rounded:
        yield Finding(
            "warning",
            "labels rounded",
            case.id,
            str(case.label),
            received=f"{rounded} voxels up to {ROUNDING:g} beside a whole number",
            fix="nothing has to be done; stored as integers the mask would be smaller and exact",
        )
    if not target.tensor.numpy().max() > 0:
        yield Finding(
            "warning",
            "empty mask",
            case.id,
            str(case.label),
            received="no voxel of any structure",
            fix="right where the structure is absent, else replace the mask",
        )


def _holds_only(values: torch.Tensor, labels: set[int]) -> bool:
    allowed = torch.tensor(sorted(labels), dtype=values.dtype)
    glance = values[:, :: max(1, values.shape[1] // 1000)]
    return bool(torch.isin(glance, allowed).all()) and bool(torch.isin(values, allowed).all())


def _unknown(case: Case, ref: ImageRef, values: npt.NDArray[np.integer], problem: Problem) -> Finding:
    unknown = problem.unknown_values(np.unique(values).tolist())
    shown = f"[{', '.join(map(str, unknown[:10]))}, ...] ({len(unknown)} values)" if len(unknown) > 10 else str(unknown)
    return Finding(
        "error",
        "intensities in a mask" if len(unknown) > MANY_VALUES else "label values without a class",
        case.id,
        str(ref),
        received=f"label values {shown}",
        expected=problem.described(),
        fix="correct the masks, add the values to task.classes, or name one of them task.ignore",
    )


def _with_swap(findings: list[Finding], image: Volume | None, case: Case) -> list[Finding]:
    """The findings, and that image and mask were swapped where the one holds labels and the other does not."""
    no_mask = {"intensities in a mask", "not whole numbers"}
    if image is None or not no_mask & {finding.kind for finding in findings} or not _labels_like(image):
        return findings
    said = Finding(
        "error",
        "image and mask swapped",
        case.id,
        str(case.label),
        received="intensities in the mask and a few whole numbers in the image",
        fix="exchange the two files",
    )
    return [said, *(finding for finding in findings if finding.kind not in no_mask | {"image holds labels"})]


def _labels_like(image: Volume) -> bool:
    values = image.tensor.unique()
    return len(values) <= MANY_VALUES and bool((values == values.round()).all())
