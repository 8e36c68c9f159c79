"""Clients that are slow to send a request's head, or never send all of it, keep nobody else waiting."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.serving import SECONDS, Serving, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SLOW = 300
"""More clients than a worker has threads."""

REQUEST = b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n"


def one_worker(**http: Any) -> dict[str, Any]:
    return {"http": {"workers": 1, **http}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server of one worker that waits for a head as long as it takes."""
    with serving(tmp_path_factory.mktemp("server"), one_worker(headertimeout="1h")) as running:
        yield running


@pytest.fixture
def connected() -> Iterator[Callable[[Serving], socket.socket]]:
    """Connect clients, which are closed at the end."""
    with ExitStack() as clients:
        yield lambda server: clients.enter_context(
            socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)
        )


@pytest.mark.parametrize("sent", [b"G", b"GET /v2/ HTTP/1.1\r\nHost:", b"\r\n"], ids=["line", "header", "empty line"])
def test_others_are_answered_while_many_send_half_a_head(
    server: Serving, connected: Callable[[Serving], socket.socket], sent: bytes
) -> None:
    slow = [connected(server) for _ in range(SLOW)]
    for client in slow:
        client.sendall(sent)

    assert server.get("/v2/").status == 200

    slow[-1].sendall(REQUEST.removeprefix(sent) if REQUEST.startswith(sent) else REQUEST)
    assert slow[-1].recv(12) == b"HTTP/1.1 200"


def test_a_head_that_comes_byte_by_byte_is_answered_and_so_is_the_next_one(
    tmp_path: Path, connected: Callable[[Serving], socket.socket]
) -> None:
    with serving(tmp_path, one_worker()) as server:
        client = connected(server)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for byte in REQUEST:
                client.sendall(bytes([byte]))
                time.sleep(0.001)
            assert b"HTTP/1.1 200" in client.recv(4096)
        # The rest of a head behind a whole request, and the end of it later.
        client.sendall(REQUEST + REQUEST[:10])
        assert b"HTTP/1.1 200" in client.recv(4096)
        client.sendall(REQUEST[10:] + REQUEST + REQUEST)
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 3:
            answers += client.recv(4096)


@pytest.mark.parametrize(
    "sent",
    [b"\x16\x03\x01\x02\x00", b"\r\n\x16", b" GET", b"A" * 33, b"GE\nT"],
    ids=["TLS", "TLS later", "blank", "long", "line"],
)
def test_what_cannot_become_a_request_is_refused_at_once(
    server: Serving, connected: Callable[[Serving], socket.socket], sent: bytes
) -> None:
    client = connected(server)
    client.sendall(sent)
    assert client.recv(12) == b"HTTP/1.1 400"


def test_a_head_that_takes_too_long_ends_the_connection_and_an_idle_one_is_kept(
    tmp_path: Path, connected: Callable[[Serving], socket.socket]
) -> None:
    with serving(tmp_path, one_worker(headertimeout="500ms")) as server:
        idle, slow = connected(server), connected(server)
        for client in (idle, slow):
            client.sendall(REQUEST)
            assert b"HTTP/1.1 200" in client.recv(4096)
        began = time.monotonic()
        while time.monotonic() - began < SECONDS:
            try:
                slow.sendall(b"G")
            except OSError:
                break
            time.sleep(0.1)
        assert time.monotonic() - began < SECONDS, "each byte puts the end off"
        idle.sendall(REQUEST)
        assert b"HTTP/1.1 200" in idle.recv(4096)


def test_a_head_that_is_too_large_is_431_before_all_of_it_has_come(
    tmp_path: Path, connected: Callable[[Serving], socket.socket]
) -> None:
    with serving(tmp_path, one_worker(headerlimit=5000)) as server:
        client = connected(server)
        client.sendall(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"x" * 5000)
        assert client.recv(12) == b"HTTP/1.1 431"
        whole = connected(server)
        whole.sendall(b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 4900 + b"\r\n\r\n")
        assert whole.recv(12) == b"HTTP/1.1 200"
