"""One deadline for a whole exchange over HTTP: the timeouts of the standard library begin anew with each byte."""

from __future__ import annotations

import http.client
import io
import time
import urllib.request
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import socket
    import ssl


class Deadline:
    """The moment `seconds` after this was made; with None it never comes."""

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    def remaining_seconds(self) -> float | None:
        """Return for how long one may still wait, None without end.

        Raises:
            TimeoutError: the moment has come.
        """
        if self._at is None:
            return None
        remaining = self._at - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        return remaining


class DeadlineHandler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens ``http`` and ``https`` addresses, until `deadline`; an opener takes it in place of its own two.

    `context` says how the peer's certificate is verified; without one, as the system does.
    """

    def __init__(self, deadline: Deadline, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._deadline = deadline
        self._verifying = {"context": context} if context else {}

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open `req`."""
        return self.do_open(_kept_to(self._deadline, http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open `req`."""
        return self.do_open(_kept_to(self._deadline, http.client.HTTPSConnection), req, **self._verifying)


def _kept_to(deadline: Deadline, kind: type[http.client.HTTPConnection]) -> Any:
    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
            super().__init__(cast("socket.socket", _TimedSocket(sock, deadline)), *args, **kwargs)

    class Connection(kind):  # type: ignore[misc, valid-type]
        response_class = Response

        def connect(self) -> None:
            # A handshake of TLS, and sending, are held to the timeout as a whole by the socket itself.
            self.timeout = deadline.remaining_seconds()
            super().connect()

    return Connection


class _TimedSocket:
    """Of a socket what HTTPResponse asks for: a file to read from."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._deadline))


class _TimedReader(io.RawIOBase):
    """Reads from a socket, each time for no longer than remains."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        # The socket stays open for this file after the connection has closed it.
        self._file = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.remaining_seconds())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
