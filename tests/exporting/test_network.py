"""Every network of the registry as ONNX and TorchScript: onnx.checker accepts it, onnxruntime answers as torch does."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.exporting.conftest import segmenter
from torch import Tensor, nn

from hilum.errors import CheckpointError
from hilum.exporting.network import OPSETS, write_onnx, write_torchscript
from hilum.inference.predictor import Predictor
from hilum.networks.base import NetworkConfig
from hilum.problem import Problem
from hilum.registry import kinds

onnx: Any = pytest.importorskip("onnx")
onnxruntime: Any = pytest.importorskip("onnxruntime")

NETWORKS = {kind: config for kind, config in kinds("networks").items() if issubclass(config, NetworkConfig)}
LENGTHS = {2: (16, 32, 64, 224), 3: (16, 32, 64)}
TOLERANCE = 1e-5


def predictors(config: type[NetworkConfig], dims: int) -> Iterator[Predictor]:
    """Random networks at the width of tests, for images of the sizes that they take, smallest first."""
    for length in LENGTHS[dims]:
        problem = Problem(
            kind=config.task,
            dims=dims,
            channels=("t1", "t2"),
            classes=("background", "organ", "lesion"),
            values=((0,), (1,), (2,)),
            size=(length,) * dims,
        )
        tiny = config.tiny()
        if tiny.faults(problem):
            continue
        torch.manual_seed(7)
        model = tiny.build(problem).eval()
        window = problem.size if problem.kind == "segmentation" else None
        yield Predictor(model, problem, [], window=window, fixed_size=problem.size if tiny.needs_size else None)


def exported(config: type[NetworkConfig], dims: int, file: Path) -> tuple[Predictor, tuple[int, ...] | None]:
    """The network for the smallest size at which ONNX has all of its layers, written, and the size that it is bound to.

    VGG's pooling to 7 x 7, say, needs images of 224 x 224: it is refused at other sizes, which skips the test in 3D.
    """
    refusal = "takes no input of these sizes"
    for subject in predictors(config, dims):
        try:
            return subject, write_onnx(subject, file)
        except CheckpointError as error:
            refusal = str(error)
    pytest.skip(refusal)


def images(subject: Predictor, *, batch: int, larger: int = 0) -> Tensor:
    size = [length + larger for length in subject.problem.size or subject.window or ()]
    shape = (batch, subject.problem.num_channels, *size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(batch))


def by_onnxruntime(file: Path, given: Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (answer,) = session.run(["probabilities"], {"images": given.numpy()})
    assert answer.dtype == np.float32
    return np.asarray(answer)


def by_torch(subject: Predictor, given: Tensor) -> np.ndarray:
    with torch.no_grad():
        return subject.problem.probabilities(subject.model(given)).numpy()


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("dims", [2, 3], ids=["2D", "3D"])
def test_a_network_of_the_registry_answers_alike(kind: str, dims: int, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    subject, size = exported(NETWORKS[kind], dims, file)
    onnx.checker.check_model(str(file), full_check=True)
    assert size in (None, subject.problem.size)
    given = [images(subject, batch=1), images(subject, batch=3)]
    given += [] if size else [images(subject, batch=2, larger=8)]
    for batch in given:
        assert np.abs(by_onnxruntime(file, batch) - by_torch(subject, batch)).max() < TOLERANCE


@pytest.mark.parametrize("opset", [OPSETS.start, OPSETS.stop - 1])
def test_the_file_has_the_opset_that_was_asked_for(opset: int, tmp_path: Path) -> None:
    subject, file = segmenter(), tmp_path / "model.onnx"
    write_onnx(subject, file, opset=opset)
    assert [entry.version for entry in onnx.load(file).opset_import if not entry.domain] == [opset]
    given = torch.randn(2, 1, 8, 12, 8)
    assert np.abs(by_onnxruntime(file, given) - by_torch(subject, given)).max() < TOLERANCE


def test_a_network_for_missing_channels_takes_them_as_nan(tmp_path: Path) -> None:
    subject, file = segmenter(2, channels=3, presence=True), tmp_path / "model.onnx"
    write_onnx(subject, file)
    given = torch.randn(3, 3, 8, 16)
    given[0, 1] = given[2, 0] = given[2, 2] = torch.nan
    found = by_onnxruntime(file, given)
    assert np.isfinite(found).all()
    assert np.abs(found - by_torch(subject, given)).max() < TOLERANCE


def test_regions_end_in_a_sigmoid(tmp_path: Path) -> None:
    regions = Problem("segmentation", 3, ("image",), ("whole", "core"), ((1, 2), (2,)), exclusive=False)
    subject, file = segmenter(problem=regions), tmp_path / "model.onnx"
    write_onnx(subject, file)
    given = torch.randn(1, 1, 8, 8, 8)
    found = by_onnxruntime(file, given)
    assert np.abs(found - by_torch(subject, given)).max() < TOLERANCE
    assert np.abs(found.sum(1) - 1).max() > 0.01


def test_torchscript_holds_the_mirrored_views(tmp_path: Path) -> None:
    subject = segmenter(flips=((0,), (1, 2)))
    write_torchscript(subject, tmp_path / "model.ts")
    given = torch.randn(2, 1, 12, 8, 8)
    views = [given, given.flip([2]), given.flip([3, 4])]
    one, two, three = (torch.from_numpy(by_torch(subject, view)) for view in views)
    expected = (one + two.flip([2]) + three.flip([3, 4])) / 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, for TorchScript as a whole
        found = torch.jit.load(str(tmp_path / "model.ts"))(given)
    assert (found - expected).abs().max() < TOLERANCE


class Pooled(nn.Module):
    """Three means over halves of the image, which ONNX has for images of a known size only."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.nn.functional.adaptive_avg_pool3d(images, 2).flatten(1)[:, :3]


def test_a_layer_for_one_size_makes_a_network_for_one_size(tmp_path: Path) -> None:
    problem = Problem("classification", 3, ("image",), ("a", "b", "c"), ((0,), (1,), (2,)), size=(8, 8, 8))
    subject, file = Predictor(Pooled(), problem, []), tmp_path / "model.onnx"
    assert write_onnx(subject, file) == (8, 8, 8)
    given = torch.randn(3, 1, 8, 8, 8)
    assert np.abs(by_onnxruntime(file, given) - by_torch(subject, given)).max() < TOLERANCE


class Exotic(nn.Module):
    """Ends in a function for which ONNX has no operator."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.special.bessel_j0(images).mean((2, 3, 4))[:, [0, 0, 0]]


def test_a_layer_that_onnx_does_not_know_is_named(tmp_path: Path) -> None:
    subject = replace(segmenter(), model=Exotic())
    with pytest.raises(CheckpointError, match=r"Exotic cannot be exported.*bessel_j0"):
        write_onnx(subject, tmp_path / "model.onnx")
