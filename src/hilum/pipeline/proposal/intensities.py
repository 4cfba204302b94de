"""Which kind of image it is, and how its values are brought to one scale."""

from __future__ import annotations

import re
from typing import Literal

from hilum.pipeline.proposal.survey import Survey
from hilum.pipeline.proposal.write import Step

Kind = Literal["ct", "mr", "picture", "other"]

CT_NAMES = {"ct", "cta", "cbct", "ldct"}
MR_NAMES = {"mr", "mri", "t1", "t1w", "t1c", "t1ce", "t1gd", "t2", "t2w", "t2s", "flair", "pd", "dwi", "adc", "swi"}
"""What channels of CT and MRI are called."""
AIR_HU = -500
"""Values this low are Hounsfield units: air is near -1000."""
BONE_HU = 300
FEW_ZEROS = 0.005
"""Share of exact zeros below which leaving them out changes nothing yet."""
NO_POSE = re.compile(
    r"(?<![a-z])(em|sem|tem|isbi2012|microscop\w*|histo\w*|pathology|pathmnist|bloodmnist|tissuemnist|dermamnist|"
    r"vesselmnist3d|cells?|nucle[iu]s?|membranes?|neurons?|tissue)(?![a-z])",
    re.IGNORECASE,
)
"""Words in the name of a data set whose images have no fixed pose: any side may be up."""


def kind_of(survey: Survey) -> tuple[Kind, str]:
    """The kind of image, and what says so."""
    named = survey.modalities.most_common(1)
    words = {word for channel in survey.cohort.channels for word in re.split(r"[^a-z0-9]+", channel.lower())}
    channels = ", ".join(survey.cohort.channels)
    if named and named[0][0] in ("CT", "MR"):
        return ("ct", "the headers say CT") if named[0][0] == "CT" else ("mr", "the headers say MR")
    if words & CT_NAMES and not words & MR_NAMES:
        return "ct", f"the channel is called {channels}"
    if words & MR_NAMES:
        return "mr", f"the channels are called {channels}" if len(survey.cohort.channels) > 1 else f"it is {channels}"
    if survey.unit == "pixel":
        return "picture", "the images have no voxel size"
    whole = all(each.whole_numbers for each in survey.contents)
    if survey.contents and survey.low <= AIR_HU and survey.high >= BONE_HU and whole:
        return "ct", f"whole numbers from {survey.low:.4g} to {survey.high:.4g}, as in Hounsfield units"
    return "other", f"values from {survey.low:.4g} to {survey.high:.4g} in no known unit"


def has_pose(name: str) -> bool:
    """Whether up, down, left and right mean something in these images, as far as the name of the data set tells."""
    return NO_POSE.search(name.replace("_", " ")) is None


def normalisation(survey: Survey, kind: Kind, why: str) -> Step:
    """The step of preparation that brings values to one scale."""
    span = f"{survey.low:.4g} to {survey.high:.4g}"
    if kind == "ct":
        return Step(
            {"kind": "dataset_zscore"},
            f"CT ({why}): values mean the same in every scan, so all are clipped and scaled alike, by what the "
            f"{'structures' if survey.task == 'segmentation' else 'images'} of the training part hold. A fixed window "
            "instead, for soft tissue:\n  - {kind: window, low: -160, high: 240}",
        )
    eight_bit = survey.low >= 0 and 1 < survey.high <= 255 and all(each.whole_numbers for each in survey.contents)
    if kind == "picture" and survey.task == "classification" and eight_bit:
        return Step({"kind": "window", "low": 0, "high": 255}, f"8-bit values ({span}) to 0 ... 1")
    if kind == "picture" and survey.low >= 0 and survey.high <= 1:
        return Step({"kind": "window", "low": 0, "high": 1}, f"the values lie between 0 and 1 already ({span})")
    if kind == "picture" and not eight_bit:
        return Step({"kind": "percentiles", "low": 0.5, "high": 99.5}, f"values ({span}) of no fixed scale to 0 ... 1")
    if kind == "picture":
        return Step({"kind": "zscore"}, f"brightness and contrast differ from picture to picture ({span})")
    return _standardised(survey, f"{'MRI' if kind == 'mr' else 'images'} without a fixed unit ({why}; {span})")


def _standardised(survey: Survey, what: str) -> Step:
    bordered = sum(each.zero_border for each in survey.contents)
    painted = [each.border for each in survey.contents if each.border is not None]
    if painted and not bordered:
        return Step(
            {"kind": "zscore"},
            f"{what}: mean 0 and standard deviation 1 in every image; {len(painted)} of {len(survey.contents)} images "
            f"lie in one value other than 0 (such as {painted[0]:.4g}), which counts as if it were tissue. Where it is "
            "background, set it to 0 in the files and take\n  - {kind: zscore, nonzero: true}",
        )
    zeros = max((each.zeros for each in survey.contents), default=0.0)
    if bordered:
        why = f"{bordered} of {len(survey.contents)} images end in exact zeros, which do not count"
    elif zeros < FEW_ZEROS:
        why = "a border of zeros, as resampling leaves it, will not count either"
    else:
        return Step({"kind": "zscore"}, f"{what}: mean 0 and standard deviation 1 in every image")
    return Step({"kind": "zscore", "nonzero": True}, f"{what}: mean 0 and standard deviation 1 in every image; {why}")
