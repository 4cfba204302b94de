"""What a look at a folder found: which source can read it, with which settings, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Layout:
    """A way to read a data set: a source's kind and settings, what speaks for it, and what it leaves open.

    `classes` are those of the task section (names and label values), None where they are not known; with `regions` they
    overlap. A layout without a kind holds images that nothing can be learnt from.
    """

    kind: str
    settings: Mapping[str, Any]
    evidence: str
    task_kind: str = ""
    classes: Mapping[str, Any] | None = None
    doubts: tuple[str, ...] = ()
    regions: bool = False
    ignore: int | None = None

    @property
    def trainable(self) -> bool:
        """Whether a source reads it as a labelled data set."""
        return bool(self.kind)

    @property
    def source(self) -> dict[str, Any]:
        """The section data.source."""
        return {"kind": self.kind, **self.settings}

    @property
    def task(self) -> dict[str, Any]:
        """The section task, as far as it is known."""
        found: dict[str, Any] = {"kind": self.task_kind}
        if self.classes is not None:
            found["regions" if self.regions else "classes"] = dict(self.classes)
        return found | ({"ignore": self.ignore} if self.ignore is not None else {})


@dataclass(frozen=True)
class Guess:
    """Settings that were guessed, with what may be wrong about them."""

    settings: Mapping[str, Any]
    doubts: tuple[str, ...] = field(default=())
