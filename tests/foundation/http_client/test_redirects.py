from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from registry.foundation.http_client import HttpClient, HttpError, Reply, connections
from tests.foundation.http_client.servers import Server, serving
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRETS = [("Authorization", "Bearer secret"), ("X-Key", "secret"), ("Cookie", "secret")]
HARMLESS = [("Accept", "text/plain"), ("Content-Type", "text/x"), ("Range", "bytes=0-4"), ("User-Agent", "mine")]


@pytest.fixture
def other() -> Iterator[Server]:
    with serving() as started:
        yield started


def ask(client: HttpClient, url: str, method: str = "POST") -> Reply:
    return client.request(method, url, body=b"body", headers=[*SECRETS, *HARMLESS], timeout_seconds=10)


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        *((status, "POST", "GET") for status in (301, 302, 303)),
        *((status, "PUT", "GET") for status in (301, 302, 303)),
        *((status, method, method) for status in (307, 308) for method in ("POST", "PUT", "GET", "HEAD")),
        *((status, method, method) for status in (301, 302, 303) for method in ("GET", "HEAD")),
    ],
)
def test_a_redirect_changes_the_method_as_in_go(
    client: HttpClient, server: Server, status: int, method: str, becomes: str
) -> None:
    server.moved["/a"] = (status, "/5?x=y#fragment")
    assert ask(client, f"{server.url}/a", method).status == 200
    _, moved = server.asked
    assert (moved.method, moved.path) == (becomes, "/5?x=y")
    assert moved.body == (b"body" if status in {307, 308} or method == becomes == "HEAD" else b"")
    assert ("content-type" in moved.values) == (moved.body != b"")
    assert moved.values["x-key"] == "secret"
    assert "referer" not in moved.values


def test_secrets_stay_with_the_origin_that_they_are_for(client: HttpClient, server: Server, other: Server) -> None:
    server.moved["/away"] = (307, f"{other.url}/back")
    other.moved["/back"] = (307, f"{server.url}/5")

    ask(client, f"{server.url}/away")

    assert [asked.values["x-key"] for asked in server.asked[:1]] == ["secret"]
    for asked in (*other.asked, *server.asked[1:]):  # once they are off they do not come back
        assert asked.body == b"body"
        assert dict(HARMLESS).items() <= dict(asked.headers).items()
        assert "secret" not in str(asked.headers)


def test_a_login_in_the_url_goes_to_no_other_origin(client: HttpClient, server: Server, other: Server) -> None:
    server.moved = {"/here": (307, "/5"), "/there": (307, f"{other.url}/5")}
    for path in ("/here", "/there"):
        client.request("GET", f"{server.url.replace('://', '://user:secret@')}{path}", timeout_seconds=10)
    assert ["authorization" in asked.values for asked in server.asked] == [True, True, True]
    assert ["authorization" in asked.values for asked in other.asked] == [False]


def test_a_login_in_a_location_is_dropped(client: HttpClient, server: Server, other: Server) -> None:
    server.moved["/a"] = (307, f"{other.url.replace('://', '://user:secret@')}/5")
    client.request("GET", f"{server.url}/a", timeout_seconds=10)
    assert "authorization" not in other.asked[0].values


def test_a_redirect_is_the_answer_to_who_follows_none(server: Server) -> None:
    server.moved["/a"] = (302, "/5")
    with closing(HttpClient(follow=0)) as client:
        reply = ask(client, f"{server.url}/a")
    assert (reply.status, reply.headers["Location"], len(server.asked)) == (302, "/5", 1)


def test_a_redirect_to_nowhere_is_the_answer(client: HttpClient, server: Server) -> None:
    for status in (300, 301, 304, 307):
        assert ask(client, f"{server.url}/status/{status}").status == status
    server.moved["/a"] = (302, "")
    assert ask(client, f"{server.url}/a").status == 302
    assert len(server.asked) == 5


def test_a_circle_of_redirects_ends(client: HttpClient, server: Server) -> None:
    server.moved = {"/a": (302, "/b"), "/b": (302, "/a")}
    with pytest.raises(HttpError, match=r"^the answer is still 302 Found after 10 redirects$"):
        ask(client, f"{server.url}/a")
    assert len(server.asked) == 11
    assert len({asked.port for asked in server.asked}) == 1


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("ftp://127.0.0.1/", "it redirects from http to ftp"),
        ("FILE:///etc/passwd", "it redirects from http to file"),
        ("http://[::1/", "it redirects to what is not a URL"),
        ("http://:80/", "it redirects to a malformed URL: no host given"),
        ("http://127.0.0.1:port/", "it redirects to a malformed URL: nonnumeric port, or one beyond 65535"),
        (f"http://{'a' * 20_000}/", "it redirects to a malformed URL: the host is too long for a name"),
        (f"{'a' * 20_000}://host/", f"it redirects from http to {'a' * 20}"),
        ("http://127.0.0.1:1/secret", "redirected to http://127.0.0.1:1: [Errno 111] Connection refused"),
    ],
)
def test_a_redirect_that_cannot_be_followed_is_told(
    client: HttpClient, server: Server, location: str, text: str
) -> None:
    server.moved["/a"] = (302, location)
    with pytest.raises(HttpError) as caught:
        ask(client, f"{server.url}/a")
    assert str(caught.value) == text


