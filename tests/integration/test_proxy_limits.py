"""What clients may have and how long they may stand still at the proxies of deploy/; others are served beside them."""

from __future__ import annotations

import http.client
import shutil
import socket
import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from tests.integration.proxies import Proxy, short_deadlines, start_haproxy, start_nginx
from tests.integration.raw_socket import head
from tests.integration.servers import Server, ours
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)

MOST_CONNECTIONS = 20
MOST_REQUESTS = 40
SMALL_LIMITS = {
    "nginx": {
        "limit_conn registry_connections 512;": f"limit_conn registry_connections {MOST_CONNECTIONS};",
        "rate=500r/s;": "rate=1r/s;",
        "burst=5000 nodelay;": f"burst={MOST_REQUESTS} nodelay;",
    },
    "haproxy": {
        "sc_conn_cur(0) gt 512": f"sc_conn_cur(0) gt {MOST_CONNECTIONS}",
        "sc_http_req_rate(0) gt 10000": f"sc_http_req_rate(0) gt {MOST_REQUESTS}",
    },
}
DEADLINE_SECONDS = 2
GREEDY, OTHER = "127.0.0.66", "127.0.0.2"


@pytest.fixture(params=["nginx", "haproxy"])
def proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy with small limits; each test has its own, because addresses are remembered."""
    name = request.param
    directory = tmp_path_factory.mktemp(name)
    server = Server(ours(), directory / "root", directory)
    made = Proxy(name, directory, Authority.create(directory / "authority"))
    try:
        server.start()
        {"nginx": start_nginx, "haproxy": start_haproxy}[name](made, [server.host], changes=SMALL_LIMITS[name])
        yield made
        server.stop_cleanly()
    finally:
        made.stop()
        if server.is_running():
            server.kill()
        shutil.rmtree(server.root, ignore_errors=True)


def connect(proxy: Proxy, address: str, opened: ExitStack) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", proxy.port), 20, source_address=(address, 0))
    client = proxy.authority.trusting_client().wrap_socket(plain, server_hostname="localhost")
    return opened.enter_context(client)


def ask(proxy: Proxy, address: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPSConnection(
        "localhost", proxy.port, timeout=20, source_address=(address, 0), context=proxy.authority.trusting_client()
    )
    try:
        connection.request("GET", "/v2/")
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_an_address_with_too_many_requests_is_told_so_and_another_is_served(proxy: Proxy) -> None:
    answers = [ask(proxy, GREEDY) for _ in range(MOST_REQUESTS + 10)]

    status, headers, body = answers[-1]
    assert status == 429
    assert headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert headers["Content-Type"] == "application/json"
    assert int(headers["Retry-After"]) > 0
    assert b'"code":"TOOMANYREQUESTS"' in body
    assert answers[0][0] == 200
    assert ask(proxy, OTHER)[0] == 200


def test_an_address_with_too_many_connections_gets_no_more_and_another_is_served(proxy: Proxy) -> None:
    locations = [proxy.api.begin_upload("limits/connections").location for _ in range(MOST_CONNECTIONS)]
    with ExitStack() as opened:
        for location in locations:
            # nginx counts a connection from the end of a request's head on.
            slow = head("PATCH", location, "Content-Type: application/octet-stream", "Content-Length: 1000")
            connect(proxy, GREEDY, opened).sendall(slow.encode())
        # So that all of them are counted.
        assert ask(proxy, OTHER)[0] == 200

        assert not served(proxy, GREEDY)
        assert ask(proxy, OTHER)[0] == 200
    deadline = time.monotonic() + 20
    while not served(proxy, GREEDY):
        assert time.monotonic() < deadline, "the connections have ended"
        time.sleep(0.1)


class SlowToCommit(BaseHTTPRequestHandler):
    """A registry that takes long to complete an upload, as with a large one on an object store."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(3 * DEADLINE_SECONDS)
        self._answer(201)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.mark.parametrize(("name", "start"), [("nginx", start_nginx), ("haproxy", start_haproxy)])
def test_an_answer_may_take_longer_than_clients_may_stand_still(
    name: str, start: Callable[..., Proxy], tmp_path: Path
) -> None:
    made = Proxy(name, tmp_path, Authority.create(tmp_path / "authority"))
    with ThreadingHTTPServer(("127.0.0.1", 0), SlowToCommit) as registry:
        threading.Thread(target=registry.serve_forever).start()
        try:
            start(made, [f"127.0.0.1:{registry.server_port}"], changes=short_deadlines(name, DEADLINE_SECONDS))
            assert made.api.request("PUT", "/v2/slow/commit", b"the last chunk").status == 201
        finally:
            made.stop()
            registry.shutdown()


def served(proxy: Proxy, address: str) -> bool:
    try:
        return ask(proxy, address)[0] == 200
    except OSError:
        # HAProxy closes such a connection before it has spent a handshake on it.
        return False
