"""TLS in the registry itself, with files that change and clients that show certificates."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.api import Api, digest_of
from tests.integration.clients import finish, require_program, run
from tests.integration.servers import free_port, merged
from tests.integration.waiting import wait_until
from tests.server.tls.authority import Authority, Pair

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.content import Samples

pytestmark = pytest.mark.timeout(300)

CONTENT = b"content " * 500_000
SWAPS = 20
CLIENTS = 3
SLOW_CLIENTS = 300
EXPIRY = "registry_tls_certificate_not_after_timestamp_seconds"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority")


@pytest.fixture
def live(authority: Authority, tmp_path: Path) -> Pair:
    issued, pair = authority.issue("first"), Pair(tmp_path / "domain.crt", tmp_path / "domain.key")
    install(issued, pair)
    return pair


def install(issued: Pair, live: Pair) -> None:
    shutil.copy(issued.certificate, live.certificate)
    shutil.copy(issued.key, live.key)


def with_tls(pair: Pair, **keys: object) -> dict[str, Any]:
    return {"http": {"tls": {"certificate": str(pair.certificate), "key": str(pair.key), **keys}}}


def test_everything_is_served_over_tls_and_locations_say_https(
    start_server: StartServer, authority: Authority, live: Pair
) -> None:
    server = start_server(settings=with_tls(live), tls=authority.trusting_client())
    begun = server.api.begin_upload("tls/one")
    assert begun.headers["Location"].startswith(f"https://{server.host}/v2/tls/one/blobs/uploads/")
    digest = server.api.push_blob("tls/one", CONTENT)
    assert server.api.blob("tls/one", digest).body == CONTENT
    part = server.api.get(f"/v2/tls/one/blobs/{digest}", Range="bytes=5-9")
    assert (part.status, part.body) == (206, CONTENT[5:10])
    assert ", tls" in server.log


def test_a_client_without_tls_is_told_and_one_that_breaks_off_is_no_error(
    start_server: StartServer, authority: Authority, live: Pair
) -> None:
    server = start_server(settings=with_tls(live), tls=authority.trusting_client())
    plain = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    plain.request("GET", "/v2/")
    refusal = plain.getresponse()
    assert refusal.status == 400
    assert b"HTTPS" in refusal.read()
    plain.close()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"\x16\x03\x01")
    with pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(
            socket.create_connection(("127.0.0.1", server.port)), server_hostname="localhost"
        )
    wait_until("the failures are logged", lambda: server.log.count("TLS handshake error from 127.0.0.1") >= 2)
    assert "level=error" not in server.log
    assert server.api.get("/v2/").status == 200


def test_clients_that_never_end_their_handshakes_or_heads_keep_nobody_waiting(
    start_server: StartServer, authority: Authority, live: Pair
) -> None:
    settings = merged(with_tls(live), {"http": {"workers": 1, "headertimeout": "2s"}})
    server = start_server(settings=settings, tls=authority.trusting_client())
    with ExitStack() as opened:
        for number in range(SLOW_CLIENTS):
            client: socket.socket = opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            if number % 2:
                client = opened.enter_context(
                    authority.trusting_client().wrap_socket(client, server_hostname="localhost")
                )
                client.sendall(b"GET /v2/ HTTP/1.1\r\nHost:")
            else:
                client.sendall(b"\x16\x03\x01")
        assert server.api.get("/v2/").status == 200
        client.settimeout(60)
        assert client.recv(1) == b"", "its time was over"
    digest = server.api.push_blob("tls/slow", CONTENT)
    assert server.api.blob("tls/slow", digest).body == CONTENT


def test_certificates_are_swapped_under_load_without_a_failed_handshake(
    start_server: StartServer, authority: Authority, live: Pair
) -> None:
    server = start_server(settings=with_tls(live), tls=authority.trusting_client())
    digest = server.api.push_blob("tls/load", CONTENT)
    kept = server.api.connect()
    kept.request("GET", "/v2/")
    assert kept.getresponse().read() == b"{}"
    swapping = True

    def pull(_: int) -> int:
        pulled = 0
        while swapping:
            answer = server.api.blob("tls/load", digest)
            assert (answer.status, digest_of(answer.body)) == (200, digest)
            pulled += 1
        return pulled

    def served() -> str:
        plain = socket.create_connection(("127.0.0.1", server.port))
        with authority.trusting_client().wrap_socket(plain, server_hostname="localhost") as connection:
            peer: Any = connection.getpeercert()
            return str({key: value for ((key, value),) in peer["subject"]}["commonName"])

    with ThreadPoolExecutor(CLIENTS) as pool:
        pulls = [pool.submit(pull, number) for number in range(CLIENTS)]
        try:
            for number in range(SWAPS):
                name = f"number-{number}"
                install(authority.issue(name), live)
                wait_until(f"{name} is served", lambda name=name: served() == name)  # type: ignore[misc]
        finally:
            swapping = False
        print(f"{sum(each.result() for each in pulls)} pulls during {SWAPS} swaps")

    kept.request("GET", "/v2/")
    assert kept.getresponse().read() == b"{}", "the connection from before has outlived every swap"
    kept.close()


def test_the_end_of_the_certificate_is_a_metric_that_follows_the_files(
    start_server: StartServer, authority: Authority, live: Pair
) -> None:
    debug = Api("127.0.0.1", free_port())
    ends = [datetime.now(UTC).replace(microsecond=0) + timedelta(days=days) for days in (30, 60)]
    install(authority.issue("short", not_after=ends[0]), live)
    settings = merged(
        with_tls(live), {"http": {"debug": {"addr": f"127.0.0.1:{debug.port}", "prometheus": {"enabled": True}}}}
    )
    start_server(settings=settings, tls=authority.trusting_client())

    def told() -> list[float]:
        found = re.findall(
            rf'^{EXPIRY}{{file="{live.certificate}"}} (.*)$', debug.get("/metrics").body.decode(), re.MULTILINE
        )
        return [float(each) for each in found]

    wait_until("the end is told", lambda: told() == [ends[0].timestamp()], seconds=60)
    install(authority.issue("long", not_after=ends[1]), live)
    wait_until("the new one is told, though nobody connects", lambda: told() == [ends[1].timestamp()], seconds=60)


def test_a_bad_new_certificate_keeps_the_old_and_so_does_a_reload(
    start_server: StartServer, authority: Authority, live: Pair
) -> None:
    server = start_server(settings=with_tls(live), tls=authority.trusting_client())
    live.certificate.write_text("no certificate")
    assert server.api.get("/v2/").status == 200
    assert "the old certificate stays in use: http.tls.certificate" in server.log
    os.kill(server.pid, signal.SIGHUP)
    wait_until("the reload is refused", lambda: "the old configuration stays in force" in server.log)
    assert server.api.get("/v2/").status == 200


@pytest.mark.parametrize(
    ("mode", "welcome"),
    [
        ("request-client-cert", {"missing", "good", "foreign", "expired"}),
        ("require-any-client-cert", {"good", "foreign", "expired"}),
        ("verify-client-cert-if-given", {"missing", "good"}),
        ("require-and-verify-client-cert", {"good"}),
    ],
)
def test_clients_are_let_in_by_their_certificates(
    start_server: StartServer, authority: Authority, live: Pair, tmp_path: Path, *, mode: str, welcome: set[str]
) -> None:
    good = authority.issue("client")
    presented = {
        "missing": None,
        "good": good,
        "foreign": Authority.create(tmp_path / "foreign").issue("client"),
        "expired": authority.issue("expired", expired=True),
    }
    settings = with_tls(live, clientcas=[str(authority.path)], clientauth=mode)
    server = start_server(settings=settings, tls=authority.trusting_client(good))
    let_in = set()
    for name, pair in presented.items():
        server.tls = authority.trusting_client(pair)
        try:
            assert server.api.get("/v2/").status == 200
        except OSError:
            continue
        let_in.add(name)
    assert let_in == welcome


def test_authorities_of_clients_are_swapped_under_load_and_let_in_whom_they_say(
    start_server: StartServer, authority: Authority, live: Pair, tmp_path: Path
) -> None:
    accepted, good = tmp_path / "accepted.crt", authority.issue("client")
    shutil.copy(authority.path, accepted)
    server = start_server(settings=with_tls(live, clientcas=[str(accepted)]), tls=authority.trusting_client(good))
    api = server.api
    digest = api.push_blob("tls/clients", CONTENT)
    swapping = True

    def pull(_: int) -> int:
        pulled = 0
        while swapping:
            answer = api.blob("tls/clients", digest)
            assert (answer.status, digest_of(answer.body)) == (200, digest)
            pulled += 1
        return pulled

    def let_in(pair: Pair) -> bool:
        try:
            return Api("127.0.0.1", server.port, authority.trusting_client(pair)).get("/v2/").status == 200
        except OSError:
            return False

    with ThreadPoolExecutor(CLIENTS) as pool:
        pulls = [pool.submit(pull, number) for number in range(CLIENTS)]
        try:
            for number in range(SWAPS // 4):
                other = Authority.create(tmp_path / f"other-{number}")
                guest = other.issue("guest")
                assert not let_in(guest)
                accepted.write_bytes(authority.path.read_bytes() + other.path.read_bytes())
                wait_until("the guest is let in", lambda: let_in(guest), seconds=60)  # noqa: B023
                shutil.copy(authority.path, accepted)
                wait_until("the guest is not, any more", lambda: not let_in(guest), seconds=60)  # noqa: B023
        finally:
            swapping = False
        assert all(each.result() for each in pulls)


def test_skopeo_pushes_and_pulls_with_a_client_certificate_and_not_without(
    start_server: StartServer, authority: Authority, live: Pair, samples: Samples, tmp_path: Path
) -> None:
    skopeo = require_program("skopeo")
    good = authority.issue("client")
    settings = with_tls(live, clientcas=[str(authority.path)])
    server = start_server(settings=settings, tls=authority.trusting_client(good))
    certificates = tmp_path / "certs"
    certificates.mkdir()
    shutil.copy(authority.path, certificates / "ca.crt")
    source, target = f"oci:{samples.layout.path}:amd64", f"docker://{server.host}/tls/skopeo:v1"
    copy = (skopeo, "--insecure-policy", "copy")
    assert finish(*copy, "--dest-cert-dir", certificates, source, target).returncode != 0

    shutil.copy(good.certificate, certificates / "client.cert")
    shutil.copy(good.key, certificates / "client.key")
    run(*copy, "--dest-cert-dir", certificates, source, target)
    run(*copy, "--src-cert-dir", certificates, target, f"oci:{tmp_path}/pulled:v1")
