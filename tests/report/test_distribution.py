"""The picture of a split: written for any number of parts, folds and values."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.case import Case
from hilum.data.splits.distribution import Distribution, distribution
from hilum.report.distribution import draw_distributions


def shown(groups: int, values: int, columns: int, cases: int = 30) -> Distribution:
    found = {f"fold-{g}": [Case(f"{g}-{k}", f"p{g}-{k}", ()) for k in range(cases)] for g in range(groups)}
    cells = {f"{g}-{k}": f"a rather long value {k % values}" for g in range(groups) for k in range(cases)}
    return distribution("parts", found, {f"column {number}": cells for number in range(columns)})


@pytest.mark.parametrize(("groups", "values", "columns"), [(1, 1, 0), (3, 2, 1), (5, 12, 4), (25, 3, 2)])
def test_a_picture_of_any_size(tmp_path: Path, groups: int, values: int, columns: int) -> None:
    draw_distributions([shown(groups, values, columns)], tmp_path / "split.png")
    picture = Image.open(tmp_path / "split.png")
    assert picture.width > 300
    assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_bars_are_as_long_as_their_shares(tmp_path: Path) -> None:
    """Half the cases of the only row have the first value: as many blue pixels as orange ones."""
    cases = [Case(str(k), str(k), ()) for k in range(10)]
    one = distribution("parts", {"train": cases}, {"site": {str(k): "AB"[k % 2] for k in range(10)}})
    draw_distributions([one], tmp_path / "split.png")
    pixels = np.asarray(Image.open(tmp_path / "split.png").convert("RGB")).astype(int)
    right = pixels[:, pixels.shape[1] // 2 :]
    blue, orange = ((np.abs(right - colour).sum(-1) < 10).sum() for colour in ((0, 114, 178), (213, 94, 0)))
    assert blue == pytest.approx(orange, rel=0.02)
    assert blue > 1000
