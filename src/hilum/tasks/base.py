"""The root of all tasks, and how classes are read from YAML."""

from typing import Annotated, Any

from pydantic import BeforeValidator, StrictInt, StrictStr
from torch import nn

from hilum.case import Cohort
from hilum.problem import Problem, Value
from hilum.registry import Component


class TaskConfig(Component, family="tasks"):
    """What a network is asked.

    Beside its `problem`, which says what outputs mean and how labels are read, a kind of task has its rows and its
    summary in `hilum.evaluation` (see `docs/tasks.md`); all else goes by `Problem.dense` and `Problem.continuous`.
    """

    @property
    def standardises(self) -> bool:
        """Whether the scales of the problem have to be found in the training part."""
        return False

    def problem(self, *, channels: tuple[str, ...], dims: int, size: tuple[int, ...] | None) -> Problem:
        """The problem for inputs of these channels, dimensions and (where it is fixed) size."""
        raise NotImplementedError

    def finished(self, network: nn.Module) -> nn.Module:
        """The network as it is trained and used, from the one that the section `network` builds."""
        return network

    def strata(self, cohort: Cohort) -> dict[str, str]:
        """By case id, what a split gives every part its share of; the class, where cases have one."""
        return cohort.labels


def _as_groups(received: Any) -> Any:
    """A bare list numbers its classes from 0; a single value is a group of one."""
    if isinstance(received, list | tuple):
        if not all(isinstance(name, str) for name in received):
            raise ValueError("names in a list (numbered from 0), or a mapping from names to label values")
        if len(set(received)) != len(received):
            raise ValueError("every class named once")
        return {name: (index,) for index, name in enumerate(received)}
    if isinstance(received, dict):
        return {name: value if isinstance(value, list | tuple) else [value] for name, value in received.items()}
    return received


Label = StrictInt | StrictStr
Written = list[str] | dict[str, Label | tuple[Label, ...]]
Classes = Annotated[dict[str, tuple[Label, ...]], BeforeValidator(_as_groups, json_schema_input_type=Written)]
"""Class names and the label values that stand for them in the files."""


def no_shared_values(classes: dict[str, tuple[Value, ...]]) -> dict[str, tuple[Value, ...]]:
    """The classes, unless two of them claim one label value (ValueError)."""
    owner: dict[str, str] = {}
    for name, values in classes.items():
        if not values:
            raise ValueError(f"at least one label value for '{name}'")
        for value in values:
            if str(value) in owner:
                both = f"it is in '{owner[str(value)]}' and '{name}'"
                raise ValueError(f"label value {value} in one class only, {both} (overlapping ones go under regions:)")
            owner[str(value)] = name
    return classes
