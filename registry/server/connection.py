"""A client's connection, as the worker has it."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from typing import Any

from registry.server.gunicorn_internals import ClientConnection


class Connection(ClientConnection):
    """A client's connection; `idle_since` is when it began to wait for a request, infinite while one is served.

    `has_request` is whether the head of that request has been read.
    """

    def __init__(self, settings: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(settings, sock, client, server)
        self.fd = sock.fileno()
        self.idle_since = time.monotonic()
        self.has_request = False

    def has_more(self) -> bool:
        """Tell whether bytes of another request have been received already, which no poller will report."""
        return self.has_received_more() or (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0)

    def end(self) -> None:
        """Close it for both sides: the thread that waits for it, or is given it next, finds its end."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
