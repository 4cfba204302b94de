"""Tempered probabilities against those of the logits that were divided."""

import pytest
import torch

from hilum.layers import temperature
from hilum.layers.temperature import temper_volume, tempered


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("exclusive", [True, False])
def test_they_are_those_of_divided_logits(factor: float, exclusive: bool) -> None:
    logits = 3 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = logits.softmax(1) if exclusive else logits.sigmoid()
    after = (logits / factor).softmax(1) if exclusive else (logits / factor).sigmoid()
    assert torch.allclose(tempered(before, factor, exclusive=exclusive), after, atol=1e-9)
    assert torch.allclose(tempered(before.float(), factor, exclusive=exclusive).double(), after, atol=1e-6)


def test_certainty_stays_finite_and_the_likeliest_class_stays() -> None:
    sure = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    for factor in (0.1, 10.0):
        after = tempered(sure, factor, exclusive=True)
        assert after.isfinite().all()
        assert torch.equal(after.argmax(1), sure.argmax(1))
        assert tempered(sure, factor, exclusive=False).isfinite().all()
    random = torch.rand(200, 5, generator=torch.Generator().manual_seed(1)).softmax(1)
    assert torch.equal(tempered(random, 3.0, exclusive=True).argmax(1), random.argmax(1))


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_volume_is_tempered_slab_by_slab_as_a_whole(exclusive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = torch.rand(3, 7, 4, 5, generator=torch.Generator().manual_seed(2)).softmax(0)
    whole = tempered(volume[None], 1.8, exclusive=exclusive)[0]
    monkeypatch.setattr(temperature, "SLAB_NUMBERS", 2 * 3 * 4 * 5)
    temper_volume(volume, 1.8, exclusive=exclusive)
    assert torch.allclose(volume, whole, atol=1e-6)
