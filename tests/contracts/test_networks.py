"""What every network of the registry keeps, a plugin's too: shapes, gradients, state, independence of samples."""

import io
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from hilum.networks.base import NetworkConfig
from hilum.problem import Problem
from hilum.registry import kinds, summary

NETWORKS = kinds("networks")
LENGTHS = (16, 32, 64, 224)
BATCH = 2

every_network = pytest.mark.parametrize("kind", NETWORKS)
every_dims = pytest.mark.parametrize("dims", [2, 3], ids=["2D", "3D"])
every_channels = pytest.mark.parametrize("channels", [1, 3], ids=["1ch", "3ch"])


def problem_for(config: NetworkConfig, dims: int, *, channels: int = 1) -> Problem:
    """A problem of three classes with the smallest size that the network takes; skips where it takes none."""
    reasons: list[str] = []
    for length in LENGTHS:
        problem = Problem(
            kind=config.task,
            dims=dims,
            channels=tuple(f"channel{index}" for index in range(channels)),
            classes=("background", "organ", "lesion"),
            values=((0,), (1,), (2,)),
            size=(length,) * dims,
        )
        reasons = config.faults(problem)
        if not reasons:
            return problem
    pytest.skip(f"takes no {dims}D input: {reasons}")


def tiny(kind: str, dims: int, *, channels: int = 1) -> tuple[nn.Module, Problem]:
    """A seeded small network and the problem it was built for."""
    config = network(kind).tiny()
    problem = problem_for(config, dims, channels=channels)
    torch.manual_seed(7)
    return config.build(problem), problem


def network(kind: str) -> type[NetworkConfig]:
    found = NETWORKS[kind]
    assert issubclass(found, NetworkConfig)
    return found


def images(problem: Problem, *, batch: int = BATCH, device: str = "cpu") -> Tensor:
    assert problem.size is not None
    shape = (batch, problem.num_channels, *problem.size)
    if device == "meta":
        return torch.empty(shape, device=device)
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def expected_shape(problem: Problem, *, batch: int = BATCH) -> tuple[int, ...]:
    assert problem.size is not None
    spatial = problem.size if problem.kind == "segmentation" else ()
    return (batch, problem.num_outputs, *spatial)


@every_network
@every_dims
@every_channels
def test_shape_and_finite_gradient_of_every_parameter(kind: str, dims: int, channels: int) -> None:
    model, problem = tiny(kind, dims, channels=channels)
    logits = model(images(problem))
    assert logits.shape == expected_shape(problem)
    logits.square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, f"{name} takes no part in the output"
        assert torch.isfinite(parameter.grad).all(), name


@every_network
@every_dims
def test_bfloat16_autocast_is_near_float32(kind: str, dims: int) -> None:
    model, problem = tiny(kind, dims)
    with torch.no_grad():
        model(images(problem))
        model.eval()
        exact = model(images(problem))
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(images(problem))
    assert rounded.shape == exact.shape
    assert (rounded.float() - exact).abs().max() < 0.1 * (1 + exact.abs().max())


@every_network
@every_dims
def test_state_goes_through_a_file_of_tensors_only(kind: str, dims: int) -> None:
    model, problem = tiny(kind, dims)
    model(images(problem))
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    torch.manual_seed(8)
    other = network(kind).tiny().build(problem)
    other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(images(problem)), model.eval()(images(problem)), rtol=0, atol=0)


@every_network
@every_dims
def test_prediction_does_not_depend_on_the_rest_of_the_batch(kind: str, dims: int) -> None:
    model, problem = tiny(kind, dims)
    batch = images(problem, batch=3)
    with torch.no_grad():
        model(batch)
        model.eval()
        together = model(batch)
        alone = torch.cat([model(sample[None]) for sample in batch])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


@every_network
@every_dims
def test_building_depends_on_the_seed_only(kind: str, dims: int) -> None:
    first, problem = tiny(kind, dims)
    second, _ = tiny(kind, dims)
    for (name, one), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    assert repr(first) == repr(second)
    assert problem.num_outputs == 3


@every_network
@every_dims
def test_full_size_on_the_meta_device(kind: str, dims: int) -> None:
    config = network(kind)()
    problem = problem_for(config, dims)
    with torch.device("meta"):
        model = config.build(problem).eval()
        logits = model(images(problem, device="meta"))
    assert logits.shape == expected_shape(problem)
    assert sum(parameter.numel() for parameter in model.parameters()) > 0


@every_network
def test_configuration_says_what_it_is_and_survives_a_round_trip(kind: str) -> None:
    config = network(kind).tiny()
    assert config.kind == kind
    assert config.task in ("classification", "segmentation")
    assert summary(type(config))
    settings = config.model_dump(mode="json")
    settings.pop("kind", None)
    assert type(config).model_validate(settings) == config


@every_network
@every_dims
def test_the_wrong_task_is_refused_in_words(kind: str, dims: int) -> None:
    config = network(kind).tiny()
    right = problem_for(config, dims)
    wrong: Literal["classification", "segmentation"] = "classification"
    if config.task == "classification":
        wrong = "segmentation"
    faults = config.faults(
        Problem(kind=wrong, dims=dims, channels=right.channels, classes=right.classes, values=right.values)
    )
    assert any(kind in fault and wrong in fault for fault in faults)
