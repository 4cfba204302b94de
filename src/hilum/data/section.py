"""The data section of the YAML: where cases come from, who they belong to, and how they become batches."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, ValidationInfo, field_validator

from hilum.augment.base import AugmentConfig
from hilum.data.splits.base import SplitConfig
from hilum.prepare.base import PrepareConfig
from hilum.registry import DEFAULT_KINDS
from hilum.settings import Settings
from hilum.sources.base import SourceConfig

Share = Annotated[float, Field(ge=0, le=1)]


class PatchConfig(Settings):
    """Training on patches instead of whole cases."""

    size: Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=3)]
    """Voxels along each axis after preparation; two numbers make the network two-dimensional (slices)."""
    foreground: Share = 0.33
    """Share of patches that are placed around a voxel of a structure, which lies anywhere in their middle half."""
    classes: Literal["in_case", "balanced"] | dict[str, PositiveFloat] = "in_case"
    """Which structure such a patch is placed around. in_case: one of those that its case shows, each equally often;
    every case is seen equally often. balanced: each structure of the training part equally often, in a case that shows
    it, so that a rare one is seen as often as others. Or weights, such as {organ: 1, lesion: 3}, of those wanted."""
    samples_per_case: PositiveInt = 1
    """Patches taken in an epoch, as a multiple of the cases."""

    @field_validator("classes")
    @classmethod
    def _refuse_without_effect(cls, received: Any, info: ValidationInfo) -> Any:
        if received != "in_case" and info.data.get("foreground") == 0:
            raise ValueError("a patch.foreground above 0, since no patch is placed around a structure")
        if received == {}:
            raise ValueError("the weight of at least one structure")
        return received


class MissingConfig(Settings):
    """Training and prediction where cases may lack some of their channels."""

    presence: bool = True
    """Give the network one more plane for each channel: 1 where the channel is there, 0 where it is missing."""
    dropout: Share = 0.25
    """Probability that a training sample loses a channel that it has; one always stays."""


class DataConfig(Settings):
    """Where cases come from, and how they become batches."""

    source: SourceConfig
    """Where the files, the labels and the patients are listed."""
    split: SplitConfig = Field(default=DEFAULT_KINDS["splits"], validate_default=True)
    """How patients are divided into train, val and test."""
    prepare: tuple[PrepareConfig, ...] = ()
    """Deterministic steps on every case, in this order; computed once."""
    degrade: tuple[AugmentConfig, ...] = ()
    """For a restoration: what makes the network's input from the prepared image, which is then wanted back, such as
    {kind: noise, std: [0.2, 0.2], probability: 1}. In training drawn anew for each sample, after data.augment; in
    validation and evaluation once for each case. Without it, the source names the images that are wanted."""
    augment: tuple[AugmentConfig, ...] = ()
    """Random changes of training samples; all spatial ones are merged into one resampling."""
    patch: PatchConfig | None = None
    """Train on patches; without it, on whole cases (or whole slices)."""
    missing: MissingConfig | None = None
    """Cases may lack channels; without it, a case that does is an error."""
    dims: Literal[2, 3] | None = None
    """2D or 3D network; by default as the patch has dimensions, else 2 for images and 3 for volumes."""
    slice_axis: Literal[0, 1, 2] | None = None
    """The axis that a 2D network's slices are taken along; by default the one of coarsest spacing."""
    batch_size: PositiveInt | Literal["all"] = 4
    """Samples in a step, over all processes together; all is the whole training part, one step an epoch."""
    workers: PositiveInt = 2
    """Threads that make batches ahead of the network."""
    memory_gb: PositiveFloat = 2.0
    """Most memory for cases that come from one large array (.npz); all others are mapped from the cache folder."""
    cache: Path = Path("runs/.cache")
    """Folder of prepared cases, shared by all runs; safe to delete."""
    cache_gb: PositiveFloat = 50.0
    """Most disk space for prepared cases; those that were not used for longest make room for new ones."""

    @property
    def samples_per_step(self) -> int:
        """`batch_size` as a number; `all` is one once the cases are known, see `for_cases`."""
        assert self.batch_size != "all", "the training part is not known yet"
        return self.batch_size

    def for_cases(self, num_train: int) -> int:
        """`batch_size` as a number, for a training part of so many cases."""
        if self.batch_size != "all":
            return self.batch_size
        return num_train * (self.patch.samples_per_case if self.patch else 1)
