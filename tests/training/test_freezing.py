"""What is frozen keeps every bit, its statistics too; what names nothing is told with the nearest name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from hilum.data.loader import Batches
from hilum.optim.schedules import ConstantConfig
from hilum.runtime import Runtime
from hilum.training.freezing import freeze, freeze_faults, freeze_to_faults, frozen_patterns
from hilum.training.settings import TrainConfig
from hilum.training.trainer import Trainer


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Linear(6, 6), nn.BatchNorm1d(6))
        self.head = nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.encoder(x)))


def changed(
    patterns: list[str], runtime: Runtime, batches: Batches, *, ema: float | None = None, up_to: str | None = None
) -> set[str]:
    """The entries of the state that training changes."""
    torch.manual_seed(3)
    model = Net().double()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    freeze(model, frozen_patterns(model, patterns, up_to))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    trainer = Trainer(
        runtime,
        model,
        loss=nn.MSELoss(),
        optimizer=torch.optim.AdamW(trained, lr=0.1),
        schedule=ConstantConfig(),
        settings=TrainConfig(epochs=2, freeze=tuple(patterns), freeze_to=up_to, clip_norm=1.0, ema=ema),
    )
    list(trainer.epochs(batches, augment=lambda batch: batch, after_step=lambda loss, waiting: None))
    after = trainer.scored_model.state_dict()
    return {name for name, value in before.items() if not torch.equal(after[name], value)}


EVERYTHING = set(Net().state_dict())


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        ([], set()),
        (["encoder"], {name for name in EVERYTHING if name.startswith("encoder.")}),
        (["encoder.*"], {name for name in EVERYTHING if name.startswith("encoder.")}),
        (
            ["encoder.[01]", "head.bias"],
            {n for n in EVERYTHING if n.startswith(("encoder.0", "encoder.1"))} | {"head.bias"},
        ),
        (["encoder.1.weight"], {"encoder.1.weight"}),  # half a layer: its statistics go on
        (["encoder.1.weight", "encoder.1.bias"], {name for name in EVERYTHING if name.startswith("encoder.1.")}),
    ],
)
@pytest.mark.parametrize("ema", [None, 0.5])
def test_just_what_is_frozen_keeps_its_bits(
    runtime: Runtime, make_batches: Callable[..., Batches], patterns: list[str], frozen: set[str], ema: float | None
) -> None:
    assert changed(patterns, runtime, make_batches(8, 4), ema=ema) == EVERYTHING - frozen


def test_a_pattern_that_names_nothing_is_told_with_the_nearest_name() -> None:
    ((number, message),) = freeze_faults(Net(), ["head", "encodr.*"])
    assert number == 1
    assert (
        message
        == "received 'encodr.*', which names no part of the network (it has encoder, head); did you mean 'encoder'?"
    )


def test_something_has_to_be_left() -> None:
    assert [message for _, message in freeze_faults(Net(), ["encoder", "head"])] == [
        "nothing is left to train: leave some part of the network out"
    ]
    assert not list(freeze_faults(Net(), []))


@pytest.mark.parametrize(
    ("up_to", "patterns", "frozen"),
    [
        ("encoder.0", [], ("encoder.0", "encoder.1")),  # with the norm that follows, and its statistics
        ("encoder.2", [], ("encoder",)),
        ("encoder.0", ["head.bias"], ("encoder.0", "encoder.1", "head.bias")),
    ],
)
def test_all_stages_up_to_one_keep_their_bits(
    runtime: Runtime, make_batches: Callable[..., Batches], up_to: str, patterns: list[str], frozen: tuple[str, ...]
) -> None:
    kept = {name for name in EVERYTHING if name.startswith(frozen)}
    assert changed(patterns, runtime, make_batches(8, 4), up_to=up_to) == EVERYTHING - kept


def test_a_stage_that_there_is_not_and_the_last_one_are_refused() -> None:
    assert list(freeze_to_faults(Net(), [], "encoder.2")) == []
    (fault,) = freeze_to_faults(Net(), [], "encodr.2")
    assert fault == (
        "received 'encodr.2', which is no stage of the network, expected one of encoder.0, encoder.2, head; "
        "did you mean 'encoder.2'?"
    )
    for patterns, up_to in (([], "head"), (["head"], "encoder.2")):
        assert list(freeze_to_faults(Net(), patterns, up_to)) == [
            "nothing is left to train: leave some part of the network out"
        ]
