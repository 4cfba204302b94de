"""The section `train` of a configuration: how long to optimize, and how carefully."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from hilum.settings import Settings

EPOCHS = 60
"""Passes over the training part where neither a number of them nor a time is given."""


class EarlyStoppingConfig(Settings):
    """When to end because validation stands still."""

    patience: PositiveInt
    """Validations in a row without a better score after which training ends."""
    min_delta: NonNegativeFloat = 0.0
    """What a score has to be better by to count."""


class TrainConfig(Settings):
    """How long and how carefully to optimize."""

    epochs: PositiveInt | None = None
    """Passes over the training part; 60 where `minutes` is not given either."""
    minutes: PositiveFloat | None = None
    """Time for training and validation together, in place of `epochs`: converted once, after a short measurement, to
    a number of steps that the checkpoint keeps."""
    steps_per_epoch: PositiveInt | None = None
    """Batches in an epoch; by default as many as show every case once."""
    clip_norm: PositiveFloat | None = None
    """Longest gradient (L2 norm over all weights); longer ones are shortened to it."""
    accumulate: PositiveInt = 1
    """Batches whose gradients are averaged before the weights change."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of the moving average of the weights, which is what is validated and used; such as 0.99."""
    freeze: tuple[str, ...] = ()
    """Names of modules or parameters that are not trained, with * for any letters, such as [stem, encoder.0.*]."""
    freeze_to: str | None = None
    """The stage of the network up to which, itself included, nothing is trained, such as layer2 of a ResNet."""
    validate_every: PositiveInt = 1
    """Epochs between two validations on whole cases; the last epoch is always validated."""
    validate_cases: PositiveInt | None = None
    """Cases of a validation, drawn once by the seed; by default all. The best checkpoint is scored on all at last."""
    monitor: str | None = None
    """The score that chooses the best checkpoint; by default the first of the metrics."""
    early_stopping: EarlyStoppingConfig | None = None
    """When to end before the last epoch; by default never."""
    log_gradients: bool = False
    """Write the length (L2 norm) of each layer's gradient, its mean over the steps of the epoch and before a long one
    is shortened, into log.jsonl (by layer, in `gradients`) and TensorBoard (gradients/LAYER).
    """
    log_histograms: bool = False
    """Write histograms into TensorBoard after each epoch: what every layer gives for one fixed batch of the training
    part (activations/LAYER), its weights, and the gradient of the loss by them (weights/LAYER, gradients/LAYER)."""
    on_nan: Literal["stop", "skip"] = "stop"
    """What a loss or gradient that is NaN or infinite does: end the run, or leave the weights as they are and go on."""
    max_skips: PositiveInt = 10
    """Steps in a row that `on_nan: skip` leaves out; one more ends the run."""
    report: bool = True
    """Whether `hilum train` ends by writing report.html."""

    @model_validator(mode="before")
    @classmethod
    def _some_end(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("epochs") is None and data.get("minutes") is None:
            return {**data, "epochs": EPOCHS}
        return data

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if self.epochs is not None and self.minutes is not None:
            raise ValueError("either epochs or minutes; on the command line, say epochs=null to take minutes")
        return self

    def updates(self, steps_per_epoch: int) -> int:
        """Changes of the weights in an epoch of so many batches."""
        return -(-steps_per_epoch // self.accumulate)
