"""The bytes of a connection, plain or through TLS, with and without waiting for the client."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import ssl
import struct
import sys
import termios
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from registry.server.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry.server.gate import Ticket

_RECEIVE_SECONDS: Final = 5.0
"""How long one system call waits for all that was asked for, so that what has come is seen meanwhile."""
_SEND_SECONDS: Final = 0.1
"""How long one system call waits for a client to take something: one that takes longer is slow."""
_TLS_RECORD: Final = 16 * 1024
"""Bytes of the largest record. A record is read whole, since a poller does not see what OpenSSL keeps of one."""
# Flags of the socket module are enumerations, which take a microsecond to be joined.
_AT_ONCE: Final = int(socket.MSG_DONTWAIT)
_MORE: Final = int(socket.MSG_MORE)
_WHOLE: Final = int(socket.MSG_WAITALL)
_TLS_PIECE: Final = 64 * 1024
"""Bytes of which it is told only together that they were sent."""
_MILLISECONDS: Final = 1000
_T = TypeVar("_T")
_MICROSECONDS: Final = 1_000_000


def limit_waiting(sock: socket.socket, stall_seconds: float) -> None:
    """Have system calls on `sock`, and on the TCP connections that it accepts, come back now and then.

    That is often enough to tell, by what has come, a slow client from one that does nothing for `stall_seconds`.
    """
    for option, seconds in (
        (socket.SO_RCVTIMEO, min(_RECEIVE_SECONDS, stall_seconds / 3)),
        (socket.SO_SNDTIMEO, _SEND_SECONDS),
    ):
        sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", int(seconds), round(seconds % 1 * _MICROSECONDS)))


class GoneError(Exception):
    """The client has gone, or its connection is not good for another request."""


class Channel:
    """Both directions of a client's connection. `pace` knows when, and for how long, a method waits for the client.

    A method that waits does so until the connection is ended, which is for the one who watches `pace` to do.
    """

    def __init__(self, sock: socket.socket, ticket: Ticket) -> None:
        self.sock = sock
        self.ticket = ticket
        self.fd = sock.fileno()
        self.pace = Pace()
        self.waits_to_write = False
        """Whether the last call without waiting came to nothing until the socket is writable."""
        self._tls: ssl.SSLSocket | None = None
        self._blocks = False
        sock.setblocking(False)  # noqa: FBT003  as the standard library has it

    @property
    def is_secured(self) -> bool:
        """Whether it speaks TLS."""
        return self._tls is not None

    def secure(self, wrap: Callable[[socket.socket], ssl.SSLSocket]) -> bool:
        """Go on with the TLS handshake as far as it goes without waiting; return whether it is done.

        Raises:
            OSError: it has failed.
        """
        if self._tls is None:
            self._tls = self.sock = wrap(self.sock)
        return bool(self._now(partial(_shake_hands, self._tls)))

    def receive_now(self, size: int) -> bytes | None:
        """Return at most about `size` bytes that have arrived, none if the client sends no more; None if it may yet.

        TLS may return a record's worth more.

        Raises:
            OSError: the connection has failed.
        """
        if self._tls is not None:
            return self._now(partial(self._tls.recv, max(size, _TLS_RECORD)))
        try:
            return self.sock.recv(size, _AT_ONCE)
        except BlockingIOError:
            return None

    def receive(self, size: int, *, whole: bool) -> bytes:
        """Wait for `size` bytes, or for some if not `whole`; return fewer if the client is slow, none if it has gone.

        TLS may return a record's worth more if not `whole`.

        Raises:
            OSError: the connection has failed.
        """
        with self._waiting():
            if self._tls is not None:
                return self._receive_records(self._tls, size, whole=whole)
            self._block(blocks=True)
            while True:
                with suppress(BlockingIOError):
                    piece = self.sock.recv(size, _WHOLE if whole else 0)
                    self.pace.moved(len(piece))
                    return piece

    def send_now(self, data: bytes | memoryview, *, more: bool = False) -> int:
        """Send as much of `data` as the client takes without waiting; return how many bytes that was.

        With `more`, the kernel may wait for what comes next before it sends a small packet.

        Raises:
            OSError: the connection has failed.
        """
        if self._tls is not None:
            return self._send_records(self._tls, data)
        try:
            return self.sock.send(data, _AT_ONCE | _MORE if more else _AT_ONCE)
        except BlockingIOError:
            return 0

    def send(self, data: bytes | memoryview, *, more: bool = False) -> None:
        """Send `data`, waiting for the client.

        Raises:
            OSError: the connection has failed.
        """
        rest = memoryview(data)
        with self._waiting():
            while rest:
                count = self.send_briefly(rest, more=more)
                self.pace.moved(count)
                rest = rest[count:]

    def send_briefly(self, data: bytes | memoryview, *, more: bool = False) -> int:
        """Send `data`, waiting 0.1 s at most; return how many bytes were sent.

        Raises:
            OSError: the connection has failed.
        """
        if self._tls is not None:
            sent = self._send_records(self._tls, data)
            if not sent and is_ready(self.fd, select.POLLOUT, _SEND_SECONDS):
                sent = self._send_records(self._tls, data)
            return sent
        self._block(blocks=True)
        try:
            return self.sock.send(data, _MORE if more else 0)
        except BlockingIOError:
            return 0

    def send_file(self, file: int, size: int, *, briefly: bool) -> int:
        """Send at most `size` bytes from the position of `file`, which moves on by what was sent; return how many.

        It does not wait for the client, or if `briefly` about 0.1 s for each 64 KiB. TLS cannot do this.

        Raises:
            OSError: the connection or the file has failed, or the file has ended.
        """
        self._block(blocks=briefly)
        try:
            sent = os.sendfile(self.fd, file, None, size)
        except BlockingIOError:
            return 0
        if not sent:
            raise OSError(errno.EIO, "the file is shorter than was announced")
        return sent

    def unread(self) -> int:
        """Return how many of the bytes that were sent the client has not taken: the kernel keeps them for it."""
        return int.from_bytes(fcntl.ioctl(self.fd, termios.TIOCOUTQ, bytes(4)), sys.byteorder)

    def has_pending(self) -> bool:
        """Tell whether TLS keeps bytes that have arrived, which no poller sees."""
        return self._tls is not None and self._tls.pending() > 0

    def shut_down(self, how: int) -> None:
        """Shut the socket down in one direction or both, whoever uses it; the state of TLS is left alone."""
        with suppress(OSError):
            socket.socket.shutdown(self.sock, how)

    def discard_now(self, size: int) -> int:
        """Throw away at most `size` bytes as they come on the wire.

        Raises:
            OSError: nothing has arrived, or the connection has failed.
        """
        return len(socket.socket.recv(self.sock, size, _AT_ONCE))

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Wait for the client in this block; go on behind it when the gate lets the thread."""
        self.ticket.leave()
        began = time.monotonic()
        self.pace.begin()
        try:
            yield
        finally:
            self.pace.end()
            self.ticket.enter(time.monotonic() - began)

    def _block(self, *, blocks: bool) -> None:
        if self._blocks != blocks:
            self._blocks = blocks
            self.sock.setblocking(blocks)

    def _now(self, step: Callable[[], _T]) -> _T | None:
        """Return what a step of TLS gives; None if it cannot be taken without waiting."""
        self.waits_to_write = False
        try:
            return step()
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLWantWriteError:
            self.waits_to_write = True
            return None

    def _receive_records(self, tls: ssl.SSLSocket, size: int, *, whole: bool) -> bytes:
        """Wait for `size` bytes, fewer if the client goes; for those of one record if not `whole`."""
        if not whole:
            piece = self._patiently(lambda: tls.recv(_TLS_RECORD))
            self.pace.moved(len(piece))
            return piece
        # It grows with what arrives: a client that is slow must not cost what it has only announced.
        received = bytearray()
        with suppress(TimeoutError, ConnectionError, ssl.SSLError):
            while len(received) < size:
                piece = self._patiently(partial(tls.recv, min(size - len(received), _TLS_RECORD)))
                if not piece:
                    break
                received += piece
                self.pace.moved(len(piece))
        return bytes(received)

    def _patiently(self, step: Callable[[], _T]) -> _T:
        """Take a step of TLS when the client lets it be taken."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                is_ready(self.fd, select.POLLIN)
            except ssl.SSLWantWriteError:
                is_ready(self.fd, select.POLLOUT)

    def _send_records(self, tls: ssl.SSLSocket, data: bytes | memoryview) -> int:
        """Send as much of `data` as goes without waiting. OpenSSL wants the same bytes again if that was not all."""
        rest = memoryview(data)
        with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            while rest:
                rest = rest[tls.send(rest[:_TLS_PIECE]) :]
        return len(data) - len(rest)


def _shake_hands(tls: ssl.SSLSocket) -> bool:
    tls.do_handshake()
    return True


def is_ready(fd: int, event: int, seconds: float | None = None) -> bool:
    """Wait for an event of select.poll() on `fd`, at most so long; return whether there was one, or the end of it."""
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(None if seconds is None else seconds * _MILLISECONDS))
