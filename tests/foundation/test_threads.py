from __future__ import annotations

import threading

import pytest

from registry.foundation.threads import LastingThread
from tests.faults import no_more_threads
from tests.serving import wait_until


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    noted: list[str] = []

    def note(failure: threading.ExceptHookArgs) -> None:
        assert failure.thread
        noted.append(f"{failure.thread.name}: {failure.exc_value!r}")

    monkeypatch.setattr(threading, "excepthook", note)
    return noted


def test_work_that_fails_is_told_and_done_again_until_it_returns(failures: list[str]) -> None:
    runs: list[int] = []

    def work() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise OSError(5, "I/O error")

    thread = LastingThread("watch", work, pause_seconds=0.01)
    thread.begin()
    thread.join(60)

    assert len(runs) == 3
    assert failures == ["watch: OSError(5, 'I/O error')"] * 2


def test_a_thread_that_cannot_be_started_is_started_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("registry.foundation.threads._START_PAUSE_SECONDS", 0.01)
    done, go_on = threading.Event(), threading.Event()

    def begin() -> None:
        go_on.wait(60)
        LastingThread("watch", done.set).begin()

    beginning = threading.Thread(target=begin)
    beginning.start()

    with no_more_threads():
        go_on.set()
        wait_until("it has been tried", lambda: "the thread watch has to wait: can't start new thread" in caplog.text)
        assert not done.is_set()

    assert done.wait(60)
    beginning.join(60)