LINK_LOCAL = [
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.16689662", "0xa9.254.0251.254"),
    *("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::169.254.169.254]", "[64:ff9b:1::a9fe:a9fe]"),
    *("[64:ff9b:1:a9fe:a9:fe00::]", "[64:ff9b:1:0:a9:fea9:fe00:0]", "[64:ff9b:1:a9:fe:a9fe::]", "[2002:a9fe:a9fe::1]"),
    *("[2001:0:4136:e378:8000:63bf:5601:5601]", "[::169.254.169.254]", "[::ffff:0:169.254.169.254]", "[fe80::1]"),
    *("[2001:db8::200:5efe:a9fe:a9fe]", "169.254%2E169.254", "\uff11\uff16\uff19.254.169.254", "169.254.170.2"),
]
OTHERS = [
    *("0.0.0.0", "0", "[::]", "[::ffff:0.0.0.0]", "224.0.0.1", "239.255.255.250", "[ff02::1]", "255.255.255.255"),
    *(
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "[fd20:ce::254]",
        "[::ffff:100.100.100.200]",
    ),
]


@pytest.mark.parametrize("host", [*LINK_LOCAL, *OTHERS])
@pytest.mark.parametrize("status", [302, 307])
def test_no_redirect_leads_to_an_address_that_only_this_machine_may_ask(
    client: HttpClient, server: Server, host: str, status: int
) -> None:
    server.moved["/a"] = (
        status,
        f"http://{host}:{server.url.rpartition(':')[2]}/latest/meta-data/".encode().decode("latin-1"),
    )
    with pytest.raises(HttpError, match=r"^it redirects to .* address, which is not followed$") as caught:
        ask(client, f"{server.url}/a")
    assert len(server.asked) == 1
    assert ("link-local" in str(caught.value)) == (host in LINK_LOCAL)


def test_no_redirect_leads_to_a_name_with_a_dot_at_its_end_instead_of_an_address(
    client: HttpClient, server: Server
) -> None:
    server.moved["/a"] = (302, "http://169.254.169.254./")
    with pytest.raises(HttpError, match="169"):
        ask(client, f"{server.url}/a")


def test_a_redirect_within_this_machine_is_followed_where_the_caller_named_it(client: HttpClient) -> None:
    with serving() as server, serving(host="::1") as six:
        server.moved["/a"] = (307, f"{six.url}/5")
        for host in ("127.0.0.1", "localhost", "2130706433", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0"):
            assert ask(client, f"{server.url.replace('127.0.0.1', host)}/a").content == b"xxxxx"
        assert len(six.asked) == 6


def resolving(monkeypatch: pytest.MonkeyPatch, **addresses: list[str]) -> None:
    """Have names lead to one address after the other, as a server of DNS can answer that an attacker runs."""
    real = socket.getaddrinfo

    def found(host: bytes, *args: Any, **kwargs: Any) -> Any:
        listed = addresses[host.decode()]
        return real(listed.pop(0) if len(listed) > 1 else listed[0], *args, **kwargs)

    class Resolver:  # socket itself has to find the real one
        getaddrinfo = staticmethod(found)

        def __getattr__(self, name: str) -> Any:
            return getattr(socket, name)

    monkeypatch.setattr(connections, "socket", Resolver())


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "fd00:ec2::254"])
@pytest.mark.parametrize("name", ["hook", "away"])
def test_what_counts_is_the_address_that_is_dialled_whatever_the_name(
    server: Server, monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    resolving(monkeypatch, hook=["127.0.0.1", address], away=[address])
    port = server.url.rpartition(":")[2]
    server.moved["/a"] = (302, f"http://{name}:{port}/5")
    with closing(HttpClient(connections=0)) as client, pytest.raises(HttpError, match="which is not followed"):
        ask(client, f"http://hook:{port}/a")
    assert [asked.path for asked in server.asked] == ["/a"]


def test_an_address_that_the_caller_names_is_dialled_whatever_it_is(client: HttpClient) -> None:
    # 0.0.0.0 is one that no redirect leads to. Nobody is at the others here.
    with serving() as server:
        server.moved["/a"] = (302, "/5")
        assert ask(client, f"{server.url.replace('127.0.0.1', '0.0.0.0')}/a").content == b"xxxxx"


def test_no_redirect_leads_from_https_to_http(server: Server, tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    with (
        serving(authority.serving_context("server")) as secured,
        closing(HttpClient(cafile=str(authority.path))) as client,
    ):
        secured.moved = {"/a": (302, f"{server.url}/5"), "/b": (302, "/5"), "/c": (302, f"//{secured.url[8:]}/5")}
        server.moved["/up"] = (307, f"{secured.url}/5")
        with pytest.raises(HttpError, match=r"^it redirects from https to http$"):
            ask(client, f"{secured.url}/a")
        assert server.asked == []
        for url in (f"{secured.url}/b", f"{secured.url}/c", f"{server.url}/up"):
            assert ask(client, url).status == 200
    assert secured.asked[2].values["x-key"] == "secret"
    assert "secret" not in str(secured.asked[-1].headers)
