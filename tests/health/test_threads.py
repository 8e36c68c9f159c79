from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from registry.health.threads import ThreadBoard

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadBoard]:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # put back afterwards
    made = ThreadBoard()
    yield made
    made.close()


def run(work: object, name: str = "watch") -> None:
    thread = threading.Thread(target=work, name=name)  # type: ignore[arg-type]  # what is wrong with it is the question
    thread.start()
    thread.join(60)


def test_nothing_is_told_while_no_thread_has_failed(board: ThreadBoard) -> None:
    board.watch()
    run(lambda: None)
    assert board.errors() == {}


def test_a_thread_that_ends_with_a_bug_is_logged_with_its_traceback_and_noted(
    board: ThreadBoard, caplog: pytest.LogCaptureFixture
) -> None:
    board.watch()
    run(lambda: os.environ["MISSING"])

    (error,) = board.errors().items()
    assert error[0] == "thread_watch"
    assert error[1].endswith(": KeyError: 'MISSING'")
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.CRITICAL, "the thread watch has failed")
    assert record.exc_info


def test_a_thread_that_a_disk_has_ended_is_one_line(board: ThreadBoard, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError(5, "I/O error")

    board.watch()
    run(fail)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is None


def test_failures_of_all_processes_are_told(board: ThreadBoard) -> None:
    board.note("debug", "OSError: one")
    pids = []
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            for _ in range(50):
                board.note(f"job {number}", "OSError: two")
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)

    assert set(board.errors()) == {"thread_debug", *(f"thread_job {number}" for number in range(8))}


def test_what_is_told_is_bounded_and_forgotten_after_an_hour(
    board: ThreadBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        board.note(f"{number}" * 1000, "\U0001f600" * 5000)
    assert len(board.errors()) == 20

    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3601)  # nobody waits for an hour
    assert board.errors() == {}
