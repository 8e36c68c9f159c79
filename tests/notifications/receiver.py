"""A receiver of events: an HTTP server of its own thread that answers as it is told, and keeps what it was sent."""

from __future__ import annotations

import json
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

MOST_KEPT = 200_000


@dataclass(frozen=True, slots=True)
class Received:
    """A request: its headers, the last of those that are repeated, and its body."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        return list(json.loads(self.body)["events"])


@dataclass(frozen=True, slots=True)
class Answering:
    """What is answered: a status, headers, a body."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Receiver:
    """Answers each request with what `answer` returns for it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: deque[Received] = deque(maxlen=MOST_KEPT)
        self.answer: Callable[[Received], Answering] = lambda _: Answering()

    def url(self, path: str = "/hook", scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    @property
    def taken(self) -> list[dict[str, Any]]:
        """All events of requests that were answered with 2xx or 3xx."""
        # Others may come meanwhile.
        return [event for request in list(self.requests) for event in request.events]

    @property
    def tags(self) -> list[str]:
        return [event["target"].get("tag", "") for event in self.taken]


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received = Received({name.lower(): value for name, value in self.headers.items()}, body)
            answering = receiver.answer(received)
            if 200 <= answering.status < 400:
                receiver.requests.append(received)
            self.send_response(answering.status)
            for name, value in answering.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answering.body)))
            self.end_headers()
            self.wfile.write(answering.body)

        do_GET = do_POST  # noqa: N815  as it is called

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as it is called
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that has gone is nothing to tell of."""

    server = Server(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
