"""Where the numbers come from: the split, versions and hashes, resumes, looks at the test part, and the settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup

from hilum.data.splits.base import PARTS
from hilum.errors import number_of
from hilum.report.page.files import RunFiles
from hilum.report.page.markup import code, counted, element, facts, folded, hashed, paragraph, table
from hilum.report.page.scored import Section
from hilum.report.page.wording import compact, duration, listed, moment, part_name, score_name, times

SHOWN_SCORES = 4
"""Scores of a look that the ledger's table shows."""
AT = ("epoch", "step")


def split_section(files: RunFiles) -> Section | None:
    """Patients and cases of each part; None where split.csv is not there."""
    if not files.split:
        return None
    rows = []
    patients: dict[str, set[str]] = {}
    for part in PARTS:
        members = [row for row in files.split if row["part"] == part]
        patients[part] = {row["patient_id"] for row in members}
        rows.append([part_name(part), counted(len(patients[part])), counted(len(members))])
    shared = {one for one in patients["train"] for other in ("val", "test") if one in patients[other]}
    shared |= patients["val"] & patients["test"]
    alone = (
        "No patient is in two parts." if not shared else f"{number_of(len(shared), 'patient')} in more than one part!"
    )
    settings = (files.config.get("data") or {}).get("split") or {}
    folds = {row.get("fold") for row in files.split} - {"", None}
    about: list[tuple[str, Any]] = [("Made by", code(_written(settings)))] if settings else []
    about += [("Fold", ", ".join(sorted(str(fold) for fold in folds)))] if folds else []
    digest = files.provenance.get("split_sha256")
    about += [("Hash of the split", hashed(digest))] if digest else []
    shown = table("Patients and cases of each part", ["part", "patients", "cases"], rows)
    return Section("split", "Split", [paragraph(alone, kind="lead"), shown, facts(about)])


def origin_section(files: RunFiles) -> Section:
    """Versions, machine, hashes, resumes and looks at the test part, as far as the files say."""
    known = files.provenance
    blocks: list[Markup] = [facts(_origin(known))] if known else [paragraph("provenance.json is not there.")]
    if known.get("versions"):
        blocks.append(folded("Versions of libraries", facts(list(known["versions"].items()))))
    blocks += [*_lineage(known.get("lineage")), *_looks(files), *_spoilt(files.spoilt)]
    return Section("origin", "Where it comes from", blocks)


def settings_section(files: RunFiles) -> Section | None:
    """The resolved configuration, folded."""
    if not files.config_text:
        return None
    lines = number_of(files.config_text.count("\n"), "line")
    whole = element("pre", element("code", files.config_text), tabindex="0")
    return Section("settings", "Settings", [folded(f"Every default written out, {lines}", whole)])


def _origin(known: Mapping[str, Any]) -> list[tuple[str, Any]]:
    machine = known.get("machine") or {}
    named = {
        "hilum": known.get("hilum"),
        "Started": _when(known, "started"),
        "Finished": _when(known, "finished"),
        "Took": _took(known),
        "Device": known.get("device"),
        "Precision": known.get("precision"),
        "Processes": known.get("processes"),
        "Seed": known.get("seed"),
        **{f"Machine: {name}": value for name, value in machine.items()},
        "Weights from": (known.get("pretrained") or {}).get("weights"),
        "Started in": known.get("working_folder"),
    }
    hashes = {
        "Git commit of that folder": known.get("git_commit"),
        "Hash of the data": known.get("data_sha256"),
        "Hash of the images seen": known.get("seen_sha256"),
        "Hash of the file that the weights come from": (known.get("pretrained") or {}).get("sha256"),
        "Hash of the weights": known.get("weights_sha256"),
    }
    pairs: list[tuple[str, Any]] = [(name, value) for name, value in named.items() if value is not None]
    return pairs + [(name, hashed(value)) for name, value in hashes.items() if value]


def _when(known: Mapping[str, Any], key: str) -> str | None:
    return moment(known[key]) if key in known else None


def _took(known: Mapping[str, Any]) -> str | None:
    """The time from start to end, pauses between resumes included."""
    try:
        start, end = (datetime.fromisoformat(str(known[key])) for key in ("started", "finished"))
    except (KeyError, ValueError):
        return None
    paused = ", pauses included" if known.get("lineage") else ""
    return f"{duration((end - start).total_seconds())}{paused}"


def _lineage(lineage: Sequence[Mapping[str, Any]] | None) -> list[Markup]:
    if not lineage:
        return [paragraph("The run was never resumed.")] if lineage is not None else []
    rows = [
        [
            moment(entry.get("time", "")),
            " ".join(entry.get("overrides") or ["none"]),
            *(entry.get(key, "") for key in AT),
        ]
        for entry in lineage
    ]
    return [table(f"Resumed {times(len(rows))}", ["time", "other settings", "epoch", "step"], rows, text_columns=2)]


def _looks(files: RunFiles) -> list[Markup]:
    """The ledger of looks at the test part, and how often other data were scored."""
    looks = [look for look in files.looks if look.part == "test"]
    others = Counter(look.part for look in files.looks if look.part != "test")
    told = [
        paragraph(f"Other data, {part.removeprefix('external ')}: scored {times(n)}.") for part, n in others.items()
    ]
    if not looks:
        return [paragraph("The test part has never been scored."), *told]
    columns = list(looks[-1].scores)[:SHOWN_SCORES]
    rows = [
        [
            moment(look.time),
            code(look.config_sha256[:12]),
            code(look.checkpoint_sha256[:12]),
            " ".join(look.overrides) or "the run's",
            *(_shown(look.scores.get(name)) for name in columns),
        ]
        for look in looks
    ]
    head = ["time", "configuration", "weights", "settings", *map(score_name, columns)]
    different = number_of(len({(look.config_sha256, look.checkpoint_sha256) for look in looks}), "combination")
    said = f"The test part has been scored {times(len(looks))} ({different} of settings and weights)"
    return [table(said, head, rows, text_columns=4), *told]


def _shown(value: float | None) -> str:
    return "undefined" if value is None else compact(value)


def _spoilt(spoilt: Sequence[Mapping[str, Any]]) -> list[Markup]:
    if not spoilt:
        return []
    cases = sorted({str(case) for entry in spoilt for case in entry.get("cases", [])})
    named = f" Cases in their batches: {listed(cases[:20])}." if cases else ""
    return [paragraph(f"{number_of(len(spoilt), 'step')} had a loss or a gradient that is no number.{named}")]


def _written(settings: Any) -> str:
    """A section of the settings in one line."""
    if not isinstance(settings, Mapping):
        return str(settings)
    return ", ".join(f"{key}: {value}" for key, value in settings.items() if value is not None)
