"""Grad-CAM: where in an image lies what speaks for a class, by the last feature maps that know places."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from hilum.errors import ConfigError, nearest
from hilum.layers.probe import outputs_of, stage_modules

LINEAR = {2: "bilinear", 3: "trilinear"}


def grad_cam(model: nn.Module, image: Tensor, target: int, *, layer: str) -> Tensor:
    """The map (*spatial) for class `target` of an image (1, C, *spatial) in 2D or 3D, on its grid; no value is below 0.

    relu(sum_k a_k A_k) of the maps A_k that `layer` gives, where a_k is the mean over space of the gradient of the
    class's logit by A_k (Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74, equations 1 and 2), resized linearly. Where
    an activation in place follows the layer, the maps are those after it. The network is evaluated, not trained.
    """
    training = model.training
    model.eval()
    try:
        with torch.enable_grad(), outputs_of(model, [layer], keep=lambda output: output) as seen:
            logits = model(image.detach().requires_grad_() + 0)  # so that layers before all weights have gradients
            maps = seen[layer]
            (gradients,) = torch.autograd.grad(logits[0, target], maps)
    finally:
        model.train(training)
    weights = gradients.mean(tuple(range(2, maps.ndim)), keepdim=True)
    heat = (weights * maps).sum(1, keepdim=True).relu().detach()
    resized = functional.interpolate(heat, image.shape[2:], mode=LINEAR[image.ndim - 2], align_corners=False)
    return resized[0, 0]


def map_layer(model: nn.Module, image: Tensor, wanted: str | None = None) -> str | None:
    """The layer that Grad-CAM looks at: `wanted`, or the last stage that gives maps of more than one voxel.

    None for a network without such a stage. Raises ConfigError for a wanted layer that gives no maps.
    """
    if wanted is not None:
        refuse_unknown_layer(model, wanted)
    candidates = stage_modules(model) if wanted is None else [wanted]
    with torch.no_grad(), outputs_of(model.eval(), candidates) as seen:
        model(image)
    maps = [name for name, output in seen.items() if output.ndim == image.ndim and math.prod(output.shape[2:]) > 1]
    if not maps and wanted is not None:
        raise ConfigError(f"--layer: '{wanted}' gives no feature maps of more than one voxel, which Grad-CAM needs")
    return maps[-1] if maps else None


def refuse_unknown_layer(model: nn.Module, wanted: str) -> None:
    """Raise ConfigError for a name that no layer has."""
    names = [name for name, _ in model.named_modules() if name]
    if wanted not in names:
        close = nearest(wanted, names)
        hint = f"; did you mean '{close}'?" if close else ""
        stages = ", ".join(stage_modules(model))
        raise ConfigError(f"--layer: received '{wanted}', which is no layer (the stages are {stages}){hint}")
