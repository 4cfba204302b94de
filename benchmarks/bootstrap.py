"""Times the intervals of 2 000 resamples over 1 000 patients, 5 classes and 6 scores."""

from __future__ import annotations

from time import perf_counter, process_time

import numpy as np

from hilum.evaluation.intervals import Bootstrap
from hilum.evaluation.rows import Row
from hilum.evaluation.summary import summarise
from hilum.problem import Problem
from hilum.registry import kinds

PATIENTS, RESAMPLES, LIMIT_S = 1000, 2000, 5.0
SEGMENTATION = ("dice", "iou", "hd95", "assd", "nsd", "boundary_iou")
CLASSIFICATION = ("auroc", "average_precision", "accuracy", "sensitivity", "f1", "mcc")
NAMES = ("one", "two", "three", "four", "five")


def segmented(rng: np.random.Generator) -> tuple[Problem, list[Row]]:
    """A scan a patient, with a row for each of five structures."""
    problem = Problem("segmentation", 3, ("ct",), ("none", *NAMES), values=tuple((value,) for value in range(6)))
    values = rng.random((PATIENTS, len(NAMES), len(SEGMENTATION)))
    rows: list[Row] = [
        {
            "case_id": f"c{case}",
            "patient_id": f"p{case}",
            "part": "val",
            "class": name,
            "status": "found",
            "unit": "mm",
            **dict(zip(SEGMENTATION, values[case, number].tolist(), strict=True)),
        }
        for case in range(PATIENTS)
        for number, name in enumerate(NAMES)
    ]
    return problem, rows


def classified(rng: np.random.Generator) -> tuple[Problem, list[Row]]:
    """A scan a patient, of five classes."""
    problem = Problem("classification", 2, ("x-ray",), NAMES, values=tuple((value,) for value in range(5)))
    truth = rng.integers(0, 5, PATIENTS)
    chances = 0.5 * rng.dirichlet(np.ones(5), PATIENTS) + 0.5 * rng.dirichlet(np.ones(5), PATIENTS)
    chances = 0.7 * chances + 0.3 * np.eye(5)[truth] * rng.random((PATIENTS, 1))
    rows: list[Row] = [
        {
            "case_id": f"c{case}",
            "patient_id": f"p{case}",
            "part": "val",
            "truth": NAMES[truth[case]],
            "predicted": NAMES[int(chances[case].argmax())],
            **{f"p_{name}": float(chance) for name, chance in zip(NAMES, chances[case], strict=True)},
        }
        for case in range(PATIENTS)
    ]
    return problem, rows


def main() -> None:
    """Print the seconds of each task and method."""
    for make, wanted in ((segmented, SEGMENTATION), (classified, CLASSIFICATION)):
        problem, rows = make(np.random.default_rng(0))
        metrics = [kinds("metrics")[kind]() for kind in wanted]
        for method in ("auto", "bca", "percentile"):
            start, busy = perf_counter(), process_time()
            bootstrap = Bootstrap(RESAMPLES, method=method)
            summarise(rows, problem, metrics=metrics, bootstrap=bootstrap)  # type: ignore[arg-type]
            seconds, cpu = perf_counter() - start, process_time() - busy
            verdict = "within" if seconds < LIMIT_S else "MORE THAN"
            print(f"{problem.kind:14} {method:10} {seconds:5.2f} s ({cpu:.2f} s of CPU), {verdict} {LIMIT_S:.0f} s")


if __name__ == "__main__":
    main()
