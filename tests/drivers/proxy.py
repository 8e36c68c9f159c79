"""A server in front of a store's emulator: it counts what passes, and a subclass makes an emulator strict."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(slots=True)
class Answer:
    """A response, whole; of its body only the first `cut` bytes are sent before the connection breaks."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    cut: int | None = None


Intercept = Callable[[str, str, Callable[[], Answer]], Answer | None]
"""Sees method and target, may ask for what would be answered, and may answer itself."""


@dataclass(slots=True)
class Traffic:
    """What has passed since the last reset: calls by their method, and bytes of bodies."""

    calls: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    received: int = 0

    def reset(self) -> None:
        self.calls.clear()
        self.sent = self.received = 0


class Proxy(ThreadingHTTPServer):
    """Passes requests to `upstream` (host:port) as they are."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, upstream: str) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.upstream = upstream
        self.traffic = Traffic()
        self.lock = threading.RLock()
        self.intercept: Intercept | None = None

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients hang up as they like."""

    @contextmanager
    def intercepting(self, intercept: Intercept) -> Iterator[None]:
        """Let `intercept` see each request first."""
        self.intercept = intercept
        try:
            yield
        finally:
            self.intercept = None

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Give the answer to a request; a subclass may look at it first."""
        return self.forward(method, target, headers, body)

    def connection(self) -> http.client.HTTPConnection:
        """Give a connection to the emulator; a subclass may speak TLS on it."""
        return http.client.HTTPConnection(self.upstream, timeout=60)

    def forward(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Ask the emulator."""
        connection = self.connection()
        try:
            connection.request(method, target, body or None, headers)
            response = connection.getresponse()
            kept = [(name, value) for name, value in response.getheaders() if name.lower() not in _HOP]
            return Answer(response.status, kept, response.read())
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def log_message(self, *arguments: Any) -> None:
        pass

    def _pass(self) -> None:
        body = self._body()
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP | {"expect"}}
        answer = self._answer(headers, body)
        traffic = self.server.traffic
        with self.server.lock:
            traffic.calls[self.command] += 1
            traffic.sent += len(body)
            traffic.received += len(answer.body)
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: answer.cut])
        if answer.cut is not None:
            self.close_connection = True

    def _answer(self, headers: dict[str, str], body: bytes) -> Answer:
        def passed() -> Answer:
            return self.server.answer(self.command, self.path, headers, body)

        intercept = self.server.intercept
        return (intercept(self.command, self.path, passed) if intercept else None) or passed()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _pass  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


@contextmanager
def serving(proxy: Proxy) -> Iterator[Proxy]:
    """Serve until the block ends."""
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
