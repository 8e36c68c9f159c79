"""Request bodies on a connection of our own."""

from __future__ import annotations

import os
import random
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from gunicorn.config import Config
from gunicorn.http import errors

from registry.server.bodies import MOST_DISCARDED, ChunkedBody, RequestBody, SizedBody
from registry.server.channel import GoneError
from registry.server.chunks import ChunkDecoder
from registry.server.connection import Connection
from registry.server.gate import Gate
from registry.server.gunicorn_internals import Settings
from tests.growth import grows_linearly

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = 3 * 1024 * 1024


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    """Our end of a connection and the client's."""
    ours, client = socket.socketpair()
    client.settimeout(60)
    with ours, client:
        yield Connection(Settings(Config()), ours, "", "", Gate()), client


def sized(connection: Connection, length: int, *, received: bytes = b"") -> SizedBody:
    connection.put_back(received)
    return SizedBody(connection, length)


def whole(given: RequestBody, size: int) -> bytes:
    return b"".join(iter(lambda: given.read(size), b""))


def test_a_body_is_what_came_with_the_head_and_what_follows(pair: tuple[Connection, socket.socket]) -> None:
    ours, client = pair
    client.sendall(b"wards")

    assert whole(sized(ours, 10, received=b"after"), 4) == b"afterwards"


def test_a_body_ends_where_the_next_request_begins(pair: tuple[Connection, socket.socket]) -> None:
    ours, client = pair
    given = sized(ours, 4, received=b"bodyGET / HTTP/1.1")
    client.sendall(b"\r\n")

    assert whole(given, 100) == b"body"
    assert ours.take(100) == b"GET / HTTP/1.1"
    assert ours.receive_now(10) == b"\r\n"


def test_the_rest_of_what_came_with_the_head_is_given_next(pair: tuple[Connection, socket.socket]) -> None:
    given = sized(pair[0], 6, received=b"abcdef")

    assert [given.read(4), given.read(4), given.read(4)] == [b"abcd", b"ef", b""]


def test_a_read_waits_for_as_much_as_was_asked_for(pair: tuple[Connection, socket.socket]) -> None:
    ours, client = pair
    content = os.urandom(LARGE)
    sender = threading.Thread(target=client.sendall, args=(content,))
    sender.start()
    given = sized(ours, LARGE)

    pieces = [given.read(1024 * 1024) for _ in range(3)]
    sender.join()

    assert [len(each) for each in pieces] == [1024 * 1024] * 3
    assert b"".join(pieces) == content


def test_a_client_that_goes_leaves_what_it_has_sent(pair: tuple[Connection, socket.socket]) -> None:
    ours, client = pair
    client.sendall(b"half")
    client.close()

    assert whole(sized(ours, 8), 8) == b"half"


def chunks(content: bytes, sizes: Iterator[int], extension: bytes = b"") -> bytes:
    """Return `content` in chunks of `sizes`."""
    framed, at = [], 0
    while at < len(content):
        piece = content[at : at + next(sizes)]
        at += len(piece)
        framed.append(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece))
    return b"".join(framed) + b"0\r\n\r\n"


def of_sizes(seed: int) -> Iterator[int]:
    """Yield sizes in runs, since runs of short chunks are read in another way."""
    choose = random.Random(seed)
    while True:
        size = choose.choice([1, 1, 2, 3, 9, 10, 15, 16, 17, 200, 255, 256, 4096, 40_000])
        yield from [size] * choose.choice([1, 1, 2, 7, 40, 300])


@pytest.mark.parametrize("seed", range(30))
def test_a_body_in_chunks_is_their_data_however_it_arrives(pair: tuple[Connection, socket.socket], seed: int) -> None:
    ours, client = pair
    choose = random.Random(seed)
    content = choose.randbytes(choose.choice([0, 1, 17, 5000, 300_000]))
    sent = chunks(content, of_sizes(seed)) + b"GET / HTTP/1.1\r\n"
    ahead = choose.choice([0, 1, 5, 1000, len(sent)])
    ours.put_back(sent[:ahead])

    def send() -> None:
        at = ahead
        while at < len(sent):
            size = choose.choice([1, 2, 3, 100, 70_000])
            client.sendall(sent[at : at + size])
            at += size

    sender = threading.Thread(target=send)
    sender.start()
    body = ChunkedBody(ours)
    read = whole(body, choose.choice([1000, 65_536, 1024 * 1024]))
    sender.join()
    client.close()

    assert read == content
    assert body.has_ended
    left = ours.take(100)
    while more := ours.receive_now(100):
        left += more
    assert left == b"GET / HTTP/1.1\r\n"


