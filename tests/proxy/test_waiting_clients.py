"""Clients that wait for an upstream hold up nobody, however many they are; over a real server."""

from __future__ import annotations

import hashlib
import re
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from registry.server.gate import MOST_PARKED
from tests.serving import SECONDS, Serving, serving, wait_until
from tests.upstreams import Registry, registry
from tests.upstreams.faults import hang, stall

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 600
FEW = 200
"""More than threads of a worker may work."""
HIT = b"what is pushed here"
DIGEST = f"sha256:{hashlib.sha256(HIT).hexdigest()}"
OTHER = f"sha256:{hashlib.sha256().hexdigest()}"
MEBIBYTES = 64
"""By how much a worker may grow for all of them."""


@pytest.fixture
def upstream() -> Iterator[Registry]:
    with registry() as served:
        yield served


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def caching(upstream: Registry, **network: Any) -> dict[str, Any]:
    entry = {"name": "up", "remoteurl": upstream.url, "network": {"httpproxy": "none", "private": "allow", **network}}
    return {"http": {"workers": 1, "draintimeout": "1s"}, "proxies": [entry]}


def asking(server: Serving, path: str, clients: ExitStack, method: str = "GET") -> socket.socket:
    client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS))
    client.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def threads(server: Serving) -> int:
    return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in server.workers())


def resident(server: Serving) -> int:
    """Return MiB of memory of the workers."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in server.workers()]
    return sum(int(found[1]) for text in texts if (found := re.search(r"VmRSS:\s+(\d+)", text))) // 1024


@pytest.mark.parametrize("path", [f"blobs/{OTHER}", "manifests/v1"])
def test_hundreds_that_wait_for_an_upstream_hold_up_nobody(
    tmp_path: Path, upstream: Registry, clients: ExitStack, path: str
) -> None:
    upstream.misbehave(hang)
    with serving(tmp_path, caching(upstream)) as server:
        pushed = server.request("POST", f"/v2/here/blobs/uploads/?digest={DIGEST}", HIT)
        assert pushed.status == 201
        before = resident(server)
        waiting = [asking(server, f"/v2/up/a/{path}", clients) for _ in range(MANY)]
        wait_until("they wait", lambda: threads(server) > MOST_PARKED)

        answers = [server.get(f"/v2/here/blobs/{DIGEST}") for _ in range(50)]

        assert [each.body for each in answers] == [HIT] * 50
        assert resident(server) - before < MEBIBYTES
        assert 1 <= len(upstream.asked) <= 2, "one asks for all"
        refused = [each for each in waiting if is_answered(each)]
        assert {each.recv(12) for each in refused} == {b"HTTP/1.1 503"}
        assert len(refused) == MANY - MOST_PARKED
        upstream.ended.set()


def test_those_to_whom_a_slow_upstream_is_passed_on_hold_up_nobody(
    tmp_path: Path, upstream: Registry, clients: ExitStack
) -> None:
    content = b"slow" * 1_000_000
    digest = upstream.put_blob("a", content)
    overlay = caching(upstream, connections=FEW, answertimeout="60s", stalltimeout="120s")
    overlay["storage"] = {"maintenance": {"readonly": {"enabled": True}}}
    upstream.misbehave(stall(1000), method="GET", path="/blobs/")
    with serving(tmp_path, overlay) as server:
        for _ in range(FEW):
            asking(server, f"/v2/up/a/blobs/{digest}", clients)
        wait_until("they wait", lambda: upstream.count("GET", "/blobs/") == FEW)

        assert server.get("/v2/_catalog").status == 200
        upstream.ended.set()


@pytest.mark.parametrize(("method", "digest"), [("HEAD", OTHER), ("GET", DIGEST)])
def test_those_that_wait_to_hear_whether_an_upstream_has_a_blob_hold_up_nobody(
    tmp_path: Path, upstream: Registry, clients: ExitStack, method: str, digest: str
) -> None:
    upstream.misbehave(hang)
    with serving(tmp_path, caching(upstream)) as server:
        assert server.request("POST", f"/v2/here/blobs/uploads/?digest={DIGEST}", HIT).status == 201
        for _ in range(FEW):
            asking(server, f"/v2/up/a/blobs/{digest}", clients, method)
        wait_until("they wait", lambda: threads(server) > FEW)

        assert server.get(f"/v2/here/blobs/{DIGEST}").body == HIT
        upstream.ended.set()


def is_answered(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        client.settimeout(SECONDS)


def test_a_configuration_that_is_read_again_brings_and_takes_upstreams(tmp_path: Path, upstream: Registry) -> None:
    upstream.put_blob("a", HIT)
    with serving(tmp_path, caching(upstream)) as server:
        assert server.get(f"/v2/up/a/blobs/{DIGEST}").body == HIT
        path = tmp_path / "config.yml"
        path.write_text(path.read_text().replace("name: up", "name: other"))
        server.process.send_signal(signal.SIGHUP)
        wait_until("the new one is there", lambda: server.get(f"/v2/other/a/blobs/{DIGEST}").body == HIT)
        assert "proxies changed" in server.log()
        # What was cached under the former name is a local repository now.
        assert server.get(f"/v2/up/a/blobs/{DIGEST}").body == HIT
        assert server.get("/v2/up/b/tags/list").status == 404


def test_an_upstream_that_is_down_leaves_the_registry_ready(tmp_path: Path, upstream: Registry) -> None:
    overlay = caching(upstream)
    overlay["proxies"][0]["remoteurl"] = "http://127.0.0.1:1"
    with serving(tmp_path, overlay) as server:
        assert server.get("/readyz").status == 200
        assert server.get(f"/v2/up/a/blobs/{DIGEST}").status in {502, 504}
        wait_until("it is told", lambda: "an upstream cannot be used" in server.log())
        assert server.get("/readyz").status == 200
