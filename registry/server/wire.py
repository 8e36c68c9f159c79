"""Bodies and responses on the socket, with fewer system calls and fewer copies than gunicorn's own."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from registry.server.gunicorn_internals import Framing, take_received

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.server.gunicorn_internals import LengthReader

_AT_ONCE: Final = 64 * 1024
"""About as many bytes as the buffer of a socket takes without waiting for the client."""
_CACHED: Final = 256 * 1024
"""Bytes that are still in the processor's cache after they were read."""


class Response(Framing):
    """Sends a response; calls `before_waiting` before it sends what may have to wait for the client."""

    def __init__(self, request: Any, sock: socket.socket, settings: Any, before_waiting: Callable[[], None]) -> None:
        super().__init__(request, sock, settings)
        self._before_waiting = before_waiting

    def send(self, data: bytes, *, more: bool = False) -> None:
        """Send `data`; with `more`, the kernel may wait for what comes next before it sends a small packet."""
        head, self._head = self._head, b""
        if head:
            self.headers_sent = True
            data = head + data
        if len(data) > _AT_ONCE:
            self._before_waiting()
        if data:
            self.sock.sendall(data, socket.MSG_MORE if more else 0)

    def send_file(self, fd: int, size: int) -> None:
        """Send a part of a file.

        Raises:
            ConnectionAbortedError: the file ends before `size` bytes.
        """
        if size > _AT_ONCE:
            self._before_waiting()
        # For a client on this machine, to copy through a buffer that stays in the processor's cache costs both sides
        # less than sendfile, which hands over pages that are in no cache. Over a network, sendfile copies nothing.
        copied = size <= _AT_ONCE or _is_here(self.peer_address)
        if not copied:
            self.send(b"", more=True)
        while size:
            sent = self._copy(fd, size) if copied else os.sendfile(self.sock.fileno(), fd, None, size)
            if not sent:
                raise ConnectionAbortedError("the file has become shorter than was announced")
            size -= sent
            self.sent += sent

    def _copy(self, fd: int, size: int) -> int:
        """Send at most `size` bytes from the position of the file, behind the head if that is still to be sent."""
        piece = os.read(fd, min(size, _CACHED))
        self.send(piece)
        return len(piece)


class Body:
    """A request body of known length, received straight from the socket.

    A read returns what one system call returned, without copying it. As with any raw file, that may be less than was
    asked for though the end is not reached.
    """

    def __init__(self, reader: LengthReader, sock: socket.socket) -> None:
        self._reader = reader
        self._socket = sock

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end, or if the client went away."""
        wanted: int = min(size, self._reader.length)
        if wanted <= 0:
            return b""
        piece = take_received(self._reader, wanted) or _receive(self._socket, wanted)
        self._reader.length -= len(piece)
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
