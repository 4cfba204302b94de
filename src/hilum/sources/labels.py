"""The label values that a data set says it has, and whether a task section means the same by them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hilum.errors import DataError, Finding

if TYPE_CHECKING:
    from hilum.problem import Problem

IGNORE_NAME = "ignore"
"""The label by which nnU-Net marks voxels that nobody may learn from."""


@dataclass(frozen=True)
class DeclaredLabels:
    """What a data set's own description says of its masks: values by name; those of regions overlap."""

    origin: Path
    names: Mapping[str, tuple[int, ...]]
    regions: bool = False
    ignore: int | None = None

    @property
    def classes(self) -> dict[str, int | list[int]]:
        """Names and values as a task section has them, the background first, or left out where regions overlap."""
        shown = {name: values[0] if len(values) == 1 else list(values) for name, values in self.names.items()}
        if self.regions:
            return {name: value for name, value in shown.items() if value != 0}
        return dict(sorted(shown.items(), key=lambda item: item[1] != 0))

    @property
    def values(self) -> set[int]:
        """All label values that masks may have."""
        ignored = set() if self.ignore is None else {self.ignore}
        return {value for values in self.names.values() for value in values} | ignored

    def findings(self, problem: Problem) -> Iterator[Finding]:
        """Warnings where the classes of a problem are not the labels of the description."""
        meant = {int(value) for values in problem.values for value in values}
        meant |= {0} | ({problem.ignore} if problem.ignore is not None else set())
        expected = f"the labels {self.described()} of {self.origin.name}"
        fix = "make task.classes (or regions, ignore) agree with the data"
        undeclared, unused = sorted(meant - self.values - {0}), sorted(self.values - meant)
        said = []
        if undeclared:
            said.append(f"classes with the values {_joined(undeclared)}, which it does not name")
        if unused:
            said.append(f"no class for the values {_joined(unused)}")
        known = {name.casefold(): set(found) for name, found in self.names.items()}
        for name, values in zip(problem.classes, problem.values, strict=True):
            if known.get(name.casefold(), set(values)) != set(values):
                said.append(f"the class {name} with the value {_joined(values)}")
        for received in said:
            yield Finding("warning", "labels differ", "", str(self.origin), received, expected, fix)

    def described(self) -> str:
        """Names and values in one line."""
        shown = [f"{name}: {value}" for name, value in self.classes.items()]
        return "{" + ", ".join([*shown, *([] if self.ignore is None else [f"ignore: {self.ignore}"])]) + "}"


def _joined(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def read_description(path: Path) -> dict[str, Any]:
    """The content of a dataset.json. Raises DataError where it is missing, broken or no mapping."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a mapping, received a {type(content).__name__}")
    return content


def decathlon_labels(path: Path, labels: object) -> DeclaredLabels | None:
    """Labels written as {"1": "Anterior"}; None where there are none or they are written otherwise."""
    if not isinstance(labels, dict) or not labels or not all(str(value).isdecimal() for value in labels):
        return None
    names: dict[str, tuple[int, ...]] = {}
    for value, name in labels.items():  # one name for several values means all of them
        names[str(name)] = (*names.get(str(name), ()), int(value))
    return DeclaredLabels(path, names)


def nnunet_labels(path: Path, labels: object) -> DeclaredLabels:
    """Labels written as {"tumour": 1} or, for regions, {"whole": [1, 2]}. Raises DataError for anything else."""
    if not isinstance(labels, dict) or not labels:
        raise DataError(f"{path}: expected a mapping 'labels' from names to values, such as {{'tumour': 1}}")
    if all(str(name).isdecimal() and isinstance(value, str) for name, value in labels.items()):
        raise DataError(f"{path}: 'labels' goes from values to names, as in the Decathlon: expected {{'tumour': 1}}")
    names = {}
    for name, value in labels.items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(one, int) and not isinstance(one, bool) for one in values):
            raise DataError(f"{path}: label '{name}' has {value!r}, expected a whole number or a list of them")
        names[str(name)] = tuple(values)
    ignored = names.pop(IGNORE_NAME, None)
    if ignored is not None and len(ignored) != 1:
        raise DataError(f"{path}: label 'ignore' has {list(ignored)}, expected one value")
    regions = any(len(values) > 1 for values in names.values())
    return DeclaredLabels(path, names, regions, None if ignored is None else ignored[0])
