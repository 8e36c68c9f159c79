"""All that the server takes from gunicorn beyond its documented interface, which any release may change.

No other module imports more of gunicorn than its extension points: the application, the base of workers, the logger.
It was tried with gunicorn 26.2.0, 27.0.0 and 27.0.1, each with its parser in Python and with gunicorn_h1c 0.6.10, its
parser in C, which the extra "fast" installs. setup.cfg allows nothing older or newer of gunicorn (there is nothing in
between), and no older parser in C.
tests/server/test_gunicorn_internals.py holds setup.cfg to that.
"""

from __future__ import annotations

import logging
import math
import os
import re
import time
from abc import ABC, abstractmethod
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from gunicorn.arbiter import Arbiter
from gunicorn.http import errors, wsgi
from gunicorn.http.message import TOKEN_RE, Request
from gunicorn.http.unreader import IterUnreader
from gunicorn.http.wsgi import FileWrapper
from gunicorn.sock import create_sockets, ssl_wrap_socket
from gunicorn.systemd import listen_fds, sd_notify
from gunicorn.util import is_hoppish

from registry.foundation.reasons import reason

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterable

    from gunicorn.workers.base import Worker

__all__ = [
    "Arbiter",
    "FileWrapper",
    "Framing",
    "Settings",
    "accompanies_another",
    "arbiter_listeners",
    "body_length",
    "errors",
    "expects_continue",
    "inherits_listeners",
    "listen_on",
    "notify_systemd",
    "parse_head",
    "wake_up_pipe",
    "worker_listeners",
    "wrap_in_tls",
]

_OK: Final = 200
_NO_CONTENT: Final = 204
_NOT_MODIFIED: Final = 304
_STATUS: Final = re.compile(r"[1-5][0-9]{2} [ -~]*")
_log = logging.getLogger(__name__)


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


def accompanies_another(arbiter: Arbiter) -> bool:
    """Tell whether there is another master beside this one: its successor after SIGUSR2, or the one before."""
    return bool(arbiter.reexec_pid or arbiter.master_pid)


def parse_head(settings: Any, received: bytes, client: Any) -> tuple[Any, bytes]:
    """Return the request whose whole head is at the beginning of `received`, and the bytes behind the head.

    `client` is the address of the client.

    Raises:
        errors.ParseException: it is not HTTP, or breaks a limit.
    """
    unreader = IterUnreader([received])
    request = _Request(settings, unreader, client)
    return request, unreader.take_buffered()


class _Request(Request):
    """gunicorn's request, which believes no headers about the client: registry.foundation.proxies judges these."""

    def _peer_trusted_for_forwarded(self) -> tuple[dict[str, str], list[str]]:
        return {}, []


def wrap_in_tls(settings: Any, sock: socket.socket) -> ssl.SSLSocket:
    """Return `sock` as one that speaks TLS; the handshake is still to be done."""
    wrapped: ssl.SSLSocket = ssl_wrap_socket(sock, settings)
    return wrapped


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

    def before_head(self) -> None:
        """Called once, before the head is made."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send `data`, behind the head if that is still to be sent."""

    @abstractmethod
    def send_file(self, fd: int, size: int) -> None:
        """Send `size` bytes of the file `fd` from its position."""

    def start_response(self, status: str, headers: Iterable[tuple[str, str]], exc_info: Any = None) -> Any:
        """Take status and headers from the application; what is not plain in every respect is left to gunicorn."""
        taken = list(headers)
        code, length = _plain_status(status), _plain_length(taken)
        if exc_info or self.status is not None or code is None or length is None:
            return super().start_response(status, taken, exc_info)
        self.status, self.status_code = status, code
        self.headers = taken
        self.response_length = length
        self._omits_body = self.req.method == "HEAD" or code == _NOT_MODIFIED
        return self.write

    def close(self) -> None:
        """Send what is left to send."""
        self.send_headers()
        self.send(b"0\r\n\r\n" if self.chunked else b"")

    def send_headers(self) -> None:
        """Have the head ready."""
        if self.headers_sent or self._head:
            return
        self.before_head()
        lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
        self._head = "".join(lines).encode("latin-1")

    def default_headers(self) -> list[str]:
        """Return the lines that every response begins with."""
        major, minor = self._version
        status = self.final_status
        lines = [
            f"HTTP/{major}.{minor} {status} {reason(status)}\r\n",
            f"Date: {_date()}\r\n",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n",
        ]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        return lines

    def write_file(self, respiter: Any) -> None:
        """Send the file of `respiter` from its position, as many bytes as were announced."""
        if self.response_length is None:
            raise ValueError("the length of a file has to be announced")
        self.send_headers()
        self.send_file(respiter.filelike.fileno(), self.response_length)

    def _emit_body(self, data: bytes) -> None:
        self.send(b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data)


@lru_cache
def _plain_status(status: str) -> int | None:
    """Return the number of a status, if answers with it may say how long they are (RFC 9110 section 8.6)."""
    code = int(status[:3]) if _STATUS.fullmatch(status) else 0
    return code if code >= _OK and code != _NO_CONTENT else None


@lru_cache
def _is_plain_name(name: str) -> bool:
    """Tell whether `name` is that of a header which is about the content, not the connection."""
    return bool(TOKEN_RE.fullmatch(name)) and not is_hoppish(name)


def _plain_length(headers: list[tuple[str, str]]) -> int | None:
    """Return the Content-Length in `headers`, if it is there once and all of them can be sent as they are."""
    length = None
    for name, value in headers:
        if not _is_plain_name(name) or not (value.isascii() and value.isprintable()) or value != value.strip():
            return None
        if name == "Content-Length" and value.isdigit():
            if length is not None:
                return None
            length = int(value)
        elif name.lower() == "content-length":
            return None
    return length


def expects_continue(request: Any) -> bool:
    """Tell whether the client waits for "100 Continue" before it sends the body."""
    expects: bool = request._expected_100_continue  # noqa: SLF001
    return expects


def body_length(request: Any) -> float:
    """Return how many bytes the body has; infinite if it comes in chunks."""
    return getattr(request.body.reader, "length", math.inf)


def notify_systemd(state: str) -> None:
    """Tell systemd `state`, as in sd_notify(3), if the server is a service of ``Type=notify``."""
    log: Any = _log  # only debug() is called of gunicorn's own
    sd_notify(state, log)


def arbiter_listeners(arbiter: Arbiter) -> list[socket.socket]:
    """Return the sockets that `arbiter` listens on."""
    listeners: list[Any] = arbiter.LISTENERS
    return [each.sock for each in listeners]


def inherits_listeners() -> bool:
    """Tell whether this process was started with sockets to listen on: by systemd, or by an arbiter that it follows."""
    return bool(listen_fds(unset_environment=False)) or "GUNICORN_FD" in os.environ


def listen_on(arbiter: Arbiter, listener: socket.socket) -> list[socket.socket]:
    """Have `arbiter` take over `listener`, for the workers that it forks; return what it listened on before."""
    before = arbiter_listeners(arbiter)
    # It reads the option "bind" where it has none, and never again as long as that stays the same.
    log: Any = arbiter.log
    arbiter.LISTENERS = create_sockets(arbiter.cfg, log, [listener.detach()])  # type: ignore[misc]  # of an instance
    return before


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
