"""A signal is answered between two steps, everybody's handlers come back, and a second signal is not waited for."""

import os
import pickle
import signal
import subprocess
import sys
import threading

import pytest

from hilum.training.interrupt import Interrupted, StopRequest, leaving_at_once


@pytest.mark.parametrize(("signum", "code", "name"), [(signal.SIGINT, 130, "SIGINT"), (signal.SIGTERM, 143, "SIGTERM")])
def test_a_signal_waits_for_the_next_check(signum: signal.Signals, code: int, name: str) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with StopRequest() as stop:
        stop.check()
        os.kill(os.getpid(), signum)
        work_goes_on = True
        with pytest.raises(Interrupted, match=name) as caught:
            stop.check()
    assert work_goes_on
    assert caught.value.exit_code == code
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_handlers_come_back_after_an_error_and_from_within_each_other() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopRequest() as outer:
        mine = signal.getsignal(signal.SIGINT)
        with pytest.raises(ValueError, match="fault"), StopRequest():
            raise ValueError("fault")
        assert signal.getsignal(signal.SIGINT) == mine
        outer.check()
    assert signal.getsignal(signal.SIGINT) == before


def test_outside_the_main_thread_nothing_is_touched() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with StopRequest() as stop:
            stop.check()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
    assert signal.getsignal(signal.SIGINT) == before


def test_it_can_be_sent_to_another_process() -> None:
    again = pickle.loads(pickle.dumps(Interrupted(signal.SIGTERM)))
    assert (str(again), again.exit_code) == ("SIGTERM", 143)


def test_a_second_signal_ends_the_process() -> None:
    code = (
        "import signal\n"
        "from hilum.training.interrupt import StopRequest\n"
        "with StopRequest():\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print('still here', flush=True)\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
        "    print('not here', flush=True)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == "still here\n"
    assert ended.returncode == -signal.SIGTERM


def test_while_libraries_are_loaded_ctrl_c_ends_the_process_at_once() -> None:
    code = (
        "import os, signal\nfrom hilum.training.interrupt import leaving_at_once\nwith leaving_at_once():\n"
        " try:\n  os.kill(os.getpid(), signal.SIGINT)\n  os.getpid()\n except BaseException: pass\nprint('it goes on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_the_handler_comes_back_once_libraries_are_loaded() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ImportError), leaving_at_once():
        raise ImportError
    assert signal.getsignal(signal.SIGINT) == before
