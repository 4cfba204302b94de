"""What every metric of the registry keeps: a column, a direction, misses that cost, weights that count cases."""

import math
import pickle
import re

import numpy as np
import pytest

from hilum.evaluation.rows import CaseKey, Row, segmentation_rows
from hilum.evaluation.summary import summarise
from hilum.metrics.base import CaseMetric, CohortMetric, MetricConfig
from hilum.metrics.pair import MaskPair
from hilum.problem import Problem
from hilum.registry import kinds, summary
from hilum.volume import Grid

METRICS = {kind: made for kind, cls in kinds("metrics").items() if isinstance(made := cls(), MetricConfig)}
OF_CASES = [metric for metric in METRICS.values() if isinstance(metric, CaseMetric)]
OF_COHORTS = [metric for metric in METRICS.values() if isinstance(metric, CohortMetric)]
PENALISED = [metric for metric in OF_CASES if metric.one_sided or metric.kind == "absolute_volume_error"]
SHAPE = (12, 10, 8)
EMPTY = np.zeros(SHAPE, dtype=bool)
SPACING = (1.0, 0.5, 2.0)
TUMOUR = Problem("segmentation", 3, ("T1",), classes=("background", "tumour"), values=((0,), (1,)))


def by_kind(metric: MetricConfig) -> str:
    return metric.kind


def block(start: int, stop: int) -> np.ndarray:
    mask = EMPTY.copy()
    mask[start:stop, 2:6, 2:6] = True
    return mask


def ten_cases(metric: CaseMetric, *, missed: int) -> list[Row]:
    """Ten patients whose tumour is found with the same error, or missed in some of them."""
    rows: list[Row] = []
    grid = Grid(SHAPE, np.diag([*SPACING, 1.0]))
    for number in range(10):
        predicted = EMPTY if number < missed else block(3, 7)
        key = CaseKey(f"case{number}", f"patient{number}", "val")
        truth = block(2, 6).astype(np.uint8)
        rows += segmentation_rows(
            key, truth, predicted=predicted.astype(np.uint8), problem=TUMOUR, grid=grid, metrics=[metric]
        )
    return rows


@pytest.mark.parametrize("metric", METRICS.values(), ids=by_kind)
def test_a_metric_says_what_it_is(metric: MetricConfig) -> None:
    assert summary(type(metric)).endswith(".")
    assert metric.column.startswith(metric.kind)
    assert metric.tasks
    assert metric.better in ("higher", "lower")
    assert pickle.loads(pickle.dumps(metric)) == metric


@pytest.mark.parametrize("metric", METRICS.values(), ids=by_kind)
def test_a_metric_names_its_source(metric: MetricConfig) -> None:
    """Where `hilum list metrics` and every report show it: who defined it, and when."""
    if set(metric.tasks) & {"classification", "segmentation"}:
        assert re.search(r"\([^()]* (18|19|20)\d\d", summary(type(metric)))


@pytest.mark.parametrize("metric", OF_CASES, ids=by_kind)
def test_a_case_has_a_finite_score_whoever_lacks_the_structure(metric: CaseMetric) -> None:
    truth = block(2, 6)
    values = {
        status: metric.measure(MaskPair(true, predicted, SPACING))
        for status, true, predicted in (
            ("perfect", truth, truth),
            ("found", truth, block(3, 7)),
            ("missed", truth, EMPTY),
            ("invented", EMPTY, truth),
            ("absent", EMPTY, EMPTY),
        )
    }
    undefined = {status for status, value in values.items() if math.isnan(value)}
    assert undefined <= ({"invented"} if metric.undefined else set())
    if metric.one_sided:
        sign = 1 if metric.better == "higher" else -1
        assert sign * values["perfect"] >= sign * values["found"] > sign * values["missed"]
        assert values["missed"] == values["invented"]
        assert values["absent"] == values["perfect"]


@pytest.mark.parametrize("metric", PENALISED, ids=by_kind)
def test_ten_cases_with_five_missed_are_worse_in_every_figure_than_ten_found(metric: CaseMetric) -> None:
    none, half = (
        summarise(ten_cases(metric, missed=missed), TUMOUR, metrics=[metric], bootstrap=None) for missed in (0, 5)
    )
    sign = 1 if metric.better == "higher" else -1
    for better, worse in (
        (none["overall"], half["overall"]),
        (none["classes"]["tumour"], half["classes"]["tumour"]),
    ):
        assert sign * better[metric.column]["value"] > sign * worse[metric.column]["value"]
    spread = [each["classes"]["tumour"][metric.column] for each in (none, half)]
    assert sign * spread[0]["median"] > sign * spread[1]["median"]
    assert (spread[0]["undefined"], spread[1]["undefined"]) == (0, 0)
    assert half["classes"]["tumour"]["missed"] == 5


@pytest.mark.parametrize("metric", OF_COHORTS, ids=by_kind)
@pytest.mark.parametrize("num_classes", [2, 4])
def test_a_weight_counts_a_case_that_often(metric: CohortMetric, num_classes: int) -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, num_classes, 40)
    probabilities = rng.dirichlet(np.ones(num_classes), 40).round(1)
    classes = [f"class{number}" for number in range(num_classes)]
    weights = rng.integers(0, 4, (6, 40)).astype(float)
    values = metric.weighted(truth, probabilities, classes=classes, weights=weights)
    assert next(iter(values)) == metric.column
    for row, weight in enumerate(weights):
        repeated = np.repeat(np.arange(40), weight.astype(int))
        expected = metric.score(truth[repeated], probabilities[repeated], classes)
        assert {name: value[row] for name, value in values.items()} == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("metric", OF_COHORTS, ids=by_kind)
def test_a_cohort_of_one_class_or_of_no_weight_has_a_score_or_none(metric: CohortMetric) -> None:
    probabilities = np.random.default_rng(1).dirichlet(np.ones(3), 8)
    values = metric.weighted(
        np.full(8, 2), probabilities, classes=("a", "b", "c"), weights=np.stack([np.ones(8), np.zeros(8)])
    )
    for value in values.values():
        assert value.shape == (2,)
        assert not np.isinf(value).any()
