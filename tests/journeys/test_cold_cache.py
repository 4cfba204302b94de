"""Two trainings at once on a cold cache, one killed while it prepares: cache and weights stay right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.journeys.conftest import Hilum, parts, read_csv, read_json, read_log

TOGETHER = '''\
"""A step that changes nothing. Two processes meet in it, and one dies while it writes."""
import itertools
import os
import signal
import threading
import time
from pathlib import Path
from hilum.prepare.base import PrepareConfig

ROLE, FOLDER = os.environ.get("TOGETHER_ROLE"), Path(os.environ.get("TOGETHER_FOLDER", "."))
WHOLE, ONE_AT_A_TIME = Path.write_bytes, threading.Lock()
WRITTEN, SEEN = itertools.count(1), itertools.count(1)

def half(path, content):
    """The third prepared case of the victim gets as far as its middle."""
    if path.suffix != ".part":
        return WHOLE(path, content)
    with ONE_AT_A_TIME:
        if next(WRITTEN) == 3:
            WHOLE(path, content[: len(content) // 2])
            (FOLDER / "half").write_text(str(path))
            (FOLDER / "dying").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return WHOLE(path, content)

if ROLE == "victim":
    Path.write_bytes = half

def wait_for(*names):
    end = time.monotonic() + 60
    while not all((FOLDER / name).exists() for name in names):
        assert time.monotonic() < end, f"never came: {names}"
        time.sleep(0.01)

class TogetherConfig(PrepareConfig, kind="together"):
    """Waits until both have come so far; the survivor then leaves the victim enough to do."""
    def apply(self, image, label):
        if ROLE is not None:
            (FOLDER / ROLE).touch()
            wait_for("victim", "survivor")
            if ROLE == "survivor" and next(SEEN) > 2:
                wait_for("dying")
        return image, label
'''


@dataclass(frozen=True)
class Outcome:
    """What the two trainings came to, and a lone one on a cache of its own."""

    shared: Path
    lone_cache: Path
    half: Path
    victim: tuple[int, Path]
    survivor: tuple[int, Path, str]
    lone: Path


@pytest.fixture(scope="module")
def outcome(hilum: Hilum, write_config: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    from hilum import registry

    folder = tmp_path_factory.mktemp("together")
    (folder / "together.py").write_text(TOGETHER)
    (folder / "met").mkdir()
    config = write_config(folder, more="plugins: [together.py]\n")
    steps = "data.prepare=[canonical, {kind: spacing, mm: [4, 4, 4]}, together, zscore]"
    caches = {role: folder / ("lone" if role == "lone" else "shared") for role in ("victim", "survivor", "lone")}
    words = {
        role: ["train", config, steps, f"data.cache={cache}", f"runs={folder / role}"] for role, cache in caches.items()
    }
    started = {}
    for role in ("victim", "survivor"):
        environment = {**os.environ, "TOGETHER_ROLE": role, "TOGETHER_FOLDER": str(folder / "met")}
        line = [sys.executable, "-m", "hilum", *map(str, words[role])]
        started[role] = subprocess.Popen(
            line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    try:
        lone = hilum(*words["lone"])
        said = {role: process.communicate(timeout=100)[0] for role, process in started.items()}
    finally:
        for process in started.values():
            process.kill()
        registry._REGISTRY["prepare"].pop("together", None)
        for module in [name for name in sys.modules if name.startswith("hilum_plugin_together")]:
            del sys.modules[module]
    assert lone.code == 0, lone.text
    code = {role: process.returncode for role, process in started.items()}
    return Outcome(
        folder / "shared",
        folder / "lone",
        Path((folder / "met" / "half").read_text()),
        (code["victim"], folder / "victim"),
        (code["survivor"], folder / "survivor" / "tiny", said["survivor"]),
        folder / "lone" / "tiny",
    )


def entries(cache: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in cache.glob("*.safetensors")}


@pytest.mark.slow
def test_one_is_killed_in_the_middle_of_a_file_and_the_other_goes_on(outcome: Outcome) -> None:
    code, runs = outcome.victim
    assert code == -signal.SIGKILL
    assert not runs.exists()  # it was still preparing
    assert outcome.half in outcome.shared.glob("*.part")
    assert outcome.half.stat().st_size > 0
    code, _, said = outcome.survivor
    assert code == 0, said
    assert "made again" not in said


def test_the_weights_and_scores_are_those_of_a_lone_run(outcome: Outcome) -> None:
    survivor = outcome.survivor[1]
    for key in ("weights_sha256", "data_sha256", "split_sha256"):
        assert read_json(survivor / "provenance.json")[key] == read_json(outcome.lone / "provenance.json")[key]
    assert read_log(survivor) == read_log(outcome.lone)
    assert read_csv(survivor / "cases.csv") == read_csv(outcome.lone / "cases.csv")


def test_every_entry_of_the_cache_equals_a_fresh_preparation(outcome: Outcome) -> None:
    from hilum.data.prepared import prepare_case
    from hilum.experiment import load
    from hilum.pipeline.study import make_study

    shared = entries(outcome.shared)
    used = parts(outcome.lone)
    assert len(shared) == len(used["train"] | used["val"])
    assert shared == entries(outcome.lone_cache)
    study = make_study(load(outcome.survivor[1] / "config.yaml"))
    for case in study.learnt_from:
        stored, fresh = study.store.get(case), prepare_case(case, study.problem, study.store.steps)
        assert np.array_equal(stored.image, fresh.image)
        assert np.array_equal(np.asarray(stored.target), np.asarray(fresh.target))
    assert entries(outcome.shared) == shared


def test_what_was_left_half_written_is_cleared_away_later(outcome: Outcome, hilum: Hilum) -> None:
    left = list(outcome.shared.glob("*.part"))  # the half one, and those that another thread was about to rename
    shown = hilum("doctor", "--cache", outcome.shared).out.partition("incomplete files")[2]
    assert f"{len(left)}, " in shown[:20]
    for file in left:
        os.utime(file, (time.time() - 7200, time.time() - 7200))
    whole = entries(outcome.shared)
    assert f"deleted {len(left)} files" in hilum("doctor", "--cache", outcome.shared, "--prune").out
    assert list(outcome.shared.glob("*.part")) == []
    assert entries(outcome.shared) == whole
