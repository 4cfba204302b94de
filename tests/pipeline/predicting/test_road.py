"""Cases pass the stages side by side, in order, and few at a time; nothing that happens to one stops the others."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from hilum.case import Case
from hilum.errors import OutputError
from hilum.pipeline.predicting.case import Failure, Work
from hilum.pipeline.predicting.road import Road
from hilum.training.interrupt import Interrupted, StopRequest

PATIENCE_S = 60.0
CASES = [Case(f"c{number}", "p", ()) for number in range(8)]


@dataclass
class Stages:
    """What would read, ask and write, and notes of what it was asked for."""

    failing: dict[str, str] = field(default_factory=dict)
    full_from: str = ""
    stop: StopRequest | None = None
    said: list[str] = field(default_factory=list)
    in_memory: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, change: int = 0) -> None:
        with self.lock:
            self.said.append(what)
            self.in_memory += change
            self.most = max(self.most, self.in_memory)

    def read(self, case: Case) -> Any:
        self.note(f"read {case.id}", 1)
        return self.tried(case, "reading")

    def ask(self, ready: Any) -> Any:
        self.note(f"ask {ready.id}")
        if self.stop is not None:
            self.stop.signum = 15
        return self.tried(ready, "predicting")

    def write(self, answered: Any) -> Any:
        self.note(f"write {answered.id}", -1)
        if answered.id == self.full_from:
            raise OutputError("full")
        return self.tried(answered, "writing")

    def tried(self, case: Case, stage: str) -> Any:
        if self.failing.get(case.id) != stage:
            return case
        if stage != "writing":
            self.note(f"failed {case.id}", -1)
        return Failure(case, stage, "broken")

    def road(self, ended: list[str], **settings: int) -> Road:
        def end(what: Any) -> None:
            ended.append(f"{what.case.id} {what.stage}" if isinstance(what, Failure) else what.id)

        return Road(cast(Work, self), lambda case: None, end, **settings)


def test_every_case_ends_in_order_whatever_happens_to_others() -> None:
    stages = Stages(failing={"c1": "reading", "c3": "predicting", "c4": "writing"})
    ended: list[str] = []
    stages.road(ended).travel(CASES, StopRequest())
    assert ended == ["c0", "c1 reading", "c2", "c3 predicting", "c4 writing", "c5", "c6", "c7"]


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_only_so_many_cases_are_in_memory(ahead: int) -> None:
    stages = Stages()
    stages.road([], ahead=ahead).travel(CASES, StopRequest())
    assert stages.most <= 2 + 2 * ahead
    if ahead == 0:
        steps = [f"{step} {case.id}" for case in CASES for step in ("read", "ask", "write")]
        assert stages.said == steps


def test_the_network_does_not_wait_for_disks() -> None:
    """While it sees a case, the next one is read and the one before is written; each waits for the other to do so."""
    second_read, first_written = threading.Event(), threading.Event()

    class Overlapping(Stages):
        def read(self, case: Case) -> Any:
            if case.id == "c1":
                second_read.set()
            return case

        def ask(self, ready: Any) -> Any:
            if ready.id == "c0":
                assert second_read.wait(PATIENCE_S)
            if ready.id == "c1":
                assert first_written.wait(PATIENCE_S)
            return ready

        def write(self, answered: Any) -> Any:
            first_written.set()
            return answered

    ended: list[str] = []
    Overlapping().road(ended).travel(CASES[:2], StopRequest())
    assert ended == ["c0", "c1"]


def test_a_stop_ends_after_the_case_at_hand() -> None:
    stop, ended = StopRequest(), list[str]()
    with pytest.raises(Interrupted):
        Stages(stop=stop).road(ended).travel(CASES, stop)
    assert ended == ["c0"]


def test_a_stop_during_the_last_case_is_no_stop() -> None:
    stop, ended = StopRequest(), list[str]()
    Stages(stop=stop).road(ended).travel(CASES[:1], stop)
    assert ended == ["c0"]


def test_a_full_disk_ends_the_batch_and_keeps_what_is_done() -> None:
    stages, ended = Stages(full_from="c2"), list[str]()
    with pytest.raises(OutputError):
        stages.road(ended).travel(CASES, StopRequest())
    assert ended[:2] == ["c0", "c1"]
    assert "c2" not in ended
    assert "ask c6" not in stages.said


def test_several_cases_are_asked_about_at_once_and_end_in_their_order() -> None:
    """The first three each wait for the two others to be asked about."""
    meeting = threading.Barrier(3, timeout=PATIENCE_S)

    class Meeting(Stages):
        def ask(self, ready: Any) -> Any:
            if ready.id in ("c0", "c1", "c2"):
                meeting.wait()
            return super().ask(ready)

    stages = Meeting(failing={"c4": "predicting"})
    ended: list[str] = []
    stages.road(ended, ahead=1, together=3).travel(CASES, StopRequest())
    assert ended == ["c0", "c1", "c2", "c3", "c4 predicting", "c5", "c6", "c7"]
    assert stages.most <= 1 + 3 + 2 * 1


def test_a_stop_lets_all_cases_that_the_network_sees_come_to_their_end() -> None:
    stop, meeting, ended = StopRequest(), threading.Barrier(2, timeout=PATIENCE_S), list[str]()

    class Stopping(Stages):
        def ask(self, ready: Any) -> Any:
            meeting.wait()  # both are asked about before the stop is asked for
            stop.signum = 15
            return ready

    with pytest.raises(Interrupted):
        Stopping().road(ended, ahead=0, together=2).travel(CASES, stop)
    assert ended == ["c0", "c1"]
