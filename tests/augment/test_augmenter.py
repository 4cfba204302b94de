"""What becomes of a sample depends on seed, epoch and index alone, and image and target move together."""

import dataclasses
from typing import Any

import pytest
import torch

from hilum.augment.augmenter import Augmenter
from hilum.augment.base import AugmentConfig, Frame
from hilum.case import Batch
from hilum.errors import ConfigError
from hilum.registry import kinds, parse

SETTINGS: dict[str, dict[str, Any]] = {"flip": {"axes": ["vertical"]}}
SHAPES = [(13, 17, 11), (28, 28), (31, 7)]


def step(kind: str, shape: tuple[int, ...], **settings: Any) -> AugmentConfig:
    if kind == "flip":
        settings = {"axes": ["left_right"] if len(shape) == 3 else ["vertical"], **settings}
    parsed = parse("augment", {"kind": kind, **settings})
    assert isinstance(parsed, AugmentConfig)
    return parsed


def rows(batch: Batch, chosen: list[int]) -> Batch:
    return dataclasses.replace(
        batch,
        ids=tuple(batch.ids[row] for row in chosen),
        indices=tuple(batch.indices[row] for row in chosen),
        images=batch.images[chosen],
        targets=batch.targets[chosen],
    )


def assert_same(first: Batch, second: Batch) -> None:
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.targets, second.targets)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [*kinds("augment"), "all"])
def test_batch_mates_and_their_order_change_no_bit(
    kind: str, shape: tuple[int, ...], channels: int, threads: int, make_batch: Any
) -> None:
    names = list(kinds("augment")) if kind == "all" else [kind]
    augment = Augmenter([step(name, shape, probability=0.7 if kind == "all" else 1.0) for name in names], seed=5)
    batch, frame = make_batch(shape, channels=channels)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        together = augment(batch, frame)
        assert not torch.equal(together.images, batch.images)
        for row in range(4):
            assert_same(augment(rows(batch, [row]), frame), rows(together, [row]))
        assert_same(augment(rows(batch, [2, 0, 3]), frame), rows(together, [2, 0, 3]))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("kind", kinds("augment"))
def test_probability_0_changes_nothing_and_1_everything_anew_each_epoch(kind: str, make_batch: Any) -> None:
    batch, frame = make_batch((12, 10, 9))
    same = Augmenter([step(kind, frame.shape, probability=0)], 5)(batch, frame)
    assert_same(same, batch)
    always = Augmenter([step(kind, frame.shape, probability=1)], 5)
    changed = always(batch, frame)
    assert all(not torch.equal(*pair) for pair in zip(changed.images, batch.images, strict=True))
    assert_same(always(batch, frame), changed)
    if kind != "flip":
        others = (
            always(dataclasses.replace(batch, epoch=4), frame),
            always(dataclasses.replace(batch, indices=(20, 21, 22, 23)), frame),
            Augmenter(always.steps, 6)(batch, frame),
        )
        assert not any(torch.equal(other.images, changed.images) for other in others)


def test_spared_samples_keep_every_bit_and_the_batch_is_left_as_it_was(make_batch: Any) -> None:
    batch, frame = make_batch((9, 8, 7), size=40)
    images, targets = batch.images.clone(), batch.targets.clone()
    steps = [step(kind, frame.shape, probability=0.08) for kind in kinds("augment")]
    result = Augmenter(steps, 1)(batch, frame)
    same = [torch.equal(*pair) for pair in zip(result.images, images, strict=True)]
    assert 8 < sum(same) < 32  # 0.92 ** 9 = 0.47 of 40
    assert torch.equal(batch.images, images)
    assert torch.equal(batch.targets, targets)
    assert (result.ids, result.epoch, result.indices) == (batch.ids, batch.epoch, batch.indices)


def test_probability_is_the_share_of_changed_samples(make_batch: Any) -> None:
    batch, frame = make_batch((4, 4), size=2000)
    result = Augmenter([step("brightness", frame.shape, probability=0.3)], 1)(batch, frame)
    changed = (result.images != batch.images).flatten(1).any(1).float().mean()
    assert changed == pytest.approx(0.3, abs=0.035)  # 3.4 standard errors


