"""A blob's size does not show in the memory of a registry over an object store. STORE_LARGE_BYTES is the size."""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.drivers.stores import storage_of
from tests.integration.api import OCTET_STREAM, Answer, with_digest
from tests.integration.servers import Server, ours

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.drivers.stores import Store

MIB = 1 << 20
LARGE_BYTES = int(os.environ.get("STORE_LARGE_BYTES") or 128 * MIB)
BOUND_BYTES = 64 * MIB
"""A request's parts or buffers, the SDK's connections and threads, and what the allocator keeps of them."""

REQUEST_SECONDS = 3600
"""SeaweedFS copies at the speed of the disk while the client waits."""

pytestmark = pytest.mark.timeout(3 * REQUEST_SECONDS)


@pytest.mark.parametrize("chunk_bytes", [LARGE_BYTES, MIB], ids=["one PATCH", "chunks of 1 MiB"])
def test_a_large_push_and_pull_need_no_more_memory_than_a_small_one(
    store: Store, tmp_path: Path, chunk_bytes: int
) -> None:
    storage = storage_of(store, tmp_path.name, **store.direct())
    server = Server(ours(), tmp_path / "none", tmp_path, storage=storage).start()
    try:
        for number in range(20):
            server.api.push_blob("memory/small", random.Random(number).randbytes(100_000))
        before = peaks(server)

        digest = push(server, chunk_bytes)
        pushed = peaks(server)
        assert pulled_digest(server, f"/v2/memory/large/blobs/{digest}") == digest
        pulled = peaks(server)

        for what, found in (("small", before), (f"{LARGE_BYTES // MIB} MiB pushed", pushed), ("pulled", pulled)):
            print(f"{store.name}, peak MiB of each process, {what}: {[peak // MIB for peak in found.values()]}")
        assert max(pulled.values()) - max(before.values()) < BOUND_BYTES
        server.stop_cleanly()
    finally:
        if server.is_running():
            server.kill()


def push(server: Server, chunk_bytes: int) -> str:
    known = hashlib.sha256()
    location = server.api.begin_upload("memory/large").location
    if chunk_bytes == LARGE_BYTES:
        location = patiently(server, "PATCH", location, hashed(known)).location
    else:
        for number, block in enumerate(hashed(known)):
            answer = server.api.send_chunk(location, number * MIB, block)
            assert answer.status == 202, answer
            location = answer.location
    digest = f"sha256:{known.hexdigest()}"
    assert patiently(server, "PUT", with_digest(location, digest)).status == 201
    return digest


def patiently(server: Server, method: str, target: str, body: Iterable[bytes] = ()) -> Answer:
    """Send a request whose answer may take long."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=REQUEST_SECONDS)
    headers = {"Content-Type": OCTET_STREAM} | ({} if body else {"Content-Length": "0"})
    connection.request(method, target, body or None, headers)
    response = connection.getresponse()
    answer = Answer(response.status, response.headers, response.read())
    connection.close()
    return answer


def hashed(known: hashlib._Hash) -> Iterator[bytes]:
    """Yield LARGE_BYTES in which no two MiB are alike, and tell `known` of them."""
    block = random.Random(7).randbytes(MIB - 8)
    for number in range(LARGE_BYTES // MIB):
        piece = number.to_bytes(8, "big") + block
        known.update(piece)
        yield piece


def pulled_digest(server: Server, target: str) -> str:
    known = hashlib.sha256()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=REQUEST_SECONDS)
    connection.request("GET", target)
    response = connection.getresponse()
    while piece := response.read(MIB):
        known.update(piece)
    connection.close()
    return f"sha256:{known.hexdigest()}"


def peaks(server: Server) -> dict[int, int]:
    """Give the largest resident size that each process of the server has had."""
    found = {}
    for pid in server.processes():
        size = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        assert size
        found[pid] = int(size[1]) * 1024
    return found
