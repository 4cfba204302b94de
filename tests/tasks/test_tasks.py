"""Classes as they are written in YAML, and what they may not be."""

from typing import Any

import pytest
from pydantic import ValidationError

from hilum.problem import Problem
from hilum.registry import parse
from hilum.tasks.base import TaskConfig


def problem_of(task: dict[str, Any]) -> Problem:
    config = parse("tasks", task)
    assert isinstance(config, TaskConfig)
    return config.problem(channels=("t1", "t2"), dims=3, size=None)


def message_of(task: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        parse("tasks", task)
    return "\n".join(f"{item['loc']}: {item['msg']}" for item in caught.value.errors())


def test_a_mapping_names_values() -> None:
    problem = problem_of({"kind": "segmentation", "classes": {"background": 0, "core": [1, 4]}, "ignore": 255})
    assert problem.classes == ("background", "core")
    assert problem.values == ((0,), (1, 4))
    assert (problem.exclusive, problem.ignore, problem.num_channels, problem.num_outputs) == (True, 255, 2, 2)


@pytest.mark.parametrize("kind", ["segmentation", "classification"])
def test_a_bare_list_numbers_from_0(kind: str) -> None:
    assert problem_of({"kind": kind, "classes": ["a", "b", "c"]}).values == ((0,), (1,), (2,))


def test_regions_overlap() -> None:
    problem = problem_of({"kind": "segmentation", "regions": {"whole": [1, 2], "core": 2}})
    assert (problem.exclusive, problem.values) == (False, ((1, 2), (2,)))


def test_classes_of_a_classification_may_be_texts() -> None:
    assert problem_of({"kind": "classification", "classes": {"no": "healthy", "yes": ["ill", 2]}}).values == (
        ("healthy",),
        ("ill", 2),
    )


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"kind": "segmentation"}, "either classes (exclusive) or regions"),
        ({"kind": "segmentation", "classes": ["a", "b"], "regions": {"c": 1}}, "either classes (exclusive) or regions"),
        ({"kind": "segmentation", "classes": ["a"]}, "a background and at least one structure"),
        ({"kind": "segmentation", "classes": {"a": 0, "b": 0}}, "it is in 'a' and 'b'"),
        ({"kind": "segmentation", "classes": {"a": 0, "b": []}}, "at least one label value for 'b'"),
        ({"kind": "segmentation", "classes": {"a": 0, "b": "one"}}, "integers as label values, 'b' has 'one'"),
        ({"kind": "segmentation", "classes": ["a", "b"], "ignore": 1}, "1 is also in 'b'"),
        ({"kind": "segmentation", "regions": {"a": [0, 1]}}, "without the label value 0"),
        ({"kind": "segmentation", "regions": {}}, "regions"),
        ({"kind": "classification", "classes": ["a", "a"]}, "every class named once"),
        ({"kind": "classification", "classes": [1, 2]}, "names in a list (numbered from 0)"),
        ({"kind": "classification", "classes": ["a"]}, "at least 2"),
        ({"kind": "classification", "classes": {"a": False, "b": True}}, "received false, expected a whole number"),
        ({"kind": "classification", "classes": "a"}, "expected a mapping"),
        ({"kind": "classification", "classes": {"1": 0, "2": 1}}, "'1' is a value of '2'"),
    ],
)
def test_what_classes_may_not_be(task: dict[str, Any], words: str) -> None:
    assert words in message_of(task)
