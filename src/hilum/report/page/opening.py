"""The first screen of the page: what was asked, the answer in a sentence, the main scores, and what to bear in mind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from hilum.errors import number_of
from hilum.report.page.markup import EMPTY, bar, element, interval, items, joined, number, paragraph
from hilum.report.page.scored import Scored
from hilum.report.page.wording import cohort, level, listed, part_name, score_name, times, with_unit

TILES = 4
"""Scores that the first screen shows."""
LOOKED = "has been looked at"
MOST_NAMES = 6
"""Classes that a sentence names."""


def opening(scored: Scored) -> Markup:
    """The head of the page."""
    files = scored.files
    when = str(files.provenance.get("finished") or files.provenance.get("started") or "")[:10]
    kind = "cross-validation" if scored.folds else scored.whole.removeprefix("the ") if scored.summary else ""
    about = " \u00b7 ".join(word for word in (kind, when) if word)
    return element(
        "header",
        element("p", about, class_="eyebrow"),
        element("h1", files.name),
        paragraph(question(scored), kind="question"),
        paragraph(answer(scored), kind="answer"),
        tiles(scored),
        caveats(scored),
        class_="opening",
    )


def question(scored: Scored) -> Markup:
    """What was asked: the task, its classes, the network, and what it learnt from."""
    config = scored.files.config
    names = list(scored.classes or _configured_classes(config))
    asked = {
        "segmentation": "Outline {} in every scan.",
        "classification": "Tell which class each image is: {}.",
        "multilabel": "Say which findings each image shows: {}.",
        "regression": "Estimate {} of every image.",
        "restoration": "Restore every image.",
    }.get(scored.task)
    sentence = Markup("The files of this run do not say what was asked.") if asked is None else _asked(asked, names)
    network = (config.get("network") or {}).get("kind")
    parts = scored.files.provenance.get("parts") or {}
    learnt = f" on {number_of(parts['train'], 'scan')}" if isinstance(parts.get("train"), int) else ""
    trained = Markup(" Network: {}, trained{}.").format(element("code", network), learnt) if network else EMPTY
    return sentence + trained


def answer(scored: Scored) -> Markup:
    """The monitored score over the part with its interval, and how many structures were missed or invented."""
    entry = scored.overall.get(scored.monitor)
    if not entry:
        command = element("code", f"hilum evaluate {scored.files.folder.name} --part {scored.part}")
        return Markup("The {} part has not been scored: run {}.").format(part_name(scored.part), command)
    summary = scored.summary
    who = cohort(summary.get("cases", 0), summary.get("patients", 0))
    if entry.get("value") is None:
        return Markup("On {}, {} is undefined.").format(who, score_name(scored.monitor))
    digits = scored.digits(scored.monitor)
    unit = (scored.metrics.get(scored.monitor) or {}).get("unit") or ""
    shown = element("strong", number(entry["value"], digits)) + (f"\u00a0{unit}" if unit else "")
    ends = (
        Markup(" ({} {})").format(level(summary.get("interval")), joined(interval(entry["low"], entry["high"], digits)))
        if entry.get("low") is not None and entry.get("high") is not None
        else EMPTY
    )
    mean = "mean " if scored.task == "segmentation" else ""
    said = Markup("On {}{}, the {}{} is {}{}.")
    return (
        said.format(who, _where(scored), mean, score_name(scored.monitor), shown, ends)
        + _missed(scored)
        + _by_patient(scored)
    )


def tiles(scored: Scored) -> Markup:
    """The main scores, each with its interval as numbers and as a line."""
    shown = [(column, entry) for column in scored.metrics if (entry := scored.overall.get(column))][:TILES]
    return (
        element("div", *(_tile(scored, column, entry) for column, entry in shown), class_="tiles") if shown else EMPTY
    )


def caveats(scored: Scored) -> Markup:
    """What a reader has to know before relying on the numbers: looks at the test part, notes, and what is missing."""
    notes = [note for note in scored.summary.get("notes", []) if LOOKED not in note]  # the ledger says it
    texts = [*_role(scored), *notes, *scored.files.lacking]
    texts += [note for note in scored.files.provenance.get("notes", []) if note not in texts]
    if not texts:
        return EMPTY
    head = element("h2", "Read this with the numbers", class_="small-title")
    return element("aside", head, items(texts), class_="caveats")


def _asked(sentence: str, names: list[str]) -> Markup:
    more = len(names) - MOST_NAMES
    shown = [*names[:MOST_NAMES], *([f"{more} more"] if more > 0 else [])]
    last = "or" if sentence.startswith("Tell") else "and"
    return Markup("{}").format(sentence.format(listed(shown, last)))


def _configured_classes(config: Mapping[str, Any]) -> list[str]:
    """The classes of the settings, without the background of a segmentation."""
    task = config.get("task") or {}
    names = [str(name) for name in (task.get("regions") or task.get("classes") or task.get("targets") or [])]
    return names[1:] if task.get("kind") == "segmentation" and not task.get("regions") else names


def _missed(scored: Scored) -> str:
    """How many structures were missed and invented, in a sentence; nothing for a classification."""
    counts = [entry for entry in scored.classes.values() if "missed" in entry]
    if not counts:
        return ""
    found, missed, invented = (sum(entry[key] for entry in counts) for key in ("found", "missed", "invented"))
    verb = "was" if missed == 1 else "were"
    some = f"{missed} of {number_of(found + missed, 'structure')} {verb} missed"
    first = some if missed else "No structure was missed"
    return f" {first}, {invented} invented." if invented else f" {first}, and none was invented."


def _by_patient(scored: Scored) -> Markup:
    """The same score by patient, where patients were scored too."""
    level_of = scored.patient_level
    entry = (level_of.get("overall") or {}).get(scored.monitor) or {}
    if entry.get("value") is None:
        return EMPTY
    digits = scored.digits(scored.monitor)
    low, high = entry.get("low"), entry.get("high")
    ends = EMPTY if low is None or high is None else Markup(" ({})").format(joined(interval(low, high, digits)))
    return Markup(" By patient it is {}{}.").format(element("strong", number(entry["value"], digits)), ends)


def _tile(scored: Scored, column: str, entry: Mapping[str, Any]) -> Markup:
    digits = scored.digits(column)
    low, high = entry.get("low"), entry.get("high")
    ends = EMPTY if low is None or high is None else element("p", *interval(low, high, digits), class_="interval")
    return element(
        "div",
        element("p", with_unit(column, scored.metrics.get(column)), class_="name"),
        element("p", number(entry.get("value"), digits), class_="value"),
        ends,
        bar(entry),
        class_="tile",
    )


def _where(scored: Scored) -> str:
    """Which patients these are, after their number."""
    folds = len(scored.folds.get("each") or ())
    return f", each scored by one of {folds} networks that has not seen it" if folds else f" of {scored.whole}"


def _role(scored: Scored) -> list[str]:
    """What the part is for, and how often the test part was looked at."""
    if scored.folds:
        return []
    looks = sum(look.part == "test" for look in scored.files.looks)
    if scored.part == "test":
        again = "" if looks < 2 else ": choices made after the first look make these scores optimistic"
        return [f"The test part of this run has been scored {times(looks)}{again}."]
    if scored.part == "val" and scored.summary:
        seen = "" if looks else " The test part has not been looked at."
        return [f"The checkpoint was chosen on these patients: expect somewhat lower scores on new ones.{seen}"]
    return []
