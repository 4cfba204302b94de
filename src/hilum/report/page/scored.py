"""One part of a run as its files hold it: the summary, the rows, and what the monitored score is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from hilum.evaluation.rows import PROBABILITY_PREFIX, Row
from hilum.report.page.chart import Drawing
from hilum.report.page.files import RunFiles
from hilum.report.page.ranking import Answers
from hilum.report.page.wording import count_digits, scored_what


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it: markup, or several drawings side by side."""

    anchor: str
    title: str
    blocks: Sequence[Markup | Sequence[Drawing]]


@dataclass(frozen=True)
class Scored:
    """What the files of a run say of one part."""

    files: RunFiles
    part: str

    @property
    def summary(self) -> Mapping[str, Any]:
        """The part's entry in summary.json; empty where it was not scored."""
        return dict(self.files.summaries.get(self.part) or {})

    @property
    def rows(self) -> list[Row]:
        """The part's rows in cases.csv."""
        return [row for row in self.files.rows if row.get("part") == self.part]

    @property
    def task(self) -> str:
        """Segmentation or classification; empty where neither the summary nor the settings say."""
        return str(self.summary.get("task") or (self.files.config.get("task") or {}).get("kind") or "")

    @property
    def metrics(self) -> Mapping[str, Any]:
        """What the summary says of each score, the monitored one first."""
        unit = self.summary.get("unit", "")
        known = {name: {"unit": unit if facts.get("in_unit") else "", **facts} for name, facts in self._metrics.items()}
        first = self.monitor
        return {first: known[first], **known} if first in known else known

    @property
    def _metrics(self) -> Mapping[str, Any]:
        return dict(self.summary.get("metrics") or {})

    @property
    def overall(self) -> Mapping[str, Any]:
        """Every score over the whole part."""
        return dict(self.summary.get("overall") or {})

    @property
    def classes(self) -> Mapping[str, Any]:
        """What the summary says of each class or structure."""
        return dict(self.summary.get("classes") or {})

    @property
    def patient_level(self) -> Mapping[str, Any]:
        """The scores by patient; empty where cases alone were scored."""
        return dict(self.summary.get("patient_level") or {})

    @property
    def folds(self) -> Mapping[str, Any]:
        """The scores of each fold of a cross-validation, their mean and spread; empty for a run."""
        return dict(self.summary.get("folds") or {})

    @property
    def whole(self) -> str:
        """What the scores are about, in a sentence: a part of a run, or all folds of a cross-validation."""
        return "all folds" if self.folds else scored_what(self.part)

    @property
    def monitor(self) -> str:
        """The score that chose the checkpoint, as the settings say; by default the first."""
        named = (self.files.config.get("train") or {}).get("monitor")
        known = list(self._metrics)
        return str(named or (known[0] if known else ""))

    @property
    def seed(self) -> int:
        """The seed of the run, from which every draw of the page follows too."""
        seed = self.files.provenance.get("seed")
        return seed if isinstance(seed, int) else 0

    @property
    def scored_classes(self) -> bool:
        """Whether the rows hold the answers of a classifier."""
        return bool(self.rows) and "truth" in self.rows[0]

    def digits(self, column: str) -> int:
        """Decimals that a score is shown with: two for lengths and volumes, else as its size needs."""
        if (self.metrics.get(column) or {}).get("unit"):
            return 2
        value = (self.overall.get(column) or {}).get("value")
        return count_digits([value])

    def answers(self) -> Answers | None:
        """The probabilities of all cases; None where the rows hold none or a class that the summary does not know."""
        names = list(self.classes)
        columns = [f"{PROBABILITY_PREFIX}{name}" for name in names]
        rows = self.rows
        if not names or not rows or any(column not in rows[0] for column in columns):
            return None
        if not {str(row.get("truth")) for row in rows} <= set(names):
            return None
        return Answers(
            truth=np.array([names.index(str(row["truth"])) for row in rows], dtype=np.int64),
            probabilities=np.array([[float(row[column] or 0) for column in columns] for row in rows]),
            classes=names,
            case_ids=[str(row["case_id"]) for row in rows],
            patients=[str(row["patient_id"]) for row in rows],
            seed=self.seed,
            decided=self._decided(rows, names),
        )

    def _decided(self, rows: Sequence[Row], names: Sequence[str]) -> npt.NDArray[np.int64] | None:
        """The classes (N,) that a threshold decided on; None where the rows know of none."""
        if any(row.get("threshold") is None or str(row.get("predicted")) not in names for row in rows):
            return None
        return np.array([names.index(str(row["predicted"])) for row in rows], dtype=np.int64)
