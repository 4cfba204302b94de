"""Optimizers: sgd, adam, adamw, rmsprop and adagrad, with torch's own update rules."""

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
    """Decay of weight matrices and kernels; biases and normalisation weights are left alone. In all but adamw it is the
    gradient of an L2 penalty: this much times half the sum of squares."""
    l1: NonNegativeFloat = 0.0
    """L1 penalty of the same weights: this much times the sum of their absolute values, which makes many of them very
    small. Its gradient joins that of the loss after a long one was shortened; the logged loss is without it."""

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of a model's trainable parameters; ends with `penalised`."""
        raise NotImplementedError

    def penalised(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """The optimizer, which adds the gradient of the L1 penalty to that of matrices and kernels before each step."""
        if self.l1:
            optimizer.register_step_pre_hook(lambda stepping, *_: _add_l1(stepping, self.l1))
        return optimizer

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
        return self.penalised(
            torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=nesterov, fused=fused)
        )


class AdamConfig(OptimizerConfig, kind="adam"):
    """Adam (Kingma and Ba 2015)."""

    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    """Decay of the running mean and of the running square of gradients."""

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """torch.optim.Adam over the model's parameters."""
        groups, fused = self.groups(model), can_fuse(model)
        return self.penalised(torch.optim.Adam(groups, lr=self.lr, betas=self.betas, fused=fused))


class AdamWConfig(AdamConfig, kind="adamw"):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    weight_decay: NonNegativeFloat = 1e-2
    """Decay of weight matrices and kernels; biases and normalisation weights are left alone."""

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """torch.optim.AdamW over the model's parameters."""
        groups, fused = self.groups(model), can_fuse(model)
        return self.penalised(torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, fused=fused))


class RMSpropConfig(OptimizerConfig, kind="rmsprop"):
    """RMSprop: steps over the root of the running mean of squared gradients (Tieleman and Hinton 2012)."""

    decay: Momentum = 0.99
    """Share of the running mean that each step keeps."""
    momentum: Momentum = 0.0
    """Share of the last step that is repeated."""
    centered: bool = False
    """Whether the variance of gradients takes the place of their mean square (Graves 2013, arXiv:1308.0850)."""

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """torch.optim.RMSprop over the model's parameters."""
        groups = self.groups(model)
        return self.penalised(
            torch.optim.RMSprop(groups, lr=self.lr, alpha=self.decay, momentum=self.momentum, centered=self.centered)
        )


class AdagradConfig(OptimizerConfig, kind="adagrad"):
    """Adagrad: steps over the root of the sum of all squared gradients so far (Duchi et al. 2011)."""

    lr: PositiveFloat = 1e-2
    """Highest learning rate; the schedule scales it."""

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """torch.optim.Adagrad over the model's parameters."""
        return self.penalised(torch.optim.Adagrad(self.groups(model), lr=self.lr))


def can_fuse(model: nn.Module) -> bool:
    """Whether torch changes all weights of a model in one kernel, which takes about half the time."""
    return all(parameter.device.type in ("cpu", "cuda") for parameter in model.parameters())


def _add_l1(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Add factor * sign(w) to the gradient of every matrix and kernel: 0 where a weight is 0."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.ndim > 1 and parameter.grad is not None:
                parameter.grad.add_(parameter.detach().sign(), alpha=factor)
