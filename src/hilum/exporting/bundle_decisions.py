"""MONAI's configuration of what becomes of answers: slices put together, a temperature, what is said of a case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hilum.evaluation.aggregates.base import LEAST as LEAST_SHARE
from hilum.layers.temperature import LEAST, LEAST_DOUBT

if TYPE_CHECKING:
    from hilum.exporting.decisions import Decisions
    from hilum.problem import Problem

SHARES = {
    "max": "{s}.amax(0)",
    "noisy_or": "-torch.expm1(torch.log1p(-{s}.clamp(0, 1)).sum(0))",
    "top_k": "{s}.sort(0).values[-{k}:].mean(0)",
}
"""What slices `s` (S, ...) prove of the positive class, or of every finding."""
POOL = (
    "$lambda slices: (lambda s, other: (lambda share, rest: torch.where(other, rest * (1 - share) / "
    "rest.sum().clamp_min({least}), share))({share}, s.mean(0) * other))"
    "(slices.cpu().double(), torch.arange(slices.shape[1]) != {positive}).float()"
)
"""Of all classes: what the positive one leaves goes to the others as the mean over the slices divides it."""

TELL_FINDINGS = (
    "$lambda p: {{key: cell for name, value, limit in zip(@classes, p, {limits}) for key, cell in "
    "(('p_' + name, value), ('predicted_' + name, int(value > 0.5 if limit is None else value >= limit)), "
    "*([] if limit is None else [('threshold_' + name, limit)]))}}"
)
TELL_NUMBERS = (
    "$lambda p: {key: cell for name, value, unit in zip(@classes, p, @units) for key, cell in "
    "(('predicted_' + name, value), *([('unit_' + name, unit)] if unit else []))}"
)


def answering(problem: Problem, decisions: Decisions) -> dict[str, Any]:
    """`temper`, which changes answers (C, ...); for whole images `pool` before it, and `tell` after it."""
    temper = {"temper": _temper(decisions.temperature, exclusive=problem.exclusive)}
    if problem.dense:
        return temper
    units = {"units": list(problem.units)} if problem.kind == "regression" else {}
    return {"pool": _pool(problem, decisions), **temper, **units, "tell": _tell(problem, decisions)}


def _temper(temperature: float, *, exclusive: bool) -> str:
    if temperature == 1:
        return "$lambda likely: likely"
    if exclusive:
        return f"$lambda likely: torch.softmax(likely.clamp_min({LEAST!r}).log() / {temperature!r}, 0)"
    return f"$lambda likely: torch.sigmoid(torch.logit(likely, {LEAST_DOUBT!r}) / {temperature!r})"


def _pool(problem: Problem, decisions: Decisions) -> str:
    """Answers (C,) to a case from those to its slices (S, C), or from the one row of a volume."""
    if not decisions.pools:
        return "$lambda slices: slices.cpu().mean(0)"
    share, settings = SHARES[decisions.slices.kind], decisions.slices.model_dump(mode="json")
    if not problem.exclusive:
        return f"$lambda slices: {share.format(**settings, s='slices.cpu().double()')}.float()"
    positive = decisions.positive_index(problem)
    share = share.format(**settings, s=f"s[:, {positive}]")
    return POOL.format(share=share, positive=positive, least=repr(LEAST_SHARE))


def _tell(problem: Problem, decisions: Decisions) -> str:
    """A record of a list of answers, with the names that results.csv has."""
    if problem.kind == "multilabel":
        return TELL_FINDINGS.format(limits=decisions.thresholds(problem))
    if problem.kind == "regression":
        return TELL_NUMBERS
    likely = "**{'p_' + name: value for name, value in zip(@classes, p)}"
    classes, positive = f"range({problem.num_outputs})", decisions.positive_index(problem)
    threshold = decisions.threshold
    if threshold is None:
        return f"$lambda p: {{'predicted': @classes[max({classes}, key=p.__getitem__)], {likely}}}"
    others = f"max((c for c in {classes} if c != {positive}), key=p.__getitem__)"
    chosen = f"@classes[{positive} if p[{positive}] >= {threshold!r} else {others}]"
    return f"$lambda p: {{'predicted': {chosen}, 'threshold': {threshold!r}, {likely}}}"
