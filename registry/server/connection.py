"""A client's connection, as the worker has it."""

from __future__ import annotations

import math
import re
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from registry.server.gunicorn_internals import ClientConnection, errors

_LONGEST_METHOD: Final = 32
_may_become_request: Final = re.compile(
    rb"(?:\r\n?)?(?:[!#$%%&'*+.^_`|~0-9A-Za-z-]{1,%d}(?: .*)?)?" % _LONGEST_METHOD, re.DOTALL
).fullmatch
"""Tells whether more bytes could make it a request (RFC 9112 section 3): an empty line, a method, a space, the rest."""
_RECEIVE: Final = 8 * 1024
_TLS_RECORD: Final = 16 * 1024
"""Bytes of the largest record. A record is read whole, since a poller does not see what OpenSSL keeps of one."""


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """What a request's head may have: `size` bytes in all, and `seconds` from its first byte to its last.

    For TLS, the handshake has as many seconds.
    """

    size: int
    seconds: float


class Connection(ClientConnection):
    """A client's connection. It takes no thread while it waits for a request, or for the rest of a request's head.

    `idle_since` is when it began to wait for a request, infinite from the first byte of one until that is answered.
    `head_since` is when that first byte came, infinite once the head is whole.
    """

    def __init__(self, settings: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(settings, sock, client, server)
        self.fd = sock.fileno()
        self.idle_since = time.monotonic()
        self.head_since = math.inf
        self.waits_to_write = False
        """Whether TLS has to send something before it can go on: the poller then waits until the socket is writable."""
        self._tls: ssl.SSLSocket | None = None
        self._secured = not settings.is_ssl
        self._received = b""

    def receive_head(self, limit: int) -> bool:
        """Receive what has arrived of a request's head, without waiting for more; return whether the head is whole.

        Raises:
            StopIteration: the client has closed the connection.
            errors.LimitRequestHeaders: the head has more than `limit` bytes.
            errors.InvalidRequestMethod: it is not HTTP.
            OSError: the connection has failed, or TLS has.
        """
        self.waits_to_write = False
        try:
            if not self._secured:
                self._shake_hands()
            received = self._receive()
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except ssl.SSLWantWriteError:
            self.waits_to_write = True
            return False
        if not received:
            raise StopIteration
        self._received = self._received + received if self._received else received
        return self._is_whole(limit)

    def next_request(self) -> Any:
        """Return the request whose head is whole; its body is still to be read."""
        received, self._received = self._received, b""
        if self._tls:
            self._tls.settimeout(None)
        return self.parse_request(received)

    def has_next(self, limit: int) -> bool:
        """Tell, after a request was answered, whether the head of another one is whole; otherwise as receive_head()."""
        self._received = self.received_ahead()
        if self._tls:
            self._tls.settimeout(0)
            return self._is_whole(limit) or (self._tls.pending() > 0 and self.receive_head(limit))
        return bool(self._received) and self._is_whole(limit)

    def end(self) -> None:
        """Close it for both sides: the thread that waits for it, or is given it next, finds its end."""
        with suppress(OSError):
            # SSLSocket.shutdown() would also drop the TLS state, which another thread may be about to use.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def _shake_hands(self) -> None:
        if self._tls is None:
            self._tls = self.wrap_in_tls()
            self._begin_head()
        self._tls.do_handshake()
        self._secured = True
        self.idle_since, self.head_since = time.monotonic(), math.inf

    def _receive(self) -> bytes:
        if self._tls is None:
            return self.sock.recv(_RECEIVE, socket.MSG_DONTWAIT)
        return self._tls.recv(_TLS_RECORD)

    def _is_whole(self, limit: int) -> bool:
        received = self._received
        # One empty line may come before the request (RFC 9112 section 2.2). A line feed alone ends a line as well, for
        # the parser to judge.
        start = 2 if received.startswith(b"\r\n") else 0
        end = received.find(b"\n\r\n", start)
        if end < 0:
            end = received.find(b"\n\n", start)
        if (len(received) if end < 0 else end) > limit:
            raise errors.LimitRequestHeaders("the head is too large")
        if end >= 0:
            self.idle_since = self.head_since = math.inf
            return True
        if not _may_become_request(received):
            # A client that speaks TLS here, say: it waits for an answer and will send no more.
            raise errors.InvalidRequestMethod(repr(received[:_LONGEST_METHOD]))
        if received and self.head_since == math.inf:
            self._begin_head()
        return False

    def _begin_head(self) -> None:
        self.idle_since, self.head_since = math.inf, time.monotonic()
