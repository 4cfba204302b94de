"""What surrounds an exported network, in JSON: preparation, windows, decoding and post-processing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from hilum.errors import ConfigError
from hilum.exporting.decisions import AGGREGATES, AS_THEY_ARE, Decisions
from hilum.formats.base import smallest_type
from hilum.inference.postprocess.apply import LabelSets
from hilum.inference.windows import PADDING, SIGMA_SHARE, WEIGHT_FLOOR
from hilum.prepare.zscore import CONSTANT_SHARE

if TYPE_CHECKING:
    from hilum.inference.postprocess.base import PostprocessConfig
    from hilum.inference.predictor import Predictor
    from hilum.prepare.base import PrepareConfig
    from hilum.problem import Problem

FORMAT = "hilum export 1"
"""Name and version of the description."""
PREPARE_KINDS = (
    *("canonical", "spacing", "resize", "crop_foreground"),
    *("window", "percentiles", "zscore", "dataset_zscore"),
)
"""The preparation steps that the runner does."""
POSTPROCESS_KINDS = ("largest_component", "min_size", "fill_holes")
"""The post-processing steps that the runner does."""


def refuse_unknown(predictor: Predictor, decisions: Decisions = AS_THEY_ARE) -> None:
    """Raise ConfigError naming every step of a predictor that no runner does, such as those of plugins."""
    unknown = [f"data.prepare '{step.kind}'" for step in predictor.prepare if step.kind not in PREPARE_KINDS]
    unknown += [
        f"predict.postprocess '{step.kind}'" for step in predictor.postprocess if step.kind not in POSTPROCESS_KINDS
    ]
    if decisions.slices.kind not in AGGREGATES:
        unknown.append(f"decide.slices '{decisions.slices.kind}'")
    if predictor.air is not None:
        unknown.append("predict.skip_air (export with predict.skip_air=false)")
    if unknown:
        known = ", ".join((*PREPARE_KINDS, *POSTPROCESS_KINDS, *AGGREGATES))
        raise ConfigError(f"{', '.join(unknown)}: cannot be exported; the runner does {known}")


def describe(
    predictor: Predictor,
    *,
    frames: Sequence[int | None],
    source: dict[str, Any],
    decisions: Decisions = AS_THEY_ARE,
) -> dict[str, Any]:
    """Everything that the runner needs to know besides the network, ready for JSON.

    `frames` is what the images of a case are in their files, `source` tells where the network comes from.
    """
    problem = predictor.problem
    picked = [index for index in frames if index is not None]
    return {
        "format": FORMAT,
        **source,
        "task": problem.kind,
        "dims": problem.dims,
        "channels": problem.num_channels,
        "channel_names": list(problem.channels),
        "frames": picked or list(range(problem.num_channels)),
        "may_lack_channels": predictor.may_lack_channels,
        "prepare": [describe_step(step) for step in predictor.prepare],
        "slice_axis": predictor.slice_axis,
        "windows": {
            "size": None if predictor.window is None else list(predictor.window),
            "multiple": predictor.multiple,
            "overlap": predictor.overlap,
            "sigma_share": SIGMA_SHARE,
            "floor": WEIGHT_FLOOR,
            "padding": PADDING,
        },
        "batch_size": predictor.batch_size,
        "flips": [[axis + 1 for axis in axes] for axes in predictor.flips],
        "classes": list(problem.classes),
        "class_values": [list(group) for group in problem.values],
        "exclusive": problem.exclusive,
        **({"units": list(problem.units)} if problem.kind == "regression" else {}),
        "decide": decisions.described(problem),
        **(_decoding(problem) if problem.kind == "segmentation" else {}),
        "postprocess": [describe_postprocess(step, problem) for step in predictor.postprocess],
    }


def describe_step(step: PrepareConfig) -> dict[str, Any]:
    """A step with its settings; channels that are constant in the training part become 0 whatever they hold."""
    facts = step.model_dump(mode="json")
    for found in facts.get("fitted") or ():
        if found["std"] <= CONSTANT_SHARE * max(abs(found["low"]), abs(found["high"])):
            found |= {"low": 0.0, "high": 0.0, "mean": 0.0, "std": 1.0}
    return facts


def _decoding(problem: Problem) -> dict[str, Any]:
    """The label values that are written and their type; where regions overlap, which regions each stands for."""
    values, members = written(problem)
    regions = {} if problem.exclusive else {"members": members}
    return {"values": values, "dtype": label_type(values), **regions}


def label_type(values: Sequence[int]) -> str:
    """numpy's name of the smallest type that holds label values, of those that every reader of NIfTI knows."""
    return np.dtype(smallest_type(np.array(values), (np.uint8, np.int16, np.int32))).name


def written(problem: Problem) -> tuple[list[int], list[list[int]]]:
    """The label values that a segmentation writes, and the certain probabilities that each of them is written for."""
    if problem.exclusive:
        certain = [[int(row == column) for column in range(problem.num_outputs)] for row in range(problem.num_outputs)]
    else:
        used = dict.fromkeys(value for group in problem.values for value in group)
        inside = [tuple(int(value in group) for group in problem.values) for value in used]
        certain = [list(row) for row in dict.fromkeys([(0,) * problem.num_outputs, *inside])]
    return problem.decode(torch.tensor(certain, dtype=torch.float32).T).tolist(), certain


def describe_postprocess(step: PostprocessConfig, problem: Problem) -> dict[str, Any]:
    """A step with what becomes of each label value that leaves or joins its structure."""
    sets = LabelSets.of(problem)
    return {
        **step.model_dump(mode="json"),
        "inside": sets.inside(step.of),
        "removed": {str(value): sets.without(value, step.of) for value in sets.members},
        "added": {str(value): sets.joined(value, step.of) for value in sets.members},
    }
