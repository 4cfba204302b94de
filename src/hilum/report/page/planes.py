"""A case in three planes: the image as PNG, the outlines of truth and prediction drawn over it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from hilum.report.montage import HEADROOM, slice_with_all, square
from hilum.report.page.markup import element
from hilum.report.page.outlines import outline
from hilum.report.page.palette import hue

Pixels = npt.NDArray[np.float32]
Labels = npt.NDArray[np.integer]
Scalar = TypeVar("Scalar", bound=np.generic)

MOST_PIXELS = 320
"""Side of a picture in the page; larger ones are made smaller, which keeps the page light."""
VIEW = 240.0
"""Width of a picture in its own units, in which lines and letters are measured."""
PLANES = ("sagittal", "coronal", "axial")
"""The plane across each axis of a volume whose axes point right, anterior and superior."""
EDGES = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}
"""What lies left, right, above and below in each plane: as radiologists look, from the feet, the front or the left."""


@dataclass(frozen=True)
class CaseView:
    """One case with its truth and its prediction, as the page shows it."""

    id: str
    title: str
    """Such as worst, median or best."""
    image: Pixels
    """(I, J, K), axes pointing right, anterior and superior where `anatomical`; K = 1 is an image."""
    spacing: tuple[float, float, float]
    truth: Labels | None
    """The number of each voxel's structure from 1 on, 0 for none; None where nobody drew any."""
    prediction: Labels
    anatomical: bool
    remark: str = ""
    """What a reader has to know about this picture."""


@dataclass(frozen=True)
class Plane:
    """One slice of a case, first axis down and second to the right, and the part of it that is shown."""

    name: str
    image: Pixels
    truth: Labels | None
    prediction: Labels
    steps: tuple[float, float]
    """Distance between rows and between columns."""
    window: tuple[float, float, float, float]
    """Left, right, bottom and top of the shown square, y pointing down, in the unit of the steps."""


def planes(case: CaseView) -> list[Plane]:
    """The axial, coronal and sagittal slice that show most of the structures; of an image, the image."""
    if case.image.shape[2] == 1:
        return [_plane(case, 2, 0, name="image" if not case.anatomical else "slice")]
    numbers = _numbers(case)
    found = []
    for axis in (2, 1, 0):
        labels = [case.prediction, *([] if case.truth is None else [case.truth])]
        index = slice_with_all(labels, numbers, axis) if numbers else case.image.shape[axis] // 2
        found.append(_plane(case, axis, index, name=PLANES[axis]))
    return found


def pictures_of(case: CaseView, names: Sequence[str]) -> list[tuple[str, Markup]]:
    """Name and picture of each plane of a case; `names` are those of the structures, in the order of their numbers."""
    return [(plane.name, _picture(case, plane, names)) for plane in planes(case)]


def side_by_side(case: CaseView, names: Sequence[str]) -> Markup:
    """The planes of a case with their names."""
    drawn = [(svg, element("figcaption", name)) for name, svg in pictures_of(case, names)]
    return element("div", *(element("figure", *both, class_="plane-figure") for both in drawn), class_="planes")


def data_uri(values: Pixels) -> str:
    """An image (rows, columns), or (rows, columns, 3) in colour, of values from 0 to 1 as PNG within an address."""
    from PIL import Image

    picture = Image.fromarray((255 * values.clip(0, 1)).round().astype(np.uint8))
    scale = MOST_PIXELS / max(picture.size)
    if scale < 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BOX)
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def windowed(image: Pixels, *, headroom: float = HEADROOM) -> Pixels:
    """Grey values from 0 to 1 between the 1st percentile and somewhat more than the 99th of an image's known values."""
    known = image[np.isfinite(image)]
    low, high = np.percentile(known, (1, 99)) if known.size else (0.0, 1.0)
    scaled = (image - low) / (headroom * max(float(high - low), 1e-6))
    return np.nan_to_num(scaled).clip(0, 1).astype(np.float32)


