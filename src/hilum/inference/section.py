"""The predict section of the YAML: how whole images are predicted."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt

from hilum.inference.postprocess.base import PostprocessConfig
from hilum.inference.review.section import ReviewConfig
from hilum.problem import Problem
from hilum.settings import Settings

Steps = tuple[PostprocessConfig, ...]
Stored = Literal["float32", "uint16", "uint8"]
NOT_DECIDING = frozenset({"memory_gb", "review", "probabilities", "disagreement", "dicom_seg", "overlays"})
"""Settings that change no label: how much memory is taken, what is flagged, and what is written besides the labels."""
ON_REQUEST = ("probabilities", "disagreement", "dicom_seg", "overlays")
"""What may be written of a segmentation besides its labels."""


def _as_list(received: Any) -> Any:
    return [received] if isinstance(received, dict) else received


class PredictConfig(Settings):
    """How whole images are predicted."""

    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of a window that its neighbour covers too."""
    flips: tuple[str | int, ...] | Literal["all"] = ()
    """Axes along which mirrored views are averaged in, such as [left_right]; only where mirroring makes sense."""
    batch_size: PositiveInt = 4
    """Windows, or slices, of one case predicted together, mirrored views counted; fewer where memory_gb asks for it."""
    cases_at_once: PositiveInt = 1
    """Cases that hilum predict has in hand at a time, whose windows or images pass the network together, up to
    batch_size of them. More than one is faster where a case fills no batch by itself, and takes more memory; which
    cases meet depends on the clock, and with it the last bits of the result."""
    compile: bool = False
    """Whether hilum predict and hilum evaluate run the network through torch.compile: the first windows take half a
    minute or more, the others less time."""
    memory_gb: PositiveFloat | None = None
    """Most memory that predicting a case may take, in GB of 2^30 bytes: of the whole process on a CPU, of the device on
    a GPU. Windows are divided so as to keep to it, and a case that cannot be is refused. Without it, no limit."""
    skip_air: bool = False
    """Pass over windows in which nothing is as bright as it is around the structures of the training cases: they are
    background, and the network is not asked. What that brightness is is found in training (fingerprint.json)."""
    review: ReviewConfig | None = ReviewConfig()
    """When a case is flagged for a person to look at; null makes no fingerprint of the training part and no flags."""
    postprocess: Annotated[
        Literal["auto"] | Steps,
        BeforeValidator(_as_list, json_schema_input_type=Literal["auto"] | PostprocessConfig | Steps),
    ] = ()
    """Changes of predicted structures on the image's own grid, in this order. Or auto: after training, those that raise
    the mean Dice of the validation patients and lower that of no class are chosen and kept with the run."""

    probabilities: bool | Stored = False
    """Whether hilum predict writes the probability of each class too, as one 4-D NIfTI file a case: true for float32;
    uint16 and uint8 for files of half and a quarter of the size, in steps of 1/65535 and of 1/255."""
    disagreement: bool = False
    """Whether hilum predict writes how far the networks of an ensemble are apart at each voxel, as NIfTI, too."""
    dicom_seg: bool = False
    """Whether hilum predict writes the structures of a DICOM input as a DICOM segmentation object too."""
    overlays: bool = False
    """Whether hilum predict draws each case too: a PNG of the planes that show most, with the structures' outlines."""

    @property
    def stored(self) -> Stored | None:
        """The type of the probabilities that are written; None where they are not."""
        return "float32" if self.probabilities is True else self.probabilities or None

    @property
    def steps(self) -> Steps:
        """The post-processing steps; none where they are yet to be chosen."""
        return () if self.postprocess == "auto" else self.postprocess

    def faults(self, problem: Problem) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What does not suit the problem, or each other, each with its place in the section."""
        if self.memory_gb is not None:
            if self.cases_at_once > 1:
                yield ("cases_at_once",), "takes memory that predict.memory_gb cannot count: leave one of the two away"
            if self.compile:
                yield ("compile",), "takes memory that predict.memory_gb cannot count: leave one of the two away"
        if problem.kind != "segmentation":
            given = [name for name in ("postprocess", "skip_air", *ON_REQUEST) if getattr(self, name)]
            yield from (((name,), f"is for segmentation, the task is {problem.kind}: remove it") for name in given)
            return
        for index, step in enumerate(self.steps):
            yield from ((("postprocess", index), f"{step.kind}: {fault}") for fault in step.faults(problem))
