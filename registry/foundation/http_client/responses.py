"""Answers on a connection of which the head has come: how their content is read, and where it ends."""

from __future__ import annotations

import http.client
import io
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from registry.foundation.http_client.errors import HttpError
from registry.foundation.http_client.heads import Head, Headers, content_length, ordinary_head, read_headers

if TYPE_CHECKING:
    import socket

    from registry.foundation.http_client.connections import Connection

_WITHOUT_CONTENT: Final = frozenset({101, 204, 304})
FIRST: Final = 16 * 1024
"""The most that is taken at once of the beginning of an answer, in bytes."""

_STAYS: Final = "keep-alive"
_MOST_INTERIM: Final = 5
"""Interim answers before an answer, as in Go: to read those of a peer that never ends them takes all of a core."""
_SWITCHING_PROTOCOLS: Final = 101
_OK: Final = 200


class Response(Protocol):
    """What is asked of an http.client.HTTPResponse of which the head has come."""

    status: int
    headers: Headers
    length: int | None
    """Bytes that are still to come, None if that is not known."""
    will_close: bool

    def read(self, most_bytes: int, /) -> bytes:
        """Return so many bytes of the content, or all that is left."""

    def read1(self, most_bytes: int, /) -> bytes:
        """Return some bytes of the content, b"" at its end."""

    def isclosed(self) -> bool:
        """Tell whether all of it was read."""

    def close(self) -> None:
        """Let go of it."""


def response(connection: Connection, method: str, received: bytes = b"") -> Response:
    """Return the answer to a request that was sent, of which the head has come; the rest comes on `connection`.

    It begins with what was `received` already.

    Raises:
        OSError: or HTTPException, there is none.
    """
    piece = received or connection.receive(FIRST)
    connection.exchange.answered = bool(piece)
    head = ordinary_head(piece)
    if head and (length := length_that_stays(head, method)) is not None:
        return SizedResponse(connection, head, piece[head.end :], length)
    general = GeneralResponse(connection, piece, method)
    try:
        general.begin()
    except BaseException:
        general.close()
        raise
    return general


class SizedResponse:
    """One whose content is so many bytes, of which some have `come` with the head; the rest is taken as it comes."""

    __slots__ = ("_come", "_connection", "_left", "headers", "length", "status", "will_close")

    def __init__(self, connection: Connection, head: Head, come: bytes, length: int) -> None:
        self.status = head.status
        self.headers = head.headers
        self.length: int | None = length
        self.will_close = len(come) > length
        self._connection = connection
        self._come = come[:length]
        self._left = length

    def read(self, most_bytes: int, /) -> bytes:
        """Return so many bytes of the content, or all that is left."""
        piece = self.read1(most_bytes)
        if not self._left or len(piece) == most_bytes:
            return piece
        pieces, size = [piece], len(piece)
        while piece and size < most_bytes:
            piece = self.read1(most_bytes - size)
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)

    def read1(self, most_bytes: int, /) -> bytes:
        """Return some bytes of the content, b"" at its end."""
        if self._come:
            piece, self._come = self._come[:most_bytes], self._come[most_bytes:]
        elif self._left:
            piece = self._connection.receive(min(most_bytes, self._left))
        else:
            piece = b""
        self._left -= len(piece)
        self.length = self._left
        return piece

    def isclosed(self) -> bool:
        """Tell whether all of it was read."""
        return not self._left

    def close(self) -> None:
        """Do nothing: what is left stays on the connection."""


def length_that_stays(head: Head, method: str) -> int | None:
    """Return the bytes of content behind this head, which answers `method`, if the connection stays when they came.

    None if it does not, or if the head does not say how many they are.
    """
    headers = head.headers
    if headers.get("Connection", _STAYS).lower() != _STAYS or "Transfer-Encoding" in headers:
        return None
    return 0 if method == "HEAD" or head.status in _WITHOUT_CONTENT else content_length(headers)


class GeneralResponse(http.client.HTTPResponse):
    """Any other. That of urllib3 would be decoded, and if malformed be logged with the URL."""

    headers: Headers  # type: ignore[assignment]  # the base asks it for get() and items()
    _answers = 0

    def __init__(self, connection: Connection, received: bytes, method: str | None) -> None:
        super().__init__(cast("socket.socket", _Readable(connection, received)), method=method)

    def _read_status(self) -> tuple[str, int, str]:
        self._answers += 1
        if self._answers > _MOST_INTERIM + 1:
            raise HttpError(f"there is no answer, but more than {_MOST_INTERIM} interim ones")
        found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # http.client has it for itself
        return found

    def begin(self) -> None:
        version, status, reason = self._read_status()
        headers = read_headers(self.fp)
        # The base passes over 100 only; more of RFC 9110 section 15.2 may come before an answer.
        while status < _OK and status != _SWITCHING_PROTOCOLS:
            version, status, reason = self._read_status()
            headers = read_headers(self.fp)
        if not version.startswith("HTTP/1."):
            raise http.client.UnknownProtocol(version)
        self.version = 10 if version == "HTTP/1.0" else 11
        self.code = self.status = status
        self.reason = reason.strip()
        self.headers = self.msg = headers  # type: ignore[assignment]
        self._find_end()

    def _find_end(self) -> None:
        """Find where the content ends (RFC 9112 section 6.3)."""
        self.chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = None if self.chunked else content_length(self.headers)
        if self.status in _WITHOUT_CONTENT or self._method == "HEAD":  # type: ignore[attr-defined]
            self.length = 0
        self.will_close = self._check_close() or (not self.chunked and self.length is None)  # type: ignore[attr-defined]


class _Readable:
    """Of a socket what HTTPResponse asks for: a file to read from, which begins with what was `received` already."""

    def __init__(self, connection: Connection, received: bytes) -> None:
        self._reader = _Reader(connection, received)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._reader)


class _Reader(io.RawIOBase):
    """Reads from a connection."""

    def __init__(self, connection: Connection, received: bytes) -> None:
        self._connection = connection
        self._received = received

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._received[: len(buffer)]
        if piece:
            self._received = self._received[len(piece) :]
        else:
            piece = self._connection.receive(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
