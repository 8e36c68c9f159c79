"""Two servers over one storage share a redis that dies, hangs and comes back while clients push and pull."""

from __future__ import annotations

import itertools
import json
import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.api import Api, digest_of
from tests.integration.servers import free_port, ours
from tests.integration.storage_tree import faults
from tests.integration.waiting import wait_until
from tests.redis.server import RedisServer, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(900)

CLIENTS = 4
WORKERS = 2
SECONDS = 120
PASSWORD = "p@ss:w/ö\"r'd %&=#?"
WARNING = re.compile(r'^time=\S+ level=warning msg="redis 127\.0\.0\.1:\d+: .*storage is asked instead"', re.MULTILINE)


@dataclass(slots=True)
class Host:
    """A registry and its debug server."""

    server: Server
    debug_port: int

    @property
    def api(self) -> Api:
        return self.server.api

    def health(self, path: str) -> tuple[int, dict[str, str]]:
        answer = Api("127.0.0.1", self.debug_port).get(path)
        return answer.status, answer.json()

    def counted(self, name: str, **labels: str) -> float:
        """Return the sum of the samples called `name` that have `labels`."""
        text = Api("127.0.0.1", self.debug_port).get("/metrics").body.decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@dataclass(slots=True)
class Traffic:
    """What clients do all the time; the first answer that is wrong ends it."""

    hosts: list[Host]
    rounds: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, client: int) -> None:
        seed = random.Random(client)
        try:
            for number in itertools.count():
                if self.ended.is_set():
                    return
                self._round(f"redis/{client}-{number % 5}", seed)
                with self._lock:
                    self.rounds += 1
        finally:
            self.ended.set()

    def _round(self, repository: str, seed: random.Random) -> None:
        one, two = seed.sample([host.api for host in self.hosts], 2)
        content = seed.randbytes(seed.randint(1, 40_000))
        digest = one.push_blob(repository, content)
        for api in (two, one, two):
            head = api.head(f"/v2/{repository}/blobs/{digest}")
            assert (head.status, head.headers["Content-Length"]) == (200, str(len(content)))
            assert api.blob(repository, digest).body == content
            assert api.head(f"/v2/{repository}/elsewhere/blobs/{digest}").status == 404
        assert two.put_manifest(repository, "latest", manifest(digest, len(content))).status == 201
        if seed.random() < 0.5:
            assert one.delete(f"/v2/{repository}/blobs/{digest}").status == 202
            for api in (two, one):
                assert api.head(f"/v2/{repository}/blobs/{digest}").status == 404
                assert api.blob(repository, digest).status == 404
            # What names the blob must not stay behind without it.
            found = two.manifest(repository, "latest")
            if found.status == 200:
                two.delete(f"/v2/{repository}/manifests/{digest_of(found.body)}")

    def goes_on(self, rounds: int = 10) -> None:
        """Return when so many more rounds were right."""
        wanted = self.rounds + rounds
        wait_until("more was pushed and pulled", lambda: self.ended.is_set() or self.rounds >= wanted, seconds=SECONDS)
        assert not self.ended.is_set()


def manifest(config: str, size: int) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": size},
        "layers": [],
    }
    return json.dumps(document).encode()


def start_host(start_server: StartServer, root: Path, redis: RedisServer) -> Host:
    port = free_port()
    settings: dict[str, Any] = {
        "storage": {"cache": {"blobdescriptor": "redis"}},
        "redis": {"addrs": [redis.addr], "password": PASSWORD},
        "http": {"workers": WORKERS, "debug": {"addr": f"127.0.0.1:{port}", "prometheus": {"enabled": True}}},
    }
    return Host(start_server(ours(), root=root, settings=settings), port)


def hits_again(host: Host) -> None:
    before = host.counted("registry_storage_cache_hits_total")
    wait_until(
        "redis is of use", lambda: host.counted("registry_storage_cache_hits_total") > before + 10, seconds=SECONDS
    )


def outage(hosts: list[Host], traffic: Traffic, begin: Callable[[], None], end: Callable[[], object]) -> None:
    """Make redis unusable for a while: health and metrics say so, and nothing else changes."""
    begin()
    for host in hosts:
        wait_until("it is told", lambda host=host: "redis" in host.health("/debug/health")[1], seconds=SECONDS)  # type: ignore[misc]
        assert host.health("/debug/health")[0] == host.health("/readyz")[0] == 200
        assert set(host.health("/readyz")[1]) == {"redis"}
    traffic.goes_on()
    end()
    for host in hosts:
        wait_until("it is well", lambda host=host: host.health("/debug/health") == (200, {}), seconds=SECONDS)  # type: ignore[misc]
        hits_again(host)
    traffic.goes_on()


def test_redis_that_dies_and_hangs_changes_no_answer(start_server: StartServer, tmp_path: Path) -> None:
    redis, root = RedisServer(tmp_path / "redis", password=PASSWORD), tmp_path / "shared"
    began = time.monotonic()
    with running(redis), ThreadPoolExecutor(CLIENTS) as pool:
        hosts = [start_host(start_server, root, redis) for _ in range(2)]
        traffic = Traffic(hosts)
        clients = [pool.submit(traffic.run, number) for number in range(CLIENTS)]
        try:
            traffic.goes_on()
            for host in hosts:
                hits_again(host)
            outage(hosts, traffic, redis.kill, redis.start)
            outage(hosts, traffic, redis.hang, redis.go_on)
        finally:
            traffic.ended.set()
            for client in clients:
                client.result()
    minutes = int((time.monotonic() - began) / 60)

    for host in hosts:
        assert host.counted("registry_storage_cache_errors_total") > 0
        assert host.counted("registry_storage_cache_redis_seconds_count", operation="Stat") > 0
        failed = [f"5{tail:02}" for tail in range(100)]
        assert sum(host.counted("registry_http_requests_total", code=code) for code in failed) == 0
        assert 1 <= len(WARNING.findall(host.server.log)) <= WORKERS * (minutes + 1)
        assert "answers again" in host.server.log
        assert PASSWORD not in host.server.log
        assert "Traceback" not in host.server.log
        print(
            f"{traffic.rounds} rounds, {host.counted('registry_storage_cache_hits_total'):g} of "
            f"{host.counted('registry_storage_cache_requests_total'):g} found, "
            f"{host.counted('registry_storage_cache_errors_total'):g} errors, "
            f"{len(WARNING.findall(host.server.log))} warnings"
        )
    assert faults(root) == []


def test_registry_starts_without_its_redis_and_finds_it_later(start_server: StartServer, tmp_path: Path) -> None:
    redis = RedisServer(tmp_path / "redis", password=PASSWORD)
    host = start_host(start_server, tmp_path / "root", redis)
    digest = host.api.push_blob("a", b"content")
    assert host.api.head(f"/v2/a/blobs/{digest}").status == 200
    wait_until("it is said", lambda: WARNING.search(host.server.log), seconds=SECONDS)

    with running(redis):

        def found() -> bool:
            assert host.api.blob("a", digest).body == b"content"
            return host.counted("registry_storage_cache_hits_total") > 0

        wait_until("redis is of use", found, seconds=SECONDS)
