"""Certificates from a real ACME server, pebble, with a name server that resolves all names to this machine."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from registry.server.acme.ondemand import HANDSHAKE_SECONDS
from registry.server.acme.store import Store
from tests.integration.api import Api
from tests.integration.clients import require_module, require_program
from tests.integration.name_server import name_server, running
from tests.integration.servers import free_port, merged
from tests.integration.waiting import wait_until
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(400)

HOST = "registry.example.com"
NAMES = ["other.example.com", HOST]
PATIENCE_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Pebble:
    """A running pebble, which looks for challenges on `http_port` and issues short-lived certificates."""

    url: str
    http_port: int
    management: Api
    log: Path

    def root(self) -> str:
        """Give the certificate of the authority, which is new each time pebble starts."""
        return self.management.get("/roots/0").body.decode()

    def trusting_client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.root())


@pytest.fixture
def pebble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pebble]:
    program = require_program("pebble")
    require_module("acme")
    authority = Authority.create(tmp_path / "pebble")
    pair = authority.issue("pebble")
    port, management_port, http_port, other = (free_port() for _ in range(4))
    config = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{management_port}",
        "certificate": str(pair.certificate),
        "privateKey": str(pair.key),
        "httpPort": http_port,
        "tlsPort": other,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
        "certificateValidityPeriod": 30,
    }
    (tmp_path / "pebble.json").write_text(json.dumps({"pebble": config}))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.path))
    management = Api("127.0.0.1", management_port, authority.trusting_client())
    with ExitStack() as stack:
        names = stack.enter_context(name_server(tmp_path))
        command = (program, "-config", tmp_path / "pebble.json", "-dnsserver", names)
        # Three in ten requests are refused for their nonce, so every order meets some that are.
        environ = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "30"}
        stack.enter_context(running(tmp_path / "pebble.log", *command, env=environ))
        wait_until("pebble answers", lambda: answers(management))
        yield Pebble(f"https://localhost:{port}/dir", http_port, management, tmp_path / "pebble.log")


def answers(api: Api, path: str = "/roots/0", status: int = 200) -> bool:
    try:
        return api.get(path).status == status
    except OSError:
        return False


def named(port: int, context: ssl.SSLContext, name: str) -> str:
    """Shake hands with the registry as `name`, and give the serial number of its certificate."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=30)
    with context.wrap_socket(plain, server_hostname=name) as connection:
        peer: Any = connection.getpeercert()
        return str(peer["serialNumber"])


def serial(port: int, context: ssl.SSLContext, name: str = HOST) -> str | None:
    """Give the serial number of the certificate that is served for `name`, if it is a valid one of pebble's."""
    try:
        return named(port, context, name)
    except OSError:
        return None


def awaited(port: int, context: ssl.SSLContext, name: str) -> str:
    """Do as named(), again if need be; a handshake that had no certificate must have waited as long as it may."""
    while True:
        began = time.monotonic()
        try:
            return named(port, context, name)
        except ssl.SSLError:
            assert time.monotonic() - began >= HANDSHAKE_SECONDS


def issued_to_all(servers: list[Server], context: ssl.SSLContext, seen: set[str], name: str = HOST) -> str:
    """Wait until all serve the same certificate of pebble's for `name`, none of those `seen`; give its serial."""
    served: set[str | None] = set()

    def agree() -> bool:
        served.clear()
        served.update(serial(server.port, context, name) for server in servers)
        return len(served) == 1 and not served & {None, *seen}

    wait_until("all serve a new certificate", agree, seconds=PATIENCE_SECONDS)
    return str(*served)


def settings(pebble: Pebble, directory: Path, challenge_port: int) -> dict[str, Any]:
    letsencrypt = {
        "cachefile": str(directory),
        "email": "operator@example.com",
        "hosts": [HOST],
        "directoryurl": pebble.url,
        "httpaddr": f"127.0.0.1:{challenge_port}",
    }
    return {"http": {"tls": {"letsencrypt": letsencrypt}}}


