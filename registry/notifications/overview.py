"""How the endpoints stand, as far as the storage tells, for people who ask."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.journal.cursors import Cursor, Cursors
from registry.journal.reader import Reader
from registry.notifications.consumers import EndpointConsumer, shown_url
from registry.notifications.dead import DeadLetters
from registry.notifications.delivery import THROUGH
from registry.notifications.events import number_of
from registry.notifications.standing import Standing
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver
    from registry.config.events import Endpoint, Notifications

_PAGE: Final = 1000
_COUNT_SECONDS: Final = 5.0
"""For how long entries are looked at, to count the events that wait; each that is left counts as one."""


@dataclass(frozen=True, slots=True)
class Overview:
    """How an endpoint stands.

    `url` is as shown_url() has it. `waiting` is how many events it has still to be sent, and `oldest_ns` when the first
    of them was made, in nanoseconds since 1970; 0 if none waits, as for one that is disabled. `dead` is the number of
    its dead letters.
    """

    name: str
    url: str
    waiting: int
    oldest_ns: int
    dead: int
    standing: Standing
    is_disabled: bool = False


def overviews(section: Notifications, driver: StorageDriver) -> Iterator[Overview]:
    """Yield an overview of each endpoint of the `section`, then of each that only has dead letters in the storage.

    Raises:
        DriverError: the storage cannot be read.
    """
    letters = DeadLetters(driver, section.journal.maxdead)
    configured = {endpoint.name for endpoint in section.endpoints}
    for endpoint in section.endpoints:
        yield _overview(endpoint, driver, letters)
    for name in letters.endpoints():
        if name not in configured:
            yield Overview(name, "", 0, 0, letters.count(name), Standing())


def _overview(endpoint: Endpoint, driver: StorageDriver, letters: DeadLetters) -> Overview:
    cursor = Cursors(driver).get(endpoint.name) or Cursor()
    waiting, oldest_ns = (0, 0) if endpoint.disabled else _waiting(endpoint, driver, cursor)
    return Overview(
        endpoint.name,
        shown_url(endpoint.url),
        waiting,
        oldest_ns,
        letters.count(endpoint.name),
        Standing.load(cursor.state),
        endpoint.disabled,
    )


def _waiting(endpoint: Endpoint, driver: StorageDriver, cursor: Cursor) -> tuple[int, int]:
    """Return how many events wait for `endpoint`, and when the first one was made."""
    consumer = EndpointConsumer(endpoint, wants_references=False)
    reader = Reader(driver.log(paths.JOURNAL), endpoint.name, hold_seconds=lambda: 0.0)
    through = frozenset(cursor.state.get(THROUGH, ()))
    waiting = oldest_ns = 0
    position = cursor.position
    until = time.monotonic() + _COUNT_SECONDS
    while time.monotonic() < until:
        page = reader.page(position, limit=_PAGE)
        for time_ns, entry in page.entries:
            if consumer.wants_entry(entry) and entry.id not in through:
                waiting += number_of(entry)
                oldest_ns = oldest_ns or time_ns
        position = page.position
        if not page.full:
            return waiting, oldest_ns
    return waiting + reader.waiting(position), oldest_ns
