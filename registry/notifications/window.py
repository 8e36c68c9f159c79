"""Some entries of the journal on their way to an endpoint, all of which are through before others are taken."""

from __future__ import annotations

import threading
import time
import zlib
from concurrent.futures import Future, wait
from functools import partial
from typing import TYPE_CHECKING

from registry.notifications.dead import DeadLetter
from registry.notifications.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from registry.notifications.dead import DeadLetters
    from registry.notifications.events import Event
    from registry.notifications.lane import Target
    from registry.notifications.sending import Outcome


class Window:
    """Delivers events, those of one repository in their order. What is given up becomes one of `letters`.

    `may_send` is asked before each attempt.
    """

    def __init__(self, target: Target, letters: DeadLetters, may_send: Callable[[], bool]) -> None:
        self.may_send = may_send
        self._target = target
        self._letters = letters
        self._lanes = [Lane(target, self) for _ in range(target.endpoint.parallel)]
        self._open: dict[str, int] = {}  # how many events of an entry wait
        self.through: set[str] = set()
        """The ids of the entries of which all events were delivered, given up or dropped."""

    @property
    def waiting(self) -> int:
        """How many events are not through."""
        return sum(len(lane.waiting) for lane in self._lanes)

    @property
    def oldest_ns(self) -> int:
        """The time of the first event that is not through; there has to be one."""
        return min(lane.waiting[0].time_ns for lane in self._lanes if lane.waiting)

    @property
    def pause_seconds(self) -> float:
        """How long to wait until there can be an attempt to deliver any of what waits."""
        return min((lane.pause_seconds for lane in self._lanes if lane.waiting), default=0.0)

    def add(self, events: Sequence[Event]) -> None:
        """Have all `events` of an entry delivered, once: a log may have given it twice."""
        if events and events[0].entry.id not in self._open:
            self._open[events[0].entry.id] = len(events)
            self._lanes[zlib.crc32(events[0].repository.encode()) % len(self._lanes)].add(events)

    def deliver(self, *, until: float) -> None:
        """Send what waits, which has to be something.

        It ends when all is through, when pauses are due, or when `until` has come by the monotonic clock.

        Raises:
            DriverError: what was given up cannot be kept; it waits still.
        """
        first, *others = [lane for lane in self._lanes if lane.waiting]
        running = [_begin(partial(lane.deliver, until=until)) for lane in others]
        try:
            first.deliver(until=until)
        finally:
            wait(running)
        for each in running:
            each.result()

    def drop_oldest(self, most: int) -> int:
        """Forget the oldest events that wait, `most` of them; return how many there were."""
        number = min(most, self.waiting)
        for _ in range(number):
            first = min((lane for lane in self._lanes if lane.waiting), key=lambda lane: lane.waiting[0].time_ns)
            self.settle(first.drop())
        return number

    def settle(self, event: Event) -> None:
        """Note that `event` is through."""
        # All events of an entry are in one lane, so no two threads do this for the same entry.
        identifier = event.entry.id
        if self._open[identifier] > 1:
            self._open[identifier] -= 1
        else:
            del self._open[identifier]
            self.through.add(identifier)

    def give_up(self, event: Event, outcome: Outcome, tries: int) -> None:
        """Keep `event` as a dead letter."""
        name = self._target.endpoint.name
        lost = self._letters.add(DeadLetter(name, event, outcome.error, outcome.status, tries, time.time_ns()))
        self._target.counts.buried()
        self._target.counts.dropped(lost)
        self._target.report.buried(lost=lost)
        self.settle(event)


def _begin(work: Callable[[], None]) -> Future[None]:
    """Have `work` done by a thread, or here where there can be none. The process does not wait for it as it ends."""
    future: Future[None] = Future()

    def do() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  the future raises it to who asks for the result
            future.set_exception(error)
        else:
            future.set_result(None)

    try:
        threading.Thread(target=do, name="notifications", daemon=True).start()
    except RuntimeError:
        do()
    return future
