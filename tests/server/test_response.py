"""Responses on a socket of our own."""

from __future__ import annotations

import os
import select
import socket
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.errors import ParseException

from registry.server.channel import limit_waiting
from registry.server.connection import Connection
from registry.server.gate import Gate
from registry.server.gunicorn_internals import Settings
from registry.server.heads import Fields, Request
from registry.server.response import Response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGE = 3 * 1024 * 1024


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Ours and the client's end of a connection."""
    ours, client = socket.socketpair()
    limit_waiting(ours, stall_seconds=60)
    with ours, client:
        yield ours, client


class Answering:
    """A response to a request of HTTP/1.1; `waits` counts how often the turn was given away."""

    def __init__(self, ours: socket.socket, *, peer: Any = "", method: str = "GET") -> None:
        self.waits = 0
        fields = Fields({}, "http", 0, expects_continue=False, closes=False)
        request = Request(method, "/", "/", "", (1, 1), fields, peer)
        settings = Settings(Config())
        connection = Connection(settings, ours, peer, "", Gate())
        self.channel = connection.channel
        self.response = Response(request, ours, settings, connection, self._wait)

    def _wait(self) -> None:
        self.waits += 1


def received(client: socket.socket) -> tuple[bytes, bytes]:
    """Return head and body of what was sent until the other end was closed."""
    head, _, rest = b"".join(iter(lambda: client.recv(65536), b"")).partition(b"\r\n\r\n")
    return head, rest


