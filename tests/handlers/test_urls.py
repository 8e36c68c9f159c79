from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.content import image

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from tests.conftest import Serve


def base_of_location(client: FlaskClient, prefix: str = "", **headers: str) -> str:
    """Start an upload and return what stands in its Location before the path of the API."""
    response = client.post(
        f"{prefix}/v2/a/blobs/uploads/", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    assert response.status_code == 202
    return response.headers["Location"].partition("/v2/")[0]


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({}, "http://localhost"),
        ({"Host": "registry.example:5000"}, "http://registry.example:5000"),
        ({"Host": "[::1]:5000"}, "http://[::1]:5000"),
        ({"X-Forwarded-Proto": "https"}, "https://localhost"),
        ({"X-Forwarded-Proto": "https,http"}, "https://localhost"),
        ({"X-Forwarded-Host": "public.example, proxy.internal"}, "http://public.example"),
        ({"X-Forwarded-Host": "public.example:8443", "X-Forwarded-Proto": "https"}, "https://public.example:8443"),
        ({"Forwarded": "proto=https;host=public.example"}, "https://public.example"),
        ({"Forwarded": 'For="[::1]"; PROTO=https; Host="public.example:8443"'}, "https://public.example:8443"),
        ({"Forwarded": "host=public.example:8443;proto=https"}, "https://public.example:8443"),
        ({"Forwarded": "host=[::1]:8443"}, "http://[::1]:8443"),
        ({"Forwarded": "host=first.example, host=second.example"}, "http://first.example"),
        ({"Forwarded": "for=192.0.2.1:80;host=[::1]:8443;proto=https"}, "https://[::1]:8443"),
        ({"Forwarded": 'for="a,b;host=c";host="public\\.example"'}, "http://public.example"),
        ({"Forwarded": "host=public.example ;; proto=HTTPS;"}, "https://public.example"),
        ({"X-Forwarded-Proto": "HTTPS"}, "https://localhost"),
        ({"X-Forwarded-Host": "[::1]:8443"}, "http://[::1]:8443"),
        ({"X-Forwarded-Host": "public.example:x", "X-Forwarded-Proto": "https"}, "https://localhost"),
        ({"Forwarded": "for=192.0.2.1", "X-Forwarded-Host": "public.example"}, "http://localhost"),
        ({"Forwarded": "", "X-Forwarded-Proto": "https"}, "http://localhost"),
    ],
    ids=repr,
)
def test_locations_are_under_the_name_that_the_client_used(
    client: FlaskClient,
    headers: dict[str, str],
    base: str,
) -> None:
    assert base_of_location(client, **headers) == base


