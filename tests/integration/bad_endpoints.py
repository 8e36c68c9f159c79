"""Endpoints of notifications that do all that an endpoint must not do, each a real server of its own."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.foundation.http_client.servers import answering, hang, listening, read_head
from tests.integration.event_receiver import OK, EventReceiver, Reply, redirect
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from pathlib import Path

HUNDRED_MEGABYTES = 100_000_000
METADATA = "http://169.254.169.254/latest/meta-data/"


@dataclass(frozen=True, slots=True)
class BadEndpoint:
    """What is configured of one, and what a line of the log says of it."""

    settings: dict[str, Any]
    said: str


@contextmanager
def bad_endpoints(directory: Path, elsewhere: EventReceiver) -> Iterator[dict[str, BadEndpoint]]:
    """Run one of each kind; what is redirected to another host goes to `elsewhere`."""
    with ExitStack() as stack:

        def receiver(reply: Reply) -> str:
            running = stack.enter_context(EventReceiver())
            running.always(reply)
            return running.url

        def server(behave: Callable[[socket.socket, threading.Event], None]) -> str:
            return stack.enter_context(listening(behave))

        plain = {
            "wrong-path": (receiver(Reply(404)), "it answers 404 Not Found"),
            "wrong-name": ("http://no-such-host.invalid/hook", "the address of no-such-host.invalid is not found"),
            "wrong-scheme": (receiver(OK).replace("http:", "https:"), "it does not speak TLS: is http:// meant?"),
            "refuses": (_closed(stack), "Connection refused"),
            "unreachable": (_full(stack), "timed out after"),
            "silent": (server(hang), "timed out after"),
            "slow": (server(answering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, 0.05)), "timed out after"),
            "fails": (receiver(Reply(500)), "it answers 500 Internal Server Error"),
            "overloaded": (receiver(Reply(503, {"Retry-After": "99999999"})), "it answers 503 Service Unavailable"),
            "gone": (receiver(Reply(410)), "it answers 410 Gone"),
            "moved": (receiver(redirect(elsewhere.url.replace("127.0.0.1", "localhost"))), "it answers 501"),
            "metadata": (receiver(redirect(METADATA)), "a link-local address, which is not followed"),
            "in-circles": (server(_in_circles), "after 10 redirects"),
            "continues": (server(_continue_for_ever), "more than 5 interim ones"),
            "no-http": (server(answering(b"SSH-2.0-OpenSSH_9.2\r\n")), "the answer is not HTTP"),
            "hangs-up": (server(answering(b"")), "closed the connection without an answer"),
        }
        made = {name: BadEndpoint({"url": url}, said) for name, (url, said) in plain.items()}
        made["large"] = BadEndpoint({"url": receiver(Reply(500, zeros=HUNDRED_MEGABYTES))}, "it answers 500")
        yield made | _with_bad_certificates(stack, directory)


def _with_bad_certificates(stack: ExitStack, directory: Path) -> dict[str, BadEndpoint]:
    ours, other = Authority.create(directory / "ours"), Authority.create(directory / "other")

    def endpoint(tls: ssl.SSLContext, said: str) -> BadEndpoint:
        url = stack.enter_context(EventReceiver(tls)).url
        return BadEndpoint({"url": url, "cafile": str(ours.path)}, f"certificate verify failed: {said}")

    misnamed = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.authority.issue_cert("elsewhere.example").configure_cert(misnamed)
    return {
        "unknown-authority": endpoint(
            other.serving_context("server"),
            f"unable to get local issuer certificate; its authority is not in {ours.path}",
        ),
        "other-name": endpoint(misnamed, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        "expired": endpoint(ours.serving_context("server", expired=True), "certificate has expired"),
    }


def _closed(stack: ExitStack) -> str:
    """Return the URL of a port that nobody listens on, and nobody is given."""
    bound = stack.enter_context(socket.socket())
    bound.bind(("127.0.0.1", 0))
    return f"http://127.0.0.1:{bound.getsockname()[1]}/"


def _full(stack: ExitStack) -> str:
    """Return the URL of a port that answers nothing to who connects, as one behind a firewall: its queue is full."""
    listener = stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def _in_circles(connection: socket.socket, _: threading.Event) -> None:
    read_head(connection)
    connection.sendall(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")


def _continue_for_ever(connection: socket.socket, ended: threading.Event) -> None:
    read_head(connection)
    while not ended.is_set():
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
