"""A client's connection, as the worker has it."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from registry.server.channel import Channel, GoneError
from registry.server.gunicorn_internals import Settings, errors, wrap_in_tls

if TYPE_CHECKING:
    from registry.server.bodies import RequestBody
    from registry.server.gate import Gate
    from registry.server.heads import Heads, Request
    from registry.server.pace import PaceLimits

_LONGEST_METHOD: Final = 32
_may_become_request: Final = re.compile(
    rb"(?:\r\n?)?(?:[!#$%%&'*+.^_`|~0-9A-Za-z-]{1,%d}(?: .*)?)?" % _LONGEST_METHOD, re.DOTALL
).fullmatch
"""Tells whether more bytes could make it a request (RFC 9112 section 3): an empty line, a method, a space, the rest."""
_RECEIVE: Final = 8 * 1024
_HEAD_END: Final = 3
"""Bytes of what ends a head that may have come before the last of them."""
_MOST_LINGERING: Final = 64 * 1024
_LINGER_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What clients may take.

    A request's head may have `head_size` bytes in all, and `head_seconds` from its first byte to its last; so may a
    TLS handshake take, and what is left of a body behind its answer. A connection may wait `idle_seconds` for a
    request.
    """

    head_size: int
    head_seconds: float
    idle_seconds: float
    pace: PaceLimits


class Phase(Enum):
    """What a connection is at."""

    IDLE = auto()
    """It waits for a request."""
    HEAD = auto()
    """A part of a head has come, or TLS shakes hands."""
    SERVED = auto()
    """A thread has it, or it waits for one."""
    SENDING = auto()
    """A file is sent as the client takes it."""
    DISCARDING = auto()
    """The request was answered, and the rest of its body is still to come."""
    LINGERING = auto()
    """It is closed for writing, and the client has still to read the last answer."""


class Unsent(Protocol):
    """An answer of which a part is still to be sent."""

    def send_more(self) -> bool:
        """Send what the client takes without waiting; return whether all of it has been sent."""


