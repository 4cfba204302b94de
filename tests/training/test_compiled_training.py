"""A compiled network learns what the plain one learns; where it cannot be compiled, that is said."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from hilum.data.loader import Batches
from hilum.optim.schedules import ConstantConfig
from hilum.runtime import Runtime
from hilum.training.settings import TrainConfig
from hilum.training.trainer import Trainer

MakeBatches = Callable[..., Batches]


def trained(batches: Batches, *, compile: bool) -> list[torch.Tensor]:  # noqa: A002 (the setting's own name)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    trainer = Trainer(
        Runtime(torch.device("cpu"), "float32", seed=0, compile=compile),
        model,
        loss=nn.MSELoss(),
        optimizer=torch.optim.AdamW(model.parameters(), lr=0.01),
        schedule=ConstantConfig(),
        settings=TrainConfig(epochs=3),
    )
    losses = [
        result.train_loss
        for result in trainer.epochs(batches, augment=lambda batch: batch, after_step=lambda loss, waiting: None)
    ]
    return [torch.tensor(losses), *(parameter.detach() for parameter in model.parameters())]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own, of its compiler
def test_a_compiled_network_learns_the_same(
    make_batches: MakeBatches, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    torch.compiler.reset()
    plain, compiled = (trained(make_batches(8, 4), compile=wanted) for wanted in (False, True))
    assert not [record for record in caplog.records if record.name.startswith("hilum")]
    assert any((tmp_path / "inductor").rglob("*.cpp"))  # it was compiled indeed
    for one, other in zip(plain, compiled, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12)


def test_without_a_compiler_the_network_runs_as_it_is_and_this_is_said_once(
    make_batches: MakeBatches, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_compiler(*_: object, **__: object) -> object:
        raise RuntimeError("no working C++ compiler found")

    def failing(model: nn.Module) -> Callable[..., object]:
        del model
        return no_compiler

    monkeypatch.setattr(torch, "compile", failing)
    with caplog.at_level(logging.WARNING):
        compiled = trained(make_batches(8, 4), compile=True)
    assert [record.getMessage() for record in caplog.records] == [
        "runtime.compile: the network cannot be compiled here (no working C++ compiler found): it runs as it is"
    ]
    for one, other in zip(trained(make_batches(8, 4), compile=False), compiled, strict=True):
        assert torch.equal(one, other)
