"""What is said of runs whose hashes of voxels nobody can compare any more."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from hilum.case import Case, ImageRef
from hilum.data.seen import Seen
from hilum.data.splits.base import Split
from hilum.experiment import Experiment
from hilum.pipeline import auditing


def test_hashes_of_other_readers_are_a_warning_and_ids_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [Seen("old", "train", "a", "a", "ab" * 32), Seen("old", "train", "t", "t", "cd" * 32)]
    monkeypatch.setattr(auditing, "seen_in", lambda folder: seen)
    train, val, test = (Case(name, name, (ImageRef(Path(f"{name}.nii")),)) for name in ("t", "a", "b"))
    split = Split({"train": (train,), "val": (val,), "test": (test,)})
    experiment = cast(Experiment, SimpleNamespace(data=SimpleNamespace(cache=None)))
    unsure, shared = auditing.seen_by_others(experiment, split, [Path("runs/old")])
    assert (unsure.severity, unsure.kind, unsure.file) == ("warning", "hashes not comparable", "runs/old")
    assert "run old" in unsure.fix
    assert (shared.severity, shared.kind, shared.case) == ("error", "seen by another run", "a")
