"""Cases scored by a network: rows first, then the summary, the pictures and the printed table, all from the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hilum.case import Case, Cohort
from hilum.evaluation.groups import with_groups
from hilum.evaluation.rows import Row
from hilum.evaluation.summary import overall, summarise
from hilum.evaluation.table import table
from hilum.inference.predictor import Predictor
from hilum.pipeline.by_patient import decided_rows, with_decisions
from hilum.pipeline.charts import draw_charts
from hilum.pipeline.degrading import Degrading, degrade_of
from hilum.pipeline.group_columns import group_columns, values_by, with_columns
from hilum.pipeline.pictures import draw
from hilum.pipeline.restore import Restored
from hilum.pipeline.validate import score_case
from hilum.run import Run
from hilum.training.interrupt import StopRequest

Say = Callable[[str], None]


@dataclass(frozen=True)
class ScoredPart:
    """Cases of a cohort under the name of a part, a network to score them, and the folder that tables go to."""

    home: Run
    part: str
    cases: Sequence[Case]
    cohort: Cohort
    restored: Restored
    predictor: Predictor

    def rows(self) -> list[Row]:
        """The rows of all cases, with the columns of `evaluate.by`.

        Raises DataError naming the case that cannot be used, ConfigError before the second case where the table holds
        another part with other columns, Interrupted where the process was asked to stop.
        """
        values = values_by(self.cohort, self.restored.experiment.evaluate.by)
        found: list[Row] = []
        metrics = self.restored.experiment.metrics
        with StopRequest() as stop:
            for case in self.cases:
                stop.check()
                degrade = self._degrade(case)
                scored = score_case(case, self.part, predictor=self.predictor, metrics=metrics, degrade=degrade)
                found += with_columns(decided_rows(scored, self.restored), values)
                if case is self.cases[0]:
                    self.home.refuse_other_columns(found[0], self.part)
        return found

    def _degrade(self, case: Case) -> Degrading | None:
        """What makes the input of a restoration from the case's image; None for other tasks."""
        problem = self.restored.problem
        if problem.kind != "restoration":
            return None
        return degrade_of(self.restored.experiment, case.id, problem.dims)

    def scores(self, rows: Sequence[Row]) -> dict[str, float]:
        """Every score over all cases, without intervals: what a ledger keeps."""
        metrics = self.restored.experiment.metrics
        return overall(summarise(rows, self.restored.problem, metrics=metrics, bootstrap=None))

    def settle(self, rows: Sequence[Row], *, notes: Sequence[str], say: Say) -> dict[str, Any]:
        """The summary, after writing cases.csv, summary.json and pictures, and printing the table."""
        self.home.write_rows(rows, self.part)
        rows = self.home.read_rows(self.part)  # the table is the only source of every score that is shown
        experiment, problem = self.restored.experiment, self.restored.problem
        bootstrap = experiment.evaluate.bootstrap
        summary = summarise(rows, problem, metrics=experiment.metrics, notes=notes, bootstrap=bootstrap)
        columns = group_columns(rows)
        summary = with_groups(summary, rows, problem, columns=columns, metrics=experiment.metrics, bootstrap=bootstrap)
        summary = with_decisions(summary, rows, run=self.home, part=self.part, restored=self.restored)
        self.home.write_summary(summary, self.part)
        draw(
            self.home,
            self.part,
            rows=rows,
            cases=self.cases,
            predictor=self.predictor,
            experiment=experiment,
        )
        draw_charts(self.home, self.part, epoch=self._epoch, say=say)
        for line in table(summary):
            say(line)
        return summary

    @property
    def _epoch(self) -> int:
        """The epoch of the network that scores: the best one, or the last where none was validated."""
        best = (self.restored.facts.get("best") or {}).get("epoch")
        return int(self.restored.facts["position"]["epoch"] if best is None else best)
