"""Where a run comes from: versions, machine, commit, and the hashes of its data and split."""

from __future__ import annotations

import importlib.metadata
import subprocess
from pathlib import Path
from typing import Any

from hilum import __version__
from hilum.data.hashes import Hashes, data_sha256
from hilum.data.splits.base import Split
from hilum.hardware import machine
from hilum.pipeline.study import Study
from hilum.run import now
from hilum.runtime import Runtime

LIBRARIES = ("torch", "numpy", "nibabel", "scipy", "scikit-learn", "pydantic")


def provenance(study: Study, runtime: Runtime) -> dict[str, Any]:
    """What has to be known to run the experiment again."""
    return {
        "hilum": __version__,
        "started": now(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "machine": machine(),
        "device": str(runtime.device),
        "precision": runtime.precision,
        "processes": runtime.world,
        "seed": runtime.seed,
        "git_commit": _git_commit(),
        "working_folder": str(Path.cwd()),
        **hashes(study),
        "parts": {part: len(cases) for part, cases in study.split.parts.items()},
        "notes": list(study.notes),
        "lineage": [],
    }


def hashes(study: Study) -> dict[str, str]:
    """The hashes of the split and of all data that it names."""
    return {"split_sha256": study.split.sha256, "data_sha256": split_data_sha256(study.split, study.store.hashes)}


def split_data_sha256(split: Split, known: Hashes) -> str:
    """The hash of all data that a split names."""
    return data_sha256((case for part in split.parts.values() for case in part), known)


def _git_commit() -> str | None:
    """The commit of the working folder, where the user keeps the experiment under git."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path.cwd(), timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
