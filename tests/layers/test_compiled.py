"""A compiled network in evaluation answers what the plain one does, whatever the size of the batch."""

from pathlib import Path

import pytest
import torch
from torch import nn

from hilum.layers.compiled import Compiled


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own, of its compiler
def test_it_answers_as_the_plain_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    torch.compiler.reset()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)).eval()
    compiled = Compiled(model, setting="predict.compile")
    with torch.no_grad():
        for count in (4, 1, 3):
            images = torch.randn(count, 1, 12, 10)
            torch.testing.assert_close(compiled(images), model(images), rtol=1e-5, atol=1e-5)
    assert any((tmp_path / "inductor").rglob("*.cpp"))  # it was compiled indeed
