from __future__ import annotations

import http.server
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from registry.foundation.fetching import Answer, FetchError, exchange, fetch, status_of
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = {"Accept": "text/plain", "Authorization": "Bearer a-secret", "X-Key": "a-secret"}


class Server:
    """Answers ``/N`` with N bytes, ``/status/N`` with that status, any in `moved` with a redirect; notes requests."""

    def __init__(self) -> None:
        self.url = ""
        self.moved: dict[str, str] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.command, self.path, dict(self.headers)))
            if self.path in state.moved:
                self.send_response(302)
                self.send_header("Location", state.moved[self.path])
                self.end_headers()
            elif self.path.startswith("/status/"):
                self.send_response(int(self.path.removeprefix("/status/")))
                self.end_headers()
            else:
                self.send_response(200)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(b"x" * int(self.path[1:]))

        do_HEAD = do_GET  # noqa: N815  the base class looks for this name

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        state.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_port}"
        yield state
        server.shutdown()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as started:
        yield started


@pytest.fixture
def other() -> Iterator[Server]:
    with serving() as started:
        yield started


def get(url: str, most_bytes: int = 1000) -> bytes:
    return fetch(url, most_bytes=most_bytes, timeout_seconds=10, headers=SECRET)


def test_a_document_is_given_whole_up_to_its_limit(server: Server) -> None:
    assert get(f"{server.url}/1000") == b"x" * 1000
    assert get(f"{server.url}/0") == b""
    with pytest.raises(FetchError, match=r"^more than 1000 bytes$"):
        get(f"{server.url}/1001")
    _, _, headers = server.asked[0]
    assert SECRET.items() <= headers.items()


def test_the_case_of_the_scheme_does_not_matter(server: Server) -> None:
    url = server.url.replace("http", "HTTP")
    server.moved = {"/moved": f"{url}/7"}
    assert get(f"{url}/5") == b"xxxxx"
    assert get(f"{url}/moved") == b"xxxxxxx"
    assert status_of(f"{url}/5", timeout_seconds=10, headers={}) == 200


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://127.0.0.1:1/", "Connection refused"),
        ("file:///etc/passwd", "not an http or https address"),
        ("ftp://127.0.0.1/", "not an http or https address"),
        ("nonsense", "not an http or https address"),
        ("", "not an http or https address"),
        ("http://", "no host given"),
        ("http://[::1/", "Invalid IPv6 URL"),
        ("http://host:port/", "nonnumeric port"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(url: str, text: str) -> None:
    for call in (lambda: get(url), lambda: status_of(url, timeout_seconds=10, headers={})):
        with pytest.raises(FetchError, match=text) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_status_that_is_not_good_is_no_document(server: Server) -> None:
    with pytest.raises(FetchError, match=r"^the answer is 503 Service Unavailable$"):
        get(f"{server.url}/status/503")


def test_a_status_is_asked_for_with_head_and_after_redirects_too(server: Server) -> None:
    server.moved = {"/moved": "/status/204"}
    for path, status in (("/5", 200), ("/status/404", 404), ("/status/500", 500), ("/moved", 204)):
        assert status_of(server.url + path, timeout_seconds=None, headers=SECRET) == status
    assert {method for method, _, _ in server.asked} == {"HEAD"}


def test_secrets_stay_with_the_host_that_they_are_for(server: Server, other: Server) -> None:
    server.moved = {"/here": "/5", "/there": f"{other.url}/7"}

    assert get(f"{server.url}/here") == b"xxxxx"
    assert get(f"{server.url}/there") == b"xxxxxxx"

    assert all(headers["X-Key"] == "a-secret" for _, _, headers in server.asked)
    ((_, _, headers),) = other.asked
    assert headers["Accept"] == "text/plain"
    assert "a-secret" not in str(headers)


@contextmanager
def dripping(answer: bytes, seconds: float = 0.02) -> Iterator[str]:
    """An address whose answer comes byte by byte, from the first one on."""
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            for at in range(len(answer)):
                connection.sendall(answer[at : at + 1])
                if ended.wait(seconds):
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    drip(listener.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 " + b"O" * 10_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 10_000,
        b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n" * 1000,
    ],
)
def test_an_answer_byte_by_byte_ends_at_the_deadline(answer: bytes) -> None:
    with dripping(answer) as url:
        began = time.monotonic()
        with pytest.raises(FetchError, match="timed out"):
            fetch(url, most_bytes=1_000_000, timeout_seconds=0.5, headers={})
        assert time.monotonic() - began < 10


