"""Filters samples by a small window, more or less of it."""

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from torch import Tensor

from hilum.augment.base import Draws, Frame, IntensityAugment, Share, rising
from hilum.augment.measures import fit
from hilum.filters.base import FilterConfig, Surround, filtered


class FilterAugmentConfig(IntensityAugment, kind="filter"):
    """A mixture of the sample and of what a small window makes of it, such as sharper or smoother ones."""

    by: FilterConfig = Field(default="sharpen", validate_default=True)
    """The filter: see `hilum list filters`."""
    strength: Annotated[tuple[Share, Share], AfterValidator(rising)] = (0.0, 1.0)
    """Share of the filtered image in the mixture, drawn evenly between these bounds; [1, 1] is the filtered image."""
    padding: Surround = "replicate"
    """What is put around the sample: zero, constant, replicate (the border voxel), reflect (mirrored, 3 2 | 1 2 3) or
    symmetric (mirrored with the border voxel, 2 1 | 1 2 3)."""
    padding_value: float = 0.0
    """The value of `padding: constant`."""
    probability: Share = 0.2
    """Share of the samples that this step changes."""

    @field_validator("padding_value")
    @classmethod
    def _refuse_without_effect(cls, received: float, info: ValidationInfo) -> float:
        if received and info.data.get("padding") != "constant":
            raise ValueError("padding: constant with it, which alone has a value")
        return received

    def faults(self, frame: Frame) -> list[str]:
        """Why samples of so many axes cannot be filtered."""
        return [f"by.{message}" for message in self.by.faults(len(frame.shape))]

    def draw(self, rng: np.random.Generator, frame: Frame) -> Draws:
        """The share of the filtered image."""
        del frame
        return {"strength": np.array(rng.uniform(*self.strength), dtype=np.float32)}

    def apply(self, images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """The mixtures."""
        strength = fit(draws["strength"], images)
        result = filtered(images, self.by, padding=self.padding, value=self.padding_value)
        return result * strength + images * (1 - strength)