@pytest.fixture
def untrusting() -> ssl.SSLContext:
    """A client that only asks whether the registry serves."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_pebble_issues_then_renews_and_a_restart_goes_on_with_what_there_is(
    start_server: StartServer, pebble: Pebble, tmp_path: Path, untrusting: ssl.SSLContext
) -> None:
    directory = tmp_path / "acme"
    debug = Api("127.0.0.1", free_port())
    metrics = {"http": {"debug": {"addr": f"127.0.0.1:{debug.port}", "prometheus": {"enabled": True}}}}
    server = start_server(settings=merged(settings(pebble, directory, pebble.http_port), metrics), tls=untrusting)
    trusting = pebble.trusting_client()
    first = issued_to_all([server], trusting, seen=set())
    issued_to_all([server], trusting, seen={first})
    account = Store(str(directory)).account_key()
    wait_until("the metric is that of the file", lambda: told_end(debug) == stored_end(directory), seconds=60)

    server.stop_cleanly()
    server.start()
    issued_to_all([server], trusting, seen=set())
    assert Store(str(directory)).account_key() == account
    assert "no certificate for" not in server.log
    assert not list(directory.glob("challenge-*"))


def told_end(debug: Api) -> float:
    (line,) = re.findall(r"^registry_tls_certificate_not_after_timestamp_seconds{.*} (.*)$", text(debug), re.MULTILINE)
    return float(line)


def text(debug: Api) -> str:
    return debug.get("/metrics").body.decode()


def stored_end(directory: Path) -> float:
    return x509.load_pem_x509_certificate((directory / "registry.pem").read_bytes()).not_valid_after_utc.timestamp()


def test_of_two_hosts_that_share_the_directory_one_orders_and_both_serve_what_comes(
    start_server: StartServer, pebble: Pebble, tmp_path: Path, untrusting: ssl.SSLContext
) -> None:
    directory = tmp_path / "acme"
    trusting = pebble.trusting_client()
    # The ACME server asks the first host, whichever host has ordered.
    servers = [
        start_server(settings=settings(pebble, directory, port), tls=untrusting)
        for port in (pebble.http_port, free_port())
    ]
    first = issued_to_all(servers, trusting, seen=set())
    issued_to_all(servers, trusting, seen={first})
    for server in servers:
        server.stop_cleanly()
        assert "no certificate for" not in server.log
    # A line that repeats is written once, and then with a count.
    told = r"(?:(\d+) more in the last \d+ s: )?there is a new certificate for"
    ordered = [int(count or 1) for server in servers for count in re.findall(told, server.log)]
    assert sum(ordered) == pebble.log.read_text().count("Issued certificate serial")


def test_without_hosts_the_first_handshake_for_any_name_waits_for_its_certificate(
    start_server: StartServer, pebble: Pebble, tmp_path: Path, untrusting: ssl.SSLContext
) -> None:
    directory = tmp_path / "acme"
    anyone = merged(settings(pebble, directory, pebble.http_port), {"http": {"tls": {"letsencrypt": {"hosts": []}}}})
    server = start_server(settings=anyone, tls=untrusting)
    trusting = pebble.trusting_client()
    wait_until("challenges are answered", lambda: answers(Api("127.0.0.1", pebble.http_port), "/none", 404))

    first, second = (awaited(server.port, trusting, name) for name in NAMES)
    assert first != second
    wait_until("it is served in any spelling", lambda: serial(server.port, trusting, HOST.upper()))
    assert "hosts is empty" in server.log
    assert f"listening on 127.0.0.1:{server.port}, tls" in server.log

    # Nobody can have one for these: the client is shown that there is none.
    for name in ("localhost", "registry", "127.0.0.1", "a_b.example.com"):
        with pytest.raises(ssl.SSLCertVerificationError, match="self-signed"):
            named(server.port, trusting, name)
    assert Store(str(directory)).names() == NAMES

    server.stop_cleanly()
    server.start()
    for name in NAMES:
        kept = issued_to_all([server], trusting, seen=set(), name=name)
        issued_to_all([server], trusting, seen={kept}, name=name)
    assert "no certificate for" not in server.log
    assert not list(directory.glob("challenge-*"))
