"""Optimizers: sgd, adam, adamw, rmsprop and adagrad, with torch's own update rules."""

from collections.abc import Iterator, Mapping
from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import nn

from hilum.layers.stages import Stage, stage_fault, stages
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
    lr_scale: Mapping[str, PositiveFloat] = {}
    """Learning rates of single stages of the network, as multiples of lr: {conv1: 0.1, layer1: 0.1}."""
    lr_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Layer-wise decay: each stage that is trained learns at this much of the rate of the one after it, the last one at
    lr; such as 0.7 with pretrained weights. Stages that lr_scale names are left alone."""

    def build(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer of a model's trainable parameters; ends with `penalised`."""
        raise NotImplementedError

    def penalised(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        """The optimizer, which adds the gradient of the L1 penalty to that of matrices and kernels before each step."""
        if self.l1:
            optimizer.register_step_pre_hook(lambda stepping, *_: _add_l1(stepping, self.l1))
        return optimizer

    def groups(self, model: nn.Module) -> list[dict[str, object]]:
        """Parameters with decay (matrices and kernels) and without (biases, normalisation), by learning rate."""
        trainable = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        scales = self.stage_scales(model)
        by_scale: dict[float, list[nn.Parameter]] = {}
        for name, parameter in trainable:
            scale = next((scale for stage, scale in scales.items() if stage.holds(name)), 1.0)
            by_scale.setdefault(scale, []).append(parameter)
        return [group for scale, parameters in by_scale.items() for group in self._by_decay(parameters, scale)]

    def _by_decay(self, parameters: list[nn.Parameter], scale: float) -> Iterator[dict[str, object]]:
        decayed = [parameter for parameter in parameters if parameter.ndim > 1]
        plain = [parameter for parameter in parameters if parameter.ndim <= 1]
        rate = {} if scale == 1 else {"lr": self.lr * scale}
        for group, decay in ((decayed, self.weight_decay), (plain, 0.0)):
            if group:
                yield {"params": group, "weight_decay": decay, **rate}

    def stage_scales(self, model: nn.Module) -> dict[Stage, float]:
        """What the learning rate of each trained stage is multiplied by; empty where it is the same for all."""
        if not self.lr_scale and self.lr_decay is None:
            return {}
        trained = _trained(model)
        decay, last = self.lr_decay or 1.0, len(trained) - 1
        return {stage: self.lr_scale.get(stage.name, decay ** (last - number)) for number, stage in enumerate(trained)}

    def stage_faults(self, model: nn.Module) -> Iterator[tuple[tuple[str, ...], str]]:
        """Settings that name no stage of a network, or one that is frozen, or change nothing: each key, and why."""
        trained, every = _trained(model), stages(model)
        for name in self.lr_scale:
            if (fault := stage_fault(name, every)) is not None:
                yield ("lr_scale", name), fault
            elif name not in [stage.name for stage in trained]:
                yield ("lr_scale", name), f"stage '{name}' is frozen (train.freeze): it has no learning rate, remove it"
        free = [stage for stage in trained if stage.name not in self.lr_scale]
        if self.lr_decay is not None and (len(trained) < 2 or not free):
            left = f"{len(trained)} to train" if len(trained) < 2 else "none that lr_scale does not name"
            yield ("lr_decay",), f"changes nothing, since of the stages of the network there is {left}: remove it"


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


def _trained(model: nn.Module) -> list[Stage]:
    """The stages that have anything to train."""
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    return [stage for stage in stages(model) if any(stage.holds(name) for name in names)]


def _add_l1(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Add factor * sign(w) to the gradient of every matrix and kernel: 0 where a weight is 0."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.ndim > 1 and parameter.grad is not None:
                parameter.grad.add_(parameter.detach().sign(), alpha=factor)
