"""Writes changes to the journal, for those who want them; where nobody does, there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from registry.foundation.uuids import random_uuid
from registry.journal.entry import Entry, Instance
from registry.journal.references import references_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drivers.log import Log
    from registry.journal.change import Change
    from registry.journal.entry import Origin


class Asking(Protocol):
    """Who asks for a change."""

    @property
    def origin(self) -> Origin:
        """Who it is, and how it asks; looked at only if somebody wants to know."""


class Consumer(Protocol):
    """One who is given entries of the journal."""

    @property
    def name(self) -> str:
        """Its name, which no other consumer has."""

    @property
    def wants_references(self) -> bool:
        """Whether it wants to know what a manifest names."""

    @property
    def wants_previous(self) -> bool:
        """Whether it wants to know where a tag pointed before."""

    def wants(self, change: Change) -> bool:
        """Tell whether it wants to be given this."""


class Recorder:
    """Adds to `log` each change that any of `consumers` wants."""

    def __init__(self, log: Log, consumers: Sequence[Consumer], instance: Instance) -> None:
        self._log = log
        self._consumers = consumers
        self._instance = instance
        self.wants_previous = any(each.wants_previous for each in consumers)
        """Whether where a tag pointed is to be looked up before a change."""
        self.consumer_names = tuple(each.name for each in consumers)
        """Who is given entries."""

    def record(self, change: Change, caller: Asking) -> None:
        """Add `change`, which is durable and which `caller` has asked for, to the journal, if anybody wants it.

        Raises:
            DriverError: it cannot be; the request fails, and may be repeated.
        """
        wanting = [consumer for consumer in self._consumers if consumer.wants(change)]
        if not wanting:
            return
        manifest = change.manifest
        named = manifest and any(each.wants_references for each in wanting)
        entry = Entry(
            id=random_uuid(),
            action=change.action,
            kind=change.kind,
            consumers=[consumer.name for consumer in wanting],
            repository=change.repository,
            digest=str(change.digest or ""),
            tags=change.tags,
            media_type=change.media_type,
            size=change.size,
            references=references_of(manifest) if manifest and named else (),
            source=change.source,
            previous=change.previous,
            origin=caller.origin,
            instance=self._instance,
        )
        self._log.append(entry.encode())
