"""Rung 8: three filters of 3 x 3 in a row against one of 7 x 7."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hilum.inspection.description import Description
from hilum.pipeline.course.desk import Desk, Numbers, Trained, percent
from hilum.pipeline.describing import describe
from hilum.report.figures import MUTED, PALETTE, bare

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NETWORKS = {
    "one filter of 7 x 7": ("large", ["network.kernel=7", "network.convolutions=1"]),
    "three filters of 3 x 3": ("small", []),
}
"""The run and the settings of each network."""
SIDE = 15
"""Pixels of the picture of what a unit sees."""


def work(desk: Desk) -> Numbers:
    """What a unit of the first stage sees, the weights of the second stage, the cost, and the accuracy."""
    found: dict[str, tuple[Trained, Description]] = {}
    for name, (run, settings) in NETWORKS.items():
        trained = desk.train("08_small_filters", run, settings)
        found[name] = trained, describe(trained.run.config)
    with desk.figure(7.6, 2.7) as picture:
        first, second, bars = picture.subplots(1, 3, width_ratios=(1, 1, 1.3))
        for panel, (name, (trained, _)) in zip((first, second), found.items(), strict=True):
            _draw_seen(panel, first_stage(trained.restored.model), name)
        _draw_weights(bars, {name: stage_weights(described) for name, (_, described) in found.items()})
    rows = [
        (
            name,
            " x ".join(map(str, first_field(described))),
            str(stage_weights(described)),
            f"{described.multiply_adds / 1e6:.2f} million",
            percent(trained.accuracy("test")),
        )
        for name, (trained, described) in found.items()
    ]
    columns = ("each stage has", "its unit sees", "weights of stage 2 (16 to 16 maps)", "multiply-adds", "accuracy")
    return Numbers(columns, tuple(rows))


def first_field(described: Description) -> tuple[int, ...]:
    """The pixels that a unit at the end of the first stage's convolutions sees along each axis."""
    layer = [layer for layer in described.layers if "conv1_" in layer.name][-1]
    assert isinstance(layer.field, tuple)
    return layer.field


def stage_weights(described: Description, stage: int = 2) -> int:
    """The weights of the kernels of a stage, biases aside."""
    layers = [layer for layer in described.layers if f"conv{stage}_" in layer.name]
    return sum(layer.parameters - layer.output[0] for layer in layers)


def first_stage(model: nn.Module) -> nn.Module:
    """The layers of the first stage, without its pooling."""
    layers = model.get_submodule("features").named_children()
    return nn.Sequential(*(layer for _, layer in takewhile(lambda found: not found[0].startswith("pool"), layers)))


def seen_by_centre(stage: nn.Module, *, images: int = 200) -> Tensor:
    """How much each pixel (SIDE, SIDE) moves the middle unit: the mean size of its gradient over random images."""
    random = torch.rand(images, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(17)).requires_grad_()
    stage(random)[:, :, SIDE // 2, SIDE // 2].sum().backward()
    assert random.grad is not None
    return random.grad.abs().mean((0, 1))


def _draw_seen(axes: Axes, stage: nn.Module, title: str) -> None:
    from matplotlib.patches import Rectangle

    seen = seen_by_centre(stage)
    axes.imshow((seen / seen.max()).sqrt(), cmap="magma", vmin=0, vmax=1)
    corner = SIDE / 2 - 4  # of the 7 x 7 pixels around the middle one, from half a pixel before the first
    axes.add_patch(Rectangle((corner, corner), 7, 7, fill=False, edgecolor=MUTED))
    axes.set_title(title.capitalize(), fontsize=8)
    bare(axes)


def _draw_weights(axes: Axes, weights: dict[str, int]) -> None:
    bars = axes.barh(list(weights), list(weights.values()), color=PALETTE[:2], height=0.5)
    axes.bar_label(bars, padding=3, fontsize=7.5)
    axes.invert_yaxis()
    axes.set(title="Weights from 16 to 16 maps", xlim=(0, 1.2 * max(weights.values())))
    axes.grid(False)
