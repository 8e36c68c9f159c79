from __future__ import annotations

import select
import threading
import time
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from registry.server.worker import Worker, _Term

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.server.connection import Connection


class Poller:
    """Tells of three connections each time, and lets something happen just before."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile

        self.armed: list[int] = []

    def poll(self, *, maxevents: int) -> list[tuple[int, int]]:
        assert maxevents > 0
        self._meanwhile()
        return [(5, 1), (6, 1), (7, 1)]

    def modify(self, fd: int, events: int) -> None:
        assert events & select.EPOLLONESHOT
        self.armed.append(fd)


class Leading(Worker):
    """A worker without a server, which notes whom it would attend to."""

    def __init__(self, meanwhile: Callable[[Leading], None] = lambda _: None) -> None:
        self._ready = deque()
        self._changing = threading.Lock()
        self.poller = Poller(lambda: meanwhile(self))
        self._poller = self.poller  # type: ignore[assignment]  # all that is asked of it
        self._connections = dict.fromkeys([6, 7])  # type: ignore[assignment]  # 5 is a listener
        self._term = self.term = _Term()
        self.attended: list[int] = []

    def _attend(self, fd: int, term: _Term) -> None:
        del term
        self.attended.append(fd)

    def lead(self) -> list[int]:
        """Lead once; return what is left to whoever leads next."""
        self._lead(self.term)
        return list(self._ready)


def test_a_leader_attends_to_one_connection_and_leaves_the_rest_to_whoever_leads_then() -> None:
    worker = Leading()

    left = [worker.lead() for _ in range(3)]

    assert worker.attended == [5, 6, 7]
    assert left == [[6, 7], [7], []]


def relieve(worker: Leading) -> None:
    worker._term = _Term()


def test_a_leader_that_was_relieved_while_it_waited_keeps_no_connection_waiting_for_another() -> None:
    worker = Leading(relieve)

    assert worker.lead() == []
    assert worker.attended == []
    assert worker.poller.armed == [6, 7]


def test_a_leader_that_was_relieved_leaves_alone_what_its_successor_has() -> None:
    worker = Leading(relieve)
    worker._ready.append(8)

    assert worker.lead() == []
    assert worker.attended == [8]


class Writing(Worker):
    """A worker whose requests take `seconds`."""

    def __init__(self) -> None:
        self._write_seconds = 0.0
        self.seconds = 0.0

    def _respond(self, request: Any, connection: Connection, hand_over: Callable[[], None]) -> bool:
        del request, connection, hand_over
        time.sleep(self.seconds)
        return True

    def hands_over(self, **body: int) -> bool:
        """Tell whether a request with such a body is handed over."""
        handed: list[bool] = []
        request = SimpleNamespace(body=SimpleNamespace(reader=SimpleNamespace(**body)))
        assert self._respond_to_write(request, None, lambda: handed.append(True))  # type: ignore[arg-type]  # not looked at
        return bool(handed)


def test_a_small_body_is_led_on_with_while_writing_is_quick() -> None:
    worker = Writing()
    assert [worker.hands_over(length=0) for _ in range(3)] == [False] * 3

    worker.seconds = 0.02
    slow = [worker.hands_over(length=1000) for _ in range(4)]
    worker.seconds = 0.0
    quick = [worker.hands_over(length=1000) for _ in range(60)]

    assert slow == [False, True, True, True]
    assert quick[0]
    assert not quick[-1]


def test_a_large_body_and_one_of_unknown_length_are_handed_over_and_say_nothing_of_small_ones() -> None:
    worker = Writing()
    worker.seconds = 0.02

    assert worker.hands_over(length=1024 * 1024 + 1)
    assert worker.hands_over()
    assert not worker.hands_over(length=1024 * 1024)


@pytest.mark.parametrize("leaders", [2, 8])
def test_however_many_believe_that_they_lead_each_connection_is_attended_to_once(leaders: int) -> None:
    worker = Leading()
    worker._ready.extend(range(1000, 5000))
    together = threading.Barrier(leaders)

    def lead() -> None:
        together.wait()
        while worker._ready:
            worker._lead(worker.term)

    threads = [threading.Thread(target=lead) for _ in range(leaders)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(fd for fd in worker.attended if fd >= 1000) == list(range(1000, 5000))
