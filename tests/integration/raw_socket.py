"""A client that sends what an HTTP library would not."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from tests.integration.servers import Server

TIMEOUT_SECONDS = 15


@dataclass(slots=True)
class RawSocket:
    """One TCP connection to a server; leaving the `with` block hangs up."""

    server: Server
    timeout_seconds: float = TIMEOUT_SECONDS
    _socket: socket.socket | None = None

    def __enter__(self) -> Self:
        self._socket = socket.create_connection(("127.0.0.1", self.server.port), self.timeout_seconds)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connected.close()

    @property
    def _connected(self) -> socket.socket:
        assert self._socket is not None
        return self._socket

    def send(self, *parts: str | bytes) -> Self:
        """Send the parts one after the other; it is not an error if the server has closed already."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for part in parts:
                self._connected.sendall(part.encode() if isinstance(part, str) else part)
        return self

    def finish_sending(self) -> Self:
        with contextlib.suppress(OSError):
            self._connected.shutdown(socket.SHUT_WR)
        return self

    def receive(self, limit: int = 1 << 20) -> bytes:
        """Give what the server says until it closes, falls silent or has said `limit` bytes."""
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while len(received) < limit and (piece := self._connected.recv(65536)):
                received += piece
        return received

    def receive_status(self) -> int:
        """Give the status of the first answer; 0 means that the server closed without one."""
        line = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while b"\r\n" not in line and (piece := self._connected.recv(1)):
                line += piece
        return int(line.split()[1]) if line.startswith(b"HTTP/1.") else 0


def head(method: str, target: str, *fields: str) -> str:
    """Give a request's head."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: registry", *fields, "", ""])
