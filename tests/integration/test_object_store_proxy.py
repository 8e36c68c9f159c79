"""nginx fetches blobs by presigned URLs: from SeaweedFS, and from a fake store that checks its requests."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.serving import make_server

from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.services import build_services
from tests.config.forms import configure
from tests.drivers.s3.servers import seaweedfs
from tests.integration.api import OCTET_STREAM, Api
from tests.integration.clients import require_seaweedfs
from tests.integration.name_server import name_server
from tests.integration.proxies import Proxy, start_nginx
from tests.integration.servers import Server, free_port, ours
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)

CONTENT = bytes(range(256)) * 4096
SIGNATURE = "a+b/c=&"
CONFIGURATION = """
storage: {inmemory: {}, redirect: {disable: true}}
http: {accelredirect: {prefix: /_registry_blobs}, secret: secret}
"""


class _Driver(InMemoryDriver):
    """Objects in memory, with URLs in a store that serves them."""

    store_port = 0

    def redirect_url(self, path: str, *, method: str, client: str = "") -> str | None:
        del client
        assert method == "GET"
        return f"http://127.0.0.1:{self.store_port}/bucket{path}?X-Amz-Signature=a%2Bb%2Fc%3D%26&X-Amz-Expires=60"


@dataclass(slots=True)
class Store:
    """What the store was asked."""

    requests: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def driver() -> _Driver:
    return _Driver()


@pytest.fixture
def store(driver: _Driver) -> Iterator[Store]:
    asked = Store()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.requests.append(dict(self.headers.items()))
            parts = urlsplit(self.path)
            content = driver.get(parts.path.removeprefix("/bucket"), limit=1 << 30)
            allowed = parse_qs(parts.query)["X-Amz-Signature"] == [SIGNATURE] and "Authorization" not in self.headers
            first, last = 0, len(content) - 1
            if wanted := self.headers.get("Range"):
                first, last = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
            self.send_response(403 if not allowed else 206 if wanted else 200)
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Content-Type", OCTET_STREAM)
            self.send_header("ETag", '"of the store"')
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("x-amz-request-id", "none of the client's business")
            if wanted:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            self.end_headers()
            self.wfile.write(content[first : last + 1])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    driver.store_port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def registry(driver: _Driver) -> Iterator[Api]:
    app = create_app(build_services(configure(CONFIGURATION, base="version: 0.1\n"), driver=driver))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Api("127.0.0.1", server.server_port)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def front(registry: Api, tmp_path: Path) -> Iterator[Api]:
    proxy = Proxy("nginx", tmp_path, Authority.create(tmp_path / "authority"))
    try:
        yield start_nginx(proxy, [f"127.0.0.1:{registry.port}"]).api
    finally:
        proxy.stop()


def test_nginx_fetches_a_blob_by_its_presigned_url(front: Api, store: Store) -> None:
    digest = front.push_blob("store/blob", CONTENT)
    target = f"/v2/store/blob/blobs/{digest}"
    answer = front.request("GET", target, headers={"Authorization": "Basic eDp5", "Cookie": "a=b"})
    assert (answer.status, answer.body) == (200, CONTENT)
    for name, expected in {
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Docker-Distribution-Api-Version": "registry/2.0",
        "Accept-Ranges": "bytes",
        "Content-Type": OCTET_STREAM,
        "Cache-Control": "max-age=31536000",
    }.items():
        assert answer.headers.get_all(name) == [expected]
    assert "x-amz-request-id" not in answer.headers
    (asked,) = store.requests
    assert not asked.keys() & {"Authorization", "Cookie"}


def test_ranges_are_the_stores_and_conditions_the_registrys(front: Api, store: Store) -> None:
    digest = front.push_blob("store/blob", CONTENT)
    target = f"/v2/store/blob/blobs/{digest}"
    part = front.get(target, Range="bytes=100-199")
    assert (part.status, part.body) == (206, CONTENT[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(CONTENT)}"
    assert len(store.requests) == 1
    assert front.get(target, If_None_Match=f'"{digest}"').status == 304
    assert front.head(target).headers["Content-Length"] == str(len(CONTENT))
    assert front.get(target, If_Range=f'"{digest}"', Range="bytes=0-1").body == CONTENT[:2]
    assert front.get(target, If_Match='"other"').status == 412
    assert len(store.requests) == 1


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "authority")


@pytest.fixture
def before_bucket(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A registry with a bucket that is reached over TLS, with a certificate of `authority`."""
    require_seaweedfs()
    pair, port = authority.issue("store"), free_port()
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.path))
    secured = (f"-s3.cert.file={pair.certificate}", f"-s3.key.file={pair.key}", f"-s3.port.https={port}")
    data = tmp_path / "seaweedfs"
    data.mkdir()
    with seaweedfs(data, *secured) as plain:
        storage = {
            "s3": replace(plain, endpoint=f"https://localhost:{port}").parameters("tls"),
            "redirect": {"disable": True},
        }
        settings = {"http": {"accelredirect": {"prefix": "/_registry_blobs"}}}
        server = Server(ours(), tmp_path / "none", tmp_path, settings=settings, storage=storage)
        try:
            yield server.start()
            server.stop_cleanly()
        finally:
            if server.is_running():
                server.kill()


def test_nginx_fetches_over_tls_from_a_store_whose_authority_it_trusts_and_from_no_other(
    before_bucket: Server, authority: Authority, tmp_path: Path
) -> None:
    digest = before_bucket.api.push_blob("store/tls", CONTENT)
    target = f"/v2/store/tls/blobs/{digest}"
    sent_to = before_bucket.api.get(target).headers["X-Accel-Redirect"]
    assert sent_to.startswith("/_registry_blobs/https/localhost:")

    trusting = Proxy("nginx", tmp_path / "trusting", authority)
    other = Proxy("nginx", tmp_path / "other", Authority.create(tmp_path / "other/authority"))
    trusting.directory.mkdir()
    with name_server(tmp_path) as resolver:
        try:
            for proxy in (trusting, other):
                start_nginx(proxy, [before_bucket.host], resolver=f"{resolver} ipv6=off")
            answer = trusting.api.get(target)
            assert (answer.status, answer.body) == (200, CONTENT), trusting.log
            assert answer.digest == digest
            part = trusting.api.get(target, Range="bytes=100-199")
            assert (part.status, part.body) == (206, CONTENT[100:200])

            refused = other.api.get(target)
            assert (refused.status, refused.json()["errors"][0]["code"]) == (502, "UNAVAILABLE")
            assert "SSL certificate verify error" in other.log
        finally:
            for proxy in (trusting, other):
                proxy.stop()
