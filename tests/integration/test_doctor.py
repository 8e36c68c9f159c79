"""The doctor against real certificates and a real nginx, correct ones and ones with the usual mistakes."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from tests.integration.clients import finish, require_program, run
from tests.integration.pages import PROGRAMS
from tests.integration.proxies import Proxy, start_nginx
from tests.integration.servers import Server, ours
from tests.server.tls.authority import Authority, Pair

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)

USER = ("--user", "alice:alices-password")
QUICK = ("--size", "2", "--pause", "0.6")


@dataclass(frozen=True, slots=True)
class Ward:
    """A registry with users, and the authority that clients trust."""

    server: Server
    authority: Authority
    pair: Pair

    def install(self, pair: Pair) -> None:
        """Give the registry another certificate, which it takes with the next connection."""
        shutil.copy(pair.key, self.pair.key)
        shutil.copy(pair.certificate, self.pair.certificate)


def guarded(directory: Path, http: dict[str, Any]) -> Server:
    htpasswd = directory / "htpasswd"
    htpasswd.write_text(f"alice:{bcrypt.hashpw(b'alices-password', bcrypt.gensalt(4)).decode()}\n")
    settings = {"auth": {"htpasswd": {"realm": "Registry", "path": str(htpasswd)}}, "http": http}
    return Server(ours(), directory / "root", directory, settings=settings)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A registry to put behind nginx."""
    server = guarded(tmp_path_factory.mktemp("plain"), {}).start()
    yield server
    server.stop_cleanly()


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """A registry that serves TLS itself, with a certificate that changes."""
    directory = tmp_path_factory.mktemp("encrypted")
    authority = Authority.create(directory / "authority")
    live = Pair(directory / "domain.crt", directory / "domain.key")
    server = guarded(directory, {"tls": {"certificate": str(live.certificate), "key": str(live.key)}})
    server.tls = authority.trusting_client()
    ward = Ward(server, authority, live)
    ward.install(authority.issue("first"))
    server.start()
    yield ward
    ward.install(authority.issue("last"))
    server.stop_cleanly()


def examine(url: str, authority: Authority, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ("doctor", url, *QUICK, *USER, *arguments)
    return finish(PROGRAMS / "registry", *command, env={"SSL_CERT_FILE": str(authority.path)})


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    """Return what was found by check; the exit status must agree."""
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["healthy"] else 1)
    return {finding["check"]: finding for finding in report["findings"]}


def expiring(authority: Authority) -> Pair:
    return authority.issue("expiring", not_after=datetime.now(UTC) + timedelta(days=10))


def expired(authority: Authority) -> Pair:
    return authority.issue("expired", expired=True)


def of_another_host(authority: Authority) -> Pair:
    pair = Pair(authority.directory / "elsewhere.crt", authority.directory / "elsewhere.key")
    issued = authority.authority.issue_cert("elsewhere.example.com")
    pair.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(pair.key)
    return pair


def self_signed(authority: Authority) -> Pair:
    pair = Pair(authority.directory / "own.crt", authority.directory / "own.key")
    run(
        *(require_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90"),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        *("-keyout", pair.key, "-out", pair.certificate),
    )
    return pair


def test_valid_certificate_is_in_order(encrypted: Ward) -> None:
    encrypted.install(encrypted.authority.issue("valid"))
    done = examine(f"https://localhost:{encrypted.server.port}", encrypted.authority, "--json")
    assert done.returncode == 0
    assert {each["status"] for each in findings(done).values()} == {"ok"}


@pytest.mark.parametrize(
    ("issue", "status", "found"),
    [
        (expiring, "warning", "more days"),
        (expired, "failure", "certificate has expired"),
        (self_signed, "failure", "self-signed certificate"),
        (of_another_host, "failure", "Hostname mismatch"),
    ],
)
def test_certificate_that_clients_will_not_take_is_found(
    encrypted: Ward, issue: Callable[[Authority], Pair], status: str, found: str
) -> None:
    encrypted.install(issue(encrypted.authority))
    done = examine(f"https://localhost:{encrypted.server.port}", encrypted.authority, "--json")
    tls = findings(done)["tls"]
    assert (tls["status"], done.returncode) == (status, 1 if status == "failure" else 0)
    assert found in tls["found"]
    assert tls["advice"]


@pytest.fixture
def nginx(plain: Server, tmp_path: Path) -> Iterator[Callable[[dict[str, str]], Proxy]]:
    proxy = Proxy("nginx", tmp_path, Authority.create(tmp_path / "authority"))
    yield lambda mistakes: start_nginx(proxy, [plain.host], changes=mistakes)
    proxy.stop()


def test_nginx_as_it_should_be_is_in_order(nginx: Callable[[dict[str, str]], Proxy]) -> None:
    proxy = nginx({})
    done = examine(f"https://{proxy.host}", proxy.authority)
    assert done.returncode == 0, done.stdout
    checks = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert set(checks) == {"ok"}
    assert done.stderr == ""


HEADER = "add_header Docker-Distribution-Api-Version $registry_api_version always;"
PAGES = "proxy_intercept_errors on; error_page 404 /404.html; error_page 502"
CONNECTION = 'proxy_set_header Connection "";'


@pytest.mark.parametrize(
    ("line", "made", "check", "status", "advice"),
    [
        ("client_max_body_size 0;", "", "body limit", "failure", "client_max_body_size 0"),
        ("proxy_request_buffering off;", "", "buffering", "warning", "proxy_request_buffering off"),
        ("client_body_timeout 60s;", "client_body_timeout 100ms;", "pause", "failure", "client_body_timeout"),
        ("proxy_set_header X-Forwarded-Proto $scheme;", "", "location", "failure", "X-Forwarded-Proto"),
        ("proxy_set_header Host $http_host;", "proxy_set_header Host $host;", "location", "failure", "Host"),
        (HEADER, "proxy_hide_header Docker-Distribution-Api-Version;", "header on 401", "warning", "headers"),
        (CONNECTION, f"{CONNECTION} proxy_hide_header WWW-Authenticate;", "access", "failure", "headers"),
        (CONNECTION, f'{CONNECTION} proxy_set_header Authorization "";', "login", "failure", "Authorization"),
        (CONNECTION, f'{CONNECTION} proxy_set_header Range ""; max_ranges 0;', "range", "warning", "Range"),
        ("error_page 502", PAGES, "errors", "failure", "errors"),
    ],
)
def test_mistake_in_nginx_is_found(
    nginx: Callable[[dict[str, str]], Proxy], line: str, made: str, check: str, status: str, advice: str
) -> None:
    proxy = nginx({line: made})
    done = examine(f"https://{proxy.host}", proxy.authority, "--json")
    finding = findings(done)[check]
    assert (finding["status"], done.returncode) == (status, 1 if status == "failure" else 0)
    assert advice in finding["advice"]
