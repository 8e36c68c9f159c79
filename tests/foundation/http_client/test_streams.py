from __future__ import annotations

import socket
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from registry.foundation.http_client import HttpClient, HttpError, Reach, Stream
from registry.foundation.http_client.deadlines import Pace, TimeUpError
from tests.foundation.http_client.servers import Server, answering, hang, listening, read_head

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

SECONDS = 0.5
LATE_SECONDS = 15
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


@pytest.fixture(params=[10, 0], ids=["follows redirects", "goes straight"])
def client(request: pytest.FixtureRequest) -> Iterator[HttpClient]:
    with closing(HttpClient(follow=request.param)) as made:
        yield made


def get(client: HttpClient, url: str, *, answer_seconds: float = 30, stall_seconds: float = 30) -> Stream:
    return client.stream("GET", url, answer_seconds=answer_seconds, stall_seconds=stall_seconds)


def read_to_the_error(stream: Stream) -> tuple[bytes, HttpError]:
    """Give what came, and the error at its end."""
    came = b""
    try:
        for piece in stream.pieces():
            came += piece
    except HttpError as error:
        return came, error
    return pytest.fail("it came to its end")


def test_content_comes_while_it_is_read(client: HttpClient) -> None:
    def behave(connection: socket.socket, ended: threading.Event) -> None:
        read_head(connection)
        connection.sendall(HEAD + b"first")
        ended.wait()

    with listening(behave) as url, get(client, url) as answer:
        pieces = answer.pieces()
        assert (answer.status, next(pieces)) == (200, b"first")


def test_a_large_answer_comes_whole_and_its_connection_is_used_again(client: HttpClient, server: Server) -> None:
    for _ in range(2):
        with get(client, f"{server.url}/3000000") as answer:
            assert sum(len(piece) for piece in answer.pieces()) == 3_000_000
        assert client.request("HEAD", f"{server.url}/7", timeout_seconds=10).headers["Content-Length"] == "7"
    assert len({asked.port for asked in server.asked}) == 1


def test_an_answer_that_is_left_early_costs_its_connection(client: HttpClient, server: Server) -> None:
    with get(client, f"{server.url}/3000000") as answer:
        next(answer.pieces())
    with get(client, f"{server.url}/5") as answer:
        assert answer.read(100) == b"xxxxx"
    assert len({asked.port for asked in server.asked}) == 2


def test_a_stream_says_where_it_was_redirected_to(server: Server) -> None:
    server.moved["/there"] = (307, "/7")
    with closing(HttpClient()) as client, get(client, f"{server.url}/there") as answer:
        assert (answer.location.url, answer.read(100)) == (f"{server.url}/7", b"xxxxxxx")


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"short",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nshort",
    ],
)
def test_a_stream_that_ends_early_is_an_error_behind_what_came(client: HttpClient, answer: bytes) -> None:
    with listening(answering(answer)) as url, get(client, url) as stream:
        came, error = read_to_the_error(stream)
    assert (came, str(error), error.silent) == (b"short", "the answer ended early", False)


def test_an_answer_that_does_not_begin_in_time_is_silence(client: HttpClient) -> None:
    with listening(hang) as url, pytest.raises(HttpError, match=r"^timed out after 0\.5 s$") as caught:
        get(client, url, answer_seconds=SECONDS)
    assert caught.value.silent


def test_a_stream_may_take_longer_than_its_head_but_not_stall(client: HttpClient) -> None:
    def behave(connection: socket.socket, ended: threading.Event) -> None:
        read_head(connection)
        connection.sendall(HEAD)
        for byte in b"slow":
            ended.wait(SECONDS / 2)
            connection.sendall(bytes([byte]))
        ended.wait()

    began = time.monotonic()
    with listening(behave) as url, get(client, url, answer_seconds=SECONDS, stall_seconds=3 * SECONDS) as stream:
        came, error = read_to_the_error(stream)
    assert (came, str(error), error.silent) == (b"slow", "timed out after 1.5 s", True)
    assert 3 * SECONDS * 0.9 < time.monotonic() - began < LATE_SECONDS


def test_a_stream_that_crawls_is_given_up(client: HttpClient) -> None:
    crawl = HEAD.replace(b"10", b"1000") + b"x" * 1000
    with listening(answering(crawl, pause_seconds=0.02)) as url, get(client, url) as stream:
        stream.bear(Pace(30, slowest=1000, over_seconds=0.3), 30)
        with pytest.raises(HttpError, match=r"^less than 1000 bytes per second came over 0\.3 s$") as caught:
            list(stream.pieces())
    assert caught.value.silent


def test_the_pace_is_that_of_the_peer_and_not_of_who_reads() -> None:
    pace = Pace(30, slowest=1_000_000, over_seconds=0.05)
    for _ in range(3):
        pace.remaining_seconds()
        pace.received(1)
        time.sleep(0.06)
    pace.remaining_seconds()
    time.sleep(0.06)
    with pytest.raises(TimeUpError):
        pace.received(1)


def test_an_address_that_takes_no_connection_is_given_up_before_the_rest() -> None:
    # On Linux a connection beyond the backlog is not answered.
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with closing(HttpClient(reach=Reach(SECONDS))) as client, pytest.raises(HttpError) as caught:
            get(client, url, answer_seconds=60)
    assert str(caught.value) == "127.0.0.1 takes no connection within 0.5 s"
    assert caught.value.silent


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://nowhere.invalid/"])
def test_nobody_there_is_silence(url: str) -> None:
    with closing(HttpClient()) as client, pytest.raises(HttpError) as caught:
        get(client, url)
    assert caught.value.silent
