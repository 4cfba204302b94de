"""What a case is estimated to take of a budget of memory: said, and refused where it is too much, before it is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hilum.case import Case
from hilum.errors import DataError
from hilum.formats.base import Header
from hilum.formats.reading import read_header
from hilum.inference.ensemble import Ensemble
from hilum.inference.memory import gigabytes
from hilum.inference.placing import Placing
from hilum.inference.predictor import LABEL_COPIES, Predictor
from hilum.inference.preparing import preparation_bytes, prepared_grid

Say = Callable[[str], None]


@dataclass(frozen=True)
class Budget:
    """Most bytes for a case, of the process on a CPU, and the networks that have to keep to them."""

    predictor: Predictor | Ensemble
    most_bytes: int
    say: Say

    def foretell(self, case: Case) -> None:
        """Say what a case is estimated to take, told by its headers. Raises DataError where that is too much."""
        headers = [read_header(ref) for ref in dict.fromkeys(case.files)]
        members = self.predictor.members if isinstance(self.predictor, Ensemble) else (self.predictor,)
        needed = max(preparation_bytes(headers, one.prepare, process_bytes=one.process_bytes) for one in members)
        if members[0].device.type == "cpu" and needed > self.most_bytes:
            raise DataError(
                f"needs about {gigabytes(needed)} GB of memory to be read and prepared, and predict.memory_gb allows "
                f"{gigabytes(self.most_bytes)}: raise it, or predict the case on a larger machine"
            )
        told = [f"{gigabytes(needed)} GB to read and prepare"]
        if len(members) == 1 and members[0].problem.kind == "segmentation":
            told += _prediction(members[0], headers)
        self.say(f"{case.id}: estimated {', '.join(told)}, of {gigabytes(self.most_bytes)} GB")


def budget_of(predictor: Predictor | Ensemble, say: Say) -> Budget | None:
    """The budget of the networks, the smallest where they differ; None where there is no limit."""
    members = predictor.members if isinstance(predictor, Ensemble) else (predictor,)
    limits = [member.memory_bytes for member in members if member.memory_bytes is not None]
    return Budget(predictor, min(limits), say) if limits else None


def _prediction(predictor: Predictor, headers: Sequence[Header]) -> list[str]:
    """What the windows over a case take, where headers tell the grid that they lie on."""
    source = headers[0].grid
    grid = prepared_grid(source, predictor.prepare)
    if grid is None:
        return []
    i, j, k = (not exact for exact in Placing(grid, source).exact)
    held_bytes = math.prod(source.shape) * (LABEL_COPIES if predictor.postprocess else 1)
    plan = predictor.plan(grid, margins=(i, j, k), held_bytes=held_bytes)
    tiles = f" in {len(plan.lattices)} tiles" if len(plan.lattices) > 1 else ""
    return [f"{gigabytes(plan.num_bytes or 0)} GB to predict ({plan.num_windows} windows{tiles})"]
