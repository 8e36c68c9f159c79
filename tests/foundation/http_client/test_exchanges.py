from __future__ import annotations

import queue
import socket
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from registry.foundation.http_client import HttpClient, HttpError, Reply
from registry.foundation.http_client.requests import Request
from tests.foundation.http_client.servers import Server, answering, listening, read_head, serving
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=[10, 0], ids=["follows redirects", "goes straight"])
def client(request: pytest.FixtureRequest) -> Iterator[HttpClient]:
    with closing(HttpClient(follow=request.param)) as made:
        yield made


def get(client: HttpClient, url: str, most_bytes: int = 1000) -> Reply:
    return client.request("GET", url, timeout_seconds=10, most_bytes=most_bytes)


def test_an_answer_has_status_reason_headers_and_content(client: HttpClient, server: Server) -> None:
    reply = get(client, f"{server.url}/5")
    assert (reply.status, reply.reason, reply.content, reply.truncated) == (200, "OK", b"xxxxx", False)
    assert reply.headers["content-LENGTH"] == "5"
    for status in (201, 204, 304, 400, 410, 503):
        assert get(client, f"{server.url}/status/{status}").status == status


def test_the_reason_is_that_of_the_status_whatever_the_peer_says(client: HttpClient, server: Server) -> None:
    assert get(client, f"{server.url}/status/503").reason == "Service Unavailable"
    assert get(client, f"{server.url}/status/413").reason == "Request Entity Too Large"


def test_method_body_and_headers_arrive_as_they_are_given(client: HttpClient, server: Server) -> None:
    headers = [("X-Two", "one"), ("X-Two", "zw\u00f6"), ("Accept", "text/plain")]
    client.request("POST", f"{server.url}/a?b=c|d%2F", body=b"{}", headers=headers, timeout_seconds=10)
    client.request("PUT", f"{server.url}/ \u00e4", timeout_seconds=10)

    posted, put = server.asked
    assert (posted.method, posted.path, posted.body) == ("POST", "/a?b=c|d%2F", b"{}")
    assert [value for name, value in posted.headers if name == "X-Two"] == [
        "one",
        "zw\u00f6".encode().decode("latin-1"),
    ]
    assert posted.values["content-length"] == "2"
    assert posted.values["accept-encoding"] == "identity"
    assert posted.values["user-agent"].startswith("registry/")
    assert (put.path, put.values["content-length"]) == ("/%20%C3%A4", "0")


def test_headers_are_sent_in_their_order_behind_those_of_the_client(client: HttpClient, server: Server) -> None:
    headers = [
        ("X-Two", "1"),
        ("B", ""),
        ("x-two", "2"),
        ("accept-encoding", "gzip"),
        ("A", "a:b"),
        ("User-Agent", "u"),
    ]
    client.request("POST", f"{server.url}/1", headers=[("Content-Length", "7"), *headers], timeout_seconds=10)
    host = server.url.removeprefix("http://")
    assert list(server.asked[0].headers) == [("Host", host), ("Content-Length", "0"), *headers]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://[fe80::1%25eth0]:8080/a", "[fe80::1]:8080"),
        ("https://[fe80::1%eth0]/a", "[fe80::1]"),
        ("https://ci.example:443/a", "ci.example"),
        ("https://user:word@CI.example:80/a", "ci.example:80"),
    ],
)
def test_the_host_is_named_without_what_only_this_side_knows(url: str, host: str) -> None:
    request = Request.of("GET", url, None, (), user_agent="u")
    assert request.head("/a").splitlines()[:2] == [b"GET /a HTTP/1.1", f"Host: {host}".encode()]


def test_the_caller_may_say_the_user_agent(client: HttpClient, server: Server) -> None:
    client.request("GET", f"{server.url}/1", headers=[("user-agent", "mine")], timeout_seconds=10)
    assert [value for name, value in server.asked[0].headers if name.lower() == "user-agent"] == ["mine"]


def test_a_login_in_the_url_is_sent_as_basic_unless_the_caller_has_another(client: HttpClient, server: Server) -> None:
    url = server.url.replace("://", "://us%40er:p%3Aw@")
    get(client, f"{url}/1")
    client.request("GET", f"{url}/1", headers=[("authorization", "Bearer x")], timeout_seconds=10)
    assert [asked.values["authorization"] for asked in server.asked] == ["Basic dXNAZXI6cDp3", "Bearer x"]