def test_a_small_answer_is_one_send_and_keeps_the_turn(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, client = pair
    answering = Answering(ours)
    answering.response.start_response("200 OK", [("Content-Length", "2"), ("ETag", '"x"')])

    answering.response.write(b"{}")
    at_once = client.recv(65536)
    answering.response.close()
    ours.close()

    assert at_once.startswith(b"HTTP/1.1 200 OK\r\n")
    assert at_once.endswith(b'Content-Length: 2\r\nETag: "x"\r\n\r\n{}')
    assert received(client) == (b"", b"")
    assert answering.waits == 0


def test_a_large_answer_gives_the_turn_away_first(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, client = pair
    answering = Answering(ours)
    answering.response.start_response("200 OK", [("Content-Length", str(LARGE))])
    found: list[tuple[bytes, bytes]] = []
    reader = threading.Thread(target=lambda: found.append(received(client)))
    reader.start()

    answering.response.write(bytes(LARGE))
    answering.response.close()
    ours.close()
    reader.join()

    assert found[0][1] == bytes(LARGE)
    assert answering.waits == 1


ELSEWHERE = ("192.0.2.1", 40_000)


@pytest.mark.parametrize("peer", ["", ("127.0.0.1", 1), ("::1", 1, 0, 0), ("::ffff:127.0.0.1", 1, 0, 0), ELSEWHERE])
@pytest.mark.parametrize("size", [1, 3, 60_000, 70_000, LARGE])
def test_a_part_of_a_file_is_sent_and_no_more(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path, peer: Any, size: int
) -> None:
    ours, client = pair
    path = tmp_path / "blob"
    content = os.urandom(size + 10)
    path.write_bytes(content)
    answering = Answering(ours, peer=peer)
    answering.response.start_response("206 Partial Content", [("Content-Length", str(size))])
    found: list[tuple[bytes, bytes]] = []
    reader = threading.Thread(target=lambda: found.append(received(client)))
    reader.start()

    with path.open("rb", buffering=0) as file:
        file.seek(4)
        answering.response.write_file(wsgi.FileWrapper(file))
        # On a busy machine the reader may be too slow for all of it to be sent at once.
        while not answering.response.send_more():
            select.select([], [ours], [])
        answering.response.close()
    ours.close()
    reader.join()

    assert found[0][1] == content[4 : size + 4]
    assert answering.response.sent == size
    assert (answering.waits > 0) is (size >= 70_000)


@pytest.mark.parametrize(
    ("peer", "copied"),
    [("", True), (("127.3.2.1", 1), True), (ELSEWHERE, False), (("12.7.0.0", 1), False), (("2001:db8::1", 1), False)],
)
def test_a_file_is_copied_for_clients_of_this_machine_only(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path, peer: Any, copied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[int] = []
    sendfile = os.sendfile

    def watched(*arguments: Any) -> int:
        moved.append(sendfile(*arguments))
        return moved[-1]

    monkeypatch.setattr(os, "sendfile", watched)
    path = tmp_path / "blob"
    path.write_bytes(bytes(70_000))
    answering = Answering(pair[0], peer=peer)
    answering.response.start_response("200 OK", [("Content-Length", "70000")])

    with path.open("rb", buffering=0) as file:
        answering.response.write_file(wsgi.FileWrapper(file))

    assert sum(moved) == (0 if copied else 70_000)


@pytest.mark.parametrize("peer", ["", ELSEWHERE])
@pytest.mark.parametrize("announced", [10, 100_000])
def test_a_file_that_is_shorter_than_announced_ends_the_connection(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path, peer: Any, announced: int
) -> None:
    path = tmp_path / "blob"
    path.write_bytes(b"short")
    answering = Answering(pair[0], peer=peer)
    answering.response.start_response("200 OK", [("Content-Length", str(announced))])

    def send(file: BinaryIO) -> None:
        answering.response.write_file(wsgi.FileWrapper(file))
        while answering.response.unsent:
            answering.response.send_more()

    with path.open("rb", buffering=0) as file, pytest.raises(OSError, match="shorter"):
        send(file)


@pytest.mark.parametrize("peer", ["", ELSEWHERE])
def test_what_a_slow_client_does_not_take_of_a_file_is_left_and_sent_as_it_does(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path, peer: Any
) -> None:
    ours, client = pair
    path = tmp_path / "blob"
    content = os.urandom(LARGE)
    path.write_bytes(content)
    answering = Answering(ours, peer=peer)
    answering.response.start_response("200 OK", [("Content-Length", str(LARGE))])

    with path.open("rb", buffering=0) as file:
        answering.response.write_file(wsgi.FileWrapper(file))
        found = b""
        while answering.response.unsent:
            found += client.recv(50_000)
            answering.response.send_more()
        ours.close()
        found += b"".join(iter(lambda: client.recv(65536), b""))

    assert found.partition(b"\r\n\r\n")[2] == content
    assert answering.response.sent == LARGE


def test_an_answer_of_unknown_length_is_chunked(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, client = pair
    answering = Answering(ours)
    answering.response.start_response("200 OK", [])

    for piece in (b"abc", b"", b"0123456789abcdef"):
        answering.response.write(piece)
    answering.response.close()
    ours.close()
    head, rest = received(client)

    assert b"Transfer-Encoding: chunked" in head
    assert rest == b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified", "404 Not Found", "299 "])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Content-Length", "3"), ("ETag", '"x"')],
        [("content-length", "3")],
        [("Content-Length", " 3 ")],
        [("Content-Length", "3"), ("Connection", "close"), ("Keep-Alive", "1")],
        [("Content-Length", "3"), ("X-A", " padded\t"), ("X-B", "a\tb"), ("X-C", "\xe4")],
        [("Content-Length", "3"), ("X-Empty", "")],
    ],
    ids=repr,
)
def test_what_the_application_says_is_taken_as_by_gunicorn(
    pair: tuple[socket.socket, socket.socket], method: str, status: str, headers: list[tuple[str, str]]
) -> None:
    ours, _ = pair
    made, wanted = Answering(ours, method=method).response, Answering(ours, method=method).response
    made.start_response(status, headers)
    wsgi.Response.start_response(wanted, status, headers)

    for name in ("status", "status_code", "headers", "response_length", "chunked", "_omits_body"):
        assert getattr(made, name) == getattr(wanted, name), name
    assert made.default_headers() == wanted.default_headers()


@pytest.mark.parametrize(
    ("name", "value"),
    [("X A", "b"), ("X:", "b"), ("", "b"), ("X", "a\r\nb"), ("X", "a\nb"), ("X", "\0"), ("Content-Length", "x")],
)
@pytest.mark.parametrize("before", [[], [("Content-Length", "1")]])
def test_a_header_that_would_break_the_head_is_refused(
    pair: tuple[socket.socket, socket.socket], name: str, value: str, before: list[tuple[str, str]]
) -> None:
    with pytest.raises((ValueError, ParseException)):
        Answering(pair[0]).response.start_response("200 OK", [*before, (name, value)])


def test_an_answer_is_begun_once(pair: tuple[socket.socket, socket.socket]) -> None:
    response = Answering(pair[0]).response
    response.start_response("200 OK", [("Content-Length", "0")])
    with pytest.raises(AssertionError):
        response.start_response("200 OK", [("Content-Length", "0")])
