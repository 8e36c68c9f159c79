from __future__ import annotations

import math
import threading
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from registry.server import turns
from registry.server.poller import Poller
from registry.server.turns import Term, Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.server.connection import Connection


class Ready(Poller):
    """Tells of three connections each time, and lets something happen just before."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile
        self._ready = deque()
        self.armed: list[int] = []

    def wait(self, seconds: float | None = None) -> list[int]:
        del seconds
        self._meanwhile()
        return [5, 6, 7]

    def give_back(self, found: list[int]) -> None:
        self.armed += found

    def next_ready(self) -> Connection | None:
        try:
            return SimpleNamespace(fd=self._ready.popleft())  # type: ignore[return-value]  # all that is asked of it
        except IndexError:
            return None


class Leading(Turns):
    """Turns without threads, which note whom they would serve."""

    def __init__(self, meanwhile: Callable[[Leading], None] = lambda _: None) -> None:
        self.poller = Ready(lambda: meanwhile(self))
        self.attended: list[int] = []
        super().__init__(self.poller, self._attend, (-1, -1), threads=1)
        self._term = self.term = Term()

    def _take_turns(self) -> None:
        """End at once: what a second leader would do is not what is tried here."""

    def _attend(self, connection: Connection, _: object) -> bool:
        self.attended.append(connection.fd)
        return False

    def lead(self) -> list[int]:
        """Lead once; return what is left to the next that leads."""
        self._lead(self.term)
        return list(self.poller._ready)


def test_a_leader_attends_to_one_connection_and_leaves_the_rest_to_whoever_leads_then() -> None:
    worker = Leading()

    left = [worker.lead() for _ in range(3)]

    assert worker.attended == [5, 6, 7]
    assert left == [[6, 7], [7], []]


def relieve(worker: Leading) -> None:
    worker._term = Term()


def test_a_leader_that_was_relieved_while_it_waited_keeps_no_connection_waiting_for_another() -> None:
    worker = Leading(relieve)

    assert worker.lead() == []
    assert worker.attended == []
    assert worker.poller.armed == [5, 6, 7]


def test_a_leader_that_was_relieved_leaves_alone_what_its_successor_has() -> None:
    worker = Leading(relieve)
    worker.poller._ready.append(8)

    assert worker.lead() == []
    assert worker.attended == [8]


@pytest.mark.parametrize("leaders", [2, 8])
def test_however_many_believe_that_they_lead_each_connection_is_attended_to_once(leaders: int) -> None:
    worker = Leading()
    worker.poller._ready.extend(range(1000, 5000))
    together = threading.Barrier(leaders)

    def lead() -> None:
        together.wait()
        while worker.poller._ready:
            worker._lead(worker.term)

    threads = [threading.Thread(target=lead) for _ in range(leaders)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(fd for fd in worker.attended if fd >= 1000) == list(range(1000, 5000))


class Served:
    """A connection whose thread waits for its client when told to."""

    def __init__(self) -> None:
        self.channel = SimpleNamespace(pace=SimpleNamespace(waits=False), ticket=SimpleNamespace(queues=False))


def test_a_thread_is_started_for_those_put_off_when_those_that_worked_wait_for_their_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "MOST_WORKING", 1)
    worker = Leading()
    served = Served()
    # All that is asked of a connection, and a request that has not begun long ago.
    worker.term.connection, worker.term.busy_since = served, math.inf  # type: ignore[assignment]
    worker._terms.add(worker.term)
    worker._threads = 1
    worker._hand_over(worker.term)
    assert worker._threads == 1, "one works"
    assert worker._stand_in()

    served.channel.pace.waits = True

    assert not worker._stand_in()
    assert worker._threads == 2


def test_leaders_hand_over_before_they_serve_after_one_was_held_up_until_requests_are_short() -> None:
    worker = Leading()
    leaders: list[bool] = []

    def serve(connection: Connection, hand_over: object) -> bool:
        del connection, hand_over
        leaders.append(worker._term is worker.term)
        return False

    worker._serve = serve
    worker.lead()
    worker.term.busy_since = 1.0
    worker.watch(0)
    assert worker._term is not worker.term

    for _ in range(20):
        worker._term = worker.term
        worker.lead()

    assert leaders[0]
    assert not any(leaders[1:9])
    assert all(leaders[9:])
