"""A comparison as lines of text for a terminal or a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hilum.errors import number_of
from hilum.evaluation.table import aligned

if TYPE_CHECKING:
    from collections.abc import Mapping

TESTS = {
    "wilcoxon": "Wilcoxon signed-rank over the patients",
    "mcnemar": "McNemar, exact, by patient",
    "delong": "DeLong, by patient",
    "bootstrap": "share of resamples on the other side of 0",
}
"""What each test is called in full."""


def comparison_table(comparison: Mapping[str, Any]) -> list[str]:
    """Lines that say who was compared, every score over all classes with difference and verdict, and the ranking."""
    facts = comparison["interval"]
    head = (
        f"part {comparison['part']}: {number_of(comparison['patients'], 'patient')}, "
        f"{number_of(comparison['cases'], 'case')}, the same for all; in brackets {facts['level']:.0%} intervals of "
        f"the difference from {facts['resamples']} resamples of the patients"
    )
    shown = [line for line in comparison["comparisons"] if not line["structure"]]
    grid = [["", "a", "b", "a less b", "", "p", "test", ""]]
    for line in shown:
        names = f"{line['a']} - {line['b']}"
        values = [_number(line["value_a"]), _number(line["value_b"]), _number(line["difference"])]
        grid.append([f"{line['score']}: {names}", *values, _ends(line), _p(line), line["test"], line["verdict"]])
    used = [f"{name}: {words}" for name, words in TESTS.items() if any(line["test"] == name for line in shown)]
    notes = [f"note: {note}" for note in comparison["notes"]]
    return [head, "", *aligned(grid, numeric=(1, 2, 3)), "", *_rankings(comparison), "", *used, *notes]


def _rankings(comparison: Mapping[str, Any]) -> list[str]:
    """The methods by each score, with the ranks that most samples give them."""
    lines = []
    for score, found in comparison["rankings"].items():
        places = "; ".join(
            f"{place['rank']}. {place['method']} (rank {_span(place)}, first in {place['first']:.0%})"
            for place in found["places"]
        )
        lines.append(f"ranking by {score}: {places}; agreement of the resamples (Kendall) {found['agreement']:.2f}")
    return lines


def _span(place: Mapping[str, Any]) -> str:
    return str(place["low"]) if place["low"] == place["high"] else f"{place['low']}-{place['high']}"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _ends(line: Mapping[str, Any]) -> str:
    return "" if line["low"] is None else f"[{line['low']:+.3f}, {line['high']:+.3f}]"


def _p(line: Mapping[str, Any]) -> str:
    p = line["p_holm"]
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
