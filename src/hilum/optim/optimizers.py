"""Optimizers: sgd, adam, adamw, with torch's own update rules."""

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import nn

from hilum.registry import Component

Momentum = Annotated[float, Field(ge=0, lt=1)]


class OptimizerConfig(Component, family="optimizers"):
    """How gradients change the weights."""

    lr: PositiveFloat = 1e-3
    """Highest learning rate; the schedule scales it."""
    weight_decay: NonNegativeFloat = 0.0
    """Decay of weight matrices and kernels; biases and normalisation weights are left alone."""

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of a model's trainable parameters."""
        raise NotImplementedError

    def groups(self, model: nn.Module) -> list[dict[str, object]]:
        """Parameters with decay (matrices and kernels) and without (biases, normalisation)."""
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        decayed = [parameter for parameter in trainable if parameter.ndim > 1]
        plain = [parameter for parameter in trainable if parameter.ndim <= 1]
        groups: Iterable[tuple[list[nn.Parameter], float]] = ((decayed, self.weight_decay), (plain, 0.0))
        return [{"params": parameters, "weight_decay": decay} for parameters, decay in groups if parameters]


class SGDConfig(OptimizerConfig, kind="sgd"):
    """Stochastic gradient descent with (Nesterov) momentum."""

    lr: PositiveFloat = 1e-2
    """Highest learning rate; the schedule scales it."""
    momentum: Momentum = 0.9
    """Share of the last step that is repeated."""
    nesterov: bool = True
    """Look ahead along the momentum (Sutskever et al. 2013)."""

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """torch.optim.SGD over the model's parameters."""
        nesterov = self.nesterov and self.momentum > 0
        groups, fused = self.groups(model), can_fuse(model)
        return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=nesterov, fused=fused)


class AdamConfig(OptimizerConfig, kind="adam"):
    """Adam (Kingma and Ba 2015)."""

    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    """Decay of the running mean and of the running square of gradients."""

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """torch.optim.Adam over the model's parameters."""
        return torch.optim.Adam(self.groups(model), lr=self.lr, betas=self.betas, fused=can_fuse(model))


class AdamWConfig(AdamConfig, kind="adamw"):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    weight_decay: NonNegativeFloat = 1e-2
    """Decay of weight matrices and kernels; biases and normalisation weights are left alone."""

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """torch.optim.AdamW over the model's parameters."""
        return torch.optim.AdamW(self.groups(model), lr=self.lr, betas=self.betas, fused=can_fuse(model))


def can_fuse(model: nn.Module) -> bool:
    """Whether torch changes all weights of a model in one kernel, which takes about half the time."""
    return all(parameter.device.type in ("cpu", "cuda") for parameter in model.parameters())
