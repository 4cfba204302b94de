"""Learning curves: a picture of every log that a run can leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hilum.report.curves import learning_curves

FULL: list[dict[str, Any]] = [
    {
        "epoch": epoch,
        "train_loss": 1 / (epoch + 1),
        "val_loss": 1.1 / (epoch + 1),
        "val_dice": epoch / 20,
        "val_hd95": 20.0 - epoch,
        "lr": 10 ** (-epoch / 4),
        "seconds": 3.0,
        "waiting": 0.1,
    }
    for epoch in range(20)
]


def size(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as image:
        assert image.format == "PNG"
        return image.size


@pytest.mark.parametrize(
    ("log", "rows"),
    [
        (FULL, 3),
        ([{key: record[key] for key in ("epoch", "train_loss", "val_dice")} for record in FULL], 1),
        ([{"epoch": 0, "train_loss": 1.0, "val_dice": None, "lr": 0.0, "seconds": 1.5}], 2),
        ([{"epoch": 0, "train_loss": 0.5, "lr": 1e-3, "seconds": 1}, {"epoch": 1, "val_dice": 0.5}], 2),
    ],
    ids=["full", "two panels", "no score yet", "a score every other epoch"],
)
def test_panels_follow_what_was_logged(tmp_path: Path, log: list[dict[str, Any]], rows: int) -> None:
    out = tmp_path / "curves.png"
    learning_curves(log, out, best_epoch=log[-1]["epoch"])
    width, height = size(out)
    assert abs(height - 200 * 2.3 * rows) < 60
    assert abs(width - 200 * 7.2) < 60
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("log", [[], [{"epoch": 0, "train_loss": float("nan")}]], ids=["empty", "nan"])
def test_a_log_without_numbers_gives_an_empty_picture(tmp_path: Path, log: list[dict[str, Any]]) -> None:
    learning_curves(log, tmp_path / "curves.png")
    assert size(tmp_path / "curves.png")[0] > 0


def test_the_picture_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        learning_curves(FULL, tmp_path / name, best_epoch=3)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_one_epoch_has_ticks_a_whole_epoch_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All panels share their axis; limits of matplotlib's own choice lie 1e-17 apart around a single epoch."""
    from matplotlib.figure import Figure

    limits = []
    save = Figure.savefig

    def look_and_save(picture: Figure, *args: Any, **settings: Any) -> None:
        limits.append(picture.axes[0].get_xlim())
        save(picture, *args, **settings)

    monkeypatch.setattr(Figure, "savefig", look_and_save)
    learning_curves(FULL[:1], tmp_path / "one.png", best_epoch=0)
    assert limits == [(-1.0, 1.0)]
