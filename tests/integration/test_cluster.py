"""nginx in front of two registries on one storage, which are killed, restarted and configured differently."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Self

import pytest

from tests.integration.api import Api
from tests.integration.clients import finish, require_program, run
from tests.integration.clusters import push_in_chunks, running_cluster, shared_bucket, shared_directory
from tests.integration.proxies import start_nginx
from tests.integration.redis_server import redis_server
from tests.integration.servers import free_port
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.drivers.s3.servers import S3Server
    from tests.integration.clusters import Cluster
    from tests.integration.conftest import StartServer
    from tests.integration.content import Samples
    from tests.integration.engine import Engine

pytestmark = pytest.mark.timeout(600)

PUSHES = 2
KILL_EVERY_SECONDS = 3.0
ATTEMPTS = 5
ANOTHER_SECRET = "has another http.secret: uploads that go from one to the other are refused"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


@pytest.fixture(params=["directory", "bucket"])
def cluster(request: pytest.FixtureRequest, s3: S3Server, redis: str, tmp_path: Path) -> Iterator[Cluster]:
    root = tmp_path / tmp_path.name
    shared, start_proxy = (
        (shared_bucket(s3, root), start_nginx)
        if request.param == "bucket"
        else (shared_directory(root), partial(start_nginx, root=root))
    )
    settings = {"storage": {"cache": {"blobdescriptor": "redis"}}, "redis": {"addrs": [redis]}}
    with running_cluster(tmp_path, shared, start_proxy, settings) as running:
        yield running


class Killing:
    """Kills a registry of the cluster again and again for as long as the block lasts, and starts it again."""

    def __init__(self, cluster: Cluster) -> None:
        self.times = 0
        self._victim = cluster.servers[1]
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self._running = self._pool.submit(self._kill)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        self._running.result()

    def _kill(self) -> None:
        while not self._over.wait(KILL_EVERY_SECONDS) or not self.times:
            self._victim.kill()
            self._victim.start()
            self.times += 1


def test_chunks_of_one_upload_go_to_both_registries(cluster: Cluster) -> None:
    digest = push_in_chunks(cluster.proxy.api, "cluster/chunks", 0)
    for server in cluster.servers:
        assert server.api.head(f"/v2/cluster/chunks/blobs/{digest}").status == 200
        assert "PATCH /v2/cluster/chunks/blobs/uploads/" in server.log


def persist(*command: str | Path) -> int:
    """Run a client as an operator would, once more if it fails, and give how often it has failed.

    docker and skopeo try again by themselves, but not when a proxy says 502 in the middle of a chunk.
    """
    for failed in range(ATTEMPTS):
        done = finish(*command)
        if done.returncode == 0:
            return failed
    pytest.fail(f"{command} failed {ATTEMPTS} times: {done.stderr}")


def test_skopeo_pushes_and_pulls_while_a_registry_is_killed_again_and_again(
    cluster: Cluster, samples: Samples, tmp_path: Path
) -> None:
    skopeo = require_program("skopeo")
    copy = (skopeo, "--insecure-policy", "copy", "--all", "--retry-times", str(ATTEMPTS))
    failed = 0
    with Killing(cluster) as killing:
        for number in range(PUSHES):
            for name in ("debian", "multi"):
                target = f"docker://{cluster.proxy.host}/cluster/{name}{number}:v1"
                source = f"oci:{samples.layout.path}:{name}"
                failed += persist(*copy, "--dest-cert-dir", cluster.certificates, source, target)
                pulled = f"oci:{tmp_path}/{name}{number}:v1"
                failed += persist(*copy, "--src-cert-dir", cluster.certificates, target, pulled)
    print(f"skopeo had to be run again {failed} times while a registry was killed {killing.times} times")
    assert cluster.shared.faults() == []


def test_docker_pushes_and_pulls_while_a_registry_is_killed_again_and_again(
    cluster: Cluster, engine: Engine, samples: Samples, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    skopeo = require_program("skopeo")
    run(skopeo, "--insecure-policy", "copy", f"oci:{samples.layout.path}:debian", f"docker-archive:{archive}:debian:1")
    engine.docker("load", "--input", archive)
    docker = (engine.client, "--host", engine.socket)
    image = f"127.0.0.1:{cluster.proxy.port}/cluster/docker:v1"
    engine.docker("tag", "debian:1", image)
    with Killing(cluster) as killing:
        failed = persist(*docker, "push", image)
        engine.docker("image", "remove", image, "debian:1")
        failed += persist(*docker, "pull", image)
    engine.docker("image", "remove", image)
    print(f"docker had to be run again {failed} times while a registry was killed {killing.times} times")
    assert cluster.shared.faults() == []


def test_hosts_with_another_secret_are_told_of_in_the_log_and_in_health(
    start_server: StartServer, tmp_path: Path
) -> None:
    root, debug = tmp_path / "shared", Api("127.0.0.1", free_port())
    start_server(root=root).api.push_blob("cluster/first", b"content")
    wait_until("it has said what it is", lambda: any((root / "registry/cluster").glob("*")), seconds=60)
    settings = {"http": {"debug": {"addr": f"127.0.0.1:{debug.port}"}}}
    other = start_server(root=root, secret="another secret", settings=settings)
    wait_until("the difference is logged", lambda: "has another http.secret" in other.log, seconds=60)
    assert told_by_health(debug) == [ANOTHER_SECRET]
    assert debug.get("/readyz").json() == {}
    agreeing = start_server(root=root, secret="another secret")
    wait_until("that of the first one is logged", lambda: "has another http.secret" in agreeing.log, seconds=60)
    assert agreeing.log.count("has another http.secret") == 1


def told_by_health(debug: Api) -> list[str]:
    """Wait until the debug server reports it, which is a moment after the log."""
    wait_until("health tells it", lambda: debug.get("/debug/health").json(), seconds=60)
    answer = debug.get("/debug/health")
    assert answer.status == 200
    return list(answer.json().values())
