from __future__ import annotations

import socket
import time
from contextlib import closing, contextmanager
from itertools import count
from typing import TYPE_CHECKING

import pytest

from registry.foundation.http_client import HttpClient, HttpError
from tests.foundation.http_client.servers import answering, hang, listening, read_head
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 0.5
LATE_SECONDS = 15
"""Far beyond any delay of a busy machine; without a deadline these servers take longer."""


@contextmanager
def timing_out(client: HttpClient | None = None, *, unsent: bool = False) -> Iterator[HttpClient]:
    began = time.monotonic()
    told = rf"timed out after 0\.5 s{' while the request was being sent' if unsent else ''}$"
    with closing(client or HttpClient()) as made, pytest.raises(HttpError, match=told) as raised:
        yield made
    assert raised.value.unsent is unsent
    assert SECONDS * 0.9 < time.monotonic() - began < LATE_SECONDS


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 " + b"O" * 10_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b"x" * 10_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 10_000,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000,
        b"HTTP/1.1 302 Found\r\nLocation: /\r\n" + b"X-A: b\r\n" * 10_000,
    ],
)
def test_an_answer_byte_by_byte_ends_at_the_deadline(answer: bytes) -> None:
    with listening(answering(answer, pause_seconds=0.02)) as url, timing_out() as client:
        client.request("GET", url, timeout_seconds=SECONDS)


@pytest.mark.parametrize("piece", [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_informational_answers_without_end_end_after_the_sixth(piece: bytes) -> None:
    def behave(connection: socket.socket, ended: threading.Event) -> None:
        read_head(connection)
        while not ended.is_set():
            connection.sendall(piece * 1000)

    with (
        listening(behave) as url,
        closing(HttpClient()) as client,
        pytest.raises(HttpError, match=r"^there is no answer, but more than 5 interim ones$"),
    ):
        client.request("GET", url, timeout_seconds=None)


def test_redirects_share_one_deadline() -> None:
    numbers = count()

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        read_head(connection)
        ended.wait(0.2)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /%d\r\nConnection: close\r\n\r\n" % next(numbers))

    with listening(behave) as url, timing_out(HttpClient(follow=1000)) as client:
        client.request("GET", url, timeout_seconds=SECONDS)


def test_a_peer_that_says_nothing_is_too_late() -> None:
    with listening(hang) as url, timing_out() as client:
        client.request("GET", url, timeout_seconds=SECONDS)


def test_a_peer_that_never_ends_its_handshake_is_too_late() -> None:
    def behave(connection: socket.socket, ended: threading.Event) -> None:
        for byte in b"\x16\x03\x03\x40\x00" + b"\x00" * 10_000:
            connection.sendall(bytes([byte]))
            if ended.wait(0.02):
                return

    for server in (behave, hang):
        with listening(server) as url, timing_out() as client:
            client.request("GET", url.replace("http:", "https:"), timeout_seconds=SECONDS)


def test_a_peer_that_takes_no_connection_is_too_late() -> None:
    # On Linux a connection beyond the backlog is not answered.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address), timing_out() as client:
            client.request("GET", f"http://127.0.0.1:{address[1]}/", timeout_seconds=SECONDS)


def take_slowly(connection: socket.socket, ended: threading.Event) -> None:
    read_head(connection)
    while not ended.wait(0.02) and connection.recv(4096):
        pass


def test_a_peer_that_takes_the_body_slowly_is_too_late() -> None:
    with listening(take_slowly) as url, timing_out(unsent=True) as client:
        client.request("POST", url, body=b"x" * 50_000_000, timeout_seconds=SECONDS)


def test_a_peer_that_takes_the_body_slowly_in_tls_is_too_late(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    context = authority.serving_context("server")

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            take_slowly(secured, ended)

    with listening(behave) as url, timing_out(HttpClient(cafile=str(authority.path)), unsent=True) as client:
        client.request("POST", url.replace("http", "https"), body=b"x" * 50_000_000, timeout_seconds=SECONDS)


def test_a_kept_connection_has_the_deadline_of_its_new_request() -> None:
    def behave(connection: socket.socket, ended: threading.Event) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        read_head(connection)
        ended.wait()

    client = HttpClient()
    with listening(behave) as url:
        client.request("GET", url, timeout_seconds=60)
        with timing_out(client):
            client.request("GET", url, timeout_seconds=SECONDS)


def test_a_deadline_may_be_years_away() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
    with listening(answering(answer, pause_seconds=0.001)) as url, closing(HttpClient()) as client:
        assert client.request("GET", url, timeout_seconds=1e9).content == b"x"


def test_who_sets_no_deadline_waits() -> None:
    def behave(connection: socket.socket, ended: threading.Event) -> None:
        read_head(connection)
        ended.wait(SECONDS)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")

    with listening(behave) as url, closing(HttpClient()) as client:
        assert client.request("GET", url, timeout_seconds=None).content == b"x"
