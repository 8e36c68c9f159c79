from __future__ import annotations

import socket
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from registry.foundation.http_client import HttpClient, HttpError
from registry.foundation.http_client.locations import Location
from registry.foundation.http_client.proxies import Proxy, proxy_for
from tests.foundation.http_client.servers import Server, answering, listening, read_head, serving
from tests.server.tls.authority import HOST, Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "REQUEST_METHOD")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable of the developer's."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.fixture
def proxy(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """A proxy for http, which answers everything itself."""
    with serving() as started:
        environment.setenv("HTTP_PROXY", started.url.replace("://", "://us%40er:p%3Aw@"))
        yield started


@contextmanager
def tunnel_to(port: int, heads: list[bytes]) -> Iterator[str]:
    """A proxy that connects whoever asks with this port, and notes what it is asked."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def behave(connection: socket.socket, _: threading.Event) -> None:
        heads.append(read_head(connection))
        with socket.create_connection(("127.0.0.1", port)) as peer:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
            there = threading.Thread(target=pump, args=(connection, peer), daemon=True)
            there.start()
            pump(peer, connection)
            there.join()

    with listening(behave) as url:
        yield url


def test_http_goes_by_its_proxy_which_gets_its_login(client: HttpClient, proxy: Server) -> None:
    for number in (5, 6):
        url = f"http://hook.invalid:81/{number}"
        proxy.moved[url] = (200, "")
        headers = [("proxy-authorization", "another")]
        assert client.request("POST", url, body=b"{}", headers=headers, timeout_seconds=10).status == 200
    first, second = proxy.asked
    assert (first.method, first.path, first.body) == ("POST", "http://hook.invalid:81/5", b"{}")
    assert first.values["host"] == "hook.invalid:81"
    assert [value for name, value in first.headers if name.lower() == "proxy-authorization"] == ["Basic dXNAZXI6cDp3"]
    assert first.port == second.port


def test_https_goes_by_a_tunnel_and_the_peer_sees_no_login_of_the_proxy(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority, heads = Authority.create(tmp_path), list[bytes]()
    with (
        serving(authority.serving_context("server")) as server,
        tunnel_to(int(server.url.rpartition(":")[2]), heads) as url,
        closing(HttpClient(cafile=str(authority.path))) as client,
    ):
        environment.setenv("https_proxy", url.replace("://", "://user:secret@"))
        for number in (5, 6):
            assert client.request("GET", f"https://{HOST}:8443/{number}", timeout_seconds=10).content == b"x" * number
        with pytest.raises(HttpError, match="certificate verify failed: Hostname mismatch"):
            client.request("GET", "https://other.invalid/", timeout_seconds=10)
    assert [head.split(b" HTTP")[0] for head in heads] == [
        f"CONNECT {HOST}:8443".encode(),
        b"CONNECT other.invalid:443",
    ]
    assert b"\r\nProxy-Authorization: Basic " in heads[0]
    assert {asked.values["host"] for asked in server.asked} == {f"{HOST}:8443"}
    assert all("proxy-authorization" not in asked.values for asked in server.asked)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 407 secret\x1b[2J\r\n\r\n", "Tunnel connection failed: 407"),
        (b"HTTP/1.1 503 " + b"x" * 10_000 + b"\r\n\r\n", "Tunnel connection failed: 503"),
        (b"", "the peer closed the connection without an answer"),
        (b"nonsense\r\n", "the answer is not HTTP"),
    ],
)
def test_a_tunnel_that_is_refused_is_told(
    client: HttpClient, environment: pytest.MonkeyPatch, answer: bytes, text: str
) -> None:
    with listening(answering(answer)) as url:
        environment.setenv("HTTPS_PROXY", url)
        with pytest.raises(HttpError) as caught:
            client.request("GET", f"https://{HOST}/", timeout_seconds=10)
    assert str(caught.value) == f"by the proxy {url[7:-1]}: {text}"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 " + b"O" * 10_000, b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000])
def test_a_tunnel_byte_by_byte_ends_at_the_deadline(
    client: HttpClient, environment: pytest.MonkeyPatch, answer: bytes
) -> None:
    with listening(answering(answer, pause_seconds=0.02)) as url:
        environment.setenv("HTTPS_PROXY", url)
        with pytest.raises(HttpError, match=r"timed out after 0\.5 s$"):
            client.request("GET", f"https://{HOST}/", timeout_seconds=0.5)


@pytest.mark.parametrize("value", ["127.0.0.1:1", "http://user:secret@127.0.0.1:1"])
def test_a_proxy_that_cannot_be_reached_is_named(
    client: HttpClient, environment: pytest.MonkeyPatch, value: str
) -> None:
    environment.setenv("HTTP_PROXY", value)
    with pytest.raises(HttpError, match=r"^by the proxy 127\.0\.0\.1:1: \[Errno 111\] Connection refused$"):
        client.request("GET", "http://hook.invalid/", timeout_seconds=10)


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1", "https://127.0.0.1:1", "http://user:secret@[::1", "http://"])
def test_a_proxy_that_cannot_be_used_is_told(client: HttpClient, environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("HTTP_PROXY", value)
    with pytest.raises(HttpError, match=r"^HTTP_PROXY: ") as caught:
        client.request("GET", "http://hook.invalid/", timeout_seconds=10)
    assert "secret" not in str(caught.value)


HIDDEN = [
    *("169.254.169.254", "169.254.169.254.", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "[::ffff:a9fe:a9fe]"),
    *("metadata.google.internal", "metadata.google.internal.", "Metadata", "100.100.100.200", "0.0.0.0", "[fe80::1]"),
]


@pytest.mark.parametrize("host", HIDDEN)
def test_a_proxy_is_not_asked_for_what_no_redirect_may_lead_to(client: HttpClient, proxy: Server, host: str) -> None:
    proxy.moved["http://192.0.2.1/a"] = (307, f"http://{host}/latest")
    with pytest.raises(HttpError, match="which is not followed"):
        client.request("POST", "http://192.0.2.1/a", timeout_seconds=10)
    assert len(proxy.asked) == 1


def test_a_proxy_is_asked_for_other_redirects_and_for_names_that_only_it_knows(
    client: HttpClient, proxy: Server
) -> None:
    proxy.moved["http://192.0.2.1/a"] = (307, "http://away.invalid/b")
    proxy.moved["http://away.invalid/b"] = (307, "http://10.1.2.3/c")
    assert client.request("POST", "http://192.0.2.1/a", timeout_seconds=10).status == 200
    assert proxy.asked[-1].path == "http://10.1.2.3/c"


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"])
def test_a_redirect_from_elsewhere_leads_not_into_this_machine(client: HttpClient, proxy: Server, host: str) -> None:
    with serving() as inside:
        # Even over the connection of a caller that has named it.
        client.request("GET", f"{inside.url}/5", timeout_seconds=10)
        proxy.moved["http://192.0.2.1/a"] = (307, f"{inside.url.replace('127.0.0.1', host)}/6")
        with pytest.raises(HttpError, match=r"a loopback address, which is not followed$"):
            client.request("POST", "http://192.0.2.1/a", timeout_seconds=10)
    assert [asked.path for asked in inside.asked] == ["/5"]


@pytest.mark.parametrize(
    ("exceptions", "url", "direct"),
    [
        ("", "http://a.example/", False),
        ("", "http://localhost/", True),
        ("", "http://127.1.2.3/", True),
        ("", "http://[::1]:5000/", True),
        ("*", "http://a.example/", True),
        ("*", "http://10.1.2.3/", True),
        ("example", "http://a.example/", True),
        ("x, A.example ", "http://a.EXAMPLE./", True),
        ("a.example", "http://b.a.example/", True),
        ("a.example", "http://ba.example/", False),
        (".a.example", "http://b.a.example/", True),
        (".a.example", "http://a.example/", False),
        ("*.a.example", "http://b.a.example/", True),
        ("a.example:81", "http://a.example/", False),
        ("a.example:80", "http://a.example/", True),
        ("10.1.2.3", "http://10.1.2.3/", True),
        ("10.1.2.3:81", "http://10.1.2.3/", False),
        ("10.1.2.3:81", "http://10.1.2.3:81/", True),
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        ("10.0.0.0/99", "http://10.1.2.3/", False),
        ("10.0.0.0/8", "http://ten.example/", False),
        ("2001:db8::/32", "http://[2001:db8::1]/", True),
        ("2001:db8::1", "http://[2001:db8::1]/", True),
        ("[2001:db8::1]:80", "http://[2001:DB8:0::1]/", True),
        ("2.3", "http://10.1.2.3/", False),
    ],
)
def test_the_exceptions_are_those_of_go(
    environment: pytest.MonkeyPatch, exceptions: str, url: str, *, direct: bool
) -> None:
    environment.setenv("HTTP_PROXY", "http://proxy.example:3128")
    environment.setenv("NO_PROXY", exceptions)
    expected = None if direct else Proxy("proxy.example", 3128, "")
    assert proxy_for(Location.parse(url)) == expected


def test_a_client_of_cgi_cannot_set_the_proxy(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://attacker.example")
    environment.setenv("REQUEST_METHOD", "GET")
    assert proxy_for(Location.parse("http://a.example/")) is None
    environment.setenv("http_proxy", "http://proxy.example")
    assert proxy_for(Location.parse("http://a.example/")) == Proxy("proxy.example", 80, "")
    assert proxy_for(Location.parse("https://a.example/")) is None