def test_a_connection_is_used_again(client: HttpClient, server: Server) -> None:
    for path in ("/5", "/status/204", "/status/500", "/1000"):
        get(client, server.url + path)
    client.request("HEAD", f"{server.url}/7", timeout_seconds=10, most_bytes=0)
    client.request("POST", f"{server.url}/7", body=b"x" * 100_000, timeout_seconds=10)
    assert len({asked.port for asked in server.asked}) == 1


def test_a_connection_is_not_used_again_after_close(client: HttpClient, server: Server) -> None:
    client.close()
    assert [get(client, f"{server.url}/5").status for _ in range(2)] == [200, 200]
    assert len({asked.port for asked in server.asked}) == 2


def test_threads_have_connections_of_their_own_and_as_many_are_kept_as_is_said(server: Server) -> None:
    with closing(HttpClient(connections=3)) as client, ThreadPoolExecutor(8) as pool:
        replies = [*pool.map(lambda number: get(client, f"{server.url}/{number}"), range(200))]
    assert [len(reply.content) for reply in replies] == [*range(200)]
    assert len({asked.port for asked in server.asked}) < 200


@pytest.mark.parametrize("follow", [10, 0])
@pytest.mark.parametrize("ending", ["close", "reset", "close of TLS", "end of TLS"])
def test_a_connection_that_was_closed_meanwhile_is_replaced(tmp_path: Path, ending: str, follow: int) -> None:
    authority, seen = Authority.create(tmp_path), list[bytes]()
    context = authority.serving_context("server")

    def behave(connection: socket.socket, _: threading.Event) -> None:
        # The second request of a connection is taken and not answered.
        for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b""):
            seen.append(read_head(connection))
            connection.sendall(answer)
        if ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    def behave_in_tls(connection: socket.socket, ended: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            behave(secured, ended)
            if ending == "close of TLS":
                secured.unwrap()

    with (
        listening(behave_in_tls if "TLS" in ending else behave) as url,
        closing(HttpClient(cafile=str(authority.path), follow=follow)) as client,
    ):
        for _ in range(3):
            secured = url.replace("http", "https") if "TLS" in ending else url
            assert client.request("POST", secured, timeout_seconds=10).content == b"x"
    assert len([*filter(None, seen)]) == 5  # one, its successor and once more, and so again


def test_a_fresh_connection_that_is_closed_is_an_error_and_not_tried_again(client: HttpClient) -> None:
    seen: list[bytes] = []
    with (
        listening(lambda connection, _: seen.append(read_head(connection))) as url,
        pytest.raises(HttpError, match=r"^the peer closed the connection without an answer$"),
    ):
        get(client, url)
    assert len(seen) == 1


def test_a_kept_connection_that_ends_within_an_answer_is_not_tried_again(client: HttpClient) -> None:
    seen: list[bytes] = []

    def behave(connection: socket.socket, _: threading.Event) -> None:
        for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"HTT"):
            seen.append(read_head(connection))
            connection.sendall(answer)

    with listening(behave) as url:
        get(client, url)
        with pytest.raises(HttpError):
            get(client, url)
    assert len(seen) == 2


