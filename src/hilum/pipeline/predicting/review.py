"""The review flags of a batch: what is measured of each case, which flags that gives, and how many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hilum.inference.ensemble import Ensemble
from hilum.inference.review.fingerprint import Fingerprint
from hilum.inference.review.flags import Flagging, flag_counts, shared_flags, told_flags
from hilum.inference.review.numbers import Numbers, confidence_numbers, image_numbers, part_numbers, reviewed
from hilum.inference.review.sureness import Sureness, mean_sureness
from hilum.pipeline.predicting.tables import Row
from hilum.volume import Grid, Volume

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from hilum.inference.predictor import Predictor
    from hilum.pipeline.restore import Restored
    from hilum.problem import Problem
    from hilum.run import Run

FLAGS_COLUMN, REASONS_COLUMN = "flags", "flag_reasons"
SEPARATOR = "; "
"""Between several flags of a case, and between their reasons."""
LEADING = ("case_id", "patient_id", "status")
"""The columns that flags stand behind."""


@dataclass(frozen=True)
class Review:
    """The flags of a batch by one network, or by an ensemble, of whose trainings each has its own."""

    trainings: tuple[Flagging, ...]

    def of_image(self, source: Grid, prepared: Volume | Sequence[Volume]) -> Numbers:
        """The numbers of an image; where networks take it prepared differently, as the first one does."""
        first = prepared if isinstance(prepared, Volume) else prepared[0]
        return image_numbers(source, first, self.problem.channels)

    def of_labels(self, labels: npt.NDArray[np.integer]) -> Numbers:
        """The parts of those structures that had one in training: of the others there is nothing to say."""
        return part_numbers(labels, self.problem, self.singles)

    @property
    def problem(self) -> Problem:
        """What is predicted."""
        return self.trainings[0].problem

    @property
    def singles(self) -> frozenset[str]:
        """The structures whose parts are counted."""
        return frozenset[str]().union(*(training.singles for training in self.trainings))

    def watchers(self, predictor: Predictor | Ensemble) -> list[Sureness]:
        """What gathers how sure each network is of structures."""
        count = len(predictor.members) if isinstance(predictor, Ensemble) else 1
        return [Sureness(self.problem) for _ in range(count)]

    def of_watchers(self, watchers: Sequence[Sureness], predictor: Predictor | Ensemble) -> Numbers:
        """How sure the network, or the mean of several, is of the structures that it found."""
        shares = predictor.shares if isinstance(predictor, Ensemble) else (1.0,)
        return confidence_numbers(mean_sureness(watchers, shares))

    def flagged(self, row: Row) -> Row:
        """A row with its flags and the reasons for them, by its numbers and today's settings."""
        flags = shared_flags(self.trainings, row)
        told: Row = {
            FLAGS_COLUMN: SEPARATOR.join(dict.fromkeys(flag.name for flag in flags)),
            REASONS_COLUMN: SEPARATOR.join(flag.reason for flag in flags),
        }
        first = {name: row[name] for name in LEADING if name in row}
        return first | told | {name: value for name, value in row.items() if name not in first}


def told(rows: Sequence[Mapping[str, str | float]]) -> str:
    """How many cases of a batch are flagged, and for what."""
    flags = [cell.split(SEPARATOR) for row in rows if (cell := str(row.get(FLAGS_COLUMN, "")))]
    return f"{told_flags(len(rows), len(flags), flag_counts(flags))} for review"


def review_of(runs: Sequence[Run], restored: Sequence[Restored]) -> tuple[Review | None, tuple[str, ...]]:
    """The review of a batch, and what is to be said of it; none where a run has no fingerprint, or it is not wanted."""
    settings = restored[0].experiment.predict.review
    if settings is None or not reviewed(restored[0].problem):
        return None, ()
    trainings, notes = [], []
    for run, one in zip(runs, restored, strict=True):
        record = run.read_json(run.fingerprint)
        if "training" not in record:
            why = f"{run.folder} has no fingerprint of its training part"
            again = f"hilum train --resume {run.folder} makes one of a finished run"
            return None, (f"note: review flags cannot be made: {why} ({again})",)
        fingerprint = Fingerprint.from_record(record)
        if record.get("weights_sha256") == one.weights_sha256:
            notes.append(f"review flags: {_validation(record['validation'])} when {run.folder.name} was trained")
        elif settings.confidence == "auto":
            fingerprint = replace(fingerprint, surest={})
            notes.append(f"review flags: none for low confidence, of which no validation case of {run.folder} tells")
        trainings.append(Flagging(fingerprint, settings, one.problem))
    return Review(tuple(trainings)), tuple(notes)


def _validation(share: Mapping[str, Any]) -> str:
    return told_flags(share["cases"], share["flagged"], share["flags"], of="validation case")
