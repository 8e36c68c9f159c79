"""Certificates from a real ACME server, pebble, with a name server that leads all names here."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from registry.acme.store import Store
from tests.integration.api import Api
from tests.integration.clients import require_module, require_program
from tests.integration.servers import free_port
from tests.integration.waiting import wait_until
from tests.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import StartServer

pytestmark = pytest.mark.timeout(200)

HOST = "registry.example.com"


@dataclass(frozen=True, slots=True)
class Pebble:
    """A running pebble, which looks for challenges on `http_port` and issues short-lived certificates."""

    url: str
    http_port: int
    management: Api

    def root(self) -> str:
        """Give the certificate of the authority, which is another one each time pebble starts."""
        return self.management.get("/roots/0").body.decode()

    def trusting_client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.root())


@contextmanager
def running(log: Path, *command: str | Path, env: dict[str, str] | None = None) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def pebble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pebble]:
    program, challtestsrv = require_program("pebble"), require_program("pebble-challtestsrv")
    require_module("acme")
    authority = Authority.create(tmp_path / "pebble")
    pair = authority.issue("pebble")
    port, management_port, http_port, dns_port, other = (free_port() for _ in range(5))
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
    dns = ("-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", f"127.0.0.1:{dns_port}")
    off = ("-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"127.0.0.1:{free_port()}")
    with ExitStack() as stack:
        stack.enter_context(running(tmp_path / "dns.log", challtestsrv, *dns, *off))
        command = (program, "-config", tmp_path / "pebble.json", "-dnsserver", f"127.0.0.1:{dns_port}")
        stack.enter_context(running(tmp_path / "pebble.log", *command, env={"PEBBLE_VA_NOSLEEP": "1"}))
        wait_until("pebble answers", lambda: answers(management))
        yield Pebble(f"https://localhost:{port}/dir", http_port, management)


def answers(api: Api) -> bool:
    try:
        return api.get("/roots/0").status == 200
    except OSError:
        return False


def serial(port: int, context: ssl.SSLContext) -> str | None:
    """Give the serial number of the certificate that is served, if it is one of pebble's."""
    try:
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        with context.wrap_socket(plain, server_hostname=HOST) as connection:
            peer: Any = connection.getpeercert()
            return str(peer["serialNumber"])
    except OSError:
        return None


def test_pebble_issues_then_renews_and_a_restart_goes_on_with_what_there_is(
    start_server: StartServer, pebble: Pebble, tmp_path: Path
) -> None:
    settings = {
        "http": {
            "tls": {
                "letsencrypt": {
                    "cachefile": str(tmp_path / "acme"),
                    "email": "operator@example.com",
                    "hosts": [HOST],
                    "directoryurl": pebble.url,
                    "httpaddr": f"127.0.0.1:{pebble.http_port}",
                }
            }
        }
    }
    untrusting = ssl.create_default_context()
    untrusting.check_hostname, untrusting.verify_mode = False, ssl.CERT_NONE
    server = start_server(settings=settings, tls=untrusting)
    trusting = pebble.trusting_client()
    wait_until("the first certificate is served", lambda: serial(server.port, trusting), seconds=60)
    first = serial(server.port, trusting)
    wait_until("another one is served", lambda: serial(server.port, trusting) not in {None, first}, seconds=90)
    account = Store(str(tmp_path / "acme")).account_key()

    server.stop_cleanly()
    server.start()
    wait_until("pebble's certificate is served again", lambda: serial(server.port, trusting), seconds=60)
    assert Store(str(tmp_path / "acme")).account_key() == account
    assert "no certificate for" not in server.log
    assert not list((tmp_path / "acme").glob("challenge-*"))
