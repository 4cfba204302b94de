"""Simulates cohorts, and prints how often 95 % intervals of the area under the ROC curve hold the true one.

usage: coverage.py [COHORTS] [BOOTSTRAPPED]    (1000 of each kind by default, the bootstraps in 200 of them)

Patients have 1 to 5 scans. Half of the patients are ill, and all scans of an ill patient are positive (`patient`), or
half of the scans are positive, whoever's they are (`scan`). A score is the sum of what its patient has in all scans
(65 % of the variance) and what the scan has alone; positive ones are higher by what gives the true area. Scores are
normal, normal with twice the spread among positive ones, or exponential.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from time import perf_counter

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from hilum.evaluation.areas import area_interval
from hilum.evaluation.intervals import Bootstrap, resampled_scores
from hilum.metrics.auroc import AurocMetric

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]
Cohort = tuple[Flags, Floats, Numbers]
Ends = tuple[float, float] | None

SHARED = 0.65
PATIENTS = (20, 40, 200)
AREAS = (0.8, 0.95)
RESAMPLES = 500
"""Resamples of the bootstraps, which take long."""


def spread_out(normal: Floats, positive: Flags, true: float, shape: str) -> Floats:
    """Scores of a shape with a true area between scans of different patients, from standard normal values (N,)."""
    if shape == "exponential":  # with rates 1 and (1 - area) / area a positive score is higher with the chance `area`
        exponential: Floats = -np.log1p(-ndtr(normal).clip(0, 1 - 1e-16))
        return exponential * np.where(positive, true / (1 - true), 1)
    wide = 2.0 if shape == "unequal" else 1.0
    shift = float(ndtri(true)) * np.sqrt(1 + wide**2)
    return np.where(positive, shift + wide * normal, normal)


def cohorts(count: int, patients: int, true: float, *, label: str, shape: str) -> Iterator[Cohort]:
    """Positive scans, their scores and their patients' numbers, of `count` cohorts; always the same ones."""
    rng = np.random.default_rng(17)
    for _ in range(count):
        owner = np.repeat(np.arange(patients), rng.integers(1, 6, patients))
        ill = rng.random(patients) < 0.5
        ill[:2], ill[-2:] = True, False  # at least two of each kind
        positive = ill[owner] if label == "patient" else rng.random(len(owner)) < 0.5
        own, shared = rng.normal(size=len(owner)), rng.normal(size=patients)[owner]
        normal = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
        yield positive, spread_out(normal, positive, true, shape), owner


def by_bootstrap(positive: Flags, scores: Floats, owner: Numbers, *, method: str) -> Ends:
    """The interval of a bootstrap that draws `owner`s."""
    bootstrap = Bootstrap(RESAMPLES, method=method)  # type: ignore[arg-type]
    values = resampled_scores(
        AurocMetric(),
        positive.astype(np.int64),
        probabilities=np.stack([-scores, scores], axis=1),
        classes=("no", "yes"),
        patients=[str(number) for number in owner],
        bootstrap=bootstrap,
    )
    return bootstrap.interval(values["auroc"])


def intervals(positive: Flags, scores: Floats, owner: Numbers, *, slow: bool) -> dict[str, Ends]:
    """The interval of each method."""
    scans = np.arange(len(owner))
    found = {
        "hilum": area_interval(positive, scores, owner, level=0.95),
        "its formula, scans as patients": area_interval(positive, scores, scans, level=0.95),
    }
    if slow:
        found["BCa"] = by_bootstrap(positive, scores, owner, method="bca")
        found["percentile"] = by_bootstrap(positive, scores, owner, method="percentile")
        found["percentile, scans as patients"] = by_bootstrap(positive, scores, scans, method="percentile")
    return found


def main() -> None:
    """Print a line for each kind of cohort."""
    count, bootstrapped = (int(text) for text in (*sys.argv[1:], *("1000", "200")[len(sys.argv) - 1 :]))
    start = perf_counter()
    for shape in ("normal", "unequal", "exponential"):
        for label in ("patient", "scan"):
            for true in AREAS:
                for patients in PATIENTS:
                    held: dict[str, list[bool]] = {}
                    for number, cohort in enumerate(cohorts(count, patients, true, label=label, shape=shape)):
                        slow = shape == "normal" and number < bootstrapped
                        for name, ends in intervals(*cohort, slow=slow).items():
                            held.setdefault(name, []).append(ends is not None and ends[0] <= true <= ends[1])
                    said = "; ".join(f"{name} {np.mean(found):.1%}" for name, found in held.items())
                    print(f"{shape:11} labels by {label:7} area {true} {patients:3} patients: {said}", flush=True)
    print(f"{count} cohorts each (bootstraps: {min(count, bootstrapped)}), {perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
