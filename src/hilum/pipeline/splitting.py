"""The division of a cohort by itself: printed, drawn and written, without training anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hilum.case import Cohort
from hilum.config import read
from hilum.data.findings import table as findings_table
from hilum.data.splits.base import Split
from hilum.data.splits.distribution import Amount, Distribution, of_parts, of_tests, shortened
from hilum.errors import ConfigError, HilumError
from hilum.experiment import Experiment, cohort_faults, load
from hilum.report.distribution import draw_distributions
from hilum.run import write_text

Say = Callable[[str], None]
GAP = "  "
LONGEST = 24
"""Characters of a value in the head of the table; the rest is left out."""


@dataclass(frozen=True)
class Outputs:
    """Files that a split is written into: the table, and the picture; none where nothing is asked for."""

    table: Path | None = None
    picture: Path | None = None
    overwrite: bool = False

    def refuse_existing(self) -> None:
        """Raise ConfigError for files that are there already and are not to be replaced, or that are of no use."""
        if self.picture is not None and self.picture.suffix.lower() != ".png":
            raise ConfigError(f"--picture: received {self.picture}, expected a file that ends in .png")
        for file in (self.table, self.picture):
            if file is not None and file.is_dir():
                raise ConfigError(f"{file} is a folder, expected the name of a file")
            if file is not None and file.exists() and not self.overwrite:
                raise ConfigError(f"{file} exists already: replace it with --overwrite, or take another name")


def split(
    config_file: Path | str, overrides: Sequence[str] = (), *, outputs: Outputs | None = None, say: Say = print
) -> Split:
    """The split of a configuration, after printing who is in which part of it, and of all runs that belong to it.

    Raises ConfigError, DataError or SplitError, before anything is written, for everything that does not fit.
    """
    outputs = outputs or Outputs()
    outputs.refuse_existing()
    experiment = load(config_file, overrides)
    cohort, found = cohort_faults(experiment)
    if cohort is None or found:
        document = read(config_file, overrides)
        raise ConfigError([document.fault(where, message) for where, message in found])
    divided = experiment.data.split.assign(cohort.cases, labels=experiment.task.strata(cohort))
    shown = _distributions(experiment, cohort, divided)
    patients = len({case.patient for case in cohort.cases})
    name = experiment.data.split.run_name
    chosen = f"split {experiment.data.split.kind}" + (f", {name}" if name else "")
    people = f"{len(cohort.cases)} cases of {patients} patient{'s' * (patients != 1)}; {chosen}"
    say(f"{config_file}: {people}")
    for one in shown:
        for line in ("", *table(one)):
            say(line)
    say("")
    if cohort.findings:
        say(findings_table(cohort.findings))
    for note in (*cohort.notes, *divided.notes):
        say(f"note: {note}")
    say(f"split sha256: {divided.sha256}")
    if outputs.picture is not None:
        draw_distributions(shown, outputs.picture, title=f"{experiment.name}: {people}")
        say(f"picture: {outputs.picture}")
    if outputs.table is not None:
        write_text(outputs.table, divided.as_csv())
        say(f"table: {outputs.table}")
    return divided


def _distributions(experiment: Experiment, cohort: Cohort, divided: Split) -> list[Distribution]:
    """Who is in the parts of this run, and in the test parts of all runs where there are several."""
    config, labels = experiment.data.split, experiment.task.strata(cohort)
    values = config.values(cohort.cases, labels=_class_names(experiment, labels))
    tests: dict[str, Split] = {}
    for run in config.runs(cohort.cases):
        if run.test_name not in tests:
            try:
                tests[run.test_name] = run.assign(cohort.cases, labels=labels)
            except HilumError as error:
                raise ConfigError(f"data.split: {run.run_name}: {error}") from error
    shown = [of_parts(divided, values)]
    return shown if len(tests) < 2 else [*shown, of_tests(tests, values)]


def _class_names(experiment: Experiment, labels: Mapping[str, str]) -> dict[str, str]:
    """The name of the class of each case id, instead of what the table writes for it."""
    problem = experiment.provisional_problem()
    if problem.kind != "classification":
        return dict(labels)
    names = {label: problem.classes[problem.encode_class(label)] for label in set(labels.values())}
    return {case_id: names[label] for case_id, label in labels.items()}


def table(shown: Distribution) -> list[str]:
    """Lines of text: patients and cases of each row, in all and of every value of the columns."""
    grid = [[shown.title, "patients", "cases"]]
    for name, amount in shown.rows.items():
        grid.append([name, _share(amount.patients, shown.total.patients), _share(amount.cases, shown.total.cases)])
    lines = _aligned(grid)
    for column, rows in shown.columns.items():
        grid = [[f"{column} (patients / cases)", *shortened(shown.values(column), LONGEST).values()]]
        grid += [[name, *(_both(amount) for amount in amounts.values())] for name, amounts in rows.items()]
        lines += ["", *_aligned(grid)]
    return lines


def _share(count: int, total: int) -> str:
    return f"{count} ({count / max(total, 1):.0%})"


def _both(amount: Amount) -> str:
    return f"{amount.patients} / {amount.cases}"


def _aligned(grid: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, all columns but the first flush right."""
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    return [
        GAP.join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in grid
    ]
