"""Progress: a bar on a terminal, lines elsewhere, silence where asked, and no cost worth naming."""

from __future__ import annotations

import io
import re
import time

import pytest

from hilum.tracking import console
from hilum.tracking.console import Progress, bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_file_gets_one_line_an_epoch() -> None:
    stream = io.StringIO()
    with Progress(4, stream=stream, score="val_dice") as progress:
        for epoch in range(2):
            progress.step(0.5, 0.1)
            progress.step(0.4, 0.1)
            progress.epoch(
                {"epoch": epoch, "train_loss": 0.45, "val_dice": 0.8125, "lr": 3e-4, "seconds": 2.0, "waiting": 0.1}
            )
    assert stream.getvalue().splitlines() == [
        f"epoch {epoch}  train_loss 0.4500  val_dice 0.8125  lr 3.00e-04  seconds 2.0s  waiting 10%"
        for epoch in range(2)
    ]


def test_a_long_epoch_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_s = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock_s[0])
    stream = io.StringIO()
    with Progress(100, done_steps=10, stream=stream) as progress:
        for _ in range(30):
            clock_s[0] += 7.0
            progress.step(1.25, 0.5)
    first = stream.getvalue().splitlines()[0]
    assert first == "step 19/100  loss 1.2500  waiting 50%  0:09:27 left"  # 9 steps in 63 s, 81 to go


def test_a_terminal_gets_a_bar_with_loss_score_time_and_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(console, "REFRESH_S", 0.001)
    stream = Terminal()
    with Progress(6, stream=stream, score="val_dice") as progress:
        for epoch in range(3):
            for _ in range(2):
                time.sleep(0.03)
                progress.step(0.5, 0.25)
            progress.epoch({"epoch": epoch, "val_dice": 0.75})
            time.sleep(0.03)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    for expected in ("6/6", "loss 0.5000", "waiting 25%", "val_dice 0.7500", "epoch 2", "0:00:0"):
        assert expected in shown


def test_a_bar_counts_on_a_terminal_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    with bar("headers", stream=stream) as progress:
        progress(40, 40)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "headers" in shown
    assert "40/40" in shown
    assert stream.getvalue().endswith("\x1b[2K")  # the line is cleared


def test_a_bar_elsewhere_is_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    clock_s = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock_s[0])
    stream = io.StringIO()
    with bar("headers", stream=stream) as progress:
        progress(1, 40)
        clock_s[0] = 61.0
        progress(10, 40)
        clock_s[0] = 62.0
        progress(40, 40)
    assert stream.getvalue() == "headers: 10/40  0:03:03 left\n"  # 10 in 61 s, 30 to go


def test_other_ranks_are_quiet() -> None:
    stream = Terminal()
    with Progress(1, stream=stream, quiet=True) as progress:
        progress.step(0.5, 0.0)
        progress.epoch({"epoch": 0})
        progress.line("text")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_step_costs_less_than_a_tenth_of_a_millisecond(stream: io.StringIO) -> None:
    with Progress(20_000, stream=stream) as progress:
        start_s = time.perf_counter()
        for _ in range(20_000):
            progress.step(0.5, 0.1)
        elapsed_s = time.perf_counter() - start_s
    assert elapsed_s / 20_000 < 1e-4
