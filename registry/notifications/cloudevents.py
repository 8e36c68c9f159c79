"""Events as CloudEvents 1.0: structured mode in HTTP, JSON (cloudevents/spec, bindings/http-protocol-binding.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from registry.foundation import times
from registry.notifications import docker
from registry.oci.encoding import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.notifications.events import Event

MEDIA_TYPE: Final = "application/cloudevents+json"
BATCH_MEDIA_TYPE: Final = "application/cloudevents-batch+json"


def single(event: Event) -> bytes:
    """Return `event` as a document."""
    return encode(_cloud_event(event)).encode()


def batch(events: Sequence[Event]) -> bytes:
    """Return `events` as an array (JSON Batch Format)."""
    return encode([_cloud_event(event) for event in events]).encode()


def _cloud_event(event: Event) -> dict[str, Any]:
    """Return the attributes; ``data`` is what the Go registry tells of the event, without what is in the attributes."""
    told = docker.record(event)
    data = {name: told[name] for name in ("action", "target", "request", "actor", "source")}
    return {
        "specversion": "1.0",
        "id": event.id,
        "type": f"registry.{event.kind}.{event.action}",
        "source": event.entry.origin.base_url or f"//{event.entry.instance.addr}",
        "subject": _subject(event),
        "time": times.spell(event.time_ns),
        "datacontenttype": "application/json",
        "data": data,
    }


def _subject(event: Event) -> str:
    if event.tag:
        return f"{event.repository}:{event.tag}"
    return f"{event.repository}@{event.digest}" if event.digest else event.repository