def test_a_status_that_comes_byte_by_byte_ends_at_the_deadline() -> None:
    with dripping(b"HTTP/1.1 200 " + b"O" * 10_000) as url, pytest.raises(FetchError, match="timed out"):
        status_of(url, timeout_seconds=0.5, headers={})


def test_a_server_that_never_ends_its_handshake_is_too_late() -> None:
    with dripping(b"\x16\x03\x03\x40\x00" + b"\x00" * 10_000) as url, pytest.raises(FetchError, match="timed out"):
        fetch(url.replace("http:", "https:"), most_bytes=1000, timeout_seconds=0.5, headers={})


def test_a_redirect_is_not_followed_where_the_caller_says_so(server: Server) -> None:
    server.moved = {"/moved": "/5"}
    with pytest.raises(FetchError, match=r"^it redirects, which is not followed$"):
        fetch(f"{server.url}/moved", most_bytes=10, timeout_seconds=10, headers={}, follow=False)
    assert [path for _, path, _ in server.asked] == ["/moved"]


def test_a_circle_of_redirects_ends(server: Server) -> None:
    server.moved = {"/a": "/b", "/b": "/a"}
    with pytest.raises(FetchError, match="302") as caught:
        get(f"{server.url}/a")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["ftp", "FTP"])
def test_no_redirect_leads_to_another_scheme(server: Server, scheme: str) -> None:
    server.moved = {"/moved": f"{scheme}://127.0.0.1:1/5"}
    for call in (get, lambda url: status_of(url, timeout_seconds=10, headers={})):
        with pytest.raises(FetchError, match=r"^it redirects from http to ftp$"):
            call(f"{server.url}/moved")


def test_no_redirect_leads_from_https_to_http(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority.create(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    pair, context = authority.issue("server"), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    with serving(context) as secured:
        secured.moved = {"/moved": f"{server.url}/5"}
        assert get(f"{secured.url}/5") == b"xxxxx"
        with pytest.raises(FetchError, match=r"^it redirects from https to http$"):
            get(f"{secured.url}/moved")
    assert server.asked == []


def exchanged(method: str, url: str, context: ssl.SSLContext | None = None) -> Answer:
    return exchange(method, url, most_bytes=10, timeout_seconds=5, headers=SECRET, context=context)


def test_an_exchange_gives_an_answer_of_any_status() -> None:
    with serving() as server:
        assert exchanged("GET", f"{server.url}/10").content == b"x" * 10
        for status in (200, 202, 304, 401, 404, 405, 500):
            assert exchanged("GET", f"{server.url}/status/{status}").status == status
        with pytest.raises(FetchError, match="more than 10 bytes"):
            exchanged("GET", f"{server.url}/11")


def test_an_exchange_follows_a_redirect_without_secrets_and_only_where_nothing_is_changed() -> None:
    with serving() as server, serving() as other:
        server.moved["/away"] = f"{other.url}/3"
        assert exchanged("GET", f"{server.url}/away").content == b"xxx"
        assert "Authorization" not in other.asked[0][2]
    with pytest.raises(FetchError, match="refused"):
        exchanged("GET", server.url)


def test_an_exchange_verifies_by_the_context_that_it_is_given(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    pair = authority.issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with serving(context) as server:
        url = server.url.replace("http://", "https://")
        with pytest.raises(FetchError, match="certificate verify failed"):
            exchanged("GET", f"{url}/1")
        assert exchanged("GET", f"{url}/1", authority.trusting_client()).content == b"x"
