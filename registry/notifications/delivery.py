"""The delivery of what the journal has for an endpoint, from where its cursor stands.

It takes a window of entries, delivers all of their events and goes on with the next one. Every second, and when there
is nothing more to deliver, the cursor is stored: behind the window, or with the ids of those entries of the window that
are through, so that an end of the process at any moment repeats no more than what was sent since.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from drivers.base import DriverError
from registry.journal.cursors import IDLE_SECONDS, Cursor
from registry.notifications.backlog import Backlog
from registry.notifications.events import events_of
from registry.notifications.standing import Standing
from registry.notifications.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.journal.cursors import Cursors
    from registry.journal.reader import Delivered, Page, Reader
    from registry.notifications.consumers import EndpointConsumer
    from registry.notifications.dead import DeadLetters
    from registry.notifications.events import Event
    from registry.notifications.lane import Target

_WINDOW: Final = 100
"""Entries of a window."""
_STEP_SECONDS: Final = 1.0
"""How long events are delivered before the cursor is stored."""
_FEW: Final = 20
_GATHERING: Final = 0.1
"""For which part of the usual pause more is waited for behind a window of few events: a look costs as much as those."""
_RUN_SECONDS: Final = 5.0
_ERROR_SECONDS: Final = 60.0
"""How old what the cursor says of an endpoint that goes on failing may be."""
_COUNT_SECONDS: Final = 60.0
"""How often it is counted what waits, if anything does."""
_SOON_SECONDS: Final = 2.0
"""What comes after a time without events, and is taken, is not counted for so long: by then it is mostly through."""
THROUGH: Final = "through"
"""In the state of a cursor: the ids of the entries behind its position that are through."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the storage keeps for an endpoint: the journal, how far it is through, what was given up."""

    reader: Reader
    cursors: Cursors
    letters: DeadLetters


@dataclass(slots=True)
class _Progress:
    """How far a delivery is: its `window` lies between two positions of the journal.

    Each entry with a time before `through_ns` and, where the window is through, `following_ns` was given by the journal
    before. `stored` is when the cursor was stored, by the monotonic clock, with `stored_ids` entries of the window, and
    with `stored_failing`, since when the endpoint fails; `behind` says that a window is through since. `backlog` has
    what is behind the window, once it was counted.
    """

    window: Window
    position: str
    through_ns: int
    following: str
    following_ns: int
    stored: float
    stored_ids: int
    stored_failing: float
    backlog: Backlog | None = None
    behind: bool = False


