"""A cache with hundreds of clients that wait for a slow upstream: others notice nothing, and it still ends in time.

With ``-s`` it prints the figures of docs/pull-through.md.
"""

from __future__ import annotations

import http.client
import os
import random
import resource
import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from registry.server.gate import MOST_PARKED
from tests.content import image
from tests.integration.pull_through import MIB, caches, entry, peaks
from tests.integration.waiting import wait_until
from tests.upstreams import Registry, registry
from tests.upstreams.faults import stall

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.servers import Server
    from tests.upstreams.server import Answer, Handler

CLIENTS = int(os.environ.get("PULLED_CLIENTS", "600"))
HITS = 400
SLOWER = 5.0
"""By what factor hits may be slower while so many wait: their threads sleep, and what they cost once is over."""
GROWTH = CLIENTS * MIB // 4
CONTENT = random.Random(5).randbytes(4 * MIB)
HIT = b"what is cached" * 100

pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def upstream() -> Iterator[Registry]:
    with registry() as served:
        yield served


def p99(server: Server, path: str) -> float:
    """Give the seconds within which 99 of 100 hits are answered."""
    connection = http.client.HTTPConnection(server.api.address, server.port, timeout=60)
    taken = []
    for _ in range(HITS):
        began = time.perf_counter()
        connection.request("GET", path)
        assert connection.getresponse().read() == HIT
        taken.append(time.perf_counter() - began)
    connection.close()
    return sorted(taken)[HITS * 99 // 100]


def waiting_clients(server: Server, path: str, count: int, opened: ExitStack) -> list[socket.socket]:
    """Send so many requests, the answers of which nobody reads."""
    clients = []
    for _ in range(count):
        client = opened.enter_context(socket.create_connection((server.api.address, server.port), timeout=60))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        clients.append(client)
    return clients


def test_hits_are_as_fast_as_ever_while_hundreds_wait_for_a_slow_upstream(tmp_path: Path, upstream: Registry) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2 * CLIENTS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * CLIENTS), hard))
    slow, hit = upstream.put_blob("app", CONTENT), upstream.put_blob("app", HIT)
    upstream.misbehave(stall(MIB), method="GET", path=str(slow))
    settings = {"proxies": [entry(upstream.url)], "http": {"draintimeout": "2s"}}
    with caches(tmp_path, settings) as (server,), ExitStack() as opened:
        path = f"/v2/up/app/blobs/{hit}"
        p99(server, path)
        alone = min(p99(server, path) for _ in range(3))
        peaks([server])
        before = peaks([server])

        clients = waiting_clients(server, f"/v2/up/app/blobs/{slow}", CLIENTS, opened)
        heads = [client.recv(12) for client in clients]
        assert heads.count(b"HTTP/1.1 200") >= min(CLIENTS, MOST_PARKED), "each has got what there is"
        among = min(p99(server, path) for _ in range(3))

        grown = max(peak - before.get(pid, peak) for pid, peak in peaks([server]).items())
        print(
            f"\n{CLIENTS} clients wait: hits p99 {among * 1000:.1f} ms, {alone * 1000:.1f} ms without them; "
            f"no process by more than {grown / MIB:.0f} MiB"
        )
        assert among < alone * SLOWER
        assert grown < GROWTH
        assert upstream.count("GET", str(slow)) == 1
        assert server.stop() == 0, "it ends while they wait"
        assert "was sent SIGKILL" not in server.log


def test_a_manifest_that_hundreds_want_of_a_slow_upstream_is_fetched_once(tmp_path: Path, upstream: Registry) -> None:
    upstream.put_manifest("app", image(b"{}"), "v1")
    late = threading.Event()

    def behave(handler: Handler, answer: Answer) -> None:
        late.wait(20)
        handler.send(answer)

    upstream.misbehave(behave, path="/manifests/", times=1)
    settings = {"proxies": [entry(upstream.url)], "http": {"workers": 1}}
    with caches(tmp_path, settings) as (server,), ExitStack() as opened:
        clients = waiting_clients(server, "/v2/up/app/manifests/v1", CLIENTS // 2, opened)
        wait_until("the upstream is asked", lambda: upstream.count("GET", "/manifests/"))
        late.set()
        assert {client.recv(12) for client in clients} == {b"HTTP/1.1 200"}
        assert upstream.count("GET", "/manifests/") == 1
