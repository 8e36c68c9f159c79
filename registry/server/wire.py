"""Bodies and responses on the wire: gunicorn's, with fewer system calls and fewer copies."""

from __future__ import annotations

import os
import socket
import ssl
import time
from contextlib import suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

from gunicorn import util
from gunicorn.http import wsgi

if TYPE_CHECKING:
    from collections.abc import Callable

_AT_ONCE: Final = 64 * 1024
"""Bytes that go into a socket's buffer without waiting for the client, more or less."""
_CACHED: Final = 256 * 1024
"""Bytes that are still in a processor's own cache after they were read."""


class Response(wsgi.Response):
    """Sends the head together with the beginning of the body; calls `before_waiting` ahead of what may take long."""

    def __init__(self, req: Any, sock: socket.socket, cfg: Any, before_waiting: Callable[[], None]) -> None:
        super().__init__(req, sock, cfg)
        self._version: tuple[int, int] = req.version
        self._before_waiting = before_waiting
        self._head = b""

    def default_headers(self) -> list[str]:
        """Return the lines that every response begins with."""
        major, minor = self._version
        lines = [
            f"HTTP/{major}.{minor} {self.status}\r\n",
            f"Server: {self.version}\r\n",
            f"Date: {_date()}\r\n",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n",
        ]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        return lines

    def send_headers(self) -> None:
        """Have the head ready; it is sent with what comes next."""
        if self.headers_sent or self._head:
            return
        lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
        self._head = "".join(lines).encode("latin-1")

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        self._flush(data)

    def sendfile(self, respiter: Any) -> bool:
        """Let the kernel send the file; False where it cannot."""
        if self.cfg.is_ssl or self.response_length is None or not util.has_fileno(respiter.filelike):
            return False
        self.send_headers()
        self._send_file(respiter.filelike.fileno(), self.response_length)
        return True

    def _send_file(self, fd: int, rest: int) -> None:
        """Send `rest` bytes of the file `fd` from where it stands."""
        if rest > _AT_ONCE:
            self._before_waiting()
        # A client on this machine copies what it is sent out of our caches: that costs both together less than the
        # pages of a file, which are in nobody's cache. Over a network the device takes the pages as they are.
        copied = rest <= _AT_ONCE or _is_here(self.req.peer_addr)
        if not copied:
            self._flush(b"", more=True)
        while rest:
            sent = self._copy(fd, rest) if copied else os.sendfile(self.sock.fileno(), fd, None, rest)
            if not sent:
                raise ConnectionAbortedError("the file has become shorter than was announced")
            rest -= sent
            self.sent += sent

    def _copy(self, fd: int, rest: int) -> int:
        """Send at most `rest` bytes from where the file stands, behind the head if that is still to be sent."""
        piece = os.read(fd, min(rest, _CACHED))
        self._flush(piece)
        return len(piece)

    def close(self) -> None:
        """Send what is left to send."""
        self.send_headers()
        self._flush(b"0\r\n\r\n" if self.chunked else b"")

    def _flush(self, data: bytes, *, more: bool = False) -> None:
        head, self._head = self._head, b""
        if head:
            self.headers_sent = True
            data = head + data
        if len(data) > _AT_ONCE:
            self._before_waiting()
        if data:
            self.sock.sendall(data, socket.MSG_MORE if more else 0)


class Body:
    """A request body of known length, received straight from the socket.

    A read gives what one system call gave, without copying it: as a file object may that is not at its end.
    """

    def __init__(self, reader: Any, sock: socket.socket) -> None:
        self._reader = reader
        self._socket = sock

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end, or if the client went away."""
        reader = self._reader
        wanted: int = min(size, reader.length)
        if wanted <= 0:
            return b""
        piece = reader.unreader.take_buffered()
        if len(piece) > wanted:
            reader.unreader.unread(piece[wanted:])
            piece = piece[:wanted]
        if not piece:
            piece = _receive(self._socket, wanted)
        reader.length -= len(piece)
        return bytes(piece)


def _receive(sock: socket.socket, wanted: int) -> bytes:
    """Return `wanted` bytes, or less if the client sends no more."""
    if not isinstance(sock, ssl.SSLSocket):
        return sock.recv(wanted, socket.MSG_WAITALL)
    # TLS hands over 16 KiB at a time, and knows no such flag.
    buffer = memoryview(bytearray(wanted))
    received = 0
    with suppress(TimeoutError, ConnectionError, ssl.SSLError):
        while received < wanted and (count := sock.recv_into(buffer[received:])):
            received += count
    return bytes(buffer[:received])


def _is_here(address: Any) -> bool:
    """Tell whether a client is a process of this machine; a socket in the file system has no address."""
    host = address[0] if isinstance(address, tuple) else ""
    return not host or host == "::1" or host.removeprefix("::ffff:").startswith("127.")


class _Clock:
    """The Date header of this second."""

    second = 0
    text = ""


def _date() -> str:
    now = int(time.time())
    if now != _Clock.second:
        # In this order: another thread then sees the old text with the old second, or the new one twice.
        _Clock.text = formatdate(now, usegmt=True)
        _Clock.second = now
    return _Clock.text