@pytest.mark.parametrize("shape", [(36, 28, 20), (40, 36)])
@pytest.mark.parametrize("kinds_used", [["flip"], ["affine"], ["elastic"], ["affine", "flip", "elastic"]])
def test_image_and_target_move_together(kinds_used: list[str], shape: tuple[int, ...], make_batch: Any) -> None:
    batch, frame = make_batch(shape, spacing=(1.0, 2.0, 3.0)[: len(shape)])
    coarse = batch.targets.clone()
    batch = dataclasses.replace(batch, images=coarse[:, None].float(), targets=coarse)
    steps = [step(kind, shape, probability=1.0) for kind in kinds_used]
    result = Augmenter(steps, 2)(batch, frame)
    assert result.targets.dtype == torch.int64
    assert (result.targets != coarse).float().mean() > 0.015
    image = result.images[:, 0]
    pure = (image - image.round()).abs() < 1e-4  # away from edges, where linear interpolation mixes labels
    assert pure.float().mean() > 0.2
    assert (image.round() == result.targets)[pure].float().mean() > 0.99


def test_regions_move_like_classes_and_ignored_voxels_stay_ignored(make_batch: Any) -> None:
    batch, frame = make_batch((12, 14, 10))
    targets = batch.targets.clone()
    targets[:, 3:6] = -1
    augment = Augmenter([step(kind, frame.shape, probability=1.0) for kind in ("flip", "affine", "elastic")], 9)
    plain = augment(dataclasses.replace(batch, targets=targets), frame).targets
    assert set(plain.unique().tolist()) == {-1, 0, 1, 2, 3}
    regions = torch.stack([(targets >= 1).long(), (targets >= 2).long()], 1).where((targets >= 0)[:, None], -1)
    moved = augment(dataclasses.replace(batch, targets=regions), frame).targets
    expected = torch.stack([(plain >= 1).long(), (plain >= 2).long()], 1).where((plain >= 0)[:, None], -1)
    assert torch.equal(moved, expected)


def test_class_targets_of_a_classification_are_left_alone(make_batch: Any) -> None:
    batch, frame = make_batch((12, 12))
    batch = dataclasses.replace(batch, targets=torch.tensor([0, 1, 2, 3]))
    result = Augmenter([step(kind, frame.shape, probability=1.0) for kind in kinds("augment")], 9)(batch, frame)
    assert result.targets.tolist() == [0, 1, 2, 3]


def test_several_warps_are_their_composition(make_batch: Any) -> None:
    """Two scalings by 2 and by 1/2 in one interpolation give the image back; in two they could not."""
    batch, frame = make_batch((16, 16), size=2)
    still = {"rotate_degrees": 0, "translate": 0, "probability": 1.0}
    both = [step("affine", frame.shape, scale=[factor, factor], **still) for factor in (2.0, 0.5)]
    torch.testing.assert_close(Augmenter(both, 1)(batch, frame).images, batch.images, atol=1e-4, rtol=0)


def test_a_step_that_cannot_act_is_an_error(make_batch: Any) -> None:
    batch, frame = make_batch((8, 8))
    wrong = parse("augment", {"kind": "flip", "axes": ["horisontal", "left_right"], "probability": 0.0})
    assert isinstance(wrong, AugmentConfig)
    with pytest.raises(ConfigError) as caught:
        Augmenter([step("noise", frame.shape), wrong], 1)(batch, frame)
    assert len(caught.value.faults) == 2
    assert "data.augment.1: flip: axes: received 'horisontal'" in str(caught.value)
    assert "vertical, horizontal; did you mean 'horizontal'?" in str(caught.value)


def test_draws_have_fixed_keys_shapes_and_types() -> None:
    import numpy as np

    frame = Frame((9, 8, 7), (1.0, 1.0, 3.0), ("left_right", "posterior_anterior", "inferior_superior"), 2)
    for kind in kinds("augment"):
        made = [step(kind, frame.shape).draw(np.random.default_rng(seed), frame) for seed in (1, 2, 1)]
        described = [{key: (value.shape, value.dtype) for key, value in draws.items()} for draws in made]
        assert described[0] == described[1]
        assert all((made[0][key] == made[2][key]).all() for key in made[0])


def test_whole_cases_of_other_sizes_keep_their_own(make_batch: Any) -> None:
    """The frame is that of the first case; the next one must come back in its own size, moved as if it were alone."""
    batch, own = make_batch((12, 10), size=2)
    _, first = make_batch((9, 14), size=2)
    steps = [step(kind, own.shape, probability=1.0) for kind in ("affine", "elastic", "noise", "bias_field")]
    expected, received = (Augmenter(steps, 1)(batch, frame) for frame in (own, first))
    assert torch.equal(received.images, expected.images)
    assert torch.equal(received.targets, expected.targets)
