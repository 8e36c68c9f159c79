"""The registry behind each proxy of deploy/: nothing is spooled, no header is lost, Locations lead back."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.api import ACCEPT, OCI_INDEX, OCTET_STREAM, Answer, digest_of, with_digest
from tests.integration.clients import require_program, run
from tests.integration.proxies import Proxy, start_caddy, start_haproxy, start_nginx
from tests.integration.servers import Server, ours
from tests.integration.waiting import wait_until
from tests.server.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.content import Samples

pytestmark = pytest.mark.timeout(300)

PIECE = b"0123456789abcdef" * 65536
PIECES = 24
CONTENT = b"The quick brown fox jumps over the lazy dog. " * 1000
MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
PRESERVED = (
    "Accept-Ranges",
    "Cache-Control",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Docker-Content-Digest",
    "Docker-Distribution-Api-Version",
    "Docker-Upload-UUID",
    "ETag",
    "Range",
)


@dataclass(slots=True)
class Front:
    """A proxy with one registry behind it."""

    proxy: Proxy
    server: Server


@pytest.fixture(scope="module", params=["nginx", "nginx without X-Accel-Redirect", "haproxy", "caddy"])
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    name = request.param.partition(" ")[0]
    directory = tmp_path_factory.mktemp(name)
    settings = {"http": {"accelredirect": {"prefix": "/_registry_blobs"}}} if request.param == "nginx" else {}
    server = Server(ours(), directory / "root", directory, settings=settings)
    proxy = Proxy(name, directory, Authority.create(directory / "authority"))
    try:
        server.start()
        if name == "nginx":
            start_nginx(proxy, [server.host], server.root)
        else:
            {"haproxy": start_haproxy, "caddy": start_caddy}[name](proxy, [server.host])
        yield Front(proxy, server)
        server.stop_cleanly()
    finally:
        proxy.stop()
        if server.is_running():
            server.kill()
        shutil.rmtree(server.root, ignore_errors=True)


def preserved(answer: Answer) -> dict[str, list[str]]:
    return {name: answer.headers.get_all(name, []) for name in PRESERVED}


@pytest.mark.parametrize("length", [{}, {"Content-Length": str(len(PIECE) * PIECES)}], ids=["chunked", "sized"])
def test_an_upload_reaches_the_registry_while_it_is_sent(front: Front, length: dict[str, str]) -> None:
    location = front.proxy.api.begin_upload("front/stream").location
    spooled: list[Path] = []

    def body() -> Iterator[bytes]:
        for number in range(PIECES):
            yield PIECE
            # Two pieces of slack are in the buffers of the sockets, the proxy and the registry.
            wait_until("the registry has the pieces", lambda: stored(number - 8), seconds=20)  # noqa: B023
            spooled.extend(front.proxy.spooled())

    def stored(pieces: int) -> bool:
        uploads = (front.server.root / "docker/registry/v2/repositories/front/stream/_uploads").rglob("*")
        return pieces <= 0 or any(path.stat().st_size >= pieces * len(PIECE) for path in uploads if path.is_file())

    answer = front.proxy.api.request("PATCH", location, body(), {"Content-Type": OCTET_STREAM, **length})
    assert answer.status == 202, answer
    assert spooled == []
    digest = digest_of(PIECE * PIECES)
    assert front.proxy.api.finish_upload(answer.location, digest).status == 201
    assert front.proxy.api.blob("front/stream", digest).body == PIECE * PIECES


def test_a_download_is_not_spooled_for_a_client_that_stalls(front: Front) -> None:
    digest = front.server.api.push_blob("front/slow", PIECE * PIECES)
    connection = front.proxy.api.connect()
    connection.request("GET", f"/v2/front/slow/blobs/{digest}")
    response = connection.getresponse()
    begun = response.read(len(PIECE))
    wait_until("all others are served", lambda: front.proxy.api.get("/v2/").status == 200)
    assert front.proxy.spooled() == []
    assert begun + response.read() == PIECE * PIECES
    connection.close()


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 200),
        ("HEAD", {}, 200),
        ("GET", {"Range": "bytes=10-19"}, 206),
        ("GET", {"Range": "bytes=-7"}, 206),
        ("GET", {"Range": "bytes=44000-"}, 206),
        ("GET", {"If-None-Match": f'"{digest_of(CONTENT)}"'}, 304),
        ("GET", {"If-None-Match": '"other"'}, 200),
        ("GET", {"If-Match": f'"{digest_of(CONTENT)}"'}, 200),
        ("GET", {"If-Match": '"other"'}, 412),
        ("GET", {"If-Range": f'"{digest_of(CONTENT)}"', "Range": "bytes=0-0"}, 206),
        ("GET", {"If-Range": '"other"', "Range": "bytes=0-0"}, 200),
    ],
)
def test_a_blob_has_the_headers_that_it_has_without_the_proxy(
    front: Front, method: str, headers: dict[str, str], status: int
) -> None:
    digest = front.server.api.push_blob("front/blob", CONTENT)
    target = f"/v2/front/blob/blobs/{digest}"
    direct_headers = preserved(front.server.api.request("HEAD", target))
    answer = front.proxy.api.request(method, target, headers=headers)
    assert answer.status == status
    kept = preserved(answer)
    assert kept["Docker-Distribution-Api-Version"] == ["registry/2.0"]
    if status == 412:
        return
    for name in ("Docker-Content-Digest", "ETag", "Cache-Control"):
        assert kept[name] == direct_headers[name], name
    if status != 304:
        # nginx does not send the header with a 206.
        assert kept["Accept-Ranges"] in ([["bytes"], []] if status == 206 else [["bytes"]])
        assert kept["Content-Type"] == [OCTET_STREAM]
    if status == 206:
        first, last = (int(part) for part in kept["Content-Range"][0].split()[1].partition("/")[0].split("-"))
        assert answer.body == CONTENT[first : last + 1]
    elif status == 200:
        assert kept["Content-Length"] == [str(len(CONTENT))]
        assert answer.body == (CONTENT if method == "GET" else b"")


def test_a_range_that_is_not_there_is_416_with_the_size(front: Front) -> None:
    digest = front.server.api.push_blob("front/blob", CONTENT)
    answer = front.proxy.api.get(f"/v2/front/blob/blobs/{digest}", Range="bytes=9999999-")
    assert answer.status == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_manifests_and_errors_keep_their_headers(front: Front, method: str) -> None:
    assert front.proxy.api.put_manifest("front/manifest", "v1", MANIFEST, OCI_INDEX).status == 201
    for target in ("/v2/", "/v2/front/manifest/manifests/v1", "/v2/front/manifest/manifests/v2", "/v2/x/blobs/y"):
        through, direct = (api.request(method, target, headers=ACCEPT) for api in (front.proxy.api, front.server.api))
        assert (through.status, through.body) == (direct.status, direct.body)
        assert preserved(through) == preserved(direct)


def test_locations_have_the_scheme_the_host_and_the_port_of_the_proxy(front: Front) -> None:
    base = f"https://{front.proxy.host}/v2/front/location/"
    begun = front.proxy.api.begin_upload("front/location")
    assert begun.headers["Location"].startswith(f"{base}blobs/uploads/")
    sent = front.proxy.api.send_chunk(begun.location, 0, CONTENT)
    assert sent.headers["Location"].startswith(f"{base}blobs/uploads/")
    digest = digest_of(CONTENT)
    done = front.proxy.api.finish_upload(sent.location, digest)
    assert done.headers["Location"] == f"{base}blobs/{digest}"
    put = front.proxy.api.put_manifest("front/location", "v1", MANIFEST, OCI_INDEX)
    assert put.headers["Location"] == f"{base}manifests/{digest_of(MANIFEST)}"


def test_a_client_cannot_speak_for_the_proxy(front: Front) -> None:
    lies = {
        "Forwarded": "proto=http;host=evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-For": "192.0.2.66",
    }
    begun = front.proxy.api.request("POST", "/v2/front/lies/blobs/uploads/", headers=lies)
    assert begun.headers["Location"].startswith(f"https://{front.proxy.host}/")


def test_many_clients_at_once_push_and_pull(front: Front) -> None:
    failures: list[BaseException] = []

    def push_and_pull(number: int) -> None:
        try:
            content = bytes([number]) * (1 << 20)
            digest = front.proxy.api.push_blob(f"front/many/{number}", content)
            assert front.proxy.api.blob(f"front/many/{number}", digest).body == content
        except BaseException as error:  # noqa: BLE001  a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=push_and_pull, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_skopeo_pushes_and_pulls(front: Front, samples: Samples, tmp_path: Path) -> None:
    skopeo = require_program("skopeo")
    certificates = tmp_path / "certs"
    certificates.mkdir()
    shutil.copy(front.proxy.authority.path, certificates / "ca.crt")
    target = f"docker://{front.proxy.host}/front/skopeo:v1"
    copy = (skopeo, "--insecure-policy", "copy", "--all")
    run(*copy, "--dest-cert-dir", certificates, f"oci:{samples.layout.path}:multi", target)
    run(*copy, "--src-cert-dir", certificates, target, f"oci:{tmp_path}/pulled:v1")


def test_the_state_of_uploads_stays_out_of_the_log(front: Front) -> None:
    if front.proxy.name == "caddy":
        pytest.skip("the log of this proxy is off")
    begun: Any = front.proxy.api.begin_upload("front/log")
    assert front.proxy.api.request("GET", with_digest(begun.location, "x")).status
    wait_until("it is logged", lambda: "/v2/front/log/blobs/uploads/ " in front.proxy.log)
    log = "nginx-access.log" if front.proxy.name == "nginx" else "haproxy.log"
    assert "_state" not in (front.proxy.directory / log).read_text()