def _numbers(case: CaseView) -> list[int]:
    """The structures that truth or prediction show."""
    both = [case.prediction, *([] if case.truth is None else [case.truth])]
    return sorted({int(number) for labels in both for number in np.unique(labels)} - {0})


def _plane(case: CaseView, axis: int, index: int, *, name: str) -> Plane:
    flat = case.image.shape[2] == 1

    def cut(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        taken = np.moveaxis(array, axis, 0)[index]
        if flat:
            return taken
        upright = taken.T[::-1]  # second axis up, first to the right
        return upright[:, ::-1] if case.anatomical else upright  # and to the left, as radiologists look

    first, second = (step for other, step in enumerate(case.spacing) if other != axis)
    steps = (first, second) if flat else (second, first)
    truth, prediction = None if case.truth is None else cut(case.truth), cut(case.prediction)
    shown = prediction > 0 if truth is None else (prediction > 0) | (truth > 0)
    extent = (shown.shape[0] * steps[0], shown.shape[1] * steps[1])
    return Plane(name, cut(case.image), truth, prediction, steps, square(shown, extent, steps))


def _picture(case: CaseView, plane: Plane, names: Sequence[str]) -> Markup:
    left, right, bottom, top = plane.window
    rows = _span(top, bottom, plane.steps[0], plane.image.shape[0])
    columns = _span(left, right, plane.steps[1], plane.image.shape[1])
    unit = VIEW / (right - left)
    place = (
        (columns[0] * plane.steps[1] - left) * unit,
        (rows[0] * plane.steps[0] - top) * unit,
        (columns[1] - columns[0]) * plane.steps[1] * unit,
        (rows[1] - rows[0]) * plane.steps[0] * unit,
    )
    cropped = windowed(plane.image)[slice(*rows), slice(*columns)]
    x, y, width, height = (f"{value:.2f}" for value in place)
    image = element("image", href=data_uri(cropped), x=x, y=y, width=width, height=height, preserveAspectRatio="none")
    size = f"{plane.steps[1] * unit:.4f} {plane.steps[0] * unit:.4f}"
    move = f"translate({-left * unit:.2f} {-top * unit:.2f}) scale({size})"
    predicted = _outlined(plane.prediction, names)
    truth = {} if plane.truth is None else _outlined(plane.truth, names)
    lines = [
        *(_line(path, move, f"prediction f{hue(number)} l{hue(number)}") for number, path in predicted.items()),
        *(_line(path, move, "truth") for path in truth.values()),
    ]
    said = f"{case.title} case {case.id}, {plane.name}: image with the outlines of truth and prediction"
    return element(
        "svg",
        image,
        *lines,
        *_letters(plane),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {VIEW:g} {VIEW:g}",
        class_="plane",
        role="img",
        aria_label=said,
    )


def _outlined(labels: Labels, names: Sequence[str]) -> Mapping[int, str]:
    """The path around each structure that is there, by its place in the list of names."""
    paths = {index: outline(labels == index + 1) for index in range(len(names))}
    return {index: path for index, path in paths.items() if path}


def _line(path: str, move: str, kind: str) -> Markup:
    return element("path", d=path, transform=move, class_=kind, vector_effect="non-scaling-stroke")


def _letters(plane: Plane) -> list[Markup]:
    edges = EDGES.get(plane.name, "")
    middle = VIEW / 2
    places = ((8, middle + 4), (VIEW - 8, middle + 4), (middle, 14), (middle, VIEW - 6))
    return [
        element("text", letter, x=f"{x:g}", y=f"{y:g}", class_="edge", text_anchor="middle")
        for letter, (x, y) in zip(edges, places, strict=False)
    ]


def _span(start: float, stop: float, step: float, count: int) -> tuple[int, int]:
    """First and last (excluded) of the pixels that lie between two places, at least one."""
    first = min(max(int(start / step), 0), count - 1)
    return first, min(max(int(np.ceil(stop / step)), first + 1), count)
