"""Pictures of the inside of a network: what is shown of how much, which way round, and a PNG for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageColor

from hilum.report.figures import RIGHT
from hilum.report.inside import (
    Heat,
    filters_picture,
    gradcam_picture,
    histograms_picture,
    maps_picture,
    plane,
    shown_of,
)


def noise(*shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def is_picture(file: Path) -> bool:
    with Image.open(file) as picture:
        return picture.format == "PNG" and len(picture.convert("RGB").getcolors(2**24) or []) > 20


def test_of_many_the_first_the_last_and_some_between_are_shown() -> None:
    assert shown_of(3, 8) == [0, 1, 2]
    assert shown_of(64, 8) == [0, 9, 18, 27, 36, 45, 54, 63]


def test_a_picture_stays_and_a_slice_of_a_volume_has_its_first_axis_to_the_right_and_its_second_upwards() -> None:
    flat = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert plane(flat).tolist() == flat.tolist()
    volume = np.stack([flat, flat + 10, flat + 20], axis=2)
    assert plane(volume).tolist() == [[12, 15], [11, 14], [10, 13]]
    assert plane(volume, 2).tolist() == [[22, 25], [21, 24], [20, 23]]


@pytest.mark.parametrize("shape", [(5, 1, 3, 3), (5, 2, 7, 7), (6, 2, 3, 3, 3)])
def test_filters(tmp_path: Path, shape: tuple[int, ...]) -> None:
    filters_picture(noise(*shape), tmp_path / "f.png", layer="conv1", channels=("t1", "t2", "flair"))
    assert is_picture(tmp_path / "f.png")


@pytest.mark.parametrize("size", [(12, 10), (12, 10, 6)])
def test_feature_maps_and_grad_cam(tmp_path: Path, size: tuple[int, ...]) -> None:
    stages = {"conv1": noise(9, *size), "layer1": noise(2, *(n // 2 for n in size))}
    maps_picture(noise(*size), stages, tmp_path / "m.png", title="Case 1")
    heats = [
        Heat("ill", 0.8, np.abs(noise(*size)), is_truth=True),
        Heat("healthy", 0.2, 0 * noise(*size), is_truth=False),
    ]
    gradcam_picture(noise(*size), heats, tmp_path / "g.png", title="Case 1")
    assert is_picture(tmp_path / "m.png")
    assert is_picture(tmp_path / "g.png")


@pytest.mark.parametrize(("count", "sizes_only"), [(30, True), (3, False)])
def test_histograms(tmp_path: Path, count: int, sizes_only: bool) -> None:
    layers = {f"layer{number}": noise(500) * 10.0**-number for number in range(count)}
    layers["layer0"] = np.zeros(10, np.float32)
    histograms_picture(layers, tmp_path / "h.png", title="Case 1", sizes_only=sizes_only)
    assert is_picture(tmp_path / "h.png")


def test_the_few_gradients_of_a_small_layer_are_seen(tmp_path: Path) -> None:
    """Those of a head are often nearly equal: bins of its own would be thinner than a pixel of the common axis."""
    layers = {"conv": noise(500) * 1e-3, "head": np.array([0.5, 0.5001], np.float32)}
    histograms_picture(layers, tmp_path / "h.png", title="Case 1", sizes_only=True)
    with Image.open(tmp_path / "h.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    bars = (pixels[:, pixels.shape[1] // 2 :] == ImageColor.getrgb(RIGHT)).all(-1)
    assert bars.sum() > 200
