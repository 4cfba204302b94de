"""What the journeys share: the command in this process or in one of its own, phantom patients, and a trained run."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import pytest

PATIENTS = "patients: 6, scans_per_patient: 2, spacing_mm: 4.0, seed: 3"
CONFIG = """\
name: tiny
task: {{kind: segmentation, classes: {{background: 0, organ: 1, lesion: 2}}}}
data:
  source: {source}
  split: {{kind: holdout, val: 0.3, test: 0.2, seed: 1}}
  prepare: [canonical, {{kind: spacing, mm: [4, 4, 4]}}, zscore]
  augment: [{{kind: affine, probability: 0.7}}, noise]
  patch: {{size: [16, 16, 16], foreground: 0.5}}
  batch_size: 2
  cache: {cache}
network: {{kind: unet, channels: [4, 8], dropout: 0.2}}
loss: dice_ce
metrics: [dice]
schedule: {{kind: cosine, warmup: 1}}
train: {{epochs: 2, ema: 0.9, clip_norm: 1.0}}
runtime: {{device: cpu, precision: float32, threads: 1}}
runs: {runs}
"""
ALARM = '''\
"""Does at one moment of a run what the file `trigger` says: "sample 3 SIGKILL" rings at the third training sample."""
import os
import signal
from pathlib import Path
import numpy as np
from hilum.augment.base import IntensityAugment
from hilum.metrics.base import CaseMetric

def rings(trigger, moment):
    if not trigger.exists():
        return None
    awaited, count, action = trigger.read_text().split()
    if awaited != moment:
        return None
    if int(count) > 1:
        trigger.write_text(f"{awaited} {int(count) - 1} {action}")
        return None
    trigger.unlink()
    if action.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, action))
    return action

class AlarmAugment(IntensityAugment, kind="alarm"):
    """Leaves images as they are, or makes them NaN."""
    trigger: Path
    def draw(self, rng, frame):
        return {"factor": np.float32("nan" if rings(self.trigger, "sample") == "nan" else 1.0)}
    def apply(self, images, draws):
        return images * draws["factor"].reshape(-1, *[1] * (images.ndim - 1))

class AlarmMetric(CaseMetric, kind="alarm"):
    """Scores nothing."""
    trigger: Path
    def measure(self, pair):
        rings(self.trigger, "structure")
        return 0.0
'''


@dataclass(frozen=True)
class Result:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    def refuses(self, *words: str, code: int = 2) -> None:
        """Assert that the user is told of a mistake of theirs, in these words and without a traceback."""
        assert self.code == code, self.text
        assert "Traceback" not in self.text
        for word in words:
            assert word in self.err, self.err


Hilum = Callable[..., Result]


@pytest.fixture(scope="session")
def hilum() -> Hilum:
    """`hilum WORD...` in this process, which saves the seconds that a new one needs to start."""
    from hilum.cli import main

    def run(*words: object) -> Result:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([str(word) for word in words])
            except SystemExit as stop:  # argparse refuses by leaving
                code = int(str(stop.code))
        return Result(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def command() -> Hilum:
    """`hilum WORD...` as it is installed, in a process of its own."""
    installed = Path(sys.executable).with_name("hilum")
    start = [str(installed)] if installed.exists() else [sys.executable, "-m", "hilum"]

    def run(*words: object, cwd: Path | None = None) -> Result:
        done = subprocess.run(
            [*start, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six phantom patients, about nine scans of 4 mm."""
    from hilum.sources.phantom import PhantomConfig

    folder = tmp_path_factory.mktemp("phantoms") / "cohort"
    PhantomConfig(folder=folder, patients=6, scans_per_patient=2, spacing_mm=4.0, seed=3).write()
    return folder


@pytest.fixture(scope="session")
def write_config(phantoms: Path) -> Callable[..., Path]:
    """Writes the tiny experiment into a folder; `source` replaces its phantom patients."""

    def write(folder: Path, *, source: str | None = None, more: str = "") -> Path:
        file = folder / "tiny.yaml"
        source = source or f"{{kind: phantom, folder: {phantoms}, {PATIENTS}}}"
        text = CONFIG.format(source=source, cache=phantoms.parent / "cache", runs=folder / "runs")
        file.write_text(text + more)
        return file

    return write


@pytest.fixture(scope="session")
def trained(hilum: Hilum, write_config: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the tiny experiment, to be read only."""
    done = hilum("train", write_config(tmp_path_factory.mktemp("trained")))
    assert done.code == 0, done.text
    return Path(done.out.splitlines()[-1].removeprefix("run folder: "))


@pytest.fixture
def own_run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that the test may change."""
    return Path(shutil.copytree(trained, tmp_path / "own" / "tiny"))


@pytest.fixture
def alarm(tmp_path: Path) -> Iterator[Path]:
    """A plugin that stops a run where the file `trigger` beside it says; the registry forgets it afterwards."""
    from hilum import registry

    file = tmp_path / "alarm_plugin.py"
    file.write_text(ALARM)
    yield file
    for family in registry._REGISTRY.values():
        family.pop("alarm", None)
    for module in [name for name in sys.modules if name.startswith("hilum_plugin_alarm_plugin")]:
        del sys.modules[module]


@pytest.fixture(autouse=True)
def _signals_as_found() -> Iterator[None]:
    """Fail a test that leaves a handler of signals behind."""
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == before


def nifti(file: Path) -> nib.Nifti1Image:
    image = nib.load(file)
    assert isinstance(image, nib.Nifti1Image)
    return image


def read_csv(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as table:
        return list(csv.DictReader(table))


def write_csv(file: Path, rows: list[dict[str, Any]]) -> Path:
    with file.open("w", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def read_log(run: Path) -> list[dict[str, Any]]:
    """The epochs of a run, without what a clock says."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("seconds", "waiting")} for line in lines]


def read_json(file: Path) -> Any:
    return json.loads(file.read_text())


def parts(run: Path) -> Mapping[str, set[str]]:
    """The case ids of each part of a run's split."""
    rows = read_csv(run / "split.csv")
    return {part: {row["case_id"] for row in rows if row["part"] == part} for part in ("train", "val", "test")}


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
