"""What a layer sees, told from its operators, is where the gradient of its values on the image is not 0."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hilum.inspection.trace import Layer, trace
from hilum.networks.vnet import VNetConfig
from hilum.problem import Problem

CASES: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("convnet", (40, 33), {"channels": [2, 2], "kernel": 5, "stride": 2, "padding": "symmetric", "pooling": "average"}),
    ("convnet", (40, 36), {"channels": [2, 2], "dilation": 2, "padding": "valid", "pooling": "strided", "hidden": []}),
    ("convnet", (24, 20, 18), {"channels": [2, 2], "padding": "reflect", "pooling": "max", "reduce": "l2"}),
    ("locally_connected", (60, 45), {"channels": [2, 2], "stride": 2}),
    ("lenet5", (32, 32), {}),
    ("alexnet", (127, 95), {"width": 2, "hidden": 4}),
    ("vgg", (64, 33), {"depth": 11, "width": 1, "hidden": 4}),
    ("inception", (96, 64), {"width": 2}),
    ("resnet", (96, 33), {"width": 2}),
    ("resnet", (24, 17, 16), {"width": 2, "stem": "small"}),
    ("densenet", (96, 64), {"growth": 1}),
    ("unet", (64, 32), {"channels": [2, 2, 3]}),
    ("unet", (28, 12, 12), {"channels": [2, 3], "padding": "symmetric", "residual": True}),
    ("unet", (72, 24), {"channels": [2, 2, 2], "strides": [3, 2], "convolutions": 1}),
    ("unet_2015", (50, 46), {"channels": [2, 2, 3]}),
    ("unet_2015", (64, 48), {"channels": [2, 2, 3], "padding": "zero"}),
    ("dynunet", (64, 32), {"channels": [2, 2, 2]}),
    ("attention_unet", (64, 32), {"channels": [2, 2, 2]}),
    ("segresnet", (64, 32), {"width": 8, "blocks_down": [1, 1, 1], "blocks_up": [1, 1]}),
    ("vit", (16, 16), {"patch": 8, "width": 4, "layers": 1, "heads": 2, "hidden": 4}),
]
MARGIN = 8
"""Places on either side of the middle whose gradients are looked at: more than any of these networks repeats after."""


def seen(values: Tensor, image: Tensor) -> list[tuple[int, int]]:
    """The first and the last voxel with a gradient along each axis, of one place of a map (C, *spatial)."""
    (gradient,) = torch.autograd.grad(values.sum(), image, retain_graph=True)
    found = []
    for axis in range(2, image.ndim):
        across = tuple(other for other in range(image.ndim) if other != axis)
        voxels = (gradient != 0).any(dim=across[0], keepdim=True)
        for other in across[1:]:
            voxels = voxels.any(dim=other, keepdim=True)
        places = voxels.flatten().nonzero().flatten()
        found.append((int(places[0]), int(places[-1])))
    return found


def outputs(model: nn.Module, layers: list[Layer], image: Tensor) -> dict[str, list[Tensor]]:
    """What each layer gives for an image, call after call."""
    kept: dict[str, list[Tensor]] = {}
    names = {layer.name for layer in layers}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            kept.setdefault(name, []).append(output if isinstance(output, Tensor) else output[0])

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in model.named_modules() if name in names]
    model(image)
    for handle in handles:
        handle.remove()
    return kept


@pytest.mark.parametrize(
    ("kind", "size", "settings"), CASES, ids=[f"{case[0]}-{len(case[1])}D-{case[2]}" for case in CASES]
)
def test_it_is_where_the_gradient_is_not_0(
    kind: str, size: tuple[int, ...], settings: dict[str, Any], open_network: Any
) -> None:
    model = open_network(kind, size, **settings)
    layers = trace(copy.deepcopy(model).to("meta"), (1, *size))
    image = torch.rand(1, 1, *size, dtype=torch.float64, requires_grad=True)
    given = outputs(model, layers, image)
    compared = 0
    for layer in layers:
        values = given[layer.name].pop(0)[0]
        assert tuple(values.shape) == layer.output
        if layer.field == "all":
            first = values.flatten(1)[:, 0] if values.ndim > 1 else values
            assert seen(first, image) == [(0, length - 1) for length in size]
            compared += 1
        elif isinstance(layer.field, tuple) and values.ndim == len(size) + 1:
            compared += compare(layer, values, image)
    assert compared > 1


def compare(layer: Layer, values: Tensor, image: Tensor) -> bool:
    """Whether the image is large enough for a comparison, which then holds, along each axis."""
    assert isinstance(layer.field, tuple)
    compared = False
    middle = [length // 2 for length in values.shape[1:]]
    for axis, field in enumerate(layer.field):
        step = -(-image.shape[axis + 2] // values.shape[axis + 1])
        if field + 3 * step > image.shape[axis + 2]:
            continue
        reach = min(MARGIN, (image.shape[axis + 2] - field) // (2 * step) - 1)
        extents = []
        for place in range(middle[axis] - max(0, reach), middle[axis] + max(0, reach) + 1):
            here = values
            for number in [*middle[:axis], place, *middle[axis + 1 :]]:
                here = here[:, number]
            first, last = seen(here, image)[axis]
            extents.append(last - first + 1)
        assert max(extents) == field, (layer.name, axis)
        compared = True
    return compared


def test_of_three_small_and_one_large_filter(open_network: Any) -> None:
    """Three 3 x 3 see as much as one 7 x 7."""
    three = open_network("convnet", (32, 32), channels=[1, 1, 1], pooling="none").to("meta")
    one = open_network("convnet", (32, 32), channels=[1], kernel=7, pooling="none").to("meta")
    assert [layer.field for layer in trace(three, (1, 32, 32))[:3]] == [(3, 3), (5, 5), (7, 7)]
    assert trace(one, (1, 32, 32))[0].field == (7, 7)


def test_the_published_figure_of_resnet_18(open_network: Any) -> None:
    """435 x 435 before the pooling of all (Araujo et al. 2019, doi:10.23915/distill.00021, table of ResNet-v1)."""
    layers = trace(open_network("resnet", (224, 224), width=1).to("meta"), (1, 224, 224))
    last = [layer for layer in layers if layer.name == "layer4.1.conv2"]
    assert [layer.field for layer in last] == [(435, 435)]
    assert layers[-1].field == "all"


def test_a_fully_connected_layer_does_not_see_what_was_dropped(open_network: Any) -> None:
    """Of 11 pixels a pooling of 2 sees 10, and so does all that follows."""
    layers = trace(open_network("convnet", (11, 10), channels=[1], kernel=1, hidden=[]).to("meta"), (1, 11, 10))
    assert {layer.name: layer.field for layer in layers}["classifier.output"] == (10, 10)


def test_nor_does_one_behind_padding_that_follows_what_was_dropped(open_network: Any) -> None:
    """The last pixel of 34 is dropped; a padded convolution that reaches beyond the border cannot bring it back."""
    settings = {"channels": [1, 1], "padding": "replicate", "pooling": "average", "pool_stride": 3, "hidden": []}
    model = open_network("convnet", (34, 25), **settings)
    image = torch.rand(1, 1, 34, 25, dtype=torch.float64, requires_grad=True)
    places = seen(model(image)[0], image)
    assert places == [(0, 32), (0, 23)]
    layers = {layer.name: layer.field for layer in trace(model.to("meta"), (1, 34, 25))}
    assert layers["classifier.output"] == tuple(last - first + 1 for first, last in places)


def test_empty_channels_are_followed() -> None:
    """A V-Net for three channels is given a fourth that is empty, and sees what one for four sees."""
    with torch.device("meta"):
        config = VNetConfig()
        classes: dict[str, Any] = {"classes": ("a", "b"), "values": ((0,), (1,))}
        problems = [Problem("segmentation", 2, channels=("x",) * number, **classes) for number in (3, 4)]
        if config.faults(problems[0]):
            pytest.skip("not installed")
        three, four = (trace(config.build(asked), (asked.num_channels, 32, 32)) for asked in problems)
    assert [layer.field for layer in three] == [layer.field for layer in four]
    assert None not in {layer.field for layer in three}


def test_what_cannot_be_followed_is_not_guessed(open_network: Any) -> None:
    settings = {"width": 12, "depths": [1, 1, 1, 1], "heads": [1, 1, 1, 1]}
    layers = trace(open_network("swin_unetr", (64, 32), **settings).to("meta"), (1, 64, 32))
    fields = [layer.field for layer in layers]
    assert None in fields
    assert fields[0] == (2, 2)  # patches, which are embedded first
