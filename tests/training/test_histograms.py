"""What histograms are made of: layers, weights and gradients against torch's own, with nothing changed by looking."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hilum.training.histograms import MOST, layer_values


def network() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(4, 2))


IMAGES = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
TARGETS = torch.tensor([0, 1, 1, 0, 1])


def test_values_are_those_of_the_layers() -> None:
    model, loss = network(), nn.CrossEntropyLoss()
    found = layer_values(model, loss, IMAGES, TARGETS)
    first = model[0](IMAGES)
    loss(model.eval()(IMAGES), TARGETS).backward()
    np.testing.assert_array_equal(found["activations/0"], first.detach().flatten())  # before the activation in place
    for name in ("0", "3"):
        layer = model.get_submodule(name)
        np.testing.assert_array_equal(
            found[f"weights/{name}"], torch.cat([p.detach().flatten() for p in layer.parameters()])
        )
        slopes = [parameter.grad for parameter in layer.parameters()]
        assert all(slope is not None for slope in slopes)
        np.testing.assert_allclose(
            found[f"gradients/{name}"], torch.cat([slope.flatten() for slope in slopes if slope is not None]), rtol=1e-5
        )


def test_looking_changes_nothing() -> None:
    model = network().train()
    norm = nn.Sequential(nn.BatchNorm1d(3), model).train()
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    random = torch.get_rng_state()
    layer_values(norm, nn.CrossEntropyLoss(), IMAGES, TARGETS)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    assert all(parameter.grad is None for parameter in norm.parameters())
    assert norm.training
    assert model[0].training
    assert not any(module._forward_hooks for module in norm.modules())


def test_a_frozen_layer_has_no_gradient_and_a_large_one_is_thinned() -> None:
    model = network()
    model[0].requires_grad_(False)
    found = layer_values(model, nn.CrossEntropyLoss(), IMAGES, TARGETS)
    assert "gradients/0" not in found
    assert "gradients/3" in found
    wide = nn.Linear(3, MOST)
    seen = layer_values(nn.Sequential(wide), nn.CrossEntropyLoss(), IMAGES, TARGETS)
    assert seen["activations/0"].size <= MOST
    assert seen["weights/0"].size <= 2 * MOST
