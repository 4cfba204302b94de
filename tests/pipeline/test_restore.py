"""What comes back: problems from JSON, names from label values, shipped configurations from the package."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from hilum.errors import ConfigError
from hilum.pipeline.demo import demo, shipped_config
from hilum.pipeline.pictures import painted
from hilum.pipeline.restore import problem_from
from hilum.problem import Problem

PROBLEMS = [
    Problem("segmentation", 3, ("t1", "t2"), ("background", "core"), ((0,), (1, 4)), ignore=255, size=(8, 8, 8)),
    Problem("segmentation", 2, ("image",), ("whole", "core"), ((1, 2), (2,)), exclusive=False),
    Problem("classification", 2, ("red", "green", "blue"), ("no", "yes"), (("0", "no"), (1,)), size=(28, 28)),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: f"{problem.kind}-{problem.dims}")
def test_a_problem_comes_back_from_json_as_it_was(problem: Problem) -> None:
    assert problem_from(json.loads(json.dumps(asdict(problem)))) == problem


def test_a_picture_shows_each_structure_once_and_the_innermost_region() -> None:
    values = np.array([[[0], [1], [4], [255]]])
    assert painted(values, PROBLEMS[0]).ravel().tolist() == [0, 1, 1, 0]  # one class of two values
    assert painted(np.array([[[0], [1], [2]]]), PROBLEMS[1]).ravel().tolist() == [0, 1, 2]  # whole, core within it


def test_the_demo_is_shipped_as_it_stands_in_the_repository() -> None:
    assert shipped_config("demo.yaml") == (Path(__file__).parents[2] / "configs" / "demo.yaml").read_text()


def test_the_demo_does_not_fill_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(ConfigError, match="another folder"):
        demo(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]
