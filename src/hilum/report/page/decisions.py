"""What was chosen on the validation patients and then applied: the temperature and the operating points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from hilum.report.page.markup import element, facts, fixed, number, table
from hilum.report.page.scored import Scored

COUNTS = ("tp", "fn", "tn", "fp")


def decisions(scored: Scored) -> list[Markup]:
    """Tables of the temperature and the operating points; none where the summary holds none."""
    chosen = scored.summary.get("chosen_on_validation") or {}
    points = chosen.get("operating_points") or {}
    blocks = []
    if chosen.get("temperature") not in (None, 1, 1.0):
        blocks.append(facts([("Temperature", _temperature(chosen))]))
    if points:
        rows = [_row(level, one) for level, point in points.items() for one in _each(point)]
        head = ["decided about a", "class", "rule", "threshold", "sensitivity", "specificity", *COUNTS]
        blocks.append(table("Operating points, chosen on the validation patients", head, rows, text_columns=3))
    return blocks


def _temperature(chosen: Mapping[str, Any]) -> Markup:
    """The temperature, and what it did to the scores of calibration on validation."""
    states = chosen.get("validation") or {}
    raw, calibrated = states.get("raw") or {}, states.get("calibrated") or {}
    gains = [f"{name} {raw[name]:.4f} \u2192 {calibrated[name]:.4f}" for name in raw if name in calibrated]
    said = f" (on validation: {', '.join(gains)})" if gains else ""
    return element("span", number(float(chosen["temperature"]), 3), said)


def _each(point: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The operating point itself, or those of all findings."""
    return list(point["findings"].values()) if "findings" in point else [point]


def _row(level: str, point: Mapping[str, Any]) -> list[Any]:
    rule = point.get("rule") or {}
    settings = ", ".join(f"{key} {value}" for key, value in rule.items() if key != "kind" and value is not None)
    words = f"{rule.get('kind', '')}{f' ({settings})' if settings else ''}"
    scores = [number(point.get(key), 3) for key in ("threshold", "sensitivity", "specificity")]
    return [level, point.get("positive", ""), words, *scores, *(fixed(float(point.get(key) or 0), 0) for key in COUNTS)]
