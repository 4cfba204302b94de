"""TensorBoard's own reader finds the curves, and a resumed run hides what it repeats."""

from __future__ import annotations

import io
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hilum.tracking.tensorboard import TensorBoard


def curve(folder: Path, name: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_numbers_become_curves(tmp_path: Path) -> None:
    with TensorBoard(tmp_path) as board:
        for epoch in range(3):
            board.epoch(
                {
                    "epoch": epoch,
                    "train_loss": 0.5,
                    "val": {"dice": {"organ": epoch / 4}},
                    "note": "x",
                    "bad": float("nan"),
                }
            )
    assert curve(tmp_path, "val/dice/organ") == [(0, 0.0), (1, 0.25), (2, 0.5)]
    assert curve(tmp_path, "train_loss") == [(0, 0.5), (1, 0.5), (2, 0.5)]


def test_a_resumed_run_hides_what_it_repeats(tmp_path: Path) -> None:
    with TensorBoard(tmp_path) as board:
        for epoch in range(4):
            board.epoch({"epoch": epoch, "loss": 1.0})
    written = int(time.time())
    while int(time.time()) == written:  # files are read in the order of their names, which begin with the second
        time.sleep(0.01)
    with TensorBoard(tmp_path, resume_epoch=2) as board:
        for epoch in range(2, 5):
            board.epoch({"epoch": epoch, "loss": 2.0})
    assert curve(tmp_path, "loss") == [(0, 1.0), (1, 1.0), (2, 2.0), (3, 2.0), (4, 2.0)]


@pytest.mark.parametrize("loss", ["deleted", "replaced by a file", "read-only"])
def test_a_folder_that_is_lost_is_told_once_and_nothing_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    folder, said = tmp_path / "tensorboard", list[str]()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    with TensorBoard(folder, say=said.append) as board:
        board.epoch({"epoch": 0, "loss": 1.0})
        assert not said
        if loss == "read-only":
            monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.flush", refuse)
        else:
            shutil.rmtree(folder)
        if loss == "replaced by a file":
            folder.write_text("")
        for epoch in (1, 2):
            board.epoch({"epoch": epoch, "loss": 1.0})
    (note,) = said
    assert str(folder) in note
    assert "training goes on" in note


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = list[str]()
    with TensorBoard(tmp_path / "file" / "tensorboard", say=said.append) as board:
        board.epoch({"epoch": 0, "loss": 1.0})
    assert len(said) == 1


def test_histograms_are_there_for_each_epoch(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    values = np.array([-1.0, 0.0, 0.0, 3.0], np.float32)
    with TensorBoard(tmp_path) as board:
        for epoch in range(2):
            board.histograms(epoch, {"weights/conv1": values + epoch})
    events = EventAccumulator(str(tmp_path), size_guidance={"histograms": 0})
    events.Reload()
    found = {event.step: event.histogram_value for event in events.Histograms("weights/conv1")}
    assert [(found[epoch].min, found[epoch].max, found[epoch].num) for epoch in (0, 1)] == [(-1, 3, 4), (0, 4, 4)]


def test_pictures_are_shown_at_their_epoch(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    with TensorBoard(tmp_path) as board:
        board.pictures({"val/roc": stream.getvalue()}, epoch=7)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (event,) = events.Images("val/roc")
    assert event.step == 7
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(event.encoded_image_string))), pixels)
