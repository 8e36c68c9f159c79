from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.serving import SECONDS, Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

DIGEST = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("server"), {"http": {"workers": 1}}) as server:
        pushed = server.request("POST", f"/v2/a/blobs/uploads/?digest={DIGEST}", b"{}")
        assert pushed.status == 201
        yield server


def sent(port: int, text: str) -> bytes:
    """Return all that is answered to a request on a connection of its own."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
        client.sendall(text.encode())
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize(
    ("request_line", "headers", "first"),
    [
        ("GET /v2/", {}, "200 OK"),
        ("POST /v2/a/blobs/uploads/", {}, "202 Accepted"),
        ("OPTIONS /v2/", {}, "204 No Content"),
        (f"GET /v2/a/blobs/{DIGEST}", {"Range": "bytes=0-0"}, "206 Partial Content"),
        (f"GET /v2/a/blobs/{DIGEST}", {"If-None-Match": f'"{DIGEST}"'}, "304 Not Modified"),
        ("GET /v2/UPPER/tags/list", {}, "400 Bad Request"),
        ("GET /v2/unknown/tags/list", {}, "404 Not Found"),
        ("DELETE /v2/_catalog", {}, "405 Method Not Allowed"),
        (f"GET /v2/a/blobs/{DIGEST}", {"If-Match": '"other"'}, "412 Precondition Failed"),
        ("PUT /v2/a/manifests/a", {"Content-Length": "5000000"}, "413 Request Entity Too Large"),
        (f"GET /v2/a/blobs/{DIGEST}", {"Range": "bytes=9-"}, "416 Requested Range Not Satisfiable"),
        ("GET /v2/", {"A": "a" * 100_000}, "431 Request Header Fields Too Large"),
        ("PUT /v2/", {"Transfer-Encoding": "gzip, chunked"}, "501 Not Implemented"),
    ],
)
def test_first_line_is_spelled_as_by_the_go_registry(
    server: Serving, request_line: str, headers: dict[str, str], first: str
) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    answer = sent(server.port, f"{request_line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n")

    assert answer.partition(b"\r\n")[0].decode() == f"HTTP/1.1 {first}"


@pytest.mark.parametrize(
    ("request_line", "first", "body"),
    [
        ("GET /unknown", "404 Not Found", b"404 page not found\n"),
        ("POST /debug/health", "404 Not Found", b"404 page not found\n"),
        ("HEAD /debug/health", "404 Not Found", b""),
        (f"GET /{'a' * 70_000}", "414 Request URI Too Long", b"414 Request URI Too Long\n"),
    ],
)
def test_what_the_debug_server_refuses_is_one_line_of_text(
    server: Serving, request_line: str, first: str, body: bytes
) -> None:
    head, _, text = sent(
        server.debug_port, f"{request_line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    ).partition(b"\r\n\r\n")

    assert head.partition(b"\r\n")[0].decode() == f"HTTP/1.1 {first}"
    assert b"Content-Type: text/plain; charset=utf-8" in head
    assert text == body