class Delivery:
    """Delivers to one endpoint; only one thread at a time may call run().

    `held` tells whether it is this process that delivers, and `stopping` whether it is about to stop: then run() soon
    returns, with the cursor behind what was sent. At most `most` events wait; `poll_seconds` is the pause
    until the next look at a journal that had nothing.
    """

    def __init__(  # noqa: PLR0913  the parts of a delivery
        self,
        consumer: EndpointConsumer,
        target: Target,
        kept: Kept,
        *,
        held: Callable[[], bool],
        stopping: Callable[[], bool],
        most: int,
        poll_seconds: float,
    ) -> None:
        self._consumer = consumer
        self._target = target
        self._kept = kept
        self._held = held
        self._stopping = stopping
        self._most = most
        self._poll_seconds = poll_seconds
        self._counted = -_COUNT_SECONDS
        self._rested = float("-inf")
        self._leading = False
        self._progress: _Progress | None = None

    def run(self) -> float:
        """Deliver what there is, for some seconds at most; return how many seconds to pause until the next run.

        Raises:
            DriverError: the storage fails. What was sent is remembered, and sent again only if the process ends.
        """
        try:
            pause = self._run() if self._leads() else None
        except DriverError:
            if not self._leading:
                self._progress = None
            raise
        except Exception:
            self._progress = None
            raise
        if pause is None:
            # Another process goes on from the cursor in the storage, and later perhaps this one again.
            self._progress = None
            return self._poll_seconds
        self._target.report.tell_buried()
        return pause

    def _run(self) -> float | None:
        """Return as run(), or None if it is no longer this process that delivers."""
        progress = self._progress = self._progress or self._recall()
        window, until = progress.window, time.monotonic() + _RUN_SECONDS
        pause = 0.0
        while not pause and time.monotonic() < until and not self._stopping():
            if not window.waiting and not self._fill(progress, until):
                self._rest(progress)
                return self._poll_seconds
            events = window.waiting
            window.deliver(until=time.monotonic() + _STEP_SECONDS)
            if not self._leads():
                return None
            self._store(progress)
            self._limit(progress)
            pause = window.pause_seconds
            if events < _FEW and not window.waiting:
                time.sleep(self._poll_seconds * _GATHERING)
        if progress.behind:
            self._put(progress)
        self._target.counts.oldest(time.time() - window.oldest_ns / 1e9 if window.waiting else 0)
        return pause

    def _recall(self) -> _Progress:
        """Return how far the delivery is by the cursor in the storage."""
        cursor = self._kept.cursors.get(self._consumer.name)
        stored = time.monotonic() - (0 if cursor else IDLE_SECONDS)
        cursor = cursor or Cursor()
        standing = self._target.report.standing = Standing.load(cursor.state)
        window = Window(self._target, self._kept.letters, self._may_send)
        window.through.update(map(str, cursor.state.get(THROUGH, ())))
        place = (cursor.position, cursor.through_ns)
        return _Progress(window, *place, *place, stored, len(window.through), standing.failing_since)

    def _may_send(self) -> bool:
        return not self._stopping() and self._leads()

    def _leads(self) -> bool:
        """Tell whether it is this process that delivers; where the storage does not tell, it is not.

        Raises:
            DriverError: the storage does not tell.
        """
        self._leading = False
        self._leading = self._held()
        return self._leading

    def _fill(self, progress: _Progress, until: float) -> bool:
        """Fill the window, which is empty; return False if the journal has nothing for it."""
        while time.monotonic() < until:
            page = self._next_page(progress)
            for delivered in page.entries:
                events = self._wanted(delivered)
                if progress.backlog:
                    progress.backlog.take(len(events))
                if delivered.entry.id not in progress.window.through:
                    progress.window.add(events)
            if progress.window.waiting:
                self._target.counts.entered(progress.window.waiting)
                return True
            if not page.full:
                return False
        return False

    def _next_page(self, progress: _Progress) -> Page:
        page = self._kept.reader.page(progress.following, limit=_WINDOW)
        progress.position, progress.through_ns = progress.following, progress.following_ns
        progress.following, progress.following_ns = page.position, page.through_ns
        return page

    def _wanted(self, delivered: Delivered) -> list[Event]:
        """Return the events of an entry that the endpoint wants by what is configured now."""
        if not self._consumer.wants_entry(delivered.entry):
            return []
        return list(events_of(delivered.entry, delivered.time_ns))

    def _store(self, progress: _Progress) -> None:
        """Store the cursor if there is anything new to say."""
        window, standing = progress.window, self._target.report.standing
        if not window.waiting:
            window.through.clear()
            progress.position, progress.through_ns = progress.following, progress.following_ns
            progress.behind, progress.stored_ids = True, 0
            if time.monotonic() - progress.stored < _STEP_SECONDS:
                return
        elif (
            len(window.through) == progress.stored_ids
            and standing.failing_since == progress.stored_failing
            and time.monotonic() - progress.stored < _ERROR_SECONDS
        ):
            return
        self._put(progress)

    def _put(self, progress: _Progress) -> None:
        standing = self._target.report.standing
        state = standing.dump()
        if progress.window.through:
            state[THROUGH] = sorted(progress.window.through)
        progress.stored = -IDLE_SECONDS  # if this fails, it is done as soon as there is nothing to deliver
        self._kept.cursors.put(self._consumer.name, Cursor(progress.position, progress.through_ns, state))
        progress.stored, progress.stored_ids = time.monotonic(), len(progress.window.through)
        progress.stored_failing, progress.behind = standing.failing_since, False

    def _rest(self, progress: _Progress) -> None:
        """Note that there is nothing to deliver."""
        counts = self._target.counts
        counts.waiting(0)
        counts.oldest(0)
        progress.backlog, self._counted, self._rested = None, -_COUNT_SECONDS, time.monotonic()
        if progress.behind:
            self._put(progress)
        elif time.monotonic() - progress.stored >= IDLE_SECONDS:
            self._store(progress)

    def _limit(self, progress: _Progress) -> None:
        """Count what waits, if that was long ago, and drop the oldest events if there are too many."""
        now = time.monotonic()
        is_soon = now - self._rested < _SOON_SECONDS and not progress.window.pause_seconds
        if is_soon or now - self._counted < _COUNT_SECONDS:
            return
        self._counted = now
        backlog = progress.backlog = progress.backlog or Backlog(self._kept.reader, self._consumer, progress.following)
        is_all = self._count(backlog, _STEP_SECONDS)
        if not is_all and backlog.about() > self._most:
            is_all = self._count(backlog, _RUN_SECONDS)
        too_many = progress.window.waiting + backlog.certain - self._most
        if too_many > 0:
            self._drop(progress, too_many)
        self._target.counts.waiting(progress.window.waiting + (backlog.certain if is_all else backlog.about()))

    def _count(self, backlog: Backlog, seconds: float) -> bool:
        until = time.monotonic() + seconds
        return backlog.count(goes_on=lambda: time.monotonic() < until and not self._stopping())

    def _drop(self, progress: _Progress, too_many: int) -> None:
        """Drop the oldest events, `too_many` of them; if that takes long, the rest of them goes with the next count."""
        until = time.monotonic() + _RUN_SECONDS
        dropped = progress.window.drop_oldest(too_many)
        while dropped < too_many and not self._stopping():
            progress.window.through.clear()
            if not self._fill(progress, until):
                break
            dropped += progress.window.drop_oldest(too_many - dropped)
        self._store(progress)
        self._target.counts.dropped(dropped)
        _log.error(
            "endpoint %s: %d events are dropped, the oldest, as more than %d wait (notifications.journal.maxevents)",
            self._consumer.name,
            dropped,
            self._most,
        )
