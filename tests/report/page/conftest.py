"""Run folders written by hand, of a segmentation and of a classification, and their pages taken apart."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilum.evaluation.rows import write_rows
from hilum.evaluation.summary import overall, summarise
from hilum.metrics.accuracy import AccuracyMetric
from hilum.metrics.auroc import AurocMetric
from hilum.metrics.dice import DiceMetric
from hilum.metrics.hd95 import Hd95Metric
from hilum.pipeline.crossvalidation import CONFIG_NAME, HEADER
from hilum.problem import Problem

VOID = {"br", "hr", "img", "input", "link", "meta"}
EVIL = "<script>alert('x')</script>\"'&"
"""An id that would be a program if it were not escaped."""
SEGMENTATION = Problem("segmentation", 3, ("image",), ("background", "organ", "lesion"), ((0,), (1,), (2,)))
CLASSIFICATION = Problem("classification", 2, ("image",), ("normal", "ill"), ((0,), (1,)))
LEDGER = {"time": "2026-01-02T03:04:05+00:00", "part": "test", "config_sha256": "a" * 64, "checkpoint_sha256": "b" * 64}


@dataclass
class Page(HTMLParser):
    """A page as a browser reads it: its elements, the text of each, and tags that are not closed in their order."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    data: list[tuple[str, str]] = field(default_factory=list)
    """Value and text of each <data>."""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, text: str) -> None:
        self.texts.append((tuple(self.open), text))
        if self.open and self.open[-1] == "data":
            self.data.append((str(self.elements[-1][1]["value"]), text))

    def text_of(self, *tags: str) -> list[str]:
        """The texts directly within elements of these names."""
        return [text for opened, text in self.texts if opened and opened[-1] in tags]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a name."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        """All text that is read, in one line."""
        seen = [text for opened, text in self.texts if not {"script", "style"} & set(opened)]
        return " ".join("".join(seen).split())


def parsed(text: str) -> Page:
    """A page taken apart; fails where an element is not closed."""
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def segmentation_rows(part: str = "val", num_patients: int = 6) -> list[dict[str, Any]]:
    """Two scans a patient; one lesion is missed, one is invented, the last patient rightly has none."""
    rng = np.random.default_rng(4)
    rows = []
    for patient in range(num_patients):
        for scan in range(2):
            case = EVIL if (patient, scan) == (0, 0) else f"c{patient}-{scan}"
            for name in ("organ", "lesion"):
                status = "found"
                if name == "lesion":
                    status = {(1, 0): "missed", (2, 1): "invented"}.get((patient, scan), "found")
                    status = "absent" if patient == num_patients - 1 else status
                true = 0 if status in ("invented", "absent") else int(rng.integers(50, 400))
                found = 0 if status in ("missed", "absent") else int(max(true, 60) * rng.uniform(0.8, 1.2))
                dice = {"missed": 0.0, "invented": 0.0, "absent": 1.0}.get(status, float(rng.uniform(0.5, 0.95)))
                far = {"missed": 40.0, "invented": 40.0, "absent": 0.0}.get(status, float(rng.uniform(1, 9)))
                rows.append(
                    {
                        "case_id": case,
                        "patient_id": f"p{patient}",
                        "part": part,
                        "class": name,
                        "status": status,
                        "unit": "mm",
                        "truth_voxels": true,
                        "predicted_voxels": found,
                        "truth_ml": true / 1000,
                        "predicted_ml": found / 1000,
                        "dice": dice,
                        "hd95": far,
                    }
                )
    return rows


def classification_rows(part: str = "val", num_cases: int = 40) -> list[dict[str, Any]]:
    """One image a patient; probabilities that are mostly right."""
    rng = np.random.default_rng(5)
    rows = []
    for index in range(num_cases):
        truth = index % 2
        ill = float(1 / (1 + np.exp(-(rng.normal() + (1.5 if truth else -1.5)))))
        names = CLASSIFICATION.classes
        rows.append(
            {
                "case_id": EVIL if index == 0 else f"i{index}",
                "patient_id": f"p{index}",
                "part": part,
                "truth": names[truth],
                "predicted": names[int(ill > 0.5)],
                "p_normal": 1 - ill,
                "p_ill": ill,
            }
        )
    return rows


def write_run(folder: Path, task: str) -> Path:
    """A run folder with every file that its page reads, but no weights and no data."""
    segmentation = task == "segmentation"
    rows = segmentation_rows() if segmentation else classification_rows()
    metrics = (DiceMetric(), Hd95Metric()) if segmentation else (AurocMetric(), AccuracyMetric())
    problem = SEGMENTATION if segmentation else CLASSIFICATION
    folder.mkdir(parents=True)
    write_rows(folder / "cases.csv", rows)
    summary = summarise(rows, problem, metrics=metrics, notes=[f"a note of {EVIL}"])
    (folder / "summary.json").write_text(json.dumps({"val": summary}))
    classes = "{background: 0, organ: 1, lesion: 2}" if segmentation else "[normal, ill]"
    (folder / "config.yaml").write_text(
        f"# The resolved configuration\nname: tiny\ntask: {{kind: {task}, classes: {classes}}}\n"
        "network: {kind: unet}\ndata: {split: {kind: holdout, val: 0.2}}\n"
    )
    score = "dice" if segmentation else "auroc"
    log = [
        {"epoch": epoch, "train_loss": 1 / (epoch + 1), "lr": 0.1**epoch, "seconds": 2.0, f"val_{score}": value}
        for epoch, value in enumerate((0.5, 0.8, 0.7))
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log))
    provenance = {
        "hilum": "0.1.0",
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:12:00+00:00",
        "versions": {"torch": "2.13.0"},
        "machine": {"cpu": "some"},
        "seed": 3,
        "parts": {"train": 3, "val": 12, "test": 0},
        "split_sha256": "c" * 64,
        "lineage": [{"time": "2026-01-01T00:05:00+00:00", "overrides": ["train.epochs=3"], "epoch": 1, "step": 9}],
    }
    (folder / "provenance.json").write_text(json.dumps(provenance))
    lines = ["case_id,patient_id,part,fold", "t0,q0,train,", "t1,q0,train,", "t2,q1,train,"]
    lines += [f"v{index},{row['patient_id']},val," for index, row in enumerate(rows)]
    (folder / "split.csv").write_text("\n".join(lines) + "\n")
    looks = [{**LEDGER, "scores": {score: 0.5}}, {**LEDGER, "scores": {score: None}}]
    (folder / "test_ledger.jsonl").write_text("".join(json.dumps(look) + "\n" for look in looks))
    return folder


def write_crossval(folder: Path, task: str = "segmentation") -> Path:
    """The folder of a cross-validation of three folds, whose runs have no weights and no data."""
    segmentation = task == "segmentation"
    rows = segmentation_rows("test") if segmentation else classification_rows("test")
    metrics = (DiceMetric(), Hd95Metric()) if segmentation else (AurocMetric(), AccuracyMetric())
    problem = SEGMENTATION if segmentation else CLASSIFICATION
    names = [f"fold-{number}" for number in range(3)]
    rows = [{**row, "fold": names[int(str(row["patient_id"])[1:]) % 3]} for row in rows]
    for name in names:
        write_run(folder / name, task)
    write_rows(folder / "cases.csv", rows)
    summary = summarise(rows, problem, metrics=metrics, notes=[f"a note of {EVIL}"])
    each = {
        name: overall(summarise([row for row in rows if row["fold"] == name], problem, metrics=metrics, bootstrap=None))
        for name in names
    }
    scores = {score: [each[name][score] for name in names] for score in each[names[0]]}
    summary["folds"] = {
        "mean": {score: float(np.mean(values)) for score, values in scores.items()},
        "std": {score: float(np.std(values, ddof=1)) for score, values in scores.items()},
        "each": each,
    }
    (folder / "summary.json").write_text(json.dumps({"test": summary}))
    classes = "{background: 0, organ: 1, lesion: 2}" if segmentation else "[normal, ill]"
    (folder / CONFIG_NAME).write_text(f"{HEADER}name: crossed\ntask: {{kind: {task}, classes: {classes}}}\n")
    return folder


def write_comparison(folder: Path, methods: tuple[str, ...] = ("two-dim", "three-dim", EVIL)) -> Path:
    """The folder of a comparison with every kind of line that there is."""
    lines: list[dict[str, Any]] = []
    for score, structures in (("dice", ("", "organ", "lesion")), ("hd95", ("",))):
        for place, (a, b) in enumerate(itertools.combinations(methods, 2)):
            for number, structure in enumerate(structures):
                gap = 0.0123456789 * (place + 1) - 0.02 * number
                known = (place, structure) != (1, "lesion")
                line: dict[str, Any] = {"score": score, "structure": structure, "a": a, "b": b}
                line |= {"value_a": 0.8 + gap, "value_b": 0.8, "difference": gap if known else None}
                line |= {"low": gap - 0.03, "high": gap + 0.0271828} if known else {"low": None, "high": None}
                line |= {"test": "wilcoxon", "p": 0.0004 if known else None, "p_holm": 0.0012 if known else None}
                lines.append({**line, "verdict": f"{a} better" if known else "undefined"})
    scores = {"dice": {"value": 0.8123456, "std_of_runs": 0.01, "runs": [0.80, 0.82]}, "hd95": {"value": 3.25}}
    places = [
        {"method": name, "rank": rank, "low": 1, "high": rank, "first": 1 / (rank + 1)}
        for rank, name in enumerate(methods, start=1)
    ]
    content = {
        "part": "test",
        "task": "segmentation",
        "patients": 6,
        "cases": 12,
        "interval": {"method": "BCa bootstrap of patients, paired", "level": 0.95, "resamples": 2000, "seed": 0},
        "methods": {name: {"runs": ["runs/one", "runs/two"], "scores": scores} for name in methods},
        "comparisons": lines,
        "rankings": {"dice": {"agreement": 0.75, "places": places}},
        "notes": [f"a note of {EVIL}"],
    }
    folder.mkdir(parents=True)
    (folder / "compare.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(params=["segmentation", "classification"])
def written_run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of a run without weights, for each task."""
    return write_run(tmp_path / "tiny", request.param)