def test_extensions_and_trailers_are_passed_over(pair: tuple[Connection, socket.socket]) -> None:
    ours, _ = pair
    ours.put_back(b'3 ;a="b;c"\r\nabc\r\n0;x\r\nDigest: d\r\nX: y\r\n\r\nnext')

    assert whole(ChunkedBody(ours), 100) == b"abc"
    assert ours.take(10) == b"next"


@pytest.mark.parametrize(
    "broken",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x3\r\nabc\r\n",
        b"3\nabc\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\rabc",
        b"3;\x00\r\nabc\r\n",
        b"1" * 5000,
        b"1" * 17 + b"\r\n",
        b"0\r\n" + b"X: y\r\n" * 4000,
        (b"1;" + b"e" * 4000 + b"\r\na\r\n") * 10,
        b"1\r\na\r\n" * 500 + b"1\r\nab\r\n",
        b"1\r\na\r\n" * 500 + b"\n",
    ],
)
def test_what_is_not_in_chunks_is_refused_behind_what_was(
    pair: tuple[Connection, socket.socket], broken: bytes
) -> None:
    ours, client = pair
    ours.put_back(b"2\r\nok\r\n" + broken)
    client.close()
    body = ChunkedBody(ours)

    assert body.read(100_000).startswith(b"ok")
    for _ in range(2):
        with pytest.raises((errors.ParseException, errors.NoMoreData)):
            body.read(100_000)
    assert not body.may_end()


def test_a_body_in_chunks_that_breaks_off_is_no_shorter_body(pair: tuple[Connection, socket.socket]) -> None:
    ours, client = pair
    client.sendall(b"5\r\nab")
    client.close()
    body = ChunkedBody(ours)

    assert body.read(100) == b"ab"
    with pytest.raises(errors.NoMoreData):
        body.read(100)


def test_a_client_is_told_to_continue_when_its_body_is_read_and_not_before(
    pair: tuple[Connection, socket.socket],
) -> None:
    ours, client = pair
    body = SizedBody(ours, 4, expects_continue=True)
    assert not body.may_end(), "it may send a body or a request now"
    client.settimeout(0)
    with pytest.raises(BlockingIOError):
        client.recv(100)

    client.settimeout(10)
    client.sendall(b"body")
    assert body.read(10) == b"body"
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert body.may_end()


@pytest.mark.parametrize(
    ("length", "arrived", "ends", "all_of_it"),
    [
        (10, 10, True, True),
        (10, 4, True, False),
        (MOST_DISCARDED, 5, True, False),
        (MOST_DISCARDED + 1, 5, False, False),
    ],
)
def test_a_little_of_what_nobody_read_is_thrown_away(
    pair: tuple[Connection, socket.socket], length: int, arrived: int, ends: bool, all_of_it: bool
) -> None:
    ours, client = pair
    client.sendall(b"x" * arrived)
    body = SizedBody(ours, length)

    assert body.may_end() is ends
    if ends:
        assert body.discard_now() is all_of_it
        assert body.has_ended is all_of_it


def test_chunks_that_nobody_read_are_thrown_away_if_they_have_all_arrived(
    pair: tuple[Connection, socket.socket],
) -> None:
    ours, client = pair
    client.sendall(b"3\r\nabc\r\n0\r\n\r\nGET")
    body = ChunkedBody(ours)

    assert body.may_end()
    assert body.discard_now()
    assert ours.take(10) == b"GET"


def test_a_client_that_goes_while_its_body_is_thrown_away_has_gone(pair: tuple[Connection, socket.socket]) -> None:
    ours, client = pair
    client.close()
    with pytest.raises(GoneError):
        SizedBody(ours, 10).discard_now()
    with pytest.raises(GoneError):
        ChunkedBody(ours).discard_now()


@pytest.mark.parametrize("chunk", [b"1\r\nx\r\n", b"1;a\r\nx\r\n", b"001\r\nx\r\n", b"100\r\n" + b"x" * 256 + b"\r\n"])
@pytest.mark.parametrize("end", [b"", b"1\r\nX"], ids=["whole", "broken"])
def test_chunks_of_any_kind_take_time_in_proportion(chunk: bytes, end: bytes) -> None:
    def decode(received: bytes) -> None:
        decoder = ChunkDecoder()
        decoder.feed(received)
        with suppress(errors.ParseException):
            decoder.decode(bytearray(), len(received))

    assert grows_linearly(decode, lambda size: chunk * size + end, size=500)
