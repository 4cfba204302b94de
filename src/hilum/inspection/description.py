"""The layers of a network as a table for people and as plain data for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from hilum.inspection.trace import Layer, trace

HEADINGS = ("layer", "kind", "output", "parameters", "multiply-adds", "receptive field")
NUMBERS = (3, 4)
"""Columns of numbers, which end under each other."""


@dataclass(frozen=True)
class Description:
    """A network: what it is given (channels, *spatial), its layers, all of its weights, and what was assumed."""

    title: str
    shape: tuple[int, ...]
    outputs: int
    layers: tuple[Layer, ...]
    parameters: int
    notes: tuple[str, ...] = ()

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def exceeding(self) -> tuple[Layer, ...]:
        """The layers that see more than the image along an axis, so that padding stands for what is not there."""
        return tuple(
            layer
            for layer in self.layers
            if isinstance(layer.field, tuple)
            and any(seen > size for seen, size in zip(layer.field, self.shape[1:], strict=True))
        )

    def remarks(self) -> list[str]:
        """What to know of it beside the table: dropped borders, receptive fields that exceed the image, assumptions."""
        said = [*self.notes, *border_remarks(self.layers)]
        learnt = self.parameters - sum(layer.parameters for layer in self.layers)
        if learnt:
            said.append(f"{grouped(learnt)} parameters are in layers that learn and do not predict")
        if self.exceeding:
            first, largest = self.exceeding[0], self.exceeding[-1]
            said.append(
                f"the receptive field exceeds the {times(self.shape[1:])} of the image from {first.name} on "
                f"({_seen(first)}; last {largest.name}: {_seen(largest)})"
            )
        lost = next((layer.name for layer in self.layers if layer.field is None), None)
        if lost is not None:
            said.append(f"the receptive field could not be followed from {lost} on")
        return said

    def table(self) -> str:
        """The layers a line each, their sums, and the remarks."""
        rows = [
            (
                layer.name,
                layer.kind,
                times(layer.output),
                grouped(layer.parameters),
                grouped(layer.multiply_adds),
                _seen(layer),
            )
            for layer in self.layers
        ]
        total = ("total", "", "", grouped(self.parameters), grouped(self.multiply_adds), "")
        return "\n".join([f"{self.title}", "", *_aligned([HEADINGS, *rows, total]), *_listed(self.remarks())])

    def as_data(self) -> dict[str, Any]:
        """The same as plain data, for JSON; a receptive field is a list, "all", or null where it is not known."""
        return {
            "title": self.title,
            "input": list(self.shape),
            "outputs": self.outputs,
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "layers": [_plain(layer) for layer in self.layers],
            "exceeding": [layer.name for layer in self.exceeding],
            "remarks": self.remarks(),
        }


def describe_network(
    model: nn.Module, shape: Sequence[int], *, title: str, outputs: int, notes: Sequence[str] = ()
) -> Description:
    """What a network on the meta device does to an image (channels, *spatial). Raises ConfigError as `trace` does."""
    parameters = sum(weights.numel() for weights in model.parameters())
    return Description(title, tuple(shape), outputs, tuple(trace(model, shape)), parameters, tuple(notes))


def border_remarks(layers: Sequence[Layer]) -> list[str]:
    """A sentence for each layer that drops voxels at the border."""
    return [
        f"{layer.name} drops the last {'voxel' if count == 1 else f'{count} voxels'} of axis {axis}: "
        "its stride does not divide evenly what it is given"
        for layer in layers
        for axis, count in layer.dropped
    ]


def grouped(number: int) -> str:
    """A whole number with its digits in groups of three: 11 689 512."""
    return f"{number:,}".replace(",", " ")


def times(sizes: Sequence[int]) -> str:
    """64 x 112 x 112."""
    return " x ".join(map(str, sizes))


def _seen(layer: Layer) -> str:
    if layer.field is None:
        return "?"
    return layer.field if isinstance(layer.field, str) else times(layer.field)


def _plain(layer: Layer) -> dict[str, Any]:
    found = asdict(layer)
    found["receptive_field"] = found.pop("field")
    found["dropped"] = {str(axis): count for axis, count in layer.dropped}
    return found


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column in NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _listed(remarks: Sequence[str]) -> list[str]:
    return ["", *(f"- {remark}" for remark in remarks)] if remarks else []
