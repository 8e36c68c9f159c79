"""The way of nearly all calls of a store: over a connection that is kept, to an answer that comes in one piece.

It is the general one without what these never need. What turns out to be another is handed to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry.foundation.http_client.answers import Reply, Stream
from registry.foundation.http_client.errors import HttpError
from registry.foundation.http_client.heads import ordinary_head
from registry.foundation.http_client.hops import ENDED, UNANSWERED, Hop
from registry.foundation.http_client.responses import FIRST, length_that_stays

if TYPE_CHECKING:
    from collections.abc import Hashable

    from registry.foundation.http_client.connections import Connection
    from registry.foundation.http_client.deadlines import Deadline
    from registry.foundation.http_client.kept import KeptConnections
    from registry.foundation.http_client.requests import Request
    from registry.foundation.http_client.trust import Trust


class Straight:
    """A request that was sent over a connection of `kept`, and the first piece of its answer."""

    __slots__ = ("_connection", "_hop", "_kept", "_key", "_piece")

    def __init__(self, hop: Hop, connection: Connection, key: Hashable, kept: KeptConnections, piece: bytes) -> None:
        self._hop = hop
        self._connection = connection
        self._key = key
        self._kept = kept
        self._piece = piece

    @staticmethod
    def begin(
        request: Request, deadline: Deadline, timeout_seconds: float | None, trust: Trust, kept: KeptConnections
    ) -> Straight | None:
        """Return the answer that begins, on a connection that leads to the place itself.

        None if no such connection is kept, or if the peer had closed it: it has not answered then.

        Raises:
            HttpError: there is no answer.
        """
        location = request.location
        key = (location.origin, None, trust.context() if location.scheme == "https" else None)
        connection = kept.take(key)
        if connection is None:
            return None
        connection.exchange.deadline = deadline
        hop = Hop(request, connection.exchange, trust, timeout_seconds)
        try:
            connection.send_request(request.head(location.target), request.body or b"")
            piece = connection.receive(FIRST)
        except ENDED:
            piece = b""
        except UNANSWERED as error:
            connection.close()
            if isinstance(error, TimeoutError):
                kept.drop(key)
            raise hop.told(error) from None
        if piece:
            return Straight(hop, connection, key, kept, piece)
        connection.close()
        return None

    def reply(self, most_bytes: int) -> Reply | None:
        """Return the answer, with the first `most_bytes` of its content; its connection is kept then.

        None if not all of it has come, or it is malformed: stream() says how.
        """
        request, piece = self._hop.request, self._piece
        head = ordinary_head(piece)
        try:
            if head is None or length_that_stays(head, request.method) != len(piece) - head.end:
                return None
        except HttpError:
            return None
        self._kept.put(self._key, self._connection)
        end = head.end + most_bytes
        return Reply(head.status, head.headers, piece[head.end : end], len(piece) > end, request.location)

    def stream(self) -> Stream:
        """Return the answer, the rest of which is read from the connection."""
        try:
            return Stream(self._hop, self._connection, self._key, self._kept, keep=True, received=self._piece)
        except UNANSWERED as error:
            self._connection.close()
            if isinstance(error, TimeoutError):
                self._kept.drop(self._key)
            raise self._hop.told(error) from None
