"""The root of all post-processing steps."""

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field

from hilum.errors import nearest
from hilum.problem import Problem
from hilum.registry import Component

Mask = npt.NDArray[np.bool_]


def _as_list(received: Any) -> Any:
    return [received] if isinstance(received, str) else received


_List = Annotated[tuple[str, ...], Field(min_length=1)]
_ListOfOne = Annotated[tuple[str, ...], Field(min_length=1, max_length=1)]
Names = Annotated[_List, BeforeValidator(_as_list, json_schema_input_type=str | _List)]
"""A name, or several."""
Name = Annotated[_ListOfOne, BeforeValidator(_as_list, json_schema_input_type=str | _ListOfOne)]
"""A single name."""


class PostprocessConfig(Component, family="postprocess"):
    """A change of a predicted structure, on the image's own grid."""

    of: Names
    """The class or region that is changed; several are taken together, as one structure."""

    def apply(self, mask: Mask, voxel_ml: float | None) -> Mask:
        """The structure afterwards, from the structure in its bounding box without axes of one voxel.

        `voxel_ml` is the size of a voxel, None where the image has none. Raises DataError where it is needed then.
        """
        raise NotImplementedError

    def faults(self, problem: Problem) -> list[str]:
        """The names that are no structures of the problem, each with the nearest one that is."""
        faults = []
        for name in self.of:
            if name not in problem.foreground:
                close = nearest(name, problem.foreground)
                hint = f"; did you mean '{close}'?" if close else ""
                faults.append(f"of: received '{name}', expected some of {', '.join(problem.foreground)}{hint}")
        return faults

    @property
    def described(self) -> str:
        """The step in a few words."""
        return f"{self.kind} of {' and '.join(self.of)}"
