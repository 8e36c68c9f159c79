"""Answers: what has come of them, or what comes while they are read."""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from registry.foundation.http_client.hops import UNANSWERED
from registry.foundation.http_client.responses import response
from registry.foundation.reasons import reason

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from registry.foundation.http_client.connections import Connection
    from registry.foundation.http_client.deadlines import Patience
    from registry.foundation.http_client.destinations import Address
    from registry.foundation.http_client.errors import HttpError
    from registry.foundation.http_client.heads import Headers
    from registry.foundation.http_client.hops import Hop
    from registry.foundation.http_client.kept import KeptConnections
    from registry.foundation.http_client.locations import Location

_PIECE: Final = 256 * 1024
"""The most of a piece, in bytes: a socket has hardly more at once."""
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of whatever status, the last one after redirects, which came from `location`.

    `headers` are found in any case; of one that is repeated, ``headers.getlist(NAME)`` gives each. `content` is not
    decoded; if it was `truncated`, there is more.
    """

    status: int
    headers: Headers
    content: bytes
    truncated: bool
    location: Location

    @property
    def reason(self) -> str:
        """The reason phrase that belongs to the status, as Go spells it; what the peer sends for it may be anything."""
        return reason(self.status)


class Stream:
    """An answer whose head has come, and whose content comes while it is read; leaving the context ends it.

    `headers` are as those of a Reply; `location` is where it came from, after redirects.
    """

    __slots__ = ("_connection", "_hop", "_keep", "_kept", "_key", "_response", "headers", "status")

    def __init__(  # noqa: PLR0913 - what becomes of the connection
        self,
        hop: Hop,
        connection: Connection,
        key: Hashable,
        kept: KeptConnections,
        *,
        keep: bool,
        received: bytes = b"",
    ) -> None:
        self._hop = hop
        self._connection = connection
        self._key = key
        self._kept = kept
        self._keep = keep
        self._response = response(connection, hop.request.method, received)
        self.status = self._response.status
        self.headers = self._response.headers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def location(self) -> Location:
        """Where it came from."""
        return self._hop.request.location

    def addresses(self) -> frozenset[Address]:
        """Return the address that it came from; behind a proxy, those that it may have come from."""
        return self._hop.addresses()

    def bear(self, patience: Patience, timeout_seconds: float) -> None:
        """Wait for the rest by `patience`, whose longest wait is `timeout_seconds`."""
        self._hop.exchange.deadline = patience
        self._hop.timeout_seconds = timeout_seconds

    def read(self, most_bytes: int) -> bytes:
        """Return the content, or its first `most_bytes`.

        Raises:
            HttpError: it ended early, or did not come in time.
        """
        try:
            content = self._response.read(most_bytes)
            if len(content) < most_bytes and self._response.length:
                raise http.client.IncompleteRead(content, self._response.length)
        except UNANSWERED as error:
            raise self._told(error) from None
        return content

    def pieces(self) -> Iterator[bytes]:
        """Yield the content as it comes, in pieces of up to 256 KiB.

        Raises:
            HttpError: it ended early, or did not come in time.
        """
        while piece := self._piece():
            yield piece

    def _piece(self) -> bytes:
        try:
            piece = self._response.read1(_PIECE)
            if not piece and self._response.length:
                raise http.client.IncompleteRead(b"", self._response.length)
        except UNANSWERED as error:
            raise self._told(error) from None
        return piece

    def _told(self, error: Exception) -> HttpError:
        if isinstance(error, TimeoutError):
            self._kept.drop(self._key)
        return self._hop.told(error)

    def close(self) -> None:
        """Keep the connection for the next request if this answer has come to its end, else close it."""
        response = self._response
        ended = response.isclosed() or response.length == 0
        response.close()
        if self._keep and ended and response.status >= _OK and not response.will_close:
            self._kept.put(self._key, self._connection)
        else:
            self._connection.close()