class Connection:
    """A client's connection. It takes a thread only while an application works on its request, or waits for the client.

    `phase` is what it is at, and `since` when that began. Where it needs no thread, the poller waits for it.
    """

    def __init__(self, settings: Settings, sock: socket.socket, client: Any, server: Any, gate: Gate) -> None:
        """`client` and `server` are the addresses of the ends of `sock`."""
        self.channel = Channel(sock, gate.ticket())
        self.fd = self.channel.fd
        self.client = client
        self.server = server
        self.phase = Phase.IDLE
        self.since = time.monotonic()
        self.was_ended = False
        """Whether the poller has ended it."""
        self.unsent: Unsent | None = None
        """What is sent in phase SENDING."""
        self._settings = settings
        self._secured = not settings.is_ssl
        self._received = b""
        self._searched = 0
        self.body: RequestBody | None = None
        """That of the request: discard_body() throws away what the application leaves of it."""
        self._lingered = 0
        self._looked_at = 0.0
        self._unread = 0

    @property
    def sock(self) -> socket.socket:
        """The socket, for gunicorn."""
        return self.channel.sock

    @property
    def waits_to_write(self) -> bool:
        """Whether the poller has to wait until the socket is writable."""
        return self.phase is Phase.SENDING or self.channel.waits_to_write

    @property
    def may_make_room(self) -> bool:
        """Whether it may be ended for a new one: nobody works on a request of it, and no answer is being sent."""
        return not self.was_ended and self.phase is not Phase.SERVED and self.phase is not Phase.SENDING

    @property
    def reads_no_more(self) -> bool:
        """Whether the poller has to wait for nothing but the end: what arrives is left unread."""
        return self.phase is Phase.LINGERING and self._lingered >= _MOST_LINGERING

    def enter(self, phase: Phase) -> None:
        """Begin with `phase`."""
        self.phase = phase
        self.since = time.monotonic()

    def receive_head(self, limit: int) -> bool:
        """Receive what has arrived of a request's head, without waiting for more; return whether the head is whole.

        Raises:
            GoneError: the client has closed the connection.
            errors.LimitRequestHeaders: the head has more than `limit` bytes.
            errors.InvalidRequestMethod: it is not HTTP.
            OSError: the connection has failed, or TLS has.
        """
        if not self._secured:
            if self.phase is Phase.IDLE:
                self.enter(Phase.HEAD)
            if not self.channel.secure(partial(wrap_in_tls, self._settings)):
                return False
            self._secured = True
            self.enter(Phase.IDLE)
        received = self.channel.receive_now(_RECEIVE)
        if received is None:
            return False
        if not received:
            raise GoneError
        self._received = self._received + received if self._received else received
        return self._is_whole(limit)

    def next_request(self, heads: Heads) -> Request:
        """Return the request whose head is whole, read by `heads`; its body is still to be read.

        Raises:
            errors.ParseException: it is not HTTP, or breaks a limit.
        """
        request, self._received = heads.read(self._received, self.client)
        return request

    def head_begins_with(self, beginnings: tuple[bytes, ...]) -> bool:
        """Tell whether the head that is whole begins with one of these."""
        return self._received.startswith(beginnings)

    def send_later(self, unsent: Unsent) -> None:
        """Leave the rest of an answer to the poller."""
        self.unsent = unsent
        self.enter(Phase.SENDING)
        self.channel.pace.begin()

    def discard_body(self) -> bool:
        """Throw away what has arrived of the request's body; return whether that was all of it.

        Raises:
            GoneError: the end will not be found, so that the connection is not good for another request.
        """
        self.unsent = None
        body = self.body
        if body and not body.has_ended:
            try:
                if not body.may_end():
                    raise GoneError
                if not body.discard_now():
                    if self.phase is not Phase.DISCARDING:
                        self.enter(Phase.DISCARDING)
                    return False
            except (OSError, errors.ParseException) as error:
                raise GoneError from error
        self.body = None
        return True

    def has_next(self, limit: int) -> bool:
        """Tell, after a request was answered, whether the head of another one is whole; otherwise as receive_head()."""
        self.enter(Phase.IDLE)
        if self.channel.has_pending():
            return bool(self._received and self._is_whole(limit)) or self.receive_head(limit)
        return bool(self._received) and self._is_whole(limit)

    @property
    def ahead(self) -> int:
        """How many bytes came behind the head."""
        return len(self._received)

    def take(self, size: int) -> bytes:
        """Return at most `size` of the bytes that came behind the head; none if there are none left."""
        received = self._received
        if not received:
            return b""
        self._received = received[size:]
        return received[:size]

    def put_back(self, ahead: bytes) -> None:
        """Have take(), and the next request, begin with these bytes."""
        self._received = ahead + self._received if self._received else ahead

    def receive(self, size: int, *, whole: bool) -> bytes:
        """Wait for the client; as Channel.receive()."""
        return self.channel.receive(size, whole=whole)

    def receive_now(self, size: int) -> bytes | None:
        """Return what has arrived; as Channel.receive_now()."""
        return self.channel.receive_now(size)

    def send(self, data: bytes) -> None:
        """Send `data`, waiting for the client; as Channel.send()."""
        self.channel.send(data)

    def is_late(self, now: float, limits: ConnectionLimits) -> bool:
        """Tell whether the client takes longer than it may."""
        phase = self.phase
        if phase is Phase.IDLE:
            return now - self.since > limits.idle_seconds
        if phase is Phase.HEAD or phase is Phase.DISCARDING:
            return now - self.since > limits.head_seconds
        if phase is Phase.LINGERING:
            return now - self.since > _LINGER_SECONDS
        pace = self.channel.pace
        if pace.waits and now - self._looked_at > limits.pace.look_seconds:
            # The kernel takes megabytes at a time for a client that reads kilobytes.
            self._looked_at = now
            unread = self.channel.unread()
            if unread < self._unread:
                pace.drained(self._unread - unread)
            self._unread = unread
        return pace.is_too_slow(limits.pace, now)

    def end(self) -> None:
        """Close it for both sides: the thread that waits for it, or is given it next, finds its end."""
        self.channel.shut_down(socket.SHUT_RDWR)

    def has_lingered(self) -> bool:
        """Close it for writing; return whether the client has done the same, or has sent too much meanwhile.

        To close it whole while something is still to be read would have the kernel throw away what the client has not
        read of the last answer (RFC 9112 section 9.6).
        """
        if self.phase is not Phase.LINGERING:
            self.channel.shut_down(socket.SHUT_WR)
            self.enter(Phase.LINGERING)
        if self.reads_no_more:
            # It was waited for the end only.
            return True
        try:
            while count := self.channel.discard_now(_RECEIVE):
                self._lingered += count
                if self._lingered >= _MOST_LINGERING:
                    # The client has to stop sending now, and to read.
                    return False
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _is_whole(self, limit: int) -> bool:
        received = self._received
        # One empty line may come before the request (RFC 9112 section 2.2). A line feed alone ends a line as well, for
        # the parser to judge.
        start = max(2 if received.startswith(b"\r\n") else 0, self._searched)
        end = received.find(b"\n\r\n", start)
        if end < 0:
            end = received.find(b"\n\n", start)
        if (len(received) if end < 0 else end) > limit:
            raise errors.LimitRequestHeaders("the head is too large")
        if end >= 0:
            self._searched = 0
            self.phase = Phase.SERVED
            return True
        if not self._searched and not _may_become_request(received):
            # A client that speaks TLS here, say: it waits for an answer and will send no more.
            raise errors.InvalidRequestMethod(repr(received[:_LONGEST_METHOD]))
        if len(received) > _LONGEST_METHOD + _HEAD_END:
            self._searched = len(received) - _HEAD_END
        if received and self.phase is not Phase.HEAD:
            self.enter(Phase.HEAD)
        return False
