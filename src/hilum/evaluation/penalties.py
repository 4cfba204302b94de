"""What is said of structures that truth and prediction do not both have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hilum.metrics.base import CaseMetric


def penalties(metrics: Sequence[CaseMetric]) -> str:
    """What each score is for structures that one side lacks, in a sentence: no summary leaves them out."""
    said = "missed (in the truth only) and invented (predicted only) structures count in every mean"
    alone = _grouped({metric.column: metric.one_sided for metric in metrics if metric.one_sided})
    absent = _grouped({metric.column: metric.absent for metric in metrics if metric.absent})
    return f"{said}: {alone}; rightly absent ones: {absent}" if alone else said


def _grouped(values: dict[str, str]) -> str:
    """Columns that share a value, together: `dice, nsd 0; hd95 the diagonal of the image`."""
    columns: dict[str, list[str]] = {}
    for column, value in values.items():
        columns.setdefault(value, []).append(column)
    return "; ".join(f"{', '.join(names)} {value}" for value, names in columns.items())
