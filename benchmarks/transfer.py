"""Transfer from PneumoniaMNIST to BreastMNIST against random weights: one pretraining, then 5 seeds of either.

usage: transfer.py FOLDER OUT [--seeds 5]

FOLDER holds pneumoniamnist.npz and breastmnist.npz. Both arms train configs/transfer_breast.yaml with the same two
learning rates; each takes the one of the higher validation AUC, averaged over the seeds, and only then looks at the
test part, once a seed. Intervals of a mean are Student's over the seeds, so they tell how much a training varies;
that of the difference resamples the test patients, with the seeds averaged within each resample.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.metrics import accuracy_score, roc_auc_score

import hilum
from hilum.hardware import machine

CONFIGS = Path(__file__).parents[1] / "configs"
RATES = ("1e-3", "3e-4")
RESAMPLES = 2000
POSITIVE = "benign"
"""The class whose probability ranks the patients, as in the published figures."""


@dataclass(frozen=True)
class Part:
    """What a run said of one part: who is benign (N,), and its probabilities of that (N,)."""

    truth: npt.NDArray[np.bool_]
    probability: npt.NDArray[np.float64]

    @property
    def auc(self) -> float:
        """Area under the ROC curve."""
        return float(roc_auc_score(self.truth, self.probability))

    @property
    def accuracy(self) -> float:
        """Share of right answers at a half."""
        return float(accuracy_score(self.truth, self.probability > 0.5))


def part_of(run: Path, part: str) -> Part:
    """A part that has been scored, in the order of the cases."""
    with (run / "cases.csv").open(newline="", encoding="utf-8") as table:
        rows = sorted((row for row in csv.DictReader(table) if row["part"] == part), key=lambda row: row["case_id"])
    truth = np.array([row["truth"] == POSITIVE for row in rows])
    return Part(truth, np.array([float(row[f"p_{POSITIVE}"]) for row in rows]))


def pretrained_run(data: Path, out: Path) -> Path:
    """The run that learns pneumonia, trained where it is not there yet."""
    run = out / "transfer-pneumonia"
    if not (run / "cases.csv").exists():
        words = [f"data.source.file={data}/pneumoniamnist.npz", f"runs={out}", f"data.cache={out}/cache"]
        hilum.train(CONFIGS / "transfer_pneumonia.yaml", words, overwrite=True, say=quiet)
        hilum.evaluate(run, part="val", say=quiet)
    return run


def breast_run(data: Path, out: Path, *, arm: str, rate: str, seed: int) -> Path:
    """A run of BreastMNIST, trained and validated where it is not there yet."""
    run = out / f"{arm}-{rate}-{seed}"
    if not (run / "cases.csv").exists():
        words = [f"data.source.file={data}/breastmnist.npz", f"runs={out}", f"data.cache={out}/cache"]
        words += [f"name={run.name}", f"optimizer.lr={rate}", f"runtime.seed={seed}"]
        words += [f"pretrained={out}/transfer-pneumonia"] if arm == "transfer" else []
        hilum.train(CONFIGS / "transfer_breast.yaml", words, overwrite=True, say=quiet)
        hilum.evaluate(run, part="val", say=quiet)
    return run


def quiet(line: str) -> None:
    """Nothing: what hilum says is in the run folders."""


def seeds_interval(values: list[float]) -> str:
    """A mean with Student's 95 % interval over the seeds."""
    if len(values) < 2:
        return f"{mean(values):.3f}"
    half = float(stats.t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return f"{mean(values):.3f} [{mean(values) - half:.3f}, {mean(values) + half:.3f}]"


def difference(transfer: list[Part], scratch: list[Part]) -> str:
    """The difference of the mean AUCs with a 95 % percentile interval over the test patients."""
    rng, found = np.random.default_rng(0), list[float]()
    truth = transfer[0].truth
    while len(found) < RESAMPLES:
        drawn = rng.integers(len(truth), size=len(truth))
        if truth[drawn].all() or not truth[drawn].any():
            continue
        means = [mean(Part(truth[drawn], part.probability[drawn]).auc for part in arm) for arm in (transfer, scratch)]
        found.append(means[0] - means[1])
    low, high = np.percentile(found, [2.5, 97.5])
    whole = mean(part.auc for part in transfer) - mean(part.auc for part in scratch)
    return f"{whole:+.3f} [{low:+.3f}, {high:+.3f}]"


def main() -> int:
    """Train what is missing and print the table."""
    if len(sys.argv) == 1:
        print(__doc__)
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    print(machine())
    start = time.perf_counter()
    pretrained_run(given.data, given.out)
    print(f"pretrained in {time.perf_counter() - start:.0f} s")
    chosen: dict[str, list[Part]] = {}
    print(f"{'arm':9} {'lr':6} {'validation AUC':22} {'test AUC':22} {'test accuracy':22}")
    for arm in ("scratch", "transfer"):
        runs = {
            rate: [breast_run(given.data, given.out, arm=arm, rate=rate, seed=seed) for seed in range(given.seeds)]
            for rate in RATES
        }
        scores = {rate: [part_of(run, "val").auc for run in found] for rate, found in runs.items()}
        best = max(scores, key=lambda rate: mean(scores[rate]))
        for run in runs[best]:
            hilum.evaluate(run, part="test", say=quiet)
        chosen[arm] = [part_of(run, "test") for run in runs[best]]
        for rate in RATES:
            row = f"{arm:9} {rate:6} {seeds_interval(scores[rate]):22}"
            if rate == best:
                row += f" {seeds_interval([part.auc for part in chosen[arm]]):22}"
                row += f" {seeds_interval([part.accuracy for part in chosen[arm]]):22}"
            print(row, flush=True)
    print(f"transfer - scratch, test AUC: {difference(chosen['transfer'], chosen['scratch'])}")
    print(f"{time.perf_counter() - start:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
