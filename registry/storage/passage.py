"""What a writer does so that no garbage collection takes away what it acknowledges.

A run of the collection removes links and bytes to which nothing led when it scanned the storage. Whoever makes anything
visible meanwhile, or relies on what is stored, passes through here:

- While no run is on, nothing is removed. If the same is true behind the last write, all of them came before the next
  run was announced, so that its scan finds them. Nothing is asked of the storage for that but, every few seconds, the
  run.
- While one is on, the writer puts a notice that names all that it makes visible or relies on, and only then looks
  whether the run has closed any of that. The run closes first and reads the notices then. So one of the two sees the
  other: either the run lets alone what was named, or the writer waits, and looks at the storage when the run is done.
- If another run has begun by the time of the last write, all of it is done again for that one.

tests/lifecycle/model/ tries all orders of these steps, and what happens without each of them.
"""

from __future__ import annotations

import time
from itertools import islice
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final, Protocol

from drivers.base import CollectingError
from registry.storage import runs
from registry.storage.runs import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from registry.oci.digest import Digest
    from registry.oci.reference import Tag
    from registry.storage.runs import Run, Runs

GRACE_SECONDS: Final = 12 * 3600.0
"""For how long a condemned link can be brought back."""

_NAMED: Final = 10_000
"""Digests in one notice, at most."""

_WAITING: Final = 32
"""Threads of a process that wait for a run at a time. A process has 128, and readers need some of them."""

_LOOKS: Final = 40
"""How often a writer looks, in the time for which it waits, whether a run has done with what it had closed."""


class Meter(Protocol):
    """Who counts what garbage collections cost writers."""

    def collection_noticed(self) -> None:
        """Count a notice."""

    def collection_waited(self, seconds: float) -> None:
        """Note for how long a writer has waited."""


def _clock() -> float:
    """Return the seconds since this machine was started, which pass while it sleeps: other hosts go on meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Passage:
    """The way of all writers of a process to the storage of `runs`; its threads share it.

    `grace` is for how many seconds what a run has condemned can be brought back. `meter` is None where nobody counts.
    """

    def __init__(
        self,
        runs: Runs,
        grace: float = GRACE_SECONDS,
        *,
        clock: Callable[[], float] = _clock,
        pause: Callable[[float], None] = time.sleep,
        meter: Meter | None = None,
    ) -> None:
        self.grace = grace
        self.runs = runs
        self._clock = clock
        self._pause = pause
        self._meter = meter
        self._idle: tuple[float, Run] | None = None
        self._waiting = BoundedSemaphore(_WAITING)

    def enter(self, repository: str, digests: Iterable[Digest], tags: Sequence[Tag] = ()) -> Visit:
        """Let a writer to `repository` look at the storage, now that no run removes what it relies on.

        `digests` are all that it makes visible or relies on, and `tags` those that it moves. They are iterated while a
        run is on, each time that one has to be told of them.

        Raises:
            CollectingError: a run works on them for longer than a client can wait, or too many wait already.
            DriverError: the storage does not say whether a run is on.
        """
        return Visit(self, repository, digests, tags)

    def known(self) -> Run:
        """Return the run. That none is on may be what it was a short while ago; no run scans that soon."""
        idle = self._idle
        if idle is not None and self._clock() - idle[0] < runs.PACE.cached:
            return idle[1]
        return self.read()

    def read(self) -> Run:
        """Return the run as it is in the storage now."""
        asked = self._clock()
        run = self.runs.read()
        self._idle = None if run.is_on else (asked, run)
        return run

    def notify(self, notice: Notice) -> str:
        """Put a notice; return its id.

        Raises:
            DriverError: it could not be put.
        """
        notice_id = self.runs.notify(notice)
        if self._meter:
            self._meter.collection_noticed()
        return notice_id

    def wait_while_closed(self, repository: str, digests: Iterable[str]) -> None:
        """Return when the run has not, or no more, closed `repository` or any of `digests`.

        Raises:
            CollectingError: it has not done so in time, or as many threads wait as may.
        """
        if not self.read().closed.touches(repository, digests):
            return
        at_work = f"a garbage collection is at work on {repository}, or on what is pushed to it"
        if not self._waiting.acquire(blocking=False):
            raise CollectingError(f"{at_work}, and {_WAITING} others wait for that already")
        began = self._clock()
        try:
            self._wait_while_closed(repository, digests, at_work)
        finally:
            self._waiting.release()
            if self._meter:
                self._meter.collection_waited(self._clock() - began)

    def _wait_while_closed(self, repository: str, digests: Iterable[str], at_work: str) -> None:
        until = self._clock() + runs.PACE.closed
        while self._clock() < until:
            self._pause(runs.PACE.closed / _LOOKS)
            if not self.read().closed.touches(repository, digests):
                return
        raise CollectingError(at_work)


class Visit:
    """One change, from before its writer looks at the storage until it may be acknowledged."""

    __slots__ = ("_digests", "_notified", "_number", "_passage", "_repository", "_since", "_tags")

    _since: float | None

    def __init__(self, passage: Passage, repository: str, digests: Iterable[Digest], tags: Sequence[Tag]) -> None:
        self._passage = passage
        self._repository = repository
        self._digests = digests
        self._tags = tags
        self._begin(passage.known())

    @property
    def follows_a_run(self) -> bool:
        """Whether there ever was a run, which may have condemned a link. This asks the storage nothing."""
        return self._number > 0

    @property
    def may_revive(self) -> bool:
        """Whether a link of the repository may have been condemned.

        Where nothing is said of a run, the object that says it may have been lost: then the repository is looked at.
        """
        if self.follows_a_run or self._passage.known().number > 0:
            return True
        return self._passage.runs.has_condemned(self._repository)

    def confirm(self) -> bool:
        """Tell whether what the writer has looked at and written by now may be relied on.

        If not, a run has begun or has ended meanwhile. The one that is on now has been told, as by Passage.enter(),
        whose errors it may raise: the writer has to look at everything once more, and to confirm that.
        """
        run = self._passage.read() if self._notified else self._passage.known()
        # Where the object of the run was lost or replaced by an older one, numbers may come twice.
        if run.number == self._number and run.is_on == self._notified:
            return True
        self._begin(run)
        return False

    def revivable_since(self) -> float:
        """Return the time since which a link may have been condemned that is to be brought back.

        It is by the clock of the storage, which is asked by a notice: clocks of hosts do not matter.
        """
        if self._since is None:
            notice_id = self._passage.notify(Notice(self._repository, ()))
            self._since = self._passage.runs.notified(notice_id) - self._passage.grace
        return self._since

    def _begin(self, run: Run) -> None:
        self._number = run.number
        self._notified = run.is_on
        self._since = None
        if not run.is_on:
            return
        tags = tuple(tag.name for tag in self._tags)
        for digests in _parts(self._digests):
            self._passage.notify(Notice(self._repository, digests, tags))
            self._passage.wait_while_closed(self._repository, digests)


def _parts(digests: Iterable[Digest]) -> Iterator[tuple[str, ...]]:
    remaining = iter(digests)
    while part := tuple(map(str, islice(remaining, _NAMED))):
        yield part
