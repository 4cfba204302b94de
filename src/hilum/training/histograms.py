"""What the layers of a network give for a batch, their weights and gradients: the numbers that histograms show."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hilum.layers.probe import outputs_of, weighted_layers

MOST = 2**16
"""Values of a tensor that a histogram is made of; of more, as many at equal distances."""
Values = npt.NDArray[np.float32]


def layer_values(model: nn.Module, loss: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Values]:
    """Values of activations/LAYER, weights/LAYER and gradients/LAYER for every layer with weights, finite ones only.

    Activations are what each layer gives for `images` (B, C, *spatial), weights its own, gradients those of the loss by
    them. The network is evaluated, not trained: no statistic, gradient or random state of it changes.
    """
    training, names = model.training, weighted_layers(model)
    model.eval()
    try:
        with torch.enable_grad(), outputs_of(model, names, keep=lambda output: _some(output.detach())) as seen:
            value = loss(model(images), targets)
    finally:
        model.train(training)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    slopes = torch.autograd.grad(value, list(trained.values()), allow_unused=True)
    gradients = {name: slope for name, slope in zip(trained, slopes, strict=True) if slope is not None}
    found = {f"activations/{name}": output for name, output in seen.items()}
    found |= {f"weights/{name}": _together(model.get_submodule(name), name, None) for name in names}
    found |= {f"gradients/{name}": _together(model.get_submodule(name), name, gradients) for name in names}
    return {name: finite for name, tensor in found.items() if (finite := _finite(tensor)).size}


def _together(layer: nn.Module, name: str, gradients: dict[str, Tensor] | None) -> Tensor:
    """The weights that a layer has of its own, or the gradients by them, one after the other."""
    own = dict(layer.named_parameters(recurse=False))
    tensors: list[Tensor] = list(own.values())
    if gradients is not None:
        tensors = [gradients[f"{name}.{short}"] for short in own if f"{name}.{short}" in gradients]
    return torch.cat([_some(tensor.detach()) for tensor in tensors]) if tensors else torch.empty(0)


def _some(tensor: Tensor) -> Tensor:
    """A copy of MOST values of a tensor at most."""
    flat = tensor.reshape(-1)
    return flat[:: -(-len(flat) // MOST) or 1].clone()


def _finite(tensor: Tensor) -> Values:
    values: Values = tensor.float().cpu().numpy()
    return values[np.isfinite(values)]
