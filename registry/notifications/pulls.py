"""Pulls, which endpoints may want to be told of as well. They never go through the journal.

A request that is a pull leaves but a tuple behind. For each endpoint a thread of the process makes events of them and
sends these; what it does not come to is forgotten, the oldest first, and counted. Where no endpoint wants pulls, there
is nothing of this.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drivers.base import DriverError
from registry.foundation.threads import LastingThread
from registry.foundation.uuids import random_uuid
from registry.journal.entry import MANIFEST, PULL, Entry
from registry.journal.references import references_of
from registry.notifications.counts import Counts
from registry.notifications.events import Event
from registry.oci.errors import ManifestUnknownError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from registry.foundation.shared_set import SharedSet
    from registry.journal.entry import Instance, Origin
    from registry.notifications.consumers import EndpointConsumer
    from registry.notifications.lane import Lane
    from registry.notifications.sending import Outcome
    from registry.observation.metrics import Metrics
    from registry.oci.digest import Digest
    from registry.ports import Repositories

MOST: Final = 10_000
"""Pulls that wait for an endpoint."""
_IDLE_SECONDS: Final = 5.0


class Pull(NamedTuple):
    """A manifest or blob that was asked for, and is served.

    `asked` is what is known of the request, of which `origin_of` makes who asks and how; that is left to the thread.
    """

    time_ns: int
    kind: str
    repository: str
    digest: Digest
    tag: str
    media_type: str
    size: int
    asked: Sequence[Any]
    origin_of: Callable[[Sequence[Any]], Origin]


@dataclass(frozen=True, slots=True)
class Events:
    """Makes events of pulls at this process, which is `instance`; `repositories` are asked what a manifest names."""

    instance: Instance
    repositories: Repositories

    def of(self, pull: Pull, *, with_references: bool) -> Event:
        """Return the event of `pull`."""
        digest = str(pull.digest)
        entry = Entry(
            id="",
            action=PULL,
            kind=pull.kind,
            repository=pull.repository,
            digest=digest,
            media_type=pull.media_type,
            size=pull.size,
            references=self._references(pull) if with_references and pull.kind == MANIFEST else (),
            origin=pull.origin_of(pull.asked),
            instance=self.instance,
        )
        return Event(random_uuid(), pull.time_ns, entry, pull.kind, digest, pull.tag)

    def _references(self, pull: Pull) -> Sequence[Mapping[str, Any]]:
        # It has just been served, so it is in memory most often; to hold it here would be memory without a limit.
        with suppress(DriverError, ManifestUnknownError):
            return references_of(self.repositories.open(pull.repository).manifests.get(pull.digest))
        return ()


class Pulls:
    """The pulls at this process, for each of `consumers`; `told` is as for Report."""

    def __init__(
        self, consumers: Sequence[EndpointConsumer], events: Events, metrics: Metrics | None, told: SharedSet
    ) -> None:
        self._feeds = [_Feed(consumer, events, Counts(metrics, consumer.name), told) for consumer in consumers]

    def note(self, pull: Pull) -> None:
        """Have each endpoint told of `pull` that wants to know of it, before long; called within a request."""
        for feed in self._feeds:
            feed.note(pull)

    def start(self) -> None:
        """Begin to send, in threads of this process."""
        for feed in self._feeds:
            LastingThread(f"pulls for {feed.consumer.name}", feed.run).begin()


class _Feed:
    """The pulls that wait for one endpoint."""

    def __init__(self, consumer: EndpointConsumer, events: Events, counts: Counts, told: SharedSet) -> None:
        self.consumer = consumer
        self._events = events
        self._counts = counts
        self._told = told
        self._at_once = consumer.endpoint.batch
        self._waiting: deque[Pull] = deque(maxlen=MOST)
        self._dropped = 0
        self._sleeps = False
        self._wake = threading.Event()

    def note(self, pull: Pull) -> None:
        if self.consumer.wants_event(PULL, pull.media_type, pull.repository):
            if len(self._waiting) == MOST:
                self._dropped += 1
            self._waiting.append(pull)
            if self._sleeps:
                self._wake.set()

    def run(self) -> None:
        lane = self._lane()
        while True:
            self._fill(lane)
            lane.deliver(until=time.monotonic() + _IDLE_SECONDS)
            if lane.waiting:
                time.sleep(lane.pause_seconds)
            elif not self._waiting:
                self._sleep()

    def _lane(self) -> Lane:
        # What speaks HTTP is loaded only where it is used.
        from registry.notifications.lane import Lane, Target  # noqa: PLC0415
        from registry.notifications.sending import Sender  # noqa: PLC0415
        from registry.notifications.standing import Report  # noqa: PLC0415

        return Lane(Target(Sender(self.consumer.endpoint), self._counts, Report(self.consumer.name, self._told)), self)

    def _fill(self, lane: Lane) -> None:
        pulls = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._at_once - len(lane.waiting)))]
        lane.add([self._events.of(pull, with_references=self.consumer.wants_references) for pull in pulls])
        self._counts.entered(len(pulls))
        # Where two requests at a time have counted one, a counter of what is lost may do with it.
        dropped, self._dropped = self._dropped, 0
        self._counts.dropped(dropped)

    def _sleep(self) -> None:
        self._wake.clear()
        self._sleeps = True
        if not self._waiting:
            self._wake.wait(_IDLE_SECONDS)
        self._sleeps = False

    def may_send(self) -> bool:
        return True

    def settle(self, event: Event) -> None:
        pass

    def give_up(self, event: Event, outcome: Outcome, tries: int) -> None:
        del event, outcome, tries
        self._counts.dropped(1)
