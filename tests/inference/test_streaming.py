"""Whole predictions, windows to labels, against every step done on whole volumes; and what a budget of memory does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.inference.brute_force import labels_on, whole
from torch import Tensor, nn

from hilum.errors import DataError
from hilum.inference import blending, lattice, restore
from hilum.inference.axes import mirrorings
from hilum.inference.predictor import Predictor
from hilum.prepare.base import PrepareConfig
from hilum.prepare.canonical import CanonicalConfig
from hilum.prepare.spacing import SpacingConfig
from hilum.prepare.zscore import ZscoreConfig
from hilum.problem import Problem
from hilum.volume import Grid, Volume

CLASSES = 20
STEPS: list[PrepareConfig] = [CanonicalConfig(), SpacingConfig(mm=(1.5, 1.5, 1.5)), ZscoreConfig()]
WINDOW = (12, 10, 8)


def problem(dims: int = 3, *, exclusive: bool = True) -> Problem:
    count = CLASSES if exclusive else 3
    names = tuple(f"c{number}" for number in range(count))
    values = tuple((number,) for number in range(count)) if exclusive else ((1, 2, 3), (2, 3), (3,))
    return Problem("segmentation", dims, ("image",), names, values, exclusive=exclusive)


def network(outputs: int, dims: int = 3) -> nn.Module:
    """A network that looks around, so that windows differ where they overlap."""
    kind = nn.Conv3d if dims == 3 else nn.Conv2d
    torch.manual_seed(1)
    layers = nn.Sequential(kind(1, 6, 5, padding=2), nn.Tanh(), kind(6, outputs, 3, padding=1))
    with torch.no_grad():
        layers[2].get_parameter("weight").mul_(6)
    return layers.eval()


def scan(degrees: float = 0.0, *, permuted: bool = False) -> Volume:
    """A smooth random scan of 0.8 x 0.9 x 1.2 mm, flipped, and turned where asked for."""
    turn = np.radians(degrees)
    turned = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turned @ np.diag([-0.8, 0.9, 1.2])
    affine[:3, 3] = (40, -12, 7)
    shape = (34, 30, 37)
    coarse = torch.randn(1, 1, 6, 6, 6, generator=torch.manual_seed(2))
    values = torch.nn.functional.interpolate(coarse, size=shape, mode="trilinear")[0]
    if permuted:
        values, affine, shape = values.permute(0, 3, 1, 2), affine[:, [2, 0, 1, 3]], (37, 34, 30)
    return Volume(values.contiguous(), Grid(shape, affine))


def expected(predictor: Predictor, image: Volume, *, window: tuple[int, ...]) -> Tensor:
    """Labels with all probabilities of the whole volume in memory."""
    prepared = predictor.prepared(image)
    stack = prepared.tensor[None] if predictor.problem.dims == 3 else prepared.tensor.movedim(3, 0)
    with torch.no_grad():
        found = whole(
            lambda x: predictor.problem.probabilities(predictor.model(x)),
            stack,
            window=window,
            overlap=predictor.overlap,
            flips=predictor.flips,
        )
    probabilities = found[0] if predictor.problem.dims == 3 else found.movedim(0, 3)
    torch.testing.assert_close(predictor.probabilities(prepared).tensor, probabilities, rtol=1e-4, atol=1e-6)
    return labels_on(Volume(probabilities, prepared.grid), image.grid, predictor.problem)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that depends on size is met by a small volume."""
    monkeypatch.setattr(lattice, "BLOCK_NUMBERS", 2**13)
    monkeypatch.setattr(blending, "CHUNK_NUMBERS", 2**11)
    monkeypatch.setattr(restore, "INTERPOLATED_NUMBERS", 2**13)


IMAGES = {
    "flipped": scan(),
    "oblique": scan(25),
    "permuted": scan(permuted=True),
    "oblique, permuted": scan(70, permuted=True),
}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES.keys())
@pytest.mark.parametrize("exclusive", [True, False], ids=["classes", "regions"])
def test_labels_equal_the_whole_volume_to_the_last_one(image: Volume, exclusive: bool) -> None:
    task = problem(exclusive=exclusive)
    predictor = Predictor(network(task.num_outputs), task, STEPS, window=WINDOW, batch_size=3)
    labels = predictor.segment(image).tensor[0]
    assert torch.equal(labels, expected(predictor, image, window=WINDOW))
    assert len(labels.unique()) > 2


