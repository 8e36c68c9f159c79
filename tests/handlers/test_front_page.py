from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from registry import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from tests.conftest import Serve

CHROMIUM = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
BROWSERS = {
    "chromium": CHROMIUM,
    "firefox": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "old": "text/html, application/xhtml+xml, image/jxr, */*",
    "text": "text/html, text/*;q=0.5",
}
NO_BROWSERS = {
    "curl, wget, kube-probe": "*/*",
    "consul": "text/plain, text/*, */*",
    "a script": "application/json, text/plain, */*",
    "JSON first": "application/json, text/html",
    "JSON rather": "text/html;q=0.5, application/json",
    "no HTML": "text/html;q=0",
    "docker": "application/vnd.oci.image.index.v1+json, */*",
    "nothing": "",
    "malformed": ";q=x,,/;=,text/",
}


def page(client: FlaskClient, **headers: str) -> str:
    sent = {"Accept": CHROMIUM} | {name.replace("_", "-"): value for name, value in headers.items()}
    response = client.get("/", headers=sent)
    assert response.status_code == 200
    return response.text


def commands(text: str) -> list[str]:
    return unescape("\n".join(re.findall("<pre><code>(.*?)</code></pre>", text, re.DOTALL))).splitlines()


@pytest.mark.parametrize("accept", BROWSERS.values(), ids=BROWSERS.keys())
def test_a_browser_is_told_what_this_is_and_how_to_push_to_it(client: FlaskClient, accept: str) -> None:
    response = client.get("/", headers={"Accept": accept, "Host": "registry.example:5000"})

    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    assert f"version {__version__}" in response.text
    assert commands(response.text) == [
        "docker tag IMAGE registry.example:5000/NAME:TAG",
        "docker push registry.example:5000/NAME:TAG",
        "docker pull registry.example:5000/NAME:TAG",
    ]
    assert "<code>http://registry.example:5000/v2/</code>" in response.text


def assert_empty(response: TestResponse) -> None:
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers.to_wsgi_list() == [("Cache-Control", "no-cache"), ("Content-Length", "0")]


@pytest.mark.parametrize("accept", NO_BROWSERS.values(), ids=NO_BROWSERS.keys())
def test_who_is_no_browser_gets_nothing_as_before(client: FlaskClient, accept: str) -> None:
    assert_empty(client.get("/", headers={"Accept": accept}))


def test_who_does_not_say_what_it_accepts_gets_nothing(client: FlaskClient) -> None:
    assert_empty(client.get("/"))


def test_head_has_the_length_of_the_page(client: FlaskClient) -> None:
    response = client.head("/", headers={"Accept": CHROMIUM})

    assert response.data == b""
    assert response.content_length == len(page(client).encode())


def test_the_page_is_not_kept_and_loads_and_runs_nothing(client: FlaskClient) -> None:
    response = client.get("/", headers={"Accept": CHROMIUM})

    assert (response.headers["Cache-Control"], response.headers["Vary"]) == ("no-store", "Accept")
    style = re.search("<style>(.*)</style>", response.text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert policy[:2] == ["default-src 'none'", f"style-src 'sha256-{digest}'"]
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"<script|\b(?:src|href|style|on\w+)=|url\(|@import", response.text)


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("registry.example", "registry.example"),
        ("localhost", "localhost"),
        ("localhost:5000", "localhost:5000"),
        ("[::1]:5000", "[::1]:5000"),
        ("registry", "registry:80"),
        ('x"><script>alert(1)</script>', "HOST"),
        ("", "HOST"),
    ],
)
def test_names_of_images_begin_with_the_host_that_was_asked(client: FlaskClient, host: str, named: str) -> None:
    text = page(client, Host=host)

    assert f"docker push {named}/NAME:TAG" in commands(text)
    assert "alert" not in text


def test_the_host_is_the_one_that_the_client_of_a_proxy_has_asked(client: FlaskClient) -> None:
    text = page(client, X_Forwarded_Host="team-registry", X_Forwarded_Proto="https")

    assert "docker push team-registry:443/NAME:TAG" in commands(text)
    assert "<code>https://team-registry/v2/</code>" in text


def test_the_host_of_the_configuration_comes_first(serve: Serve) -> None:
    text = page(serve(http={"host": "https://user:hunter2@images.example/below"}), X_Forwarded_Host="other.example")

    assert "docker push images.example/NAME:TAG" in commands(text)
    assert "<code>https://images.example/below/v2/</code>" in text
    assert "other.example" not in text
    assert "hunter2" not in text


def test_below_a_prefix_the_page_says_where_the_api_is(serve: Serve) -> None:
    client = serve(http={"prefix": "/below/"})

    assert "<code>http://registry.example/below/v2/</code>" in page(client, Host="registry.example")
    assert client.get("/below/", headers={"Accept": CHROMIUM, "Host": "registry.example"}).text == page(
        client, Host="registry.example"
    )
    assert_empty(client.get("/"))


@pytest.mark.parametrize(("scheme", "told"), [("http", True), ("https", False)])
def test_what_to_do_without_tls_is_told_where_there_is_none(client: FlaskClient, scheme: str, told: bool) -> None:
    text = page(client, X_Forwarded_Proto=scheme, Host="registry.example:5000")
    assert ("insecure-registries" in text) == ("--tls-verify=false" in text) == told


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5991", "LOCALHOST:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"]
)
def test_on_the_registry_s_own_machine_docker_needs_no_setting(client: FlaskClient, host: str) -> None:
    text = page(client, Host=host)
    assert "insecure-registries" not in text
    assert "--tls-verify=false" in text


@pytest.mark.parametrize("host", ["localhost.example:5000", "192.0.2.1:5000", "[2001:db8::1]:5000", "registry:5000"])
def test_on_another_machine_docker_needs_one(client: FlaskClient, host: str) -> None:
    assert "insecure-registries" in page(client, Host=host)


def test_where_users_have_passwords_the_page_says_how_to_log_in_and_tells_a_stranger_no_more(
    serve: Serve, tmp_path: Path
) -> None:
    passwords = tmp_path / "htpasswd"
    passwords.write_text("user:$2y$05$tdyH4GNyBmd2sSB2LOnwBuMB9NoJwfdJLiOKdmzuvGzmLjYHEuYDG\n")
    client = serve(auth={"htpasswd": {"realm": "basic-realm", "path": str(passwords)}})

    text = page(client, Host="registry.example")

    assert commands(text)[0] == "docker login registry.example"
    assert "basic-realm" not in text


def test_a_registry_in_maintenance_says_that_it_takes_nothing(serve: Serve) -> None:
    text = page(serve(storage={"maintenance": {"readonly": {"enabled": True}}}))

    assert "read-only" in text
    assert not any(each.startswith("docker push") for each in commands(text))
