"""Servers that answer well, badly or not at all."""

from __future__ import annotations

import http.server
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Asked:
    """A request as it came; `port` tells one connection of a client from another."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    port: int

    @property
    def values(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers}


@dataclass
class Server:
    """Answers ``/N`` with N bytes, ``/status/N`` with that status, one in `moved` with that status and Location."""

    url: str = ""
    moved: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def serving(context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            asked = Asked(self.command, self.path, self.headers.items(), body, self.client_address[1])
            state.asked.append(asked)
            status, content = 200, b""
            if self.path in state.moved:
                status, to = state.moved[self.path]
            elif self.path.startswith("/status/"):
                status = int(self.path.removeprefix("/status/"))
            elif self.path[1:].isdigit():
                content = b"x" * int(self.path[1:])
            self.send_response(status, "whatever")
            if self.path in state.moved:
                self.send_header("Location", to)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815  the base class looks for these names

        def log_message(self, *_: object) -> None:
            pass

    class Listener(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def handle_error(self, *_: object) -> None:
            pass  # clients that hang up are what is tested

    with Listener((host, 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        name = f"[{host}]" if ":" in host else host
        state.url = f"http{'s' if context else ''}://{name}:{server.server_port}"
        yield state
        server.shutdown()


@contextmanager
def listening(behave: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Give the address of a server that does `behave` with each connection, in a thread; the event ends the test."""
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            behave(connection, ended)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)


def read_head(connection: socket.socket) -> bytes:
    """Return a request up to the end of its head, or what came before its end."""
    head = b""
    while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
        head += piece
    return head


def answering(answer: bytes, pause_seconds: float = 0) -> Callable[[socket.socket, threading.Event], None]:
    """Give the behaviour to answer, byte by byte with a pause, and to close."""

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        read_head(connection)
        if not pause_seconds:
            connection.sendall(answer)
            return
        for at in range(len(answer)):
            connection.sendall(answer[at : at + 1])
            if ended.wait(pause_seconds):
                return

    return behave


def hang(_: socket.socket, ended: threading.Event) -> None:
    """Do nothing, until the end."""
    ended.wait()
