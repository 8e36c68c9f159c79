"""nginx before two registries on one storage, which are killed, restarted and set up differently."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.integration.api import Api, digest_of
from tests.integration.clients import finish, require_program, run
from tests.integration.proxies import Proxy, start_nginx
from tests.integration.servers import free_port, ours
from tests.integration.storage_tree import faults
from tests.integration.waiting import wait_until
from tests.tls.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.content import Samples
    from tests.integration.engine import Engine
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(600)

CHUNK = bytes(range(256)) * 1024
CHUNKS = 6
CLIENTS = 3
ROUNDS = 3
KILL_EVERY_SECONDS = 3.0
ATTEMPTS = 5
ANOTHER_SECRET = "has another http.secret: uploads that go from one to the other are refused"


@dataclass(slots=True)
class Cluster:
    """Two registries with one root and one secret, and nginx in front of them."""

    proxy: Proxy
    servers: list[Server]
    root: Path
    certificates: Path


@pytest.fixture
def cluster(start_server: StartServer, tmp_path: Path) -> Iterator[Cluster]:
    root = tmp_path / "shared"
    settings = {"http": {"accelredirect": {"prefix": "/_registry_blobs"}, "draintimeout": "30s"}}
    servers = [start_server(ours(), root=root, settings=settings) for _ in range(2)]
    proxy = Proxy("nginx", tmp_path / "proxy", Authority.create(tmp_path / "proxy/authority"))
    certificates = tmp_path / "certs"
    certificates.mkdir()
    shutil.copy(proxy.authority.path, certificates / "ca.crt")
    try:
        yield Cluster(start_nginx(proxy, [server.host for server in servers], root), servers, root, certificates)
    finally:
        proxy.stop()


def push_in_chunks(api: Api, repository: str, seed: int) -> str:
    """Push a blob in requests that go to whatever registry nginx chooses; nothing is tried twice."""
    content = CHUNK * CHUNKS + seed.to_bytes(8, "big")
    location = api.begin_upload(repository).location
    for number in range(CHUNKS):
        answer = api.send_chunk(location, number * len(CHUNK), CHUNK)
        assert answer.status == 202, answer
        location = answer.location
    answer = api.finish_upload(location, digest_of(content), seed.to_bytes(8, "big"))
    assert answer.status == 201, answer
    pulled = api.blob(repository, answer.digest)
    assert (pulled.status, pulled.body) == (200, content), pulled.body[:200]
    return answer.digest


class Meanwhile:
    """Does something again and again in another thread for as long as the block lasts; a failure is the block's."""

    def __init__(self, action: Callable[[threading.Event], None]) -> None:
        self._action = action
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> None:
        self._running = self._pool.submit(self._repeat)

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        self._running.result()

    def _repeat(self) -> None:
        while not self._over.is_set():
            self._action(self._over)


def test_chunks_of_one_upload_go_to_both_registries(cluster: Cluster) -> None:
    digest = push_in_chunks(cluster.proxy.api, "cluster/chunks", 0)
    for server in cluster.servers:
        assert server.api.head(f"/v2/cluster/chunks/blobs/{digest}").status == 200
        assert "PATCH /v2/cluster/chunks/blobs/uploads/" in server.log


def requests(server: Server) -> int:
    return server.log.count("/v2/cluster/")


def failed(clients: list[Future[None]]) -> bool:
    return any(client.done() and client.exception() for client in clients)


def test_a_rolling_restart_fails_no_request(cluster: Cluster) -> None:
    pushed: list[str] = []
    restarted = False

    def push(client: int) -> None:
        number = 0
        while not restarted:
            pushed.append(push_in_chunks(cluster.proxy.api, f"cluster/rolling/{client}", client << 32 | number))
            number += 1

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(push, number) for number in range(CLIENTS)]
        try:
            for _ in range(ROUNDS):
                for server in cluster.servers:
                    server.stop_cleanly()
                    server.start()
                    # The next one may go when nginx has come back to this one.
                    served = requests(server)
                    wait_until("it has work again", lambda: requests(server) > served or failed(clients))  # noqa: B023
        finally:
            restarted = True
        for client in clients:
            client.result()
    print(f"{len(pushed)} blobs in {CHUNKS + 3} requests each during {2 * ROUNDS} restarts")
    assert faults(cluster.root) == []