@pytest.mark.parametrize(
    "headers",
    [
        {"Forwarded": "host*=utf-8''evil%0d%0aSet-Cookie: a"},
        {"Forwarded": "host*=utf-8''%E2%98%83"},
        {"Forwarded": 'host="a/b"'},
        {"Forwarded": 'host="a\\"b"'},
        {"Forwarded": "proto=javascript"},
        {"Forwarded": "proto*=utf-8''https%0a"},
        {"Forwarded": ";;;=,=;host"},
        {"Forwarded": "host=evil.example; x y"},
        {"Forwarded": 'proto=https, host="'},
        *[
            {"Forwarded": malformed, "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
            for malformed in (
                "proto=https;host=public.example:x",
                "proto=https;host=public.example:65536",
                "proto=https;host=::1",
                "proto=https;host=[::1",
                "proto=https;host=",
                'proto=https;host=""',
                "proto=https;host",
                'proto=https;host="a b"',
                "proto=https;host=a b",
                "proto=https;host=a=b",
                'proto=https;host="public.example',
                'proto=https;host="public.example"x',
                "proto=https/x",
                "host=public.example;proto=javascript",
                "host=public.example;proto=",
                "host=public.example;host=public.example",
                "host=public.example;for=",
                "=https;host=public.example",
            )
        ],
        {"Forwarded": "host" + " " * 30_000 + "x"},
        {"Forwarded": " " * 30_000 + "x"},
        {"Forwarded": 'host="' + "\\a" * 15_000},
        {"X-Forwarded-Host": "::1"},
        {"X-Forwarded-Host": "public.example:x"},
        {"X-Forwarded-Host": "[public.example]"},
        {"Forwarded": 'host="' * 5_000},
        {"X-Forwarded-Host": "evil.example/path?x#"},
        {"X-Forwarded-Host": ", public.example"},
        {"X-Forwarded-Host": "user@evil.example"},
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Proto": "\xff"},
    ],
    ids=lambda headers: repr(headers)[:60],
)
def test_what_cannot_stand_in_a_url_is_passed_over_whole(client: FlaskClient, headers: dict[str, str]) -> None:
    assert base_of_location(client, **headers) == "http://localhost"


@pytest.mark.parametrize("host", ["", "a b", "a/b", 'a"b', "\xff", "a\tb", "a:b:c", "a:x", "[::1", "::1"])
def test_without_a_usable_host_locations_are_relative(client: FlaskClient, host: str) -> None:
    response = client.post("/v2/a/blobs/uploads/", environ_overrides={"HTTP_HOST": host})

    assert response.status_code == 202
    assert response.headers["Location"].startswith("/v2/a/blobs/uploads/")


@pytest.mark.parametrize(
    ("http", "base"),
    [
        ({"host": "https://registry.example"}, "https://registry.example"),
        ({"host": "https://registry.example/base/"}, "https://registry.example/base"),
        ({"host": "https://registry.example", "relativeurls": True}, "https://registry.example"),
        ({"host": "registry.example"}, "http://localhost"),
        ({"relativeurls": True}, ""),
    ],
    ids=repr,
)
def test_the_configuration_says_under_which_name_before_any_header(
    serve: Serve,
    http: dict[str, Any],
    base: str,
) -> None:
    assert base_of_location(serve(http=http)) == base
    if base != "http://localhost":
        assert base_of_location(serve(http=http), X_Forwarded_Host="other.example", Forwarded="host=other") == base


class TestPrefix:
    @pytest.mark.parametrize("prefix", ["/registry/", "/registry", "/deep/er/"])
    def test_everything_lies_below_it(self, serve: Serve, prefix: str) -> None:
        client, below = serve(http={"prefix": prefix}), prefix.rstrip("/")

        assert client.get(f"{below}/v2/").status_code == 200
        assert base_of_location(client, below) == f"http://localhost{below}"
        for path in ("/v2/", f"{below}x/v2/", below, "/other"):
            assert client.get(path).status_code == 404
        assert client.get("/").status_code == 200

    def test_relative_locations_keep_it(self, serve: Serve) -> None:
        client = serve(http={"prefix": "/registry/", "relativeurls": True})

        assert base_of_location(client, "/registry") == "/registry"

    def test_a_push_follows_its_own_locations(self, serve: Serve) -> None:
        client = serve(http={"prefix": "/registry/"})
        location = client.post("/registry/v2/a/blobs/uploads/").headers["Location"]

        patched = client.patch(location, data=b"{}")

        assert patched.status_code == 202
        assert patched.headers["Location"].startswith("http://localhost/registry/v2/a/blobs/uploads/")

    def test_links_to_the_next_page_keep_it(self, serve: Serve) -> None:
        client = serve(http={"prefix": "/registry/"})
        client.post(
            "/registry/v2/a/blobs/uploads/",
            query_string={"digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
            data=b"{}",
        )
        for tag in ("v1", "v2"):
            assert client.put(f"/registry/v2/a/manifests/{tag}", data=image(b"{}")).status_code == 201

        link = client.get("/registry/v2/a/tags/list?n=1").headers["Link"]

        assert link == '</registry/v2/a/tags/list?last=v1&n=1>; rel="next"'
        assert client.get(link[1 : link.index(">")]).json == {"name": "a", "tags": ["v2"]}


def test_a_configured_host_of_other_letters_is_told_as_a_url(serve: Serve) -> None:
    client = serve(http={"host": "https://b\u00fccher.example"})

    assert base_of_location(client) == "https://xn--bcher-kva.example"
