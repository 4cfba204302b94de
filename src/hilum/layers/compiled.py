"""A network, compiled where that works; where it does not, the user is told and it runs as it is."""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)


class Compiled:
    """A network that `torch.compile` makes code of at its first call; its weights stay where they are.

    Code differs from the network by rounding, so that a run that is resumed has to compile as it did before.
    """

    def __init__(self, model: nn.Module, *, setting: str) -> None:
        """`setting` is the one that asks for it, for the warning."""
        self.model, self._setting = model, setting
        self._call: Callable[[Tensor], Any] = torch.compile(model)
        self._works: bool | None = None

    def __call__(self, images: Tensor) -> Any:
        """The network's logits. Where it cannot be compiled, a warning says why, once."""
        if self._works:
            return self._call(images)
        if self._works is None:
            try:
                logits = self._call(images)
            except Exception as error:  # a compiler that is missing or fails raises nearly anything
                self._works = False
                reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
                log.warning("%s: the network cannot be compiled here (%s): it runs as it is", self._setting, reason)
            else:
                self._works = True
                return logits
        return self.model(images)
