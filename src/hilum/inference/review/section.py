"""The section predict.review of the YAML: when a prediction is flagged for a person to look at."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat

from hilum.settings import Settings

Share = Annotated[float, Field(gt=0, le=1)]


class ReviewConfig(Settings):
    """When a case is flagged. What is measured stays the same: other settings flag a finished batch anew at once."""

    margin: NonNegativeFloat = 0.1
    """Share by which what training had is widened: 0.1 accepts a tenth more than its largest, a tenth less than its
    smallest. Of intensities it is a share of the range that they have in training."""
    spread: NonNegativeFloat = 3.0
    """What lies within so many interquartile ranges beyond the quartiles of training is accepted, too."""
    tilt_degrees: NonNegativeFloat = 10.0
    """How much further than in training an image may be turned out of the patient's axes."""
    confidence: Literal["auto"] | Share = "auto"
    """Below it a structure, or a class, is flagged. auto: 1.5 interquartile ranges below the lower quartile of the
    validation cases, for each structure."""
    disagreement: Share = 0.3
    """Above it the networks of an ensemble disagree: by default where the Dice of pairs of them is below 0.7."""