@pytest.mark.parametrize("goes_silent", ["at once", "within the head", "within the content"])
@pytest.mark.parametrize("follow", [10, 0])
def test_after_a_connection_went_silent_no_other_is_used_that_was_kept_beside_it(follow: int, goes_silent: str) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nxy"
    shown = {"at once": b"", "within the head": answer[:20], "within the content": answer[:-1]}[goes_silent]
    all_answered = threading.Barrier(4)
    connections = list[socket.socket]()

    def behave(connection: socket.socket, ended: threading.Event) -> None:
        connections.append(connection)
        is_old = len(connections) <= 4
        while read_head(connection):
            if is_old:
                all_answered.wait(10)
            connection.sendall(answer)
            if is_old:  # as after the failover of an address: nothing comes any more, and nothing ends
                read_head(connection)
                connection.sendall(shown)
                ended.wait()

    with (
        listening(behave) as url,
        closing(HttpClient(connections=4, follow=follow)) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        assert [reply.content for reply in pool.map(lambda _: get(client, url), range(4))] == [b"xy"] * 4
        with pytest.raises(HttpError, match="timed out"):
            client.request("GET", url, timeout_seconds=0.3)
        assert get(client, url).content == b"xy"
    assert len(connections) == 5


def test_a_malformed_answer_on_a_kept_connection_ends_it(client: HttpClient) -> None:
    ended = queue.Queue[bytes]()

    def behave(connection: socket.socket, _: threading.Event) -> None:
        for length in (b"1", b"+1"):
            read_head(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nx")
        ended.put(connection.recv(1))

    with listening(behave) as url:
        get(client, url)
        with pytest.raises(HttpError, match=r"^the answer has a malformed Content-Length$"):
            get(client, url)
        assert ended.get(timeout=30) == b""


def test_no_more_of_an_answer_is_read_than_is_asked_for(client: HttpClient) -> None:
    size = 100_000_000
    sent = [0]

    def behave(connection: socket.socket, _: threading.Event) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent[0] < size:
            sent[0] += connection.send(b"x" * 65536)

    with listening(behave) as url:
        tracemalloc.start()
        reply = get(client, url, most_bytes=1000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (reply.content, reply.truncated) == (b"x" * 1000, True)
        assert get(client, url, most_bytes=10).truncated
    assert peak < 2_000_000
    assert sent[0] < size


def test_an_answer_of_just_the_limit_is_whole(client: HttpClient, server: Server) -> None:
    assert not get(client, f"{server.url}/1000").truncated
    assert get(client, f"{server.url}/1001").truncated


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "the peer closed the connection without an answer"),
        (b"garbage secret\x1b[2J\r\n\r\n", "the answer is not HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", "it speaks TLS: is https:// meant?"),
        (b"HTTP/1.1 two OK\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "the answer ended early"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf", "the answer ended early"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n", "the answer ended early"),
        (b"HTTP/1.1 200 OK\r\nContent-Len", "the answer ended early"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "the answer has a malformed Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", "the answer has a malformed Content-Length"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            "the answer has a malformed Content-Length",
        ),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000, "got more than 100 headers"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000, "got more than 65536 bytes when reading header line"),
        (b"HTTP/1.1 200 " + b"O" * 100_000, "got more than 65536 bytes when reading status line"),
    ],
)
def test_an_answer_that_is_none_is_told_in_one_line(client: HttpClient, answer: bytes, text: str) -> None:
    with listening(answering(answer)) as url, pytest.raises(HttpError) as caught:
        get(client, url)
    assert str(caught.value) == text


def test_an_answer_may_end_where_the_connection_ends(client: HttpClient) -> None:
    for answer in (b"HTTP/1.0 200\r\n\r\nxyz", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nxyz"):
        with listening(answering(answer)) as url:
            assert get(client, url).content == b"xyz"


@pytest.mark.parametrize("pause_seconds", [0, 0.001])
def test_an_answer_is_the_same_in_one_piece_and_byte_by_byte(client: HttpClient, pause_seconds: float) -> None:
    head = b"HTTP/1.1 201 Made\r\nA: 1\r\nno colon\r\nB:\t2 \r\n 3\r\na: \xe4\r\n"
    with listening(answering(head + b"Content-Length: 3\r\n" * 2 + b"\r\nxyz", pause_seconds)) as url:
        reply = get(client, url)
    assert (reply.status, reply.content, reply.truncated) == (201, b"xyz", False)
    assert list(reply.headers.items()) == [
        ("A", "1"),
        ("B", "2 3"),
        ("a", "\xe4"),
        ("Content-Length", "3"),
        ("Content-Length", "3"),
    ]
    assert (reply.headers["A"], reply.headers.getlist("a")) == ("1, \xe4", ["1", "\xe4"])


CHUNKED = b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n"
CHUNK = b"\r\n4\r\nabcd\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\n" + CHUNKED + CHUNK,
        b"HTTP/1.1 200 OK\r\nA: b\n" + CHUNKED + CHUNK,
        b"HTTP/1.1 200 OK\r\nA: b\r" + CHUNKED + b"\r\n123456789",
        b"HTTP/1.1 200 OK\r\n" + CHUNKED.replace(b":", b" :") + CHUNK,
        b"HTTP/1.1 200 OK\r\n" + CHUNKED.replace(b":", b"\t:") + CHUNK,
        b"HTTP/1.1 200 OK\r\nA: b\r\n " + CHUNKED + b"\r\n123456789",
        b"HTTP/1.1 200 OK\r\nA: b\r\n\t" + CHUNKED + b"\r\n123456789",
        b"HTTP/1.1 200 OK\r\n" + CHUNKED.upper() + CHUNK,
        b"HTTP/1.1 200 OK\r\n\x0b" + CHUNKED + b"\r\n123456789",
        b"HTTP/1.1 200 OK\r\n:empty\r\nno colon\r\nContent-Length:3\r\nCONTENT-length:  3 \t\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\xc4: \xe4\xa0\r\n\r\nabc",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
        b"HTTP/1.1 200\r\nConnection: close, x\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 99 + b"Content-Length: 3\r\n\r\nabc",
    ],
)
def test_an_answer_in_one_piece_is_read_as_one_that_comes_byte_by_byte(client: HttpClient, answer: bytes) -> None:
    replies = []
    for pause_seconds in (0, 0.0001):
        with listening(answering(answer, pause_seconds)) as url:
            replies.append(get(client, url))
    short, general = [(each.status, each.content, [*each.headers.items()]) for each in replies]
    assert short == general


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", 1),
        (b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", 1),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 1),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 1),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", 1),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 2),
        (b"HTTP/1.1 200 OK\r\nConnection: X, close\r\nContent-Length: 1\r\n\r\nx", 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 2),
    ],
)
def test_a_connection_is_used_again_unless_the_answer_ends_it(
    client: HttpClient, answer: bytes, connections: int
) -> None:
    ports = set()

    def behave(connection: socket.socket, _: threading.Event) -> None:
        while read_head(connection):
            ports.add(connection.getpeername())
            connection.sendall(answer)

    with listening(behave) as url:
        for _ in range(2):
            get(client, url)
        client.close()
    assert len(ports) == connections


