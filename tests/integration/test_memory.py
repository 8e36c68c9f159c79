"""A blob's size does not show in the memory of the server."""

from __future__ import annotations

import hashlib
import http.client
import random
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.api import OCTET_STREAM, with_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import StartServer
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(600)

MIB = 1 << 20
BLOB_BYTES = 2 << 30
SMALL_BYTES = 30_000
# Buffers of a request and what the allocator keeps of them; far below the 2048 MiB that pass through.
BOUND_BYTES = 24 * MIB
REPEATS = 40


def large_content(seed: int) -> Iterator[bytes]:
    """Give BLOB_BYTES that nobody had to store beforehand."""
    block = random.Random(seed).randbytes(MIB - 8)
    for number in range(BLOB_BYTES // MIB):
        yield number.to_bytes(8, "big") + block


def digest_of_stream(algorithm: str, seed: int) -> str:
    known = hashlib.new(algorithm)
    for block in large_content(seed):
        known.update(block)
    return f"{algorithm}:{known.hexdigest()}"


def forget_peaks(server: Server) -> None:
    for pid in server.processes():
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_bytes(server: Server) -> int:
    """Give the largest resident size that any process of the server has had since `forget_peaks`."""
    peaks = [
        int(found[1]) * 1024
        for pid in server.processes()
        if (found := re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()))
    ]
    return max(peaks)


def push_small(server: Server, seed: int) -> None:
    for number in range(REPEATS):
        server.api.push_blob("memory/small", random.Random(seed + number).randbytes(SMALL_BYTES))


def put_whole(server: Server, seed: int, digest: str) -> None:
    target = with_digest(server.api.begin_upload("memory/large").location, digest)
    headers = {"Content-Type": OCTET_STREAM, "Content-Length": str(BLOB_BYTES)}
    assert server.api.request("PUT", target, large_content(seed), headers).status == 201


def patch_stream_and_put(server: Server, seed: int, digest: str) -> None:
    location = server.api.begin_upload("memory/large").location
    answer = server.api.request("PATCH", location, large_content(seed), {"Content-Type": OCTET_STREAM})
    assert answer.status == 202
    assert server.api.finish_upload(answer.location, digest).status == 201


@pytest.mark.parametrize(
    ("push", "algorithm"),
    [(put_whole, "sha256"), (patch_stream_and_put, "sha256"), (patch_stream_and_put, "sha512")],
)
def test_push_of_two_gibibytes_needs_no_more_memory_than_one_of_thirty_kilobytes(
    start_server: StartServer, tmp_path: Path, push: object, algorithm: str
) -> None:
    assert shutil.disk_usage(tmp_path).free > 3 * BLOB_BYTES, "not enough room on the disk for this test"
    assert callable(push)
    server = start_server()
    push_small(server, seed=0)
    forget_peaks(server)
    push_small(server, seed=1000)
    small = peak_bytes(server)

    digest = digest_of_stream(algorithm, seed=7)
    push(server, 7, digest)
    large = peak_bytes(server)
    print(f"peak {small / MIB:.1f} MiB for small blobs, {large / MIB:.1f} MiB with a large one")
    assert large - small < BOUND_BYTES
    assert server.api.head(f"/v2/memory/large/blobs/{digest}").headers["Content-Length"] == str(BLOB_BYTES)


def test_pull_of_two_gibibytes_needs_no_more_memory_than_one_of_thirty_kilobytes(
    start_server: StartServer,
) -> None:
    server = start_server()
    digest = digest_of_stream("sha256", seed=8)
    put_whole(server, 8, digest)
    small = server.api.push_blob("memory/small", bytes(SMALL_BYTES))
    forget_peaks(server)
    for _ in range(REPEATS):
        server.api.blob("memory/small", small)
    before = peak_bytes(server)

    assert pulled_digest(server, f"/v2/memory/large/blobs/{digest}") == digest
    after = peak_bytes(server)
    print(f"peak {before / MIB:.1f} MiB for small blobs, {after / MIB:.1f} MiB with a large one")
    assert after - before < BOUND_BYTES


def pulled_digest(server: Server, target: str) -> str:
    known = hashlib.sha256()
    connection = http.client.HTTPConnection(server.api.address, server.port)
    connection.request("GET", target)
    response = connection.getresponse()
    while piece := response.read(MIB):
        known.update(piece)
    connection.close()
    return f"sha256:{known.hexdigest()}"
