"""One attempt to send events to an endpoint, and what became of it."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from registry.foundation.http_client import HttpClient, HttpError
from registry.foundation.printable import printable
from registry.notifications import cloudevents, docker, signature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.config.events import Endpoint
    from registry.foundation.http_client import Reply
    from registry.notifications.events import Event

PERMANENT: Final = frozenset({400, 410, 413, 415, 422})
"""Answers that say of the events that they will never be taken."""
_TOO_MANY_REQUESTS: Final = 429
_UNAVAILABLE: Final = 503
_MOST_BYTES: Final = 4096
"""Of an answer, for people who want to know what is wrong; deliveries do not look at it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt.

    `status` is that of the answer, "200 OK", or "" if there was none; `error` is one line without secrets, "" if the
    events were taken. `is_permanent` says that they never will be. `retry_after_seconds` is how long the endpoint asks
    to be left alone. `excerpt` is the beginning of what it has said, as it stands there.
    """

    status: str = ""
    error: str = ""
    is_permanent: bool = False
    retry_after_seconds: float = 0.0
    seconds: float = 0.0
    excerpt: bytes = b""

    @property
    def delivered(self) -> bool:
        """Whether the endpoint has taken the events."""
        return not self.error


class Sender:
    """Sends events to `endpoint`; for as many threads as it has lanes.

    Raises:
        registry.foundation.errors.ParameterError: ``cafile`` cannot be used.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._client = HttpClient(cafile=endpoint.cafile, connections=endpoint.parallel)
        self._headers = [(name, value) for name, values in endpoint.headers.items() for value in values]
        self._key = signature.key_of(endpoint.secret) if endpoint.secret else b""

    def send(self, events: Sequence[Event]) -> Outcome:
        """Send `events`, at least one, in one request, which ends within the timeout of the endpoint."""
        media_type, body = self._message(events)
        headers = [("Content-Type", media_type), *self._headers]
        if self._key:
            headers += signature.signed(self._key, _identifier(events), body, now_seconds=int(time.time()))
        began = time.monotonic()
        try:
            reply = self._client.request(
                "POST",
                self.endpoint.url,
                body=body,
                headers=headers,
                timeout_seconds=self.endpoint.timeout_seconds,
                most_bytes=_MOST_BYTES,
            )
        except HttpError as error:
            return Outcome(error=printable(str(error)), seconds=time.monotonic() - began)
        return _judged(reply, time.monotonic() - began)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _message(self, events: Sequence[Event]) -> tuple[str, bytes]:
        """Return media type and body."""
        if self.endpoint.format == "docker":
            return docker.MEDIA_TYPE, docker.envelope(events)
        if self.endpoint.batch > 1:
            return cloudevents.BATCH_MEDIA_TYPE, cloudevents.batch(events)
        return cloudevents.MEDIA_TYPE, cloudevents.single(events[0])


def _identifier(events: Sequence[Event]) -> str:
    """Return the id of the message, which is that of its event; several have one that follows from theirs."""
    first = events[0].id
    return first if len(events) == 1 else str(uuid.uuid5(uuid.UUID(first), "".join(event.id for event in events)))


def _judged(reply: Reply, seconds: float) -> Outcome:
    status = f"{reply.status} {reply.reason}".rstrip()
    if 200 <= reply.status < 400:  # noqa: PLR2004  2xx and 3xx, as for the Go registry
        return Outcome(status, seconds=seconds, excerpt=reply.content)
    asked = reply.headers.get("Retry-After", "") if reply.status in {_TOO_MANY_REQUESTS, _UNAVAILABLE} else ""
    return Outcome(
        status,
        f"it answers {status}",
        is_permanent=reply.status in PERMANENT,
        retry_after_seconds=_retry_after(asked),
        seconds=seconds,
        excerpt=reply.content,
    )


def _retry_after(text: str) -> float:
    """Return how many seconds Retry-After says (RFC 9110 section 10.2.3), 0 if it does not say."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
