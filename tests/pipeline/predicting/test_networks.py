"""The members of an ensemble: which folders they are, what they count, and that they answer the same question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hilum.errors import ConfigError
from hilum.pipeline.predicting.networks import DECIDING, Networks, _members_of, _refuse_misfit, _shares, setup_sha256
from hilum.pipeline.restore import Restored
from hilum.problem import Problem
from hilum.run import Run

RUNS = [Run(Path("a")), Run(Path("b"))]
PROBLEM = Problem("segmentation", 3, ("t1",), ("background", "organ"), ((0,), (1,)))


def restored(problem: Problem = PROBLEM, *, frames: list[Any] | None = None, steps: str = "") -> Restored:
    """What a run gives back, as far as it is compared."""
    described = [SimpleNamespace(described=steps)] if steps else []
    found = SimpleNamespace(
        problem=problem,
        facts={"frames": frames or [None]},
        experiment=SimpleNamespace(predict=SimpleNamespace(steps=described), decide=SimpleNamespace(patient=None)),
    )
    return cast(Restored, found)


def test_a_folder_of_folds_stands_for_its_runs(tmp_path: Path) -> None:
    for name in ("fold-0", "fold-1", "fold-10", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").touch()
    (tmp_path / "fold-2").mkdir()  # stopped before it was a run
    assert {folder.name for folder in _members_of(tmp_path)} == {"fold-0", "fold-1", "fold-10"}
    assert _members_of(tmp_path / "other") == [tmp_path / "other"]
    assert _members_of(tmp_path / "none") == [tmp_path / "none"]  # refused as no run when it is opened


def test_shares_sum_up_to_one() -> None:
    assert _shares(None, RUNS) == (0.5, 0.5)
    assert _shares([3, 1], RUNS) == (0.75, 0.25)
    assert _shares(None, RUNS[:1]) == (1.0,)


@pytest.mark.parametrize(
    ("weights", "count", "message"),
    [
        ([1], 1, "weights are for several runs"),
        ([1], 2, r"1 weights for 2 runs \(a, b\)"),
        ([1, 0], 2, "positive numbers, received 1, 0"),
        ([1, float("nan")], 2, "positive numbers"),
    ],
)
def test_odd_weights_are_refused(weights: list[float], count: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _shares(weights, RUNS[:count])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (restored(replace(PROBLEM, kind="classification")), "the task"),
        (restored(replace(PROBLEM, channels=("t2",))), "the channels .* received t2, expected t1 as in a"),
        (restored(replace(PROBLEM, values=((0,), (2,)))), r"the classes .* organ: 2.* organ: 1"),
        (restored(replace(PROBLEM, exclusive=False)), "overlapping regions"),
        (restored(frames=[0]), "how images lie in files"),
        (restored(steps="holes of organ"), "is post-processed once, say how with predict.postprocess"),
    ],
)
def test_networks_that_answer_something_else_are_refused(other: Restored, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _refuse_misfit(RUNS[0], restored(), other=RUNS[1], one=other)


def test_networks_of_other_dimensions_fit() -> None:
    _refuse_misfit(RUNS[0], restored(), other=RUNS[1], one=restored(PROBLEM.resized(2, None)))


@pytest.mark.parametrize(("memory_gb", "cores", "ahead"), [(None, 2, 1), (None, 16, 2), (8.0, 16, 0)])
def test_cases_are_read_ahead_where_memory_is_not_counted(
    monkeypatch: pytest.MonkeyPatch, memory_gb: float | None, cores: int, ahead: int
) -> None:
    monkeypatch.setattr("hilum.pipeline.predicting.networks.usable_cores", lambda: cores)
    one = SimpleNamespace(experiment=SimpleNamespace(predict=SimpleNamespace(memory_gb=memory_gb)))
    assert Networks((RUNS[0],), (cast(Restored, one),), (1.0,)).ahead == ahead


def test_a_setup_is_told_by_what_decides() -> None:
    setup: dict[str, Any] = {"precision": "float32", "networks": [{"run": "here", "weights_sha256": "w"}]}
    moved = {"precision": "float32", "networks": [{"run": "there", "weights_sha256": "w"}]}
    other = {"precision": "float32", "networks": [{"run": "here", "weights_sha256": "v"}]}
    assert setup_sha256(setup) == setup_sha256(moved)
    assert setup_sha256(setup) != setup_sha256(other)
    assert setup_sha256(setup) != setup_sha256({**setup, "precision": "bfloat16"})


def test_the_code_that_decides_is_there() -> None:
    import hilum

    package = Path(hilum.__file__).parent
    assert [name for name in DECIDING if not (package / name).exists()] == []
