"""Blobs of an upstream through real servers: one request for all clients of two hosts, also when a worker is killed."""

from __future__ import annotations

import os
import random
import signal
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import IncompleteRead
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.oci.digest import Digest
from registry.storage import paths
from tests.integration.waiting import wait_until
from tests.upstreams import Registry, faults, registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import StartServer
    from tests.integration.servers import Server

CONTENT = random.Random(14).randbytes(24 * 1024 * 1024 + 5)
CLIENTS = 64


@pytest.fixture
def remote() -> Iterator[Registry]:
    with registry() as served:
        yield served


def start_two(start_server: StartServer, remote: Registry) -> list[Server]:
    """Start two hosts of one storage."""
    entry = {"name": "hub", "remoteurl": remote.url}
    return [start_server(settings={"proxies": [entry]}) for _ in range(2)]


def pull(server: Server, digest: Digest) -> str:
    """Give the digest of what a client gets; "" if that breaks off."""
    try:
        with urllib.request.urlopen(f"{server.url}/v2/hub/app/blobs/{digest}", timeout=90) as answer:
            return str(Digest.of(answer.read()))
    except (IncompleteRead, ConnectionResetError):
        return ""


def ranges(remote: Registry) -> list[str | None]:
    return [each.headers.get("range") for each in remote.asked if each.method == "GET" and "/blobs/" in each.path]


def holder_of(file: Path) -> int:
    """Give the process that has locked a file (proc_locks(5))."""
    inode = f":{file.stat().st_ino}"
    locks = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return next(int(lock[4]) for lock in locks if lock[1] != "->" and lock[5].endswith(inode))


def test_clients_of_two_hosts_have_a_blob_fetched_once(start_server: StartServer, remote: Registry) -> None:
    digest = remote.put_blob("app", CONTENT)
    remote.misbehave(faults.slow(1024 * 1024, 0.05), method="GET", path="/blobs/")
    servers = start_two(start_server, remote)

    with ThreadPoolExecutor(CLIENTS) as clients:
        got = list(clients.map(lambda number: pull(servers[number % 2], digest), range(CLIENTS)))

    assert got == [str(digest)] * CLIENTS
    assert ranges(remote) == [None]


def test_when_the_worker_that_fetches_is_killed_clients_of_others_get_the_blob(
    start_server: StartServer, remote: Registry
) -> None:
    digest = remote.put_blob("app", CONTENT)
    remote.misbehave(faults.stall(8 * 1024 * 1024), method="GET", path="/blobs/", times=1)
    servers = start_two(start_server, remote)
    data, claim = (
        Path(f"{servers[0].root}{path}") for path in (paths.fill_data("hub", digest), paths.fill_claim("hub", digest))
    )

    with ThreadPoolExecutor(CLIENTS) as clients:
        pulls = [clients.submit(pull, servers[number % 2], digest) for number in range(CLIENTS)]
        wait_until("a part has come", lambda: data.exists() and data.stat().st_size > 4 * 1024 * 1024)
        killed = holder_of(claim)
        others = servers[killed in servers[0].processes()]
        os.kill(killed, signal.SIGKILL)
        got = [each.result() for each in pulls]

    of_others = got[servers.index(others) :: 2]
    assert of_others == [str(digest)] * len(of_others)
    assert set(got) <= {str(digest), ""}
    whole, rest = ranges(remote)
    assert whole is None
    assert str(rest).startswith("bytes=")
    assert pull(servers[0], digest) == pull(servers[1], digest) == str(digest)
