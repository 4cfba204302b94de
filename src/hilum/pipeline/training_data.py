"""The data of a run before it starts: cases found, headers looked at, cases prepared; or everything wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hilum.case import Case
from hilum.data.findings import grouped
from hilum.errors import DataError, Finding
from hilum.experiment import Experiment
from hilum.pipeline.found import Found
from hilum.pipeline.look import look_at_headers
from hilum.pipeline.pretraining import refuse_unfit, seen_in_pretraining
from hilum.pipeline.study import Study, make_study
from hilum.sources.base import cohort_for
from hilum.tracking.console import bar
from hilum.training.interrupt import StopRequest
from hilum.yaml_text import Document

BRIEF = 5
"""How many kinds of warnings training tells of."""


def study_for_training(
    experiment: Experiment, document: Document, *, rehash: bool
) -> tuple[Study, tuple[Finding, ...]]:
    """The study with the cases of train and val prepared, and warnings about the data.

    Raises ConfigError with everything found where the source, a header or a case is wrong.
    """
    found = Found(document, [])
    try:
        cohort = cohort_for(experiment.data.source, experiment.provisional_problem())
        found.add(look_at_headers(experiment, cohort).findings)
        found.refuse()
        study = make_study(experiment, cohort=cohort, rehash=rehash, progress=bar)
        refuse_unfit(study)
        found.add(seen_in_pretraining(experiment, study.split))
        found.refuse()
        found.add(prepare(study, study.learnt_from))
    except DataError as error:
        found.add_error(error)
        found.refuse()
        raise
    return study, tuple(found.warnings)


def prepare(study: Study, cases: Sequence[Case]) -> tuple[Finding, ...]:
    """Prepare cases and keep them for training, with a progress bar; gives the warnings about them.

    Raises DataError with all findings, or Interrupted between two cases where the process is asked to stop.
    """
    with StopRequest() as stop, bar("preparing") as progress:

        def show(done: int, total: int) -> None:
            stop.check()
            progress(done, total)

        return study.dataset(cases).prepare(show)


def tell_briefly(findings: Sequence[Finding], *, say: Callable[[str], None]) -> None:
    """A line for each kind of warning, the first few."""
    groups = grouped(findings)
    for group in groups[:BRIEF]:
        others = f" (and {len(group) - 1} more such cases)" if len(group) > 1 else ""
        say(f"note: {group[0]}{others}")
    if len(groups) > BRIEF:
        say(f"note: and {len(groups) - BRIEF} other kinds of warnings: hilum check names them all")
