"""A trained network as a file: ONNX or TorchScript, with softmax, sigmoid or the unit of numbers as its last layer."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from hilum.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

    from hilum.inference.predictor import Predictor
    from hilum.problem import Problem

OPSETS = range(15, 21)
"""Versions of ONNX operators that torch's exporter writes from traces, and that its files were tested at."""
DEFAULT_OPSET = 17
INPUT = "images"
UNBOUND_SIZE = 64
"""Side of the image that a network without window and fixed size is traced on."""
FURTHER, ALIKE = 8, 1e-3
"""By how much larger an image is on which a trace is tried, at least, and how near to torch's its answers are:
probabilities, or numbers in standard deviations."""


def output_name(problem: Problem) -> str:
    """What the output of the file is called: probabilities, or answers where they are numbers or an image."""
    return "answers" if problem.continuous else "probabilities"


class Answering(nn.Module):
    """Answers to images (B, C, *spatial): softmax, sigmoid or units included, and the mean over mirrored views.

    Each of `flips` is a set of spatial axes, as for `Predictor`.
    """

    def __init__(self, network: nn.Module, problem: Problem, *, flips: Sequence[tuple[int, ...]] = ()) -> None:
        super().__init__()
        self.network = network
        self.problem = problem
        self.views = [[axis + 2 for axis in axes] for axes in flips]

    def forward(self, images: Tensor) -> Tensor:
        """Answers (B, num_outputs, *spatial) for every voxel, or (B, num_outputs) for the whole image."""
        total: Tensor = self.problem.answers(self.network(images))
        for axes in self.views:
            seen: Tensor = self.problem.answers(self.network(images.flip(axes)))
            total = total + (seen.flip(axes) if self.problem.dense else seen)
        return total / (1 + len(self.views))


def write_onnx(predictor: Predictor, file: Path, *, opset: int = DEFAULT_OPSET) -> tuple[int, ...] | None:
    """Write the network of a predictor as an ONNX file of the version `opset`, and check it.

    Input `images` (B, C, *spatial), output named by `output_name`, both float32. The batch may have any size; so may
    the axes of the image, unless the network takes one size only, or its trace answers at one size only: some layers
    have no other form in ONNX, and some networks reckon with sizes in Python. Gives that size, or None. Raises
    CheckpointError where a layer cannot be written at all.
    """
    import onnx

    size = predictor.fixed_size or predictor.problem.size
    bound = predictor.fixed_size is not None or not _written_for_any_size(predictor, file, opset, known=size)
    if bound:
        _write_traced(predictor, file, opset=opset, any_size=False)
    onnx.checker.check_model(str(file), full_check=True)
    return size if bound else None


def _written_for_any_size(predictor: Predictor, file: Path, opset: int, *, known: tuple[int, ...] | None) -> bool:
    """Whether a file that takes images of any size could be written, and does answer at another size as torch does.

    Raises CheckpointError where it could not, and no size is `known` that it could be written for instead.
    """
    try:
        _write_traced(predictor, file, opset=opset, any_size=True)
    except CheckpointError:
        if known is None:
            raise
        return False
    if _answers_at_another_size(predictor, file):
        return True
    if known is None:
        name = type(predictor.model).__name__
        raise CheckpointError(
            f"the network {name} cannot be exported for images of any size, and its own is not known: "
            "give one with a resize step, and train again"
        )
    return False


def _answers_at_another_size(predictor: Predictor, file: Path) -> bool:
    import onnxruntime

    step = -(-FURTHER // predictor.multiple) * predictor.multiple
    images = _example(predictor, larger=step)
    try:
        with torch.no_grad():
            expected = Answering(predictor.model, predictor.problem).eval()(images)
    except (RuntimeError, ValueError):  # the network itself takes no such size
        return False
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # a refusal is an answer here
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        (answer,) = session.run(None, {INPUT: images.numpy()})
    except Exception:  # onnxruntime has no common class of errors
        return False
    scale = torch.tensor([std for _, std in predictor.problem.scales] or [1.0])  # of numbers, which have units
    difference = (torch.from_numpy(answer) - expected) / scale if answer.shape == tuple(expected.shape) else None
    return difference is not None and bool(difference.abs().max() < ALIKE)


def _write_traced(predictor: Predictor, file: Path, *, opset: int, any_size: bool) -> None:
    """Write what torch's exporter makes of a trace; the other exporter binds sizes wherever two features are joined."""
    axes = {axis + 2: f"axis_{axis}" for axis in range(predictor.problem.dims)} if any_size else {}
    names = {0: "batch", **axes}
    model, output = Answering(predictor.model, predictor.problem).eval(), output_name(predictor.problem)
    with _tracing(predictor):
        torch.onnx.export(
            model,
            (_example(predictor),),
            str(file),
            input_names=[INPUT],
            output_names=[output],
            dynamic_axes={INPUT: names, output: names if predictor.problem.dense else {0: "batch"}},
            opset_version=opset,
            dynamo=False,
        )


def write_torchscript(predictor: Predictor, file: Path) -> None:
    """Write the network of a predictor as a TorchScript file, mirrored views included.

    Raises CheckpointError where it cannot be traced.
    """
    model = Answering(predictor.model, predictor.problem, flips=predictor.flips).eval()
    with _tracing(predictor), torch.no_grad():
        torch.jit.save(torch.jit.trace(model, _example(predictor), check_trace=False), str(file))


def _example(predictor: Predictor, *, larger: int = 0) -> Tensor:
    """An image (1, C, *spatial) that the network takes; drawn, since what is constant might be folded."""
    problem = predictor.problem
    multiple = predictor.multiple
    unbound = (-(-UNBOUND_SIZE // multiple) * multiple,) * problem.dims
    size = predictor.window or predictor.fixed_size or problem.size or unbound
    sides = [side + larger for side in size]
    return torch.randn((1, problem.num_channels, *sides), generator=torch.Generator().manual_seed(0))


@contextmanager
def _tracing(predictor: Predictor) -> Iterator[None]:
    """Without torch's notes on tracing, which are for whoever writes a network; its errors name the network."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            name = type(predictor.model).__name__
            raise CheckpointError(f"the network {name} cannot be exported: torch says: {reason}") from error
