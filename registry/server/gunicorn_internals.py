"""All that the server takes from gunicorn beyond its documented interface, which any release may change.

No other module imports more of gunicorn than its extension points: the application, the base of workers, the logger.
It was tried with gunicorn 26.2.0, 27.0.0 and 27.0.1, and with gunicorn_h1c 0.6.10, its parser in C. setup.cfg allows
nothing older or newer of gunicorn (there is nothing in between), and no older parser.
tests/server/test_gunicorn_internals.py holds setup.cfg to that.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from email.utils import formatdate
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gunicorn import util
from gunicorn.arbiter import Arbiter
from gunicorn.http import errors, get_parser, wsgi
from gunicorn.http.body import LengthReader
from gunicorn.http.wsgi import FileWrapper
from gunicorn.sock import ssl_wrap_socket
from gunicorn.systemd import listen_fds, sd_notify
from gunicorn.workers.gthread import TConn

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from gunicorn.workers.base import Worker

__all__ = [
    "Arbiter",
    "ClientConnection",
    "FileWrapper",
    "Framing",
    "LengthReader",
    "Settings",
    "arbiter_listeners",
    "begin_response",
    "body_length",
    "errors",
    "listen_fds",
    "sd_notify",
    "sized_body",
    "take_received",
    "wake_up_pipe",
    "worker_listeners",
]

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


class ClientConnection(TConn):
    """A client's connection with the parser of its requests; `client` and `server` are the addresses of its ends.

    Its socket does not block until a request is parsed.
    """

    client: Any
    parser: Any  # gunicorn's knows HTTP/2 as well, which is never switched on

    def wrap_in_tls(self) -> ssl.SSLSocket:
        """Return the socket as one that speaks TLS; the handshake is still to be done."""
        self.sock = ssl_wrap_socket(self.sock, self.cfg)
        return self.sock

    def parse_request(self, received: bytes) -> Any:
        """Return the request whose head is at the beginning of `received`; its body is still to be read.

        Raises:
            StopIteration, errors.NoMoreData: the client has closed the connection.
            errors.ParseException: it is not HTTP, or breaks a limit.
            OSError: the connection has failed.
        """
        if self.parser is None:
            self.sock.settimeout(None)
            self.parser = get_parser(self.cfg, self.sock, self.client)
        self.parser.unreader.buf = BytesIO(received)
        return next(self.parser)

    def received_ahead(self) -> bytes:
        """Return the bytes that came behind the request that was answered last: the beginning of the next one."""
        received: bytes = self.parser.unreader.buf.getvalue()
        return received

    def finish_request(self) -> bool:
        """Read what the application has left of the body; False if that is too much or takes too long."""
        reader = self.parser.mesg.body.reader
        if isinstance(reader, LengthReader) and not reader.length:
            self.parser.mesg = None
            return True
        return bool(self.parser.finish_body(deadline=time.monotonic() + _DRAIN_SECONDS))


class Framing(wsgi.Response, ABC):
    """gunicorn's response, which checks what the application says, up to the bytes that a subclass sends.

    The head is kept in `_head` and sent together with the beginning of the body.
    """

    sock: socket.socket
    sent: int
    """Bytes of the body that were sent."""
    headers_sent: bool

    def __init__(self, request: Any, sock: socket.socket, settings: Any) -> None:
        super().__init__(request, sock, settings)
        self.peer_address: Any = request.peer_addr
        self._version: tuple[int, int] = request.version
        self._head = b""

    @property
    def final_status(self) -> int:
        """The status that the application has given; 0 if it has given none."""
        return (self.status_code or 0) if self.status else 0

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send `data`, behind the head if that is still to be sent."""

    @abstractmethod
    def send_file(self, fd: int, size: int) -> None:
        """Send `size` bytes of the file `fd` from its position."""

    def close(self) -> None:
        """Send what is left to send."""
        self.send_headers()
        self.send(b"0\r\n\r\n" if self.chunked else b"")

    def send_headers(self) -> None:
        """Have the head ready."""
        if self.headers_sent or self._head:
            return
        lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
        self._head = "".join(lines).encode("latin-1")

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

    def sendfile(self, respiter: Any) -> bool:
        """Send the file of `respiter`; False where that is not possible: gunicorn then sends it piece by piece."""
        if self.cfg.is_ssl or self.response_length is None or not util.has_fileno(respiter.filelike):
            return False
        self.send_headers()
        self.send_file(respiter.filelike.fileno(), self.response_length)
        return True

    def _emit_body(self, data: bytes) -> None:
        self.send(b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data)


_Response = TypeVar("_Response", bound=Framing)


def begin_response(
    request: Any, connection: ClientConnection, response_class: type[_Response], before_waiting: Callable[[], None]
) -> tuple[_Response, dict[str, Any]]:
    """Return a response to `request`, which is made with `before_waiting` in addition, and the WSGI environment.

    A client that expects "100 Continue" is told so.
    """
    response, environ = wsgi.create(
        request,
        connection.sock,
        connection.client,
        connection.server,
        connection.cfg,
        response_class=response_class,
        response_args=(before_waiting,),
    )
    return response, environ  # type: ignore[return-value]  # the stubs do not follow the class


def sized_body(request: Any) -> LengthReader | None:
    """Return the reader of the body, if its length is known before it is read."""
    reader = request.body.reader
    return reader if isinstance(reader, LengthReader) else None


def body_length(request: Any) -> float:
    """Return how many bytes of the body are to be read; infinite if the request does not say."""
    return getattr(request.body.reader, "length", math.inf)


def take_received(reader: LengthReader, at_most: int) -> bytes:
    """Return the next bytes of a body that have been received already, at most `at_most`; the socket is not asked."""
    unreader: Any = reader.unreader
    piece: bytes = unreader.take_buffered()
    if len(piece) > at_most:
        unreader.unread(piece[at_most:])
        piece = piece[:at_most]
    return piece


def arbiter_listeners(arbiter: Arbiter) -> list[tuple[str, socket.socket]]:
    """Return the sockets that `arbiter` listens on, each with its URL."""
    listeners: list[Any] = arbiter.LISTENERS
    return [(str(each), each.sock) for each in listeners]


def worker_listeners(worker: Worker) -> list[socket.socket]:
    """Return the sockets that `worker` may accept on."""
    listeners: list[Any] = worker.sockets
    return [each.sock for each in listeners]


def wake_up_pipe(worker: Worker) -> tuple[int, int]:
    """Return the ends of the pipe that a signal to `worker` is written to; there is one once it has been forked."""
    reading, writing = worker.PIPE
    return reading, writing


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
