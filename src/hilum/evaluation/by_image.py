"""The rows and the summary of a restoration: every score of the restored image, and of the input it was made from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hilum.errors import DataError, number_of
from hilum.evaluation.intervals import Bootstrap, resampled_means
from hilum.evaluation.scores import score
from hilum.metrics.base import check_columns
from hilum.metrics.images import ImageMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from hilum.evaluation.rows import CaseKey, Cell, Row
    from hilum.metrics.base import MetricConfig

    Floats = npt.NDArray[np.float64]
    Summary = dict[str, Any]

INPUT_SUFFIX = "_input"
"""What the score of the network's input is called after that of its answer."""


def restoration_row(
    key: CaseKey, truth: Floats, *, restored: Floats, given: Floats, metrics: Sequence[MetricConfig]
) -> Row:
    """The row of a case from three images (C, I, J, K): the wanted one, the network's answer, and its input.

    Raises DataError where they differ in shape, ConfigError where two metrics share a column.
    """
    check_columns(metrics)
    if not truth.shape == restored.shape == given.shape:
        raise DataError(f"case {key.case_id}: received images of {truth.shape}, {restored.shape} and {given.shape}")
    row: dict[str, Cell] = dict(key.cells)
    for metric in metrics:
        if isinstance(metric, ImageMetric):
            row[metric.column] = metric.compare(truth, restored)
            row[f"{metric.column}{INPUT_SUFFIX}"] = metric.compare(truth, given)
    return row


def by_image(
    summary: Summary, rows: Sequence[Row], metrics: Sequence[MetricConfig], bootstrap: Bootstrap | None
) -> Summary:
    """The summary with the mean of every score over the cases, of the restored images and of the inputs.

    Raises DataError for rows that do not belong to a restoration.
    """
    if summary["cases"] != len(rows):
        raise DataError(f"received {len(rows)} rows of {summary['cases']} cases, expected one row a case")
    patients = [str(row["patient_id"]) for row in rows]
    summary["metrics"] = {metric.column: _facts(metric) for metric in metrics}
    summary["overall"], summary["classes"] = {}, {}
    for metric in metrics:
        for name in (metric.column, f"{metric.column}{INPUT_SUFFIX}"):
            values = image_values(rows, name)
            defined = values[~np.isnan(values)]
            drawn = None if bootstrap is None else resampled_means(values[:, None], patients, bootstrap)[:, 0]
            mean = float(defined.mean()) if defined.size else math.nan
            summary["overall"][name] = score(mean, drawn, bootstrap)
            if defined.size < values.size:
                left_out = number_of(values.size - defined.size, "case")
                summary["notes"].append(f"{name}: undefined in {left_out}, left out of its mean: {metric.undefined}")
    return summary


def image_values(rows: Sequence[Row], name: str) -> Floats:
    """The score of that name of each case (N,), NaN where undefined. Raises DataError where a row lacks it."""
    return np.array([_value(row, name) for row in rows], dtype=np.float64)


def _facts(metric: MetricConfig) -> Summary:
    better = metric.better if metric.ranks else None
    return {**metric.model_dump(mode="json"), "better": better, "in_unit": False, "unit": ""}


def _value(row: Row, column: str) -> float:
    if column not in row:
        raise DataError(f"case {row['case_id']}: no column '{column}' (columns: {', '.join(row)}); evaluate again")
    value = row[column]
    return math.nan if value is None else float(value)