def test_skopeo_pushes_and_pulls_while_a_registry_is_killed_again_and_again(
    cluster: Cluster, samples: Samples, tmp_path: Path
) -> None:
    skopeo = require_program("skopeo")
    killed = 0

    def kill(over: threading.Event) -> None:
        nonlocal killed
        over.wait(KILL_EVERY_SECONDS)
        cluster.servers[1].kill()
        cluster.servers[1].start()
        killed += 1

    copy = (skopeo, "--insecure-policy", "copy", "--all", "--retry-times", str(ATTEMPTS))
    certificates = ("--dest-cert-dir", cluster.certificates)
    with Meanwhile(kill):
        for number in range(ROUNDS):
            for name in ("debian", "multi"):
                target = f"docker://{cluster.proxy.host}/cluster/{name}{number}:v1"
                run(*copy, *certificates, f"oci:{samples.layout.path}:{name}", target)
                run(*copy, "--src-cert-dir", cluster.certificates, target, f"oci:{tmp_path}/{name}{number}:v1")
    print(f"{2 * ROUNDS} pushes and pulls while a registry was killed {killed} times")
    assert killed
    assert faults(cluster.root) == []


def test_docker_pushes_and_pulls_while_a_registry_is_killed_again_and_again(
    cluster: Cluster, engine: Engine, samples: Samples, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    skopeo = require_program("skopeo")
    run(skopeo, "--insecure-policy", "copy", f"oci:{samples.layout.path}:debian", f"docker-archive:{archive}:debian:1")
    engine.docker("load", "--input", archive)
    failed = 0

    def docker(*arguments: str) -> None:
        """Run docker as an operator would: once more if it fails."""
        nonlocal failed
        for _ in range(ATTEMPTS):
            done = finish(engine.client, "--host", engine.socket, *arguments)
            if done.returncode == 0:
                return
            failed += 1
        pytest.fail(f"{arguments} failed {ATTEMPTS} times: {done.stderr}")

    def kill(over: threading.Event) -> None:
        over.wait(KILL_EVERY_SECONDS)
        cluster.servers[1].kill()
        cluster.servers[1].start()

    image = f"127.0.0.1:{cluster.proxy.port}/cluster/docker:v1"
    engine.docker("tag", "debian:1", image)
    with Meanwhile(kill):
        docker("push", image)
        engine.docker("image", "remove", image, "debian:1")
        docker("pull", image)
    print(f"docker had to be run again {failed} times")
    assert faults(cluster.root) == []


def test_hosts_with_another_secret_are_told_of_in_the_log_and_in_health(
    start_server: StartServer, tmp_path: Path
) -> None:
    root, debug = tmp_path / "shared", free_port()
    start_server(root=root).api.push_blob("cluster/first", b"content")
    wait_until("it has said what it is", lambda: any((root / "registry/cluster").glob("*")), seconds=60)
    other = start_server(
        root=root, secret="another secret", settings={"http": {"debug": {"addr": f"127.0.0.1:{debug}"}}}
    )
    wait_until("the difference is logged", lambda: "has another http.secret" in other.log, seconds=60)
    told = Api("127.0.0.1", debug).get("/debug/health")
    assert (told.status, list(told.json().values())) == (200, [ANOTHER_SECRET])
    assert Api("127.0.0.1", debug).get("/readyz").json() == {}
    agreeing = start_server(root=root, secret="another secret")
    wait_until("that of the first one is logged", lambda: "has another http.secret" in agreeing.log, seconds=60)
    assert agreeing.log.count("has another http.secret") == 1
