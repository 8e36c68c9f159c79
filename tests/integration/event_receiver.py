"""A receiver of webhooks: an HTTP server in the process of the test that keeps every request as it came."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self, cast

from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

PIECE = bytes(1 << 20)
IDLE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Received:
    """One request; `headers` are its header lines in their order, names as they were spelled."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first value of the header `name`, in any case; None if it was not sent."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def events(self) -> list[dict[str, Any]]:
        """Return the events of an envelope of the Go registries."""
        found: list[dict[str, Any]] = json.loads(self.body)["events"]
        return found


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered: `zeros` bytes follow `body`; with `hangs`, nothing until `release()` or the end."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    zeros: int = 0
    hangs: bool = False


OK = Reply()


def redirect(location: str, status: int = 307) -> Reply:
    return Reply(status, {"Location": location})


class EventReceiver:
    """A server on a port of 127.0.0.1 that stays its own when it is stopped and started.

    `reply` decides what is answered to a request, which is kept before it is answered. All may be used by any thread.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.reply: Callable[[Received], Reply] = lambda _: OK
        self._tls = tls
        self._received: list[Received] = []
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server: _Server | None = None
        # Bound and not listening: connections are refused, and nobody else is given the port.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port: int = self._reserved.getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self._released.clear()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="event-receiver", daemon=True).start()
        return self

    def stop(self) -> None:
        """Refuse connections from now on, and break those that are open, also in the middle of an answer."""
        server, self._server = self._server, None
        if server:
            server.shutdown()
            server.server_close()
            server.close_connections()
            self._released.set()

    def release(self) -> None:
        """Let requests go on that hang now; they are answered without a body. Later ones hang again."""
        self._released.set()
        self._released = threading.Event()

    def always(self, reply: Reply) -> None:
        """Answer all requests from now on with `reply`."""
        self.reply = lambda _: reply

    def in_turn(self, replies: Iterable[Reply], then: Reply = OK) -> None:
        """Answer the next requests with `replies`, one each, and the others with `then`."""
        left, lock = iter(list(replies)), threading.Lock()

        def reply(_: Received) -> Reply:
            with lock:
                return next(left, then)

        self.reply = reply

    @property
    def requests(self) -> list[Received]:
        """All that was received, in the order in which the requests were complete."""
        with self._lock:
            return list(self._received)

    def events(self) -> list[dict[str, Any]]:
        """Return the events of all requests, also of those that were answered with a failure."""
        return [event for request in self.requests for event in request.events()]

    def wait_for(self, condition: Callable[[list[Received]], object], what: str = "it is received") -> None:
        """Return when `condition(requests)` is true.

        Raises:
            TimeoutError: it does not become true.
        """
        wait_until(what, lambda: condition(self.requests))

    def forget(self) -> None:
        """Drop what was received so far."""
        with self._lock:
            self._received.clear()

    def keep(self, request: Received) -> None:
        with self._lock:
            self._received.append(request)

    def await_release(self) -> None:
        self._released.wait()

    def wrapped(self, connection: socket.socket) -> socket.socket:
        """Return what to read from and write to: `connection`, or TLS on it."""
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        self._reserved.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_port = True

    def __init__(self, receiver: EventReceiver) -> None:
        self.receiver = receiver
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", receiver.port), _Handler)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection; TLS is begun here, so that a client who is slow at it holds up nobody."""
        with suppress(OSError):  # clients break connections
            connection = self.receiver.wrapped(request)
            with self._lock:
                self._connections.add(connection)
            try:
                self.finish_request(connection, client_address)
            finally:
                with self._lock:
                    self._connections.discard(connection)
                self.shutdown_request(connection)

    def close_connections(self) -> None:
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS

    def _handle(self) -> None:
        receiver = cast("_Server", self.server).receiver
        content = self._content()
        if len(content) < int(self.headers.get("Content-Length", 0)):
            self.close_connection = True  # the sender has ended within its request, which nobody can take then
            return
        request = Received(self.command, self.path, tuple(self.headers.items()), content)
        receiver.keep(request)
        reply = receiver.reply(request)
        if reply.hangs:
            receiver.await_release()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body) + reply.zeros))
        self.end_headers()
        self.wfile.write(reply.body)
        for start in range(0, reply.zeros, len(PIECE)):
            self.wfile.write(PIECE[: reply.zeros - start])

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815  the base class looks for these names

    def _content(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return content

    def log_message(self, *_: object) -> None:
        """Write nothing: a test looks at what is received."""
