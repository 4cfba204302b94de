"""What every loss of the registry keeps, a plugin's too: it falls with the error, is finite, sees nothing ignored."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from hilum.losses.base import LossConfig
from hilum.problem import IGNORE, Problem
from hilum.registry import kinds, summary

LOSSES = kinds("losses")
CLASSES = ("background", "organ", "lesion")
BATCH = 2
SPATIAL = {2: (6, 5), 3: (4, 5, 3)}


def problem(kind: Literal["classification", "segmentation"], dims: int, *, exclusive: bool) -> Problem:
    return Problem(
        kind=kind,
        dims=dims,
        channels=("image",),
        classes=CLASSES if exclusive else ("organ", "core", "lesion"),
        values=((0,), (1,), (2,)) if exclusive else ((1, 2, 3), (2, 3), (3,)),
        exclusive=exclusive,
    )


PROBLEMS = {
    "classes": problem("classification", 2, exclusive=True),
    "labels": problem("classification", 2, exclusive=False),
    "exclusive-2D": problem("segmentation", 2, exclusive=True),
    "exclusive-3D": problem("segmentation", 3, exclusive=True),
    "regions-2D": problem("segmentation", 2, exclusive=False),
    "regions-3D": problem("segmentation", 3, exclusive=False),
}


def config(kind: str) -> type[LossConfig]:
    found = LOSSES[kind]
    assert issubclass(found, LossConfig)
    return found


USES = [(kind, name) for kind in LOSSES for name in PROBLEMS if not config(kind)().faults(PROBLEMS[name])]
every_use = pytest.mark.parametrize(("kind", "name"), USES, ids=["-".join(use) for use in USES])


def build(kind: str, name: str) -> nn.Module:
    return config(kind)().build(PROBLEMS[name])


def logits(name: str, *, dtype: torch.dtype = torch.float32) -> Tensor:
    chosen = PROBLEMS[name]
    shape = (BATCH, chosen.num_outputs, *spatial(chosen))
    return torch.randn(shape, generator=torch.Generator().manual_seed(11), dtype=dtype)


def targets(name: str) -> Tensor:
    chosen = PROBLEMS[name]
    generator = torch.Generator().manual_seed(12)
    if chosen.exclusive:
        return torch.randint(0, chosen.num_outputs, (BATCH, *spatial(chosen)), generator=generator)
    return torch.randint(0, 2, (BATCH, chosen.num_outputs, *spatial(chosen)), generator=generator)


def spatial(chosen: Problem) -> tuple[int, ...]:
    return SPATIAL[chosen.dims] if chosen.kind == "segmentation" else ()


def certain(name: str, truth: Tensor, *, strength: float = 20.0) -> Tensor:
    """Logits that give the truth almost all probability."""
    chosen = PROBLEMS[name]
    if chosen.exclusive:
        truth = torch.stack([truth == index for index in range(chosen.num_outputs)], dim=1)
    return strength * (2.0 * truth.float() - 1.0)


def holes(name: str) -> tuple[Tensor, Tensor]:
    """Targets of which about a third are ignored, and where, in the shape of the logits."""
    truth = targets(name)
    generator = torch.Generator().manual_seed(13)
    if not PROBLEMS[name].exclusive:
        gone = torch.rand(truth.shape, generator=generator) < 0.35
        return truth.masked_fill(gone, IGNORE), gone
    gone = torch.rand(truth.shape, generator=generator) < 0.35
    if truth.dim() == 1:
        gone = torch.tensor([True, False])
    return truth.masked_fill(gone, IGNORE), gone.unsqueeze(1).expand_as(logits(name))


@pytest.mark.parametrize("kind", LOSSES)
def test_every_loss_is_for_some_problem_and_says_what_it_is(kind: str) -> None:
    assert kind in {used for used, _ in USES}
    assert summary(config(kind))


@every_use
def test_perfect_is_below_random_and_wrong_is_above(kind: str, name: str) -> None:
    loss, truth = build(kind, name), targets(name)
    perfect = loss(certain(name, truth), truth)
    random = loss(logits(name), truth)
    wrong = loss(-certain(name, truth), truth)
    assert perfect.shape == ()
    assert perfect < random < wrong
    assert perfect == pytest.approx(0.0, abs=1e-4)


@every_use
@pytest.mark.parametrize("strength", [1.0, 1e4], ids=["mild", "extreme"])
def test_finite_on_empty_masks(kind: str, name: str, strength: float) -> None:
    guess = (strength * logits(name)).requires_grad_()
    value = build(kind, name)(guess, torch.zeros_like(targets(name)))
    value.backward()
    assert torch.isfinite(value)
    assert guess.grad is not None
    assert torch.isfinite(guess.grad).all()


@every_use
def test_all_ignored_costs_nothing(kind: str, name: str) -> None:
    guess = logits(name).requires_grad_()
    value = build(kind, name)(guess, torch.full_like(targets(name), IGNORE))
    value.backward()
    assert value == 0
    assert guess.grad is not None
    assert (guess.grad == 0).all()


@every_use
def test_ignored_targets_do_not_change_the_value(kind: str, name: str) -> None:
    loss, (truth, gone) = build(kind, name), holes(name)
    guess = logits(name).requires_grad_()
    value = loss(guess, truth)
    value.backward()
    other = torch.where(gone, 5.0 - 3.0 * guess.detach(), guess.detach())
    assert loss(other, truth) == value.detach()
    assert guess.grad is not None
    assert (guess.grad[gone] == 0).all()
    assert (guess.grad != 0).any()


@every_use
def test_gradient_against_finite_differences(kind: str, name: str) -> None:
    loss, (truth, _) = build(kind, name), holes(name)
    assert torch.autograd.gradcheck(
        lambda guess: loss(guess, truth), logits(name, dtype=torch.float64).requires_grad_(), fast_mode=True
    )


@every_use
def test_half_precision_logits_are_summed_in_float32(kind: str, name: str) -> None:
    loss, truth = build(kind, name), targets(name)
    rounded = logits(name).bfloat16()
    value = loss(rounded, truth)
    assert value.dtype == torch.float32
    assert value == loss(rounded.float(), truth)
    with torch.autocast("cpu", torch.bfloat16):
        assert loss(rounded, truth) == value


@every_use
def test_order_in_the_batch_does_not_matter(kind: str, name: str) -> None:
    loss, (truth, _), guess = build(kind, name), holes(name), logits(name)
    torch.testing.assert_close(loss(guess.flip(0), truth.flip(0)), loss(guess, truth))


@every_use
def test_nothing_to_save(kind: str, name: str) -> None:
    loss = build(kind, name)
    assert not loss.state_dict()
    assert not list(loss.parameters())
