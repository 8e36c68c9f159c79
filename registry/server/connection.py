"""A client's connection, as the worker has it."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from typing import Any, Final

from gunicorn.http.body import LengthReader
from gunicorn.workers.gthread import TConn

_DRAIN_SECONDS: Final = 5.0


class Settings:
    """gunicorn's configuration with every value looked up already; its own takes several calls for each."""

    is_ssl: bool

    def __init__(self, configuration: Any) -> None:
        self._configuration = configuration
        computed = dir(type(configuration))
        values = {name: setting.get() for name, setting in configuration.settings.items() if name not in computed}
        self.__dict__.update(values, is_ssl=bool(configuration.is_ssl))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._configuration, name)


class Connection(TConn):
    """A client's connection; `idle_since` is when it began to wait for a request, infinite while one is served."""

    parser: Any  # gunicorn's knows HTTP/2 as well, which is never switched on

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.fd = sock.fileno()
        self.idle_since = time.monotonic()

    def has_more(self) -> bool:
        """Tell whether bytes of another request have been received already, which no poller will report."""
        return bool(self.parser.unreader.buf.getvalue()) or (
            isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0
        )

    def drain(self) -> bool:
        """Read what the application has left of a body; False if that is too much."""
        reader = self.parser.mesg.body.reader
        if isinstance(reader, LengthReader) and not reader.length:
            self.parser.mesg = None
            return True
        return bool(self.parser.finish_body(deadline=time.monotonic() + _DRAIN_SECONDS))

    def end(self) -> None:
        """Let whoever waits for this connection find that it has ended."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
