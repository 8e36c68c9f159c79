"""Many clients of caches with one storage want a blob that none has yet: the upstream is asked for it once.

``PULLED_MIB=1024 make integration`` has a blob of that size in place of 64 MiB and prints the figures.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.drivers.stores import STORES, storage_of
from tests.integration.pull_through import MIB, Crowd, Gate, Pull, caches, entry, peaks, process_of
from tests.integration.waiting import wait_until
from tests.upstreams import Registry, registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from registry.oci.digest import Digest
    from tests.integration.servers import Server

SIZE = int(os.environ.get("PULLED_MIB", "64")) * MIB
CLIENTS = 64
FEWER = 12
GROWTH = 64 * MIB
"""By how much a worker may grow for all of them."""
SMALL = b"small"

pytestmark = pytest.mark.timeout(300 + SIZE // MIB)


@pytest.fixture(scope="module")
def content() -> memoryview:
    block = random.Random(16).randbytes(MIB - 8)
    return memoryview(b"".join(number.to_bytes(8, "big") + block for number in range(SIZE // MIB)))


@pytest.fixture
def upstream() -> Iterator[Registry]:
    with registry() as served:
        yield served


@pytest.fixture(params=["directory", *STORES])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, object] | None:
    """Give the storage that the caches share; None is a directory."""
    if request.param == "directory":
        return None
    return storage_of(request.getfixturevalue(request.param), tmp_path.name)


def pulls(servers: Sequence[Server], content: memoryview, digest: Digest, count: int) -> list[Pull]:
    """Give `count` pulls of a blob, which take turns at the servers."""
    return [Pull(servers[n % len(servers)], f"/v2/up/app/blobs/{digest}", content) for n in range(count)]


def warm(servers: Sequence[Server], upstream: Registry) -> None:
    """Have each server load what it needs to be a cache."""
    digest = upstream.put_blob("app", SMALL)
    for server in servers:
        for _ in range(10):
            assert server.api.blob("up/app", str(digest)).body == SMALL


def gets(upstream: Registry, digest: Digest) -> list[str]:
    """Give the ranges that the upstream was asked for; an empty one is all of the blob."""
    asked = list(upstream.asked)
    return [each.headers.get("range", "") for each in asked if each.method == "GET" and str(digest) in each.path]


def assert_kept(servers: Sequence[Server], upstream: Registry, content: memoryview, digest: Digest) -> None:
    """Each server has the blob soon after clients have got it, though its upstream has it no more."""

    def is_kept() -> bool:
        before = len(upstream.asked)
        assert {each.api.head(f"/v2/up/app/blobs/{digest}").status for each in servers} == {200}
        return len(upstream.asked) == before

    wait_until("none of them asks upstream", is_kept)
    upstream.remove("app", digest)
    for pull in pulls(servers, content, digest, len(servers)):
        pull.run()
        assert pull.is_whole, pull
        assert not pull.is_wrong


def test_many_clients_of_two_hosts_have_a_blob_fetched_once(
    tmp_path: Path, upstream: Registry, content: memoryview, storage: Mapping[str, object] | None
) -> None:
    digest = upstream.put_blob("app", bytes(content))
    with caches(tmp_path, {"proxies": [entry(upstream.url)]}, count=2, storage=storage) as servers:
        warm(servers, upstream)
        peaks(servers)
        before = peaks(servers)
        # An object store shows others what has come when a part of it is stored and the next bytes come.
        gate, crowd, began = Gate(SIZE // 4, trickle=16 * 1024), Crowd(), time.monotonic()
        upstream.misbehave(gate.fault, method="GET", path=str(digest), times=1)
        crowd.join_in(*pulls(servers, content, digest, CLIENTS))
        crowd.wait_for_first_bytes()
        waited = time.monotonic() - began
        gate.open()
        crowd.end(SIZE / MIB)
        seconds = time.monotonic() - began - waited

        assert [(each.status, each.received) for each in crowd.pulls] == [(200, SIZE)] * CLIENTS
        assert not any(each.is_wrong for each in crowd.pulls)
        assert gets(upstream, digest) == [""]
        grown = max(peak - before.get(pid, peak) for pid, peak in peaks(servers).items())
        print(f"\n{CLIENTS} clients, {SIZE // MIB} MiB: {seconds:.1f} s, no process by more than {grown / MIB:.0f} MiB")
        assert grown < GROWTH
        assert_kept(servers, upstream, content, digest)


def test_the_first_client_may_leave_or_be_slow(tmp_path: Path, upstream: Registry, content: memoryview) -> None:
    digest = upstream.put_blob("app", bytes(content))
    leaving, slow = (threading.Event() for _ in range(2))

    def leave(received: int) -> None:
        if received:
            leaving.set()
            raise ConnectionAbortedError

    with caches(tmp_path, {"proxies": [entry(upstream.url)]}, count=2) as servers:
        gate, crowd = Gate(MIB), Crowd()
        upstream.misbehave(gate.fault, method="GET", path=str(digest), times=1)
        first, second, *others = pulls(servers, content, digest, FEWER)
        first.pause, second.pause = leave, lambda _: slow.wait()
        early = Crowd()
        early.join_in(first)
        assert leaving.wait(60)
        early.end()
        hanging = Crowd()
        hanging.join_in(second)
        hanging.wait_for_first_bytes()
        crowd.join_in(*others)
        crowd.wait_for_first_bytes()
        gate.open()
        crowd.end()
        assert all(each.is_whole and not each.is_wrong for each in crowd.pulls), crowd.pulls
        slow.set()
        hanging.end()
        assert second.is_whole
        assert not second.is_wrong
        assert gets(upstream, digest) == [""]
        assert_kept(servers, upstream, content, digest)


def test_a_worker_that_is_killed_while_it_fetches_is_replaced_by_one_that_asks_for_the_rest(
    tmp_path: Path, upstream: Registry, content: memoryview, storage: Mapping[str, object] | None
) -> None:
    digest = upstream.put_blob("app", bytes(content))
    with caches(tmp_path, {"proxies": [entry(upstream.url)]}, count=2, storage=storage) as servers:
        gate, crowd = Gate(SIZE // 2), Crowd()
        upstream.misbehave(gate.fault, method="GET", path=str(digest), times=1)
        crowd.join_in(*pulls(servers, content, digest, CLIENTS))
        crowd.wait_for_first_bytes()
        victim = filler(servers, upstream, digest)
        mine = [process_of(each.server, each.port) == victim for each in crowd.pulls]
        os.kill(victim, signal.SIGKILL)
        crowd.end()

        others = [each for each, is_hurt in zip(crowd.pulls, mine, strict=True) if not is_hurt]
        assert others
        assert all(each.is_whole for each in others), others
        assert not any(each.is_wrong for each in crowd.pulls)
        first, again = gets(upstream, digest)
        assert (first, again[:6], again[-1:]) == ("", "bytes=", "-")
        assert 0 < int(again[6:-1]) <= SIZE // 2
        assert_kept(servers, upstream, content, digest)


def filler(servers: Sequence[Server], upstream: Registry, digest: Digest) -> int:
    """Give the pid of the process that fetches the blob."""
    port = next(each.port for each in upstream.asked if each.method == "GET" and str(digest) in each.path)
    found = [pid for server in servers if (pid := process_of(server, port))]
    assert len(found) == 1
    return found[0]


def test_a_host_that_stands_still_while_it_fetches_is_left_behind(
    tmp_path: Path, upstream: Registry, content: memoryview
) -> None:
    digest = upstream.put_blob("app", bytes(content))
    settings = {"proxies": [entry(upstream.url, network={"stalltimeout": "2s"})]}
    with caches(tmp_path, settings, count=2) as servers:
        gate, crowd = Gate(SIZE // 2), Crowd()
        upstream.misbehave(gate.fault, method="GET", path=str(digest), times=1)
        still = servers[0]
        first, *_ = pulls([still], content, digest, 1)
        crowd.join_in(first)
        crowd.wait_for_first_bytes()
        stopped = still.processes()
        try:
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            others = Crowd()
            others.join_in(*pulls(servers[1:], content, digest, FEWER))
            others.end()
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        assert all(each.is_whole and not each.is_wrong for each in others.pulls), others.pulls
        gate.open()
        crowd.end()
        assert first.is_whole
        assert not first.is_wrong
        assert_kept(servers, upstream, content, digest)


def test_on_a_full_disk_clients_get_the_blob_and_nothing_is_left_of_it(
    tmp_path: Path, upstream: Registry, content: memoryview
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE // 2}", "tmpfs", str(root)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk")
    digest = upstream.put_blob("app", bytes(content))
    try:
        with caches(tmp_path, {"proxies": [entry(upstream.url)]}, count=2, root=root) as servers:
            crowd = Crowd()
            crowd.join_in(*pulls(servers, content, digest, FEWER))
            crowd.end()
            assert all(each.is_whole and not each.is_wrong for each in crowd.pulls), crowd.pulls
            small = upstream.put_blob("app", SMALL)
            assert servers[0].api.blob("up/app", str(small)).body == SMALL
            wait_until("the disk has room again", lambda: os.statvfs(root).f_bavail * os.statvfs(root).f_bsize > MIB)
        assert not list(root.rglob(digest.hex))
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)