def test_what_follows_an_answer_is_not_taken_for_the_next(client: HttpClient) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"

    def behave(connection: socket.socket, _: threading.Event) -> None:
        while read_head(connection):
            connection.sendall(answer + b"x" + answer + b"y")

    with listening(behave) as url:
        assert [get(client, url).content for _ in range(3)] == [b"x"] * 3
        client.close()


def test_informational_answers_are_passed_over(client: HttpClient) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" + hints * 2 + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
    with listening(answering(answer)) as url:
        reply = get(client, url)
    assert (reply.status, reply.content, "Link" in reply.headers) == (200, b"x", False)


def test_content_is_not_decoded(client: HttpClient) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz"
    with listening(answering(answer)) as url:
        assert get(client, url).content == b"xyz"


def test_an_answer_that_comes_before_the_body_was_taken_counts(client: HttpClient) -> None:
    def behave(connection: socket.socket, ended: threading.Event) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        ended.wait(0.2)  # the body is in the way of closing then: the connection is reset

    with listening(behave) as url:
        for _ in range(2):  # the connection is not kept
            assert client.request("POST", url, body=b"x" * 20_000_000, timeout_seconds=30).status == 413


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://127.0.0.1:1/", "Connection refused"),
        ("http://127.0.0.1:0/", "Connection refused"),
        ("ftp://127.0.0.1/", "not an http or https address"),
        ("file:///etc/passwd", "not an http or https address"),
        ("", "not an http or https address"),
        ("http://", "no host given"),
        ("http://user:secret@[::1/", "Invalid IPv6 URL"),
        ("http://user:secret@[v1.x]/", "Invalid IPv6 URL"),
        ("http://user:secret@host:port/", "nonnumeric port"),
        ("http://user:secret@host:65536/", "beyond 65535"),
        ("http://user:secret@a b/", "the host is not a name"),
        ("http://user:secret@a%00b/", "the host is not a name"),
        ("http://user:secret@ho\u2100st/", "not a URL|the host is not a name"),
        ("http://user:secret@no.such.invalid/secret?secret", "the address of no.such.invalid is not found"),
    ],
)
def test_what_cannot_be_asked_is_told_in_one_line_without_secrets(client: HttpClient, url: str, text: str) -> None:
    with pytest.raises(HttpError, match=text) as caught:
        get(client, url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "header", [("X-Key", "a\r\nsecret: b"), ("X-Key", "a\x00secret"), ("X Key", "secret"), ("X-Key:", "secret")]
)
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(client: HttpClient, header: tuple[str, str]) -> None:
    with pytest.raises(HttpError, match="header") as caught:
        client.request("GET", "http://127.0.0.1:1/", headers=[header], timeout_seconds=10)
    assert "secret" not in str(caught.value)


def test_a_malformed_head_is_not_logged(client: HttpClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 1\r\n\r\nx"
    with listening(answering(answer)) as url:
        assert get(client, f"{url}?token=secret").status == 200
    assert not caplog.records


def test_ipv6_is_spoken(client: HttpClient) -> None:
    with serving(host="::1") as server:
        assert get(client, f"{server.url}/3").content == b"xxx"
        assert server.asked[0].values["host"] == server.url.removeprefix("http://")


def test_the_next_address_of_a_host_is_tried(client: HttpClient) -> None:
    with serving() as server:  # localhost is ::1 as well, where nobody listens
        assert get(client, f"{server.url.replace('127.0.0.1', 'localhost')}/3").content == b"xxx"
