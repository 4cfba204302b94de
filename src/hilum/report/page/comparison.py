"""The page of a comparison: paired differences with intervals, tests with their correction, and a ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from hilum.errors import number_of
from hilum.evaluation.comparison_table import TESTS
from hilum.report.page.chart import Drawing
from hilum.report.page.differences import differences_chart, rankings_chart
from hilum.report.page.markup import EMPTY, bar, element, facts, folded, items, joined, number, paragraph, table
from hilum.report.page.scored import Section
from hilum.report.page.shell import whole_page
from hilum.report.page.wording import cohort, compact, count_digits, listed, score_name, scored_what

NONE_SHOWN = "no difference shown"
SMALLEST_P = 0.001

Line = Mapping[str, Any]
"""One comparison of compare.json."""


@dataclass(frozen=True)
class Comparison:
    """What compare.json holds."""

    content: Mapping[str, Any]

    @property
    def methods(self) -> Mapping[str, Mapping[str, Any]]:
        """Runs and scores of each method."""
        return dict(self.content["methods"])

    @property
    def scores(self) -> list[str]:
        """The scores over all classes, in their order."""
        return list(dict.fromkeys(str(line["score"]) for line in self.lines if not line["structure"]))

    @property
    def lines(self) -> Sequence[Line]:
        """Every pair of methods, score and structure."""
        return list(self.content["comparisons"])

    def of(self, score: str, *, structures: bool = False) -> list[Line]:
        """The comparisons by a score: over all classes, or those of single structures."""
        return [line for line in self.lines if line["score"] == score and bool(line["structure"]) == structures]

    def digits(self, score: str) -> int:
        """Decimals that a score is shown with."""
        lines = [line for line in self.lines if line["score"] == score]
        return count_digits([line[key] for line in lines for key in ("value_a", "value_b")])

    @property
    def level(self) -> str:
        """How wide the intervals are: 95 %."""
        return f"{100 * self.content['interval']['level']:g} %"


def comparison_sections(comparison: Comparison) -> list[Section]:
    """The sections of the page."""
    found = [_differences(comparison), _rankings(comparison), _methods(comparison), _structures(comparison)]
    return [*(section for section in found if section is not None), _how(comparison)]


def comparison_page(comparison: Comparison, found: Sequence[Section], *, written: str) -> str:
    """The whole page; `written` says by which version and when."""
    name = listed(list(comparison.methods))
    said = f"{written} from compare.json"
    return whole_page(name, f"{name}: compared by hilum", _opening(comparison), found, written=said)


def _opening(comparison: Comparison) -> Markup:
    content = comparison.content
    notes = [str(note) for note in content["notes"]]
    head = element("h2", "Read this with the numbers", class_="small-title")
    caveats = element("aside", head, items(notes), class_="caveats") if notes else EMPTY
    who = cohort(content["cases"], content["patients"])
    return element(
        "header",
        element("p", f"comparison \u00b7 {scored_what(str(content['part'])).removeprefix('the ')}", class_="eyebrow"),
        element("h1", listed(list(comparison.methods))),
        paragraph(f"Which method is better? All were scored on the same {who}.", kind="question"),
        paragraph(_answer(comparison), kind="answer"),
        _tiles(comparison),
        caveats,
        class_="opening",
    )


def _answer(comparison: Comparison) -> Markup:
    """What the first score says of every pair, in sentences."""
    if not comparison.scores:
        return Markup("No score could be compared.")
    first = comparison.scores[0]
    lines = comparison.of(first)
    said = Markup("By {}: ").format(score_name(first))
    sentences = [_sentence(line, comparison) for line in lines[:3]]
    more = Markup(" The other {} pairs stand below.").format(len(lines) - 3) if len(lines) > 3 else EMPTY
    return said + Markup(" ").join(sentences) + more


def _sentence(line: Line, comparison: Comparison) -> Markup:
    if line["difference"] is None:
        return Markup("{} and {} cannot be compared, since one of them is undefined.").format(line["a"], line["b"])
    digits = comparison.digits(str(line["score"]))
    values = Markup("{} {} and {} {}").format(
        line["a"], element("strong", number(line["value_a"], digits)), line["b"], number(line["value_b"], digits)
    )
    gap = element("strong", number(line["difference"], digits)) + _ends(line, digits)
    level = f" with a {comparison.level} interval" if line["low"] is not None else ""
    return Markup("{}, a difference of {}{}: {} (p\u00a0{}).").format(
        values, gap, level, line["verdict"], _p(line["p_holm"])
    )


def _ends(line: Line, digits: int) -> Markup:
    if line["low"] is None or line["high"] is None:
        return EMPTY
    return Markup(" ({} to {})").format(number(line["low"], digits), number(line["high"], digits))


def _p(value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"<\u00a0{SMALLEST_P:g}" if value < SMALLEST_P else f"=\u00a0{value:.3f}"


def _p_cell(value: float | None) -> Markup:
    if value is None or value >= SMALLEST_P:
        return number(value, 3)
    return element("data", f"< {SMALLEST_P:g}", value=repr(value))


def _tiles(comparison: Comparison) -> Markup:
    """The first score of each method."""
    if not comparison.scores:
        return EMPTY
    first = comparison.scores[0]
    tiles = []
    for name, told in comparison.methods.items():
        entry = told["scores"].get(first) or {}
        spread = entry.get("std_of_runs")
        runs = number_of(len(told["runs"]), "run")
        said = runs if spread is None else f"{runs}, standard deviation {compact(spread)}"
        tiles.append(
            element(
                "div",
                element("p", f"{name}: {score_name(first)}", class_="name"),
                element("p", number(entry.get("value"), comparison.digits(first)), class_="value"),
                element("p", said, class_="interval"),
                class_="tile",
            )
        )
    return element("div", *tiles, class_="tiles")


def _differences(comparison: Comparison) -> Section | None:
    """Every score over all classes: a chart a score, and one table."""
    if not comparison.scores:
        return None
    charts = [
        differences_chart(
            score, comparison.of(score), comparison.of(score, structures=True), digits=comparison.digits(score)
        )
        for score in comparison.scores
    ]
    lines = [line for score in comparison.scores for line in comparison.of(score)]
    shown = _table("Differences over all classes", lines, comparison)
    correction = (
        "p is corrected for the number of pairs of methods (Holm), not for the number of scores."
        if len(comparison.methods) > 2
        else "p is not corrected for the number of scores: the one that decides is to be chosen before."
    )
    lead = f"{comparison.level} intervals of the difference, all methods on the same patients each time. {correction}"
    known = [chart for chart in charts if chart is not None]
    blocks: list[Markup | Sequence[Drawing]] = [paragraph(lead, kind="lead"), *([known] if known else []), shown]
    return Section("differences", "Differences", blocks)


def _table(caption: str, lines: Sequence[Line], comparison: Comparison) -> Markup:
    structures = any(line["structure"] for line in lines)
    head = ["score", *(["structure"] if structures else []), "a less b", "a", "b", "difference", "p", "corrected p"]
    rows = []
    for line in lines:
        digits = comparison.digits(str(line["score"]))
        plain = line["verdict"] in (NONE_SHOWN, "undefined")
        verdict = element("span", line["verdict"], class_="muted") if plain else element("strong", line["verdict"])
        rows.append(
            [
                score_name(str(line["score"])),
                *([line["structure"] or "all"] if structures else []),
                f"{line['a']} \u2212 {line['b']}",
                verdict,
                number(line["value_a"], digits),
                number(line["value_b"], digits),
                _difference(line, digits),
                _p_cell(line["p"]),
                _p_cell(line["p_holm"]),
                line["test"],
            ]
        )
    place = head.index("a less b") + 1
    head = [*head[:place], "verdict", *head[place:], "test"]
    return table(caption, head, rows, text_columns=place + 1)


def _difference(line: Line, digits: int) -> Markup:
    shown = number(line["difference"], digits)
    if line["low"] is None or line["high"] is None:
        return shown
    ends = (number(line["low"], digits), " to ", number(line["high"], digits))
    return element("strong", shown) + element("span", *ends, class_="interval")


def _rankings(comparison: Comparison) -> Section | None:
    """The methods by each score, with the ranks that most samples of the patients give them."""
    rankings: Mapping[str, Mapping[str, Any]] = comparison.content["rankings"]
    if not rankings:
        return None
    rows = [
        [
            score_name(score),
            f"{place['rank']}.",
            place["method"],
            str(place["low"]) if place["low"] == place["high"] else f"{place['low']} to {place['high']}",
            element("data", f"{100 * place['first']:.0f}\u00a0%", value=repr(place["first"])),
            bar({"value": place["first"], "low": 0.0, "high": place["first"]}),
        ]
        for score, found in rankings.items()
        for place in found["places"]
    ]
    agreements = ", ".join(f"{score_name(score)} {found['agreement']:.2f}" for score, found in rankings.items())
    lead = (
        "What other samples of the patients would have given. Agreement of their rankings with this one "
        f"(Kendall's tau, 1: always the same): {agreements}."
    )
    head = ["score", "rank", "method", f"rank in {comparison.level} of the samples", "first in", ""]
    charts = [rankings_chart(score, found["places"]) for score, found in rankings.items()]
    shown = table("Ranking of the methods", head, rows, text_columns=3)
    return Section("ranking", "Ranking and its stability", [paragraph(lead, kind="lead"), charts, shown])


def _methods(comparison: Comparison) -> Section:
    """Runs of each method and all of its scores."""
    scores = comparison.scores
    rows = []
    for name, told in comparison.methods.items():
        entries = [told["scores"].get(score) or {} for score in scores]
        cells = [
            joined([number(entry.get("value"), comparison.digits(score)), _spread(entry)])
            for score, entry in zip(scores, entries, strict=True)
        ]
        rows.append([name, str(len(told["runs"])), *cells])
    head = ["method", "runs", *map(score_name, scores)]
    runs = [(name, ", ".join(map(str, told["runs"]))) for name, told in comparison.methods.items()]
    shown = table("Scores of each method over all classes, means over its runs", head, rows)
    return Section("methods", "Methods", [shown, facts(runs)])


def _spread(entry: Mapping[str, Any]) -> Markup:
    spread = entry.get("std_of_runs")
    return EMPTY if spread is None else element("span", f"\u00b1 {compact(spread)} over its runs", class_="interval")


def _structures(comparison: Comparison) -> Section | None:
    """Every structure of every score, folded."""
    lines = [line for line in comparison.lines if line["structure"]]
    if not lines:
        return None
    shown = _table("Differences of each structure", lines, comparison)
    return Section("structures", "Structures", [folded(number_of(len(lines), "comparison"), shown)])


def _how(comparison: Comparison) -> Section:
    """What was drawn and tested, and how."""
    content = comparison.content
    interval = content["interval"]
    used = {str(line["test"]) for line in comparison.lines}
    pairs: list[tuple[Any, Any]] = [
        ("Intervals", f"{interval['method']}, {interval['resamples']} resamples, seed {interval['seed']}"),
        *((name.capitalize(), words) for name, words in TESTS.items() if name in used),
        ("Correction", "Holm (1979), for the pairs of methods within a score"),
        ("Verdict", "the better method where the corrected p is below 1 less the level of the intervals"),
    ]
    said = "No difference shown does not mean that the methods are equal: the interval says what may still be."
    return Section("how", "How it was compared", [paragraph(said, kind="lead"), facts(pairs)])
