"""MONAI's configuration of what becomes of probabilities: slices put together, a temperature, the class of a case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hilum.evaluation.aggregates.base import LEAST as LEAST_SHARE
from hilum.layers.temperature import LEAST, LEAST_DOUBT

if TYPE_CHECKING:
    from hilum.exporting.decisions import Decisions
    from hilum.problem import Problem

SHARES = {
    "max": "s[:, {positive}].max()",
    "noisy_or": "-torch.expm1(torch.log1p(-s[:, {positive}].clamp(0, 1)).sum())",
    "top_k": "s[:, {positive}].sort().values[-{k}:].mean()",
}
"""The probability of the positive class from those of slices `s` (S, C)."""
POOL = (
    "$lambda slices: (lambda s, other: (lambda share, rest: torch.where(other, rest * (1 - share) / "
    "rest.sum().clamp_min({least}), share))({share}, s.mean(0) * other))"
    "(slices.cpu().double(), torch.arange(slices.shape[1]) != {positive}).float()"
)
"""Of all classes: what the positive one leaves goes to the others as the mean over the slices divides it."""


def answering(problem: Problem, decisions: Decisions) -> dict[str, str]:
    """`temper`, which changes probabilities (C, ...); of a classification `pool` before it, and `tell` after it."""
    temper = {"temper": _temper(decisions.temperature, exclusive=problem.exclusive)}
    if problem.kind != "classification":
        return temper
    return {"pool": _pool(problem, decisions), **temper, "tell": _tell(problem, decisions)}


def _temper(temperature: float, *, exclusive: bool) -> str:
    if temperature == 1:
        return "$lambda likely: likely"
    if exclusive:
        return f"$lambda likely: torch.softmax(likely.clamp_min({LEAST!r}).log() / {temperature!r}, 0)"
    return f"$lambda likely: torch.sigmoid(torch.logit(likely, {LEAST_DOUBT!r}) / {temperature!r})"


def _pool(problem: Problem, decisions: Decisions) -> str:
    """Probabilities (C,) of a case from those of its slices (S, C), or from the one row of a volume."""
    if not decisions.pools:
        return "$lambda slices: slices.cpu().mean(0)"
    settings = decisions.slices.model_dump(mode="json")
    positive = decisions.positive_index(problem)
    share = SHARES[decisions.slices.kind].format(**{**settings, "positive": positive})
    return POOL.format(share=share, positive=positive, least=repr(LEAST_SHARE))


def _tell(problem: Problem, decisions: Decisions) -> str:
    """A record of a list of probabilities, with the names that results.csv has."""
    likely = "**{'p_' + name: value for name, value in zip(@classes, p)}"
    classes, positive = f"range({problem.num_outputs})", decisions.positive_index(problem)
    if decisions.point is None:
        return f"$lambda p: {{'predicted': @classes[max({classes}, key=p.__getitem__)], {likely}}}"
    threshold = decisions.point.threshold.value
    others = f"max((c for c in {classes} if c != {positive}), key=p.__getitem__)"
    chosen = f"@classes[{positive} if p[{positive}] >= {threshold!r} else {others}]"
    return f"$lambda p: {{'predicted': {chosen}, 'threshold': {threshold!r}, {likely}}}"
