"""Trainings killed with -9 at random instants and resumed, against one that ran through: the same bits, every time."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

CONFIG = """\
name: through
task: {kind: segmentation, classes: {background: 0, organ: 1, lesion: 2}}
data:
  source: {kind: phantom, folder: cohort, patients: 6, scans_per_patient: 2, spacing_mm: 4.0, seed: 3}
  split: {kind: holdout, val: 0.34, test: 0.17, seed: 1}
  prepare: [canonical, {kind: spacing, mm: [4, 4, 4]}, zscore]
  augment: [{kind: affine, probability: 0.7}, noise]
  patch: {size: [16, 16, 16], foreground: 0.5, samples_per_case: 2}
  batch_size: 2
  cache: cache
network: {kind: unet, channels: [4, 8], dropout: 0.2}
loss: [{kind: dice, weight: 1}, {kind: cross_entropy, weight: 0.5}]
metrics: [dice]
schedule: {kind: cosine, warmup: 1}
train: {epochs: 12, ema: 0.9, clip_norm: 1.0, accumulate: 2, early_stopping: {patience: 20}, report: false}
runtime: {device: cpu, precision: float32, threads: 1}
runs: runs
"""
KINDS = ("an instant", "a checkpoint", "twice")
POLL_S = 0.0005
START_S = 6.0
"""What a process needs until it trains, about."""
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Ended:
    """What a training came to: the hash of its weights, and its log without what a clock says."""

    weights_sha256: str
    log: list[dict[str, Any]]


@dataclass(frozen=True)
class Moment:
    """When to kill: so many epochs after the process began, and then some seconds, or at the next checkpoint."""

    epochs: int
    delay_s: float
    in_checkpoint: bool


def command(words: Sequence[str], processes: int) -> list[str]:
    """The command that trains, on one process or on several."""
    if processes == 1:
        return [sys.executable, "-m", "hilum", "train", *words]
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [*start, "-m", "hilum", "train", *words]


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started, with -9."""
    family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def being_written(folder: Path) -> bool:
    """Whether a checkpoint is being written."""
    try:
        return any(file.suffix == ".part" for file in (folder / "checkpoints").iterdir())
    except FileNotFoundError:
        return False


def epochs_of(folder: Path) -> int:
    """The epochs that the log of a run has."""
    log = folder / "log.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def run_until(words: Sequence[str], folder: Path, *, processes: int, moment: Moment) -> str:
    """Train, and kill at a moment; says where that was."""
    before = epochs_of(folder)
    process = subprocess.Popen(command(words, processes), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    since = None if moment.epochs else time.monotonic()
    while process.poll() is None:
        if since is None and epochs_of(folder) - before >= moment.epochs:
            since = time.monotonic()
        if since is not None and time.monotonic() - since >= moment.delay_s:
            if moment.in_checkpoint and not being_written(folder):
                continue
            kill(process)
            return f"{epochs_of(folder)} epochs{' in a checkpoint' if moment.in_checkpoint else ''}"
        time.sleep(POLL_S)
    return "none: it had ended"


def run_through(words: Sequence[str], *, processes: int) -> float:
    """Train to the end; gives the seconds. Raises RuntimeError with what the command said where it fails."""
    start = time.monotonic()
    done = subprocess.run(command(words, processes), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return time.monotonic() - start


def ended(folder: Path) -> Ended:
    """What a finished run folder holds."""
    facts = json.loads((folder / "provenance.json").read_text())
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    untimed = [{name: value for name, value in line.items() if name not in ("seconds", "waiting")} for line in log]
    return Ended(facts["weights_sha256"], untimed)


def seconds_of(folder: Path) -> float:
    """From the first step to the last one of a run, about."""
    return (folder / "log.jsonl").stat().st_mtime - (folder / "config.yaml").stat().st_mtime


def words_for(folder: Path, processes: int) -> list[str]:
    """How to start a run, or to go on with it."""
    if (folder / "provenance.json").exists():
        return ["--resume", str(folder)]
    return [f"kills-{processes}.yaml", f"name={folder.name}"]


def trial(number: int, expected: Ended, *, processes: int, epoch_s: float, seed: int) -> bool:
    """One training that is killed and resumed; prints where, and whether it ended with the same bits."""
    rng = random.Random(f"{seed}/{processes}/{number}")
    kind = KINDS[number % len(KINDS)]
    folder = Path("runs") / f"kill-{processes}-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    where, left = [], len(expected.log)
    for _ in range(2 if kind == "twice" else 1):
        epochs = rng.randrange(max(1, left - 1))
        left -= epochs
        # Without an epoch to wait for it is anywhere from the start of Python on.
        delay_s = rng.uniform(0, epoch_s if epochs else START_S)
        moment = Moment(epochs, delay_s, in_checkpoint=kind == "a checkpoint")
        where.append(run_until(words_for(folder, processes), folder, processes=processes, moment=moment))
    try:
        run_through(words_for(folder, processes), processes=processes)
    except RuntimeError as error:
        print(f"{number:3d}  {kind:13s} FAILED to go on after {', '.join(where)}: {error}", flush=True)
        return False
    same = ended(folder) == expected
    print(f"{number:3d}  {kind:13s} {'same' if same else 'OTHER'}  killed after {', '.join(where)}", flush=True)
    return same


def measure(trials: int, *, processes: int, seed: int) -> bool:
    """All trials on a number of processes; whether all ended with the same bits."""
    file = Path(f"kills-{processes}.yaml")
    file.write_text(CONFIG)
    name = f"through-{processes}"
    shutil.rmtree(Path("runs") / name, ignore_errors=True)
    run_through([str(file), "name=warm-up", "train.epochs=1", "--overwrite"], processes=processes)  # fills the cache
    whole_s = run_through([str(file), f"name={name}"], processes=processes)
    expected = ended(Path("runs") / name)
    epoch_s = seconds_of(Path("runs") / name) / len(expected.log)
    print(f"{processes} process(es): {whole_s:.1f} s uninterrupted, weights {expected.weights_sha256[:16]}", flush=True)
    good = sum(trial(number, expected, processes=processes, epoch_s=epoch_s, seed=seed) for number in range(trials))
    print(f"{good} of {trials} ended with the same sha256 of weights and the same log, on {processes} process(es)")
    return good == trials


def main() -> int:
    """The benchmark; 0 where all trainings ended with the same bits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--trials", type=int, default=30, help="trainings that are killed, for each number of processes"
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=17, help="of the instants")
    parser.add_argument("--folder", type=Path, default=Path("runs/kills"), help="for the cohort and the runs")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(arguments.folder)
    results = [measure(arguments.trials, processes=count, seed=arguments.seed) for count in arguments.processes]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
