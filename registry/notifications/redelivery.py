"""Delivers events once more, for a command: dead letters, and what the journal has kept."""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

from registry.journal.entry import BLOB, DELETE, MANIFEST, MOUNT, PUSH, REPOSITORY, TAG
from registry.journal.reader import Reader
from registry.notifications.events import events_of
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from drivers.base import StorageDriver
    from registry.journal.entry import Entry
    from registry.notifications.consumers import EndpointConsumer
    from registry.notifications.events import Event
    from registry.notifications.sending import Outcome, Sender

_ACTIONS = frozenset({PUSH, MOUNT, DELETE})
_KINDS = frozenset({MANIFEST, BLOB, TAG, REPOSITORY})


class StoppedError(Exception):
    """The endpoint takes nothing; the text names it and says why, in one line without secrets."""


def kept_events(
    driver: StorageDriver,
    consumer: EndpointConsumer,
    *,
    since_ns: int,
    until_ns: int,
    wants: Callable[[str], bool],
) -> Iterator[Event]:
    """Yield the events of the time from `since_ns` to before `until_ns` that the journal still has, in their order.

    Those of repositories for which `wants` is false are left out, and those that the endpoint of `consumer` ignores.
    It may not have been told of any of them: others were.

    Raises:
        DriverError: the journal cannot be read; as the iterator goes on, too.
    """
    reader = Reader(driver.log(paths.JOURNAL), consumer.name, hold_seconds=lambda: 0.0)
    for time_ns, entry in reader.since(since_ns):
        if time_ns < until_ns and _is_of_a_change(entry) and wants(entry.repository):
            for event in events_of(entry, time_ns):
                if consumer.wants_event(event.action, event.media_type, event.repository):
                    yield event


def _is_of_a_change(entry: Entry) -> bool:
    """Tell whether something has changed; others in the journal are for the audit log."""
    return entry.action in _ACTIONS and entry.kind in _KINDS and entry.details.get("outcome", "ok") == "ok"


def redeliver(sender: Sender, events: Iterable[Event]) -> Iterator[tuple[Event, Outcome]]:
    """Send `events` in their order, and yield each with what became of it: it was taken, or never will be.

    The endpoint is tried as often as its ``threshold`` says, with pauses of ``backoff``, or what it asks for.

    Raises:
        StoppedError: it does not take what comes next, and may do so later.
    """
    remaining = iter(events)
    while chunk := list(islice(remaining, sender.endpoint.batch)):
        outcome = _attempt(sender, chunk)
        if outcome.delivered or len(chunk) == 1:
            yield from ((event, outcome) for event in chunk)
        else:
            # One of them may be what it does not take.
            yield from ((event, _attempt(sender, [event])) for event in chunk)


def _attempt(sender: Sender, events: Sequence[Event]) -> Outcome:
    endpoint = sender.endpoint
    for remaining in reversed(range(max(1, endpoint.threshold))):
        outcome = sender.send(events)
        if outcome.delivered or outcome.is_permanent:
            return outcome
        if remaining:
            time.sleep(min(max(outcome.retry_after_seconds, endpoint.backoff_seconds), endpoint.maxbackoff_seconds))
    raise StoppedError(f"{endpoint.name}: {outcome.error}")
