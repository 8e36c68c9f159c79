from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import pytest

from registry.worker import Worker, _Term

if TYPE_CHECKING:
    from collections.abc import Callable


class Poller:
    """Tells of three connections each time, and lets something happen just before."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile

    def poll(self, *, maxevents: int) -> list[tuple[int, int]]:
        assert maxevents > 0
        self._meanwhile()
        return [(5, 1), (6, 1), (7, 1)]


class Leading(Worker):
    """A worker without a server, which notes whom it would attend to."""

    def __init__(self, meanwhile: Callable[[Leading], None] = lambda _: None) -> None:
        self._ready = deque()
        self._changing = threading.Lock()
        self._poller = Poller(lambda: meanwhile(self))  # type: ignore[assignment]  # all that is asked of it
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


def test_a_leader_that_was_relieved_while_it_waited_attends_to_all_that_it_was_told_of() -> None:
    worker = Leading(relieve)

    assert worker.lead() == []
    assert worker.attended == [5, 6, 7]


def test_a_leader_that_was_relieved_leaves_alone_what_its_successor_has() -> None:
    worker = Leading(relieve)
    worker._ready.append(8)

    assert worker.lead() == []
    assert worker.attended == [8]


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
