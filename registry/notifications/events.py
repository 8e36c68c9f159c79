"""The events in which endpoints are told of an entry of the journal: the Go registry has several for some of them.

The push of a manifest with three tags is three events, its deletion one, and one more for each tag that went with it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from registry.foundation.uuids import named_uuid
from registry.journal.entry import BLOB, DELETE, MANIFEST, TAG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry.journal.entry import Entry

_NAMESPACE: Final = uuid.UUID("6b2a3f0e-3c07-5a1c-9d52-6f0f4c8a2f11")


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that has happened, as endpoints are told of it.

    Of `entry` it has the part that `kind`, `digest` and `tag` name; "" is none. `index` says which of the events of its
    entry it is. `time_ns` is when it happened, in nanoseconds since 1970.
    """

    id: str
    time_ns: int
    entry: Entry
    kind: str
    digest: str = ""
    tag: str = ""
    index: int = 0

    @property
    def action(self) -> str:
        """What was done: push, pull, mount or delete."""
        return self.entry.action

    @property
    def repository(self) -> str:
        """Where it was done."""
        return self.entry.repository

    @property
    def media_type(self) -> str:
        """The type of the manifest or blob; "" where something was deleted."""
        return self.entry.media_type

    @property
    def url(self) -> str:
        """Where it can be had, as the client would ask for it; "" for what was deleted."""
        if self.action == DELETE or self.kind not in {MANIFEST, BLOB}:
            return ""
        return f"{self.entry.origin.base_url}/v2/{self.repository}/{self.kind}s/{self.digest}"


def events_of(entry: Entry, time_ns: int) -> Iterator[Event]:
    """Yield the events of `entry`, which was made at `time_ns`. Each time they have the same ids."""
    for index, (kind, digest, tag) in enumerate(_parts(entry)):
        identifier = named_uuid(_NAMESPACE, f"{entry.id}/{index}")
        yield Event(identifier, time_ns, entry, kind, digest, tag, index)


def number_of(entry: Entry) -> int:
    """Return how many events events_of() yields."""
    return sum(1 for _ in _parts(entry))


def _parts(entry: Entry) -> Iterator[tuple[str, str, str]]:
    if entry.kind == MANIFEST and entry.action == DELETE:
        yield MANIFEST, entry.digest, ""
        for tag in sorted(entry.tags):
            yield TAG, "", tag
    elif entry.kind == TAG or (entry.kind == MANIFEST and entry.tags):
        for tag in entry.tags:
            yield entry.kind, entry.digest, tag
    else:
        yield entry.kind, entry.digest, ""
