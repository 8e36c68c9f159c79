"""Events as the Go registry sends them: one JSON document, an envelope of one event, or of several."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from registry.oci.encoding import indented

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.journal.entry import Origin
    from registry.notifications.events import Event

MEDIA_TYPE: Final = "application/vnd.docker.distribution.events.v2+json"
_INDENT: Final = " " * 3
_SECOND_NS: Final = 1_000_000_000


def envelope(events: Sequence[Event]) -> bytes:
    """Return `events` as ``json.MarshalIndent`` of Go writes an Envelope, which ends without a line break."""
    return indented({"events": [record(event) for event in events]}, _INDENT).encode()


def record(event: Event) -> dict[str, Any]:
    """Return `event` with the members of ``notifications.Event`` of the Go registry 3, in their order."""
    entry = event.entry
    origin, instance = entry.origin, entry.instance
    size = entry.size if event.digest else 0
    target: dict[str, Any] = {"mediaType": entry.media_type, "digest": event.digest, "size": size}
    _add(
        target,
        length=size,
        repository=entry.repository,
        fromRepository=entry.source,
        url=event.url,
        tag=event.tag,
        references=list(entry.references),
    )
    name = origin.actor or origin.claimed_user
    return {
        "id": event.id,
        "timestamp": timestamp(event.time_ns),
        "action": entry.action,
        "target": target,
        "request": _request(origin),
        "actor": {"name": name} if name else {},
        "source": _add({}, addr=instance.addr, instanceID=instance.id),
    }


def _request(origin: Origin) -> dict[str, str]:
    request = _add({"id": origin.request_id}, addr=origin.claimed or origin.client, host=origin.host)
    return {**request, "method": origin.method, "useragent": origin.user_agent}


def _add(members: dict[str, Any], **others: object) -> dict[str, Any]:
    """Add to `members` those of `others` that are not empty, as Go does where it says ``omitempty``."""
    members.update({name: value for name, value in others.items() if value})
    return members


def timestamp(time_ns: int) -> str:
    """Return a time as RFC 3339 has it, in the local zone and without zeros at the end of the fraction, as Go does."""
    seconds, fraction = divmod(time_ns, _SECOND_NS)
    local = time.localtime(seconds)
    digits = f".{fraction:09}".rstrip("0") if fraction else ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + digits + _zone(local.tm_gmtoff)


def _zone(offset_seconds: int) -> str:
    if not offset_seconds:
        return "Z"
    hours, minutes = divmod(abs(offset_seconds) // 60, 60)
    return f"{'-' if offset_seconds < 0 else '+'}{hours:02}:{minutes:02}"
