"""Every score of several methods on the same patients: differences with intervals, tests, corrections and rankings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import DataError
from hilum.evaluation.areas import Area
from hilum.evaluation.intervals import Bootstrap
from hilum.evaluation.measuring import OVER_CLASSES, Key, Measured, measure
from hilum.evaluation.paired_tests import bootstrap_p, delong_p, holm, mcnemar_p, signed_rank_p
from hilum.evaluation.pairing import Scored, paired
from hilum.evaluation.ranking import ranking

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

Methods = Mapping[str, Sequence[Measured]]
NONE_SHOWN = "no difference shown"
FAMILY = "p-values are corrected (Holm) for the {} pairs of methods, not for the number of scores: choose one before"
ALONE = "p-values are not corrected for the number of scores and structures: choose before which one decides"
SEVERAL_RUNS = (
    "the runs of a method are averaged: intervals and tests say what other patients would change, not what training "
    "again would; the spread of the runs stands beside their mean"
)


@dataclass(frozen=True)
class Difference:
    """One score of two methods: `a` less `b`, with its paired interval and test; None where undefined.

    `p_holm` is corrected for the number of pairs; `verdict` names the better method, or says that no difference shows.
    """

    score: str
    structure: str
    a: str
    b: str
    value_a: float | None
    value_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    test: str
    p: float | None
    p_holm: float | None = None
    verdict: str = ""


def compare(methods: Mapping[str, Sequence[Scored]], bootstrap: Bootstrap) -> dict[str, Any]:
    """The comparison of methods, each with one run or several (seeds), as compare.json holds it.

    Raises DataError as `paired` does, and for fewer than two methods or patients.
    """
    if len(methods) < 2:
        raise DataError(f"received {len(methods)} method, expected at least two to compare")
    sides, notes = paired([side for runs in methods.values() for side in runs])
    measured, undefined = measure(sides, bootstrap)
    by_method: dict[str, list[Measured]] = {}
    for name, runs in methods.items():
        by_method[name] = [measured.pop(0) for _ in runs]
    patients = sides[0].patients
    if len(set(patients.values())) < 2:
        raise DataError("all cases are of one patient: nothing can be said of others, so nothing is compared")
    keys = list(next(iter(by_method.values()))[0].values)
    pairs = list(combinations(by_method, 2))
    found = [line for key in keys for line in _differences(key, by_method, pairs, bootstrap)]
    if len(pairs) > 1:
        notes = [*notes, FAMILY.format(len(pairs))]
    elif len(keys) > 1:
        notes = [*notes, ALONE]
    if any(len(runs) > 1 for runs in methods.values()):
        notes = [*notes, SEVERAL_RUNS]
    return {
        "task": sides[0].problem.kind,
        "patients": len(set(patients.values())),
        "cases": len(patients),
        "interval": {
            "method": f"{'percentile' if bootstrap.method == 'percentile' else 'BCa'} bootstrap of patients, paired",
            **{name: getattr(bootstrap, name) for name in ("level", "resamples", "seed")},
        },
        "methods": {name: _told(runs, keys, [one.name for one in methods[name]]) for name, runs in by_method.items()},
        "comparisons": [asdict(line) for line in found],
        "rankings": _rankings(keys, by_method, bootstrap),
        "notes": [*notes, *undefined],
    }


def _differences(
    key: Key, methods: Methods, pairs: Sequence[tuple[str, str]], bootstrap: Bootstrap
) -> list[Difference]:
    """One line for each pair, with the p-values corrected for how many pairs there are."""
    lines: list[Difference] = []
    for a, b in pairs:
        ours, theirs = (_mean([run.values[key] for run in methods[name]]) for name in (a, b))
        gap = ours - theirs
        low, high = bootstrap.interval(gap) or (None, None)
        test, p = _tested(key, methods[a], methods[b], gap=bootstrap.drawn(gap))
        one, other, less = (None if np.isnan(each[0]) else float(each[0]) for each in (ours, theirs, gap))
        p = None if less is None else p
        lines.append(Difference(key.score, key.structure, a, b, one, other, less, low, high, test, p))
    corrected = holm([line.p for line in lines])
    return [_judged(line, p, key.better, bootstrap.level) for line, p in zip(lines, corrected, strict=True)]


def _judged(line: Difference, p_holm: float | None, better: str | None, level: float) -> Difference:
    """The line with its corrected p-value and what follows from it."""
    if p_holm is None or line.difference is None:
        return replace(line, verdict="undefined")
    if p_holm >= 1 - level or line.difference == 0:
        return replace(line, p_holm=p_holm, verdict=NONE_SHOWN)
    if better is None:
        return replace(line, p_holm=p_holm, verdict="differs")
    winner = line.a if (line.difference > 0) == (better == "higher") else line.b
    return replace(line, p_holm=p_holm, verdict=f"{winner} better")


def _tested(key: Key, ours: Sequence[Measured], theirs: Sequence[Measured], *, gap: Floats) -> tuple[str, float | None]:
    """The name of the test that suits a score, and its p-value."""
    if key in ours[0].by_patient:
        one, other = (_mean([run.by_patient[key] for run in runs]) for runs in (ours, theirs))
        return "wilcoxon", signed_rank_p(one - other)
    if key.score == key.column == "accuracy" and ours[0].right is not None:
        right = [np.stack([run.right for run in runs if run.right is not None]).sum(axis=0) for runs in (ours, theirs)]
        return "mcnemar", mcnemar_p(len(theirs) * right[0] - len(ours) * right[1])
    if key.column == "auroc":
        p = _delong(key, ours, theirs)
        if p is not None:
            return "delong", p
    return "bootstrap", bootstrap_p(gap)


def _delong(key: Key, ours: Sequence[Measured], theirs: Sequence[Measured]) -> float | None:
    """The test of the area under the ROC curve of a class, or of their mean; of several runs the mean is tested."""
    here = [name for name in ours[0].areas if key.structure in (OVER_CLASSES, name)]
    wanted = [name for name in here if key.score in ("auroc", f"auroc_{name}")]
    areas, weights = list[Area](), list[float]()
    for runs, sign in ((ours, 1.0), (theirs, -1.0)):
        for run in runs:
            areas += [run.areas[name] for name in wanted]
            weights += [sign / (len(runs) * len(wanted))] * len(wanted)
    return delong_p(areas, np.array(weights)) if areas else None


def _mean(values: Sequence[Floats]) -> Floats:
    mean: Floats = np.mean(np.stack(values), axis=0)
    return mean


def _told(runs: Sequence[Measured], keys: Sequence[Key], names: Sequence[str]) -> dict[str, Any]:
    """The runs of a method and their scores over all classes: the mean, and where there are several, their spread."""
    scores = {}
    for key in keys:
        if key.structure != OVER_CLASSES:
            continue
        values = [float(run.values[key][0]) for run in runs]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        known = not np.isnan(values).any()
        scores[key.score] = {
            "value": float(np.mean(values)) if known else None,
            "std_of_runs": spread if known else None,
            "runs": [None if np.isnan(value) else value for value in values],
        }
    return {"runs": list(names), "scores": scores}


def _rankings(keys: Sequence[Key], methods: Methods, bootstrap: Bootstrap) -> dict[str, Any]:
    """By score over all classes: the methods' ranks and how stable they are."""
    found = {}
    for key in keys:
        if key.structure != OVER_CLASSES or key.better is None:
            continue
        values = np.stack([_mean([run.values[key] for run in runs]) for runs in methods.values()])
        ranked = ranking(
            list(methods), values[:, 0], drawn=bootstrap.drawn(values.T).T, better=key.better, level=bootstrap.level
        )
        if ranked is not None:
            found[key.score] = {
                "agreement": ranked.agreement,
                "places": [asdict(place) for place in ranked.places],
            }
    return found
