"""Identities and their tokens: Azurite, which takes tokens over TLS, and an endpoint that issues them."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError, NotPermittedError, PathNotFoundError, UnavailableError
from registry.foundation.errors import ParameterError
from tests.drivers.cloud_servers import running
from tests.drivers.conformance import BLOB, ROOT, upload
from tests.drivers.proxy import Answer, Proxy, serving
from tests.server.tls.authority import Authority
from tests.serving import free_port, wait_until

pytest.importorskip("azure.storage.blob", reason="the azure extra is not installed")
pytest.importorskip("azure.identity", reason="the azure extra is not installed")

from azure.storage.blob import ContainerClient

from drivers.azure.driver import AzureDriver
from tests.drivers.azure.server import ACCOUNT, CONTAINER, KEY, command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.azure

OTHER = f"{ROOT}/other"
NOBODY = "00000000-0000-0000-0000-000000000000"


def token(number: int, seconds: int) -> str:
    """Give a token that Azurite takes, which looks at the times and names in it and not at its signature."""
    claims = {
        "aud": "https://storage.azure.com",
        "iss": f"https://sts.windows.net/{NOBODY}/",
        "iat": int(time.time()) - 60,
        "nbf": int(time.time()) - 60,
        "exp": int(time.time()) + seconds,
        "oid": NOBODY,
        "tid": NOBODY,
        "number": number,
    }
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims)]
    return ".".join([*parts, "c2lnbmVk"])


class Issuer(Proxy):
    """The endpoint of a managed identity, as App Service has it: it gives a new token each time."""

    def __init__(self) -> None:
        super().__init__(free_port(), "")
        self.issued = 0
        self.seconds = 3600
        self.refused_with = 0
        self.held = threading.Event()
        self.held.set()

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        del method, target, headers, body
        self.issued += 1
        self.held.wait(10)
        if self.refused_with:
            return Answer(self.refused_with, [("Content-Type", "application/json")], b'{"message": "no such identity"}')
        given = {
            "access_token": token(self.issued, self.seconds),
            "expires_on": str(int(time.time()) + self.seconds),
            "resource": "https://storage.azure.com",
            "token_type": "Bearer",
        }
        return Answer(200, [("Content-Type", "application/json")], json.dumps(given).encode())


class Front(Proxy):
    """TLS before Azurite, and behind it. It tells which tokens were shown, and takes no more those that are revoked."""

    def __init__(self, upstream: str, authority: Authority) -> None:
        super().__init__(free_port(), upstream)
        self.revoked: set[int] = set()
        self.shown: list[int] = []
        self._trusting = ssl.create_default_context(cafile=str(authority.path))
        context = authority.serving_context("front")
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPSConnection(self.upstream, timeout=60, context=self._trusting)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        kind, _, shown = headers.get("Authorization", "").partition(" ")
        if kind == "Bearer":
            claims = shown.split(".")[1]
            number = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["number"]
            self.shown.append(number)
            if number in self.revoked:
                return Answer(401, [("x-ms-error-code", "InvalidAuthenticationInfo"), ("WWW-Authenticate", "Bearer")])
        return self.forward(method, target, headers, body)


@dataclass(frozen=True, slots=True)
class Cloud:
    """Azurite behind TLS, the authority of its certificate, and who issues tokens for it."""

    front: Front
    issuer: Issuer
    authority: Authority

    def driver(self, **more: object) -> AzureDriver:
        """Give a driver that logs in as the machine that it is on."""
        section: dict[str, object] = {
            "accountname": ACCOUNT,
            "container": CONTAINER,
            "serviceurl": f"https://localhost:{self.front.server_port}/{ACCOUNT}",
            "credentials": {"type": "default_credentials"},
            "rootdirectory": f"roots/{uuid.uuid4().hex}",
        }
        return AzureDriver.from_parameters(section | more)


@pytest.fixture(scope="module")
def azurite_with_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Authority]]:
    directory = tmp_path_factory.mktemp("azurite")
    authority = Authority.create(directory / "authority")
    pair, port = authority.issue("azurite"), free_port()
    options = ("--oauth", "basic", "--cert", str(pair.certificate), "--key", str(pair.key))
    # It reads the source of a copy by its URL.
    trusting = ["env", f"NODE_EXTRA_CA_CERTS={authority.path}"]
    with running([*trusting, *command(port, *options)], port, directory):
        with ContainerClient(
            f"https://localhost:{port}/{ACCOUNT}", CONTAINER, credential=KEY, connection_verify=str(authority.path)
        ) as client:
            client.create_container()
        yield f"localhost:{port}", authority


@pytest.fixture
def cloud(azurite_with_tls: tuple[str, Authority], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    upstream, authority = azurite_with_tls
    front, issuer = Front(upstream, authority), Issuer()
    with serving(front), serving(issuer):
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{issuer.server_port}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.path))
        yield Cloud(front, issuer, authority)


def test_one_token_is_fetched_for_many_calls(cloud: Cloud) -> None:
    driver = cloud.driver()

    upload(driver, b"content")

    assert driver.get(BLOB, limit=9) == b"content"
    assert cloud.issuer.issued == 1
    assert set(cloud.front.shown) == {1}


def test_a_token_that_is_revoked_is_fetched_anew_once(cloud: Cloud) -> None:
    driver = cloud.driver()
    driver.put(BLOB, b"content")

    cloud.front.revoked.add(1)
    assert driver.get(BLOB, limit=9) == b"content"
    assert cloud.issuer.issued == 2

    cloud.front.revoked.add(2)
    for _ in range(3):
        with pytest.raises(NotPermittedError, match="InvalidAuthenticationInfo"):
            driver.get(BLOB, limit=9)
    assert cloud.issuer.issued == 2  # it was issued just now: another one would be refused, too


def test_a_token_is_fetched_anew_before_its_end(cloud: Cloud) -> None:
    cloud.issuer.seconds = 120  # less than what azure.identity and this driver want to have left
    driver = cloud.driver()
    driver.put(BLOB, b"content")

    assert driver.get(BLOB, limit=9) == b"content"
    assert cloud.front.shown == [1, 2]

    cloud.issuer.refused_with = 403
    assert driver.get(BLOB, limit=9) == b"content"  # what is there is valid for two minutes
    assert cloud.front.shown == [1, 2, 2]


def test_while_a_token_is_fetched_anew_nobody_waits_who_has_a_valid_one(cloud: Cloud) -> None:
    cloud.issuer.seconds = 120
    driver = cloud.driver()
    driver.put(BLOB, b"content")
    cloud.issuer.held.clear()

    renewing = threading.Thread(target=driver.get, args=(BLOB,), kwargs={"limit": 9})
    renewing.start()
    wait_until("the token is asked for", lambda: cloud.issuer.issued == 2)
    got = driver.get(BLOB, limit=9)
    cloud.issuer.held.set()
    renewing.join()

    assert got == b"content"
    assert cloud.front.shown == [1, 1, 2]


@pytest.mark.parametrize("status", [400, 403, 404])
def test_without_a_token_nothing_is_asked_and_nothing_is_taken_for_missing(cloud: Cloud, status: int) -> None:
    cloud.issuer.refused_with = status

    with pytest.raises(DriverError, match=r"^azure: get [^\n]*: no token of the identity: [^\n]*$") as raised:
        cloud.driver().get(BLOB, limit=9)

    assert not isinstance(raised.value, PathNotFoundError)
    assert not cloud.front.shown


# Keys that the service lends to an identity


def test_a_delegation_key_is_asked_for_once_and_gives_one_blob_to_anybody(cloud: Cloud) -> None:
    driver = cloud.driver()
    upload(driver, b"content")
    driver.put(OTHER, b"not for all")
    asked: list[str] = []

    def watch(method: str, target: str, passed: Callable[[], Answer]) -> None:
        del passed
        asked.append(f"{method} {target}")

    with cloud.front.intercepting(watch):
        urls = [driver.redirect_url(path, method="GET") or "" for path in (BLOB, BLOB, OTHER)]

    assert sum("comp=userdelegationkey" in each for each in asked) <= 1  # a copy has asked already
    context = ssl.create_default_context(cafile=str(cloud.authority.path))
    with urllib.request.urlopen(urls[0], context=context) as answer:
        assert answer.read() == b"content"
    path, _, query = urls[0].partition("?")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{urls[2].partition('?')[0]}?{query}", context=context)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(urls[0], method="DELETE"), context=context)
    assert path.endswith(BLOB)


def test_a_refused_delegation_key_is_not_asked_for_each_time(cloud: Cloud) -> None:
    driver = cloud.driver()
    driver.put(BLOB, b"content")
    asked = []

    def refuse(method: str, target: str, passed: Callable[[], Answer]) -> Answer:
        del method, passed
        asked.append(target)
        return Answer(403, [("x-ms-error-code", "AuthorizationPermissionMismatch")])

    with cloud.front.intercepting(refuse):
        assert driver.redirect_url(BLOB, method="GET") is None
        assert driver.redirect_url(BLOB, method="GET") is None

    assert len(asked) == 1
    assert b"".join(driver.read(BLOB)) == b"content"


# Whose certificates are taken


def test_a_server_of_an_unknown_authority_gets_no_token(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")

    with pytest.raises(UnavailableError, match="certificate verify failed"):
        cloud.driver(max_retries=0).get(BLOB, limit=9)

    assert not cloud.front.shown


def test_with_skipverify_any_certificate_will_do(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    driver = cloud.driver(skipverify=True)

    upload(driver, b"content")

    assert driver.get(BLOB, limit=9) == b"content"


def test_authorities_may_be_a_directory_and_one_that_is_not_there_stops_the_start(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    subprocess.run(["openssl", "rehash", cloud.authority.directory], check=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cloud.authority.directory))
    cloud.driver().put(BLOB, b"content")

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nothing.pem"))
    with pytest.raises(ParameterError, match=r"nothing\.pem"):
        cloud.driver()


def test_a_token_is_not_sent_where_others_can_read_it(cloud: Cloud) -> None:
    with pytest.raises(ParameterError, match=r"^serviceurl: must be https with credentials.type default_credentials"):
        cloud.driver(serviceurl=f"http://localhost:{cloud.front.server_port}/{ACCOUNT}")
