"""Request bodies as they are received: of a known length, or in chunks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, Protocol

from registry.server.channel import GoneError
from registry.server.chunks import ChunkDecoder
from registry.server.gunicorn_internals import errors

if TYPE_CHECKING:
    from registry.server.heads import Fields

MOST_DISCARDED: Final = 64 * 1024
"""Bytes of a body that are read behind its answer so that the connection can be kept; beyond, it is closed."""
_RECEIVE: Final = 256 * 1024


class Source(Protocol):
    """Where a body's bytes come from: those that came with the head, then those that arrive."""

    def take(self, size: int) -> bytes:
        """Return at most `size` of the bytes that came ahead; none if there are none left."""

    def put_back(self, ahead: bytes) -> None:
        """Have take() return these bytes first."""

    def receive(self, size: int, *, whole: bool) -> bytes:
        """Wait for `size` bytes, or for any if not `whole`; none if the client has gone."""

    def receive_now(self, size: int) -> bytes | None:
        """Return what has arrived, none if the client sends no more; None if it may yet."""

    def send(self, data: bytes) -> None:
        """Send `data` to the client."""


class RequestBody(ABC):
    """The body of a request. A client that expects "100 Continue" is told so when the body is first read."""

    def __init__(self, source: Source, *, expects_continue: bool) -> None:
        self._source = source
        self._expects_continue = expects_continue

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end, or if the client went away.

        Raises:
            OSError: the connection has failed.
            errors.ParseException: the body breaks the rules of HTTP.
        """
        if self._expects_continue and not self.has_ended:
            self._expects_continue = False
            self._source.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self._read(size)

    def may_end(self) -> bool:
        """Tell whether discard_now() can find the end, so that the connection is good for another request.

        A client that waits for "100 Continue" may send the body or not (RFC 9110 section 10.1.1), so what comes next
        from it may be either.
        """
        return self.has_ended or not (self._expects_continue or self._is_large())

    @property
    @abstractmethod
    def has_ended(self) -> bool:
        """Whether all of it was read."""

    @abstractmethod
    def discard_now(self) -> bool:
        """Throw away what has arrived of the rest; return whether that was all of it.

        Raises:
            GoneError: the client has gone, or there is more than is thrown away.
            OSError, errors.ParseException: as read().
        """

    @abstractmethod
    def _is_large(self) -> bool: ...

    @abstractmethod
    def _read(self, size: int) -> bytes: ...


class SizedBody(RequestBody):
    """A body of `length` bytes.

    A read returns what one system call returned, without copying it. As with any raw file, that may be less than was
    asked for though the end is not reached.
    """

    def __init__(self, source: Source, length: int, *, expects_continue: bool = False) -> None:
        super().__init__(source, expects_continue=expects_continue)
        self._left = length

    @property
    def has_ended(self) -> bool:
        return self._left <= 0

    def discard_now(self) -> bool:
        while self._left > 0:
            piece = self._source.take(self._left)
            if not piece:
                received = self._source.receive_now(self._left)
                if received is None:
                    return False
                if not received:
                    raise GoneError
                self._source.put_back(received)
                continue
            self._left -= len(piece)
        return True

    def _is_large(self) -> bool:
        return self._left > MOST_DISCARDED

    def _read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        if wanted <= 0:
            return b""
        piece = self._source.take(wanted) or self._source.receive(wanted, whole=True)
        self._left -= len(piece)
        return piece


class _NoBody(RequestBody):
    """The body of most requests, which has no bytes; one for all of them."""

    has_ended = True

    def __init__(self) -> None:
        pass

    def may_end(self) -> bool:
        return True

    def discard_now(self) -> bool:
        return True

    def _is_large(self) -> bool:
        return False

    def _read(self, size: int) -> bytes:
        del size
        return b""


class ChunkedBody(RequestBody):
    """A body in chunks, whose length is known at its end."""

    def __init__(self, source: Source, *, expects_continue: bool = False) -> None:
        super().__init__(source, expects_continue=expects_continue)
        self._chunks = ChunkDecoder()
        self._discarded = 0
        self._failure: Exception | None = None

    @property
    def has_ended(self) -> bool:
        return self._chunks.has_ended

    def discard_now(self) -> bool:
        while not self._chunks.has_ended:
            if self._failure or self._discarded > MOST_DISCARDED:
                raise GoneError
            received = self._source.take(MOST_DISCARDED) or self._source.receive_now(MOST_DISCARDED)
            if received is None:
                return False
            if not received:
                raise GoneError
            self._discarded += len(received)
            self._decode(received, bytearray(), 2 * MOST_DISCARDED)
        return True

    def _is_large(self) -> bool:
        # What is left is not known; in most cases that is nothing but the last chunk, which has arrived.
        try:
            return not self.discard_now()
        except (GoneError, OSError, errors.ParseException) as error:
            self._failure = error
            return True

    def _read(self, size: int) -> bytes:
        found = bytearray()
        received = b""
        while not self._chunks.has_ended:
            try:
                if self._failure:
                    raise self._failure
                self._decode(received, found, size)
                if len(found) >= size or self._chunks.has_ended:
                    break
                received = self._source.take(_RECEIVE) or self._source.receive(_RECEIVE, whole=False)
                if not received:
                    raise errors.NoMoreData(b"")
            except (OSError, errors.ParseException) as error:
                # What came before it is good and is returned first.
                self._failure = error
                if found:
                    break
                raise
        return bytes(found)

    def _decode(self, received: bytes, found: bytearray, size: int) -> None:
        self._chunks.feed(received)
        self._chunks.decode(found, size)
        if self._chunks.has_ended:
            self._source.put_back(self._chunks.rest())


_NO_BODY: Final = _NoBody()


def receive_body(fields: Fields, source: Source) -> RequestBody:
    """Return the body of a request with such `fields`, whose bytes come from `source`."""
    length = fields.body_length
    if not length:
        return _NO_BODY
    if length == math.inf:
        return ChunkedBody(source, expects_continue=fields.expects_continue)
    return SizedBody(source, int(length), expects_continue=fields.expects_continue)
