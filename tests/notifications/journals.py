"""A journal with changes in it, and deliveries from it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from registry.config.events import Endpoint
from registry.foundation.shared_set import SharedSet
from registry.journal.cursors import Cursors
from registry.journal.entry import DELETE, MANIFEST, PUSH, Entry, Instance, Origin
from registry.journal.reader import Reader
from registry.notifications.consumers import EndpointConsumer
from registry.notifications.counts import Counts
from registry.notifications.dead import DeadLetters
from registry.notifications.delivery import Delivery, Kept
from registry.notifications.lane import Target
from registry.notifications.sending import Sender
from registry.notifications.standing import Report
from registry.storage import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.base import StorageDriver
    from registry.observation.metrics import Metrics

DIGEST = "sha256:" + "0123456789abcdef" * 4
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ORIGIN = Origin(
    actor="alice",
    client="10.0.0.9",
    claimed="203.0.113.7",
    host="registry.example",
    method="PUT",
    user_agent="docker/27",
    request_id="5b1f0a2e-6a3c-4d6e-8f6e-2f0f6b7a8c11",
    base_url="https://registry.example",
)


def push(tag: str = "v1", repository: str = "team/app", consumers: Sequence[str] = ("ci",), **members: object) -> Entry:
    """Return the entry of the push of a manifest by tag."""
    entry = Entry(
        id=str(uuid.uuid4()),
        action=PUSH,
        kind=MANIFEST,
        consumers=list(consumers),
        repository=repository,
        digest=DIGEST,
        tags=[tag] if tag else [],
        media_type=MANIFEST_TYPE,
        size=527,
        origin=ORIGIN,
        instance=Instance("host:5000", "0b7d3a60-4a5e-4a1f-9a53-9e4a0c1f2d3e"),
    )
    return entry._replace(**members)  # type: ignore[arg-type]


def deletion(kind: str = MANIFEST, **members: object) -> Entry:
    """Return the entry of what was deleted."""
    nothing = push("", action=DELETE, kind=kind, media_type="", size=0)
    return nothing._replace(**members)  # type: ignore[arg-type]


def endpoint(url: str, **keys: object) -> Endpoint:
    """Return an endpoint "ci" that is tried again soon."""
    hasty = Endpoint(name="ci", url=url, threshold=2, backoff_seconds=0.01, maxbackoff_seconds=0.02, timeout_seconds=5)
    return replace(hasty, **keys)  # type: ignore[arg-type]


class Journal:
    """The journal in the storage of `driver`, and deliveries from it."""

    def __init__(self, driver: StorageDriver) -> None:
        self.driver = driver
        self.log = driver.log(paths.JOURNAL)
        self.cursors = Cursors(driver)
        self.letters = DeadLetters(driver, 10_000)
        self._senders: list[Sender] = []

    def add(self, *entries: Entry) -> None:
        for entry in entries:
            self.log.append(entry.encode())

    def close(self) -> None:
        """Close the connections of all deliveries."""
        for sender in self._senders:
            sender.close()

    def delivery(
        self,
        section: Endpoint,
        *,
        held: Callable[[], bool] = lambda: True,
        stopping: Callable[[], bool] = lambda: False,
        metrics: Metrics | None = None,
        most: int = 1_000_000,
        hold_seconds: float = 0.0,
    ) -> Delivery:
        sender = Sender(section)
        self._senders.append(sender)
        reader = Reader(self.log, section.name, hold_seconds=lambda: hold_seconds)
        return Delivery(
            EndpointConsumer(section, wants_references=False),
            Target(sender, Counts(metrics, section.name), Report(section.name, SharedSet())),
            Kept(reader, self.cursors, self.letters),
            held=held,
            stopping=stopping,
            most=most,
            poll_seconds=POLL,
        )


POLL = 0.5
