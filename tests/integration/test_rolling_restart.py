"""Registries are restarted one after the other under load, and no request fails."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from tests.integration.clusters import CHUNKS, push_in_chunks, running_cluster, shared_bucket, shared_directory
from tests.integration.proxies import start_haproxy, start_nginx
from tests.integration.redis_server import redis_server
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.drivers.s3.servers import S3Server
    from tests.integration.clusters import Cluster
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(600)

CLIENTS = 3
PATIENCE_SECONDS = 120
RETRIES = re.compile(r" \d+/\d+/\d+/\d+/(\S+) \d+/\d+ ")


@contextmanager
def pushing(cluster: Cluster) -> Iterator[Callable[[], bool]]:
    """Have clients push and pull for as long as the block lasts; give what tells whether one has failed already."""
    pushed: list[str] = []
    over = False

    def push(client: int) -> None:
        number = 0
        while not over:
            pushed.append(push_in_chunks(cluster.proxy.api, f"cluster/rolling/{client}", client << 32 | number))
            number += 1

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(push, number) for number in range(CLIENTS)]
        try:
            yield lambda: has_failed(clients)
        finally:
            over = True
        for client in clients:
            client.result()
    print(f"{len(pushed)} blobs in {CHUNKS + 3} requests each")
    assert cluster.shared.faults() == []


def has_failed(clients: list[Future[None]]) -> bool:
    return any(client.done() and client.exception() for client in clients)


def requests(server: Server) -> int:
    return server.log.count("/v2/cluster/")


def restart_one_after_the_other(cluster: Cluster, *, rounds: int) -> None:
    """Restart each as nginx needs it: the next one when nginx has come back to the one before."""
    with pushing(cluster) as failed:
        for _ in range(rounds):
            for server in cluster.servers:
                server.stop_cleanly()
                server.start()
                served = requests(server)
                wait_until("it has work again", lambda: requests(server) > served or failed(), seconds=PATIENCE_SECONDS)  # noqa: B023


def test_no_request_fails_behind_nginx_on_a_shared_directory(tmp_path: Path) -> None:
    root = tmp_path / "shared"
    with running_cluster(tmp_path, shared_directory(root), partial(start_nginx, root=root), {}) as cluster:
        restart_one_after_the_other(cluster, rounds=2)


def test_no_request_fails_behind_nginx_on_a_shared_bucket_with_redis(tmp_path: Path, s3: S3Server) -> None:
    with redis_server(tmp_path) as address:
        settings = {"storage": {"cache": {"blobdescriptor": "redis"}}, "redis": {"addrs": [address]}}
        with running_cluster(tmp_path, shared_bucket(s3, tmp_path / "shared"), start_nginx, settings) as cluster:
            restart_one_after_the_other(cluster, rounds=1)


def test_no_request_has_to_be_tried_twice_behind_haproxy_which_asks_for_readiness(tmp_path: Path) -> None:
    shared = shared_directory(tmp_path / "shared")
    settings = {"http": {"draindelay": "1h", "accelredirect": {"prefix": ""}}}
    with running_cluster(tmp_path, shared, start_haproxy, settings) as cluster:

        def told(number: int, state: str) -> int:
            return cluster.proxy.log.count(f"\nServer registries/s{number} is {state}")

        with pushing(cluster) as failed:
            for number, server in enumerate(cluster.servers):
                down, up = told(number, "DOWN"), told(number, "UP")
                os.kill(server.pid, signal.SIGTERM)
                wait_until("it is out", lambda: told(number, "DOWN") > down or failed(), seconds=PATIENCE_SECONDS)  # noqa: B023
                assert server.api.get("/v2/").status == 200
                server.stop_cleanly()
                server.start()
                wait_until("it is back", lambda: told(number, "UP") > up or failed(), seconds=PATIENCE_SECONDS)  # noqa: B023
        tried = RETRIES.findall(cluster.proxy.log)
        assert len(tried) > CHUNKS
        assert set(tried) == {"0"}
        for server in cluster.servers:
            # The first of two signals; the second ends the delay. Two pending signals of one kind would be merged.
            os.kill(server.pid, signal.SIGTERM)
            wait_until("it has heard it", lambda: server.api.get("/readyz").status == HTTPStatus.SERVICE_UNAVAILABLE)  # noqa: B023