@pytest.mark.parametrize(
    ("dims", "window", "flips"),
    [(3, (12, 10, 8), ("a", "c")), (3, (12, 40, 40), ()), (2, (10, 8), ("b",)), (2, None, ()), (3, None, ("a",))],
)
def test_whatever_the_windows_are(dims: int, window: tuple[int, ...] | None, flips: tuple[str, ...]) -> None:
    task = problem(dims)
    views = mirrorings(flips, ["a", "b", "c"][:dims])
    predictor = Predictor(
        network(CLASSES, dims), task, STEPS, window=window, flips=views, multiple=4, slice_axis=2, batch_size=5
    )
    sizes = predictor.prepared(scan(25)).grid.shape[:dims]
    seen = window or tuple(-(-size // 4) * 4 for size in sizes)
    assert torch.equal(predictor.segment(scan(25)).tensor[0], expected(predictor, scan(25), window=seen))


def memory(predictor: Predictor, image: Volume, budget: int | None) -> Any:
    grid = predictor.prepared(image).grid
    limited = Predictor(
        predictor.model, predictor.problem, STEPS, window=predictor.window, batch_size=4, memory_bytes=budget
    )
    held_bytes = image.tensor.nbytes + image.tensor.numel()  # the image, and labels of one byte
    return limited, limited.plan(grid, margins=(True, True, True), held_bytes=held_bytes)


def test_a_smaller_budget_gives_smaller_batches_then_tiles_then_a_refusal_and_always_the_same_labels() -> None:
    predictor = Predictor(network(CLASSES), problem(), STEPS, window=WINDOW, batch_size=1)
    image = scan(25)
    labels = predictor.segment(image).tensor
    _, roomy = memory(predictor, image, 2**40)
    assert (roomy.batch_size, len(roomy.lattices)) == (4, 1)
    budget, seen = roomy.num_bytes - 1, []
    while True:
        try:
            limited, plan = memory(predictor, image, budget)
        except DataError as error:
            refusal = str(error)
            break
        assert plan.num_bytes <= budget
        seen.append((plan.batch_size, len(plan.lattices)))
        if plan.batch_size == 1:
            assert torch.equal(limited.segment(image).tensor, labels)
        budget = plan.num_bytes - 1
    assert seen[0] == (3, 1)
    assert (1, 1) in seen
    assert seen[-1][1] > 2
    assert [tiles for _, tiles in seen] == sorted(tiles for _, tiles in seen)
    assert "GB of memory at least, and predict.memory_gb allows" in refusal
    assert "raise predict.memory_gb, or lower predict.overlap" in refusal


def test_the_estimate_does_not_grow_with_the_length_of_the_volume_beyond_the_image() -> None:
    predictor = Predictor(network(CLASSES), problem(), [], window=WINDOW, batch_size=2, memory_bytes=2**40)
    short, long = (predictor.plan(Grid((40, 40, length), np.eye(4))).num_bytes for length in (100, 500))
    assert short is not None
    assert long is not None
    assert long - short == 4 * 40 * 40 * 400


def test_a_visitor_gets_the_probabilities_that_the_labels_come_from() -> None:
    predictor = Predictor(network(CLASSES), problem(), STEPS, window=WINDOW)
    image = scan(25)
    decided = torch.full(image.grid.shape, -1)
    surest = torch.zeros(image.grid.shape)

    def visit(voxels: Tensor, probabilities: Tensor) -> None:
        decided.view(-1)[voxels] = probabilities.argmax(0)
        surest.view(-1)[voxels] = probabilities.amax(0)

    labels = predictor.segment(image, visit=visit).tensor[0]
    seen = decided >= 0
    assert torch.equal(labels[seen].long(), decided[seen])
    assert (labels[~seen] == 0).all()
    assert float(surest[seen].min()) > 1 / CLASSES
