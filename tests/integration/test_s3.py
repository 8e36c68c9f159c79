"""Real registries over one bucket of a real S3 server: run with ``make test-s3``."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import os
import random
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("boto3", reason="the s3 extra is not installed")

from tests.drivers.cloudfront import key_file
from tests.drivers.s3_servers import S3Server, seaweedfs
from tests.integration.api import OCTET_STREAM, Answer, digest_of, with_digest
from tests.integration.clients import missing
from tests.integration.servers import Server, distribution_v3, free_port, ours

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = pytest.mark.s3

MIB = 1 << 20
LARGE_BYTES = int(os.environ.get("S3_LARGE_BYTES") or 1 << 30)
BOUND_BYTES = 48 * MIB
"""A request's buffers, the SDK's connections and threads, and what the allocator keeps of them."""

TIMELY = "([?&](?:Expires|Signature|X-Amz-Date|X-Amz-Signature|X-Amz-Credential)=)[^&]*"
"""The parameters of a signed URL that are not the same a second later."""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with seaweedfs(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def servers(s3: S3Server, tmp_path: Path) -> Iterator[list[Server]]:
    """Two registries, as if on two hosts, with the bucket in common."""
    storage = {"s3": s3.parameters(tmp_path.name), "redirect": {"disable": True}}
    started = [Server(ours(), tmp_path / "none", tmp_path, port=free_port(), storage=storage) for _ in range(2)]
    try:
        for server in started:
            server.start()
        yield started
        for server in started:
            server.stop_cleanly()
    finally:
        for server in started:
            if server.is_running():
                server.kill()


@pytest.mark.parametrize("seed", range(4))
def test_chunks_that_alternate_between_two_servers_become_one_blob(servers: list[Server], seed: int) -> None:
    dice = random.Random(seed)
    sizes = [dice.choice([1, 2, 1000, 65_537, MIB, 6 * MIB]) for _ in range(20)]
    content = dice.randbytes(sum(sizes))
    turns = itertools.cycle(servers)
    location, sent = next(turns).api.begin_upload("two/chunks").location, 0

    for size in sizes:
        answer = next(turns).api.send_chunk(location, sent, content[sent : sent + size])
        assert answer.status == 202, answer
        location, sent = answer.location, sent + size
    assert next(turns).api.finish_upload(location, digest_of(content)).status == 201

    for server in servers:
        assert server.api.blob("two/chunks", digest_of(content)).body == content


def test_many_pushes_at_a_time_through_two_servers_all_arrive(servers: list[Server]) -> None:
    contents = [random.Random(number).randbytes(number * 300_000 + 1) for number in range(24)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: servers[len(each) % 2].api.push_blob("two/many", each), contents))

    for content in contents:
        assert servers[0].api.blob("two/many", digest_of(content)).body == content


def test_two_servers_writing_one_upload_at_once_never_mix_their_bytes(servers: list[Server]) -> None:
    one, two = servers
    halves = [bytes([number]) * (12 * MIB) for number in (1, 2)]
    start = one.api.begin_upload("two/race").location
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda pair: pair[0].api.send_chunk(start, 0, pair[1]), zip(servers, halves, strict=True))
        )
    assert sorted(answer.status for answer in answers) in ([202, 416], [202, 503])

    (winner,) = (half for half, answer in zip(halves, answers, strict=True) if answer.status == 202)
    status = one.api.get(start)
    assert status.headers["Range"] == f"0-{len(winner) - 1}"
    assert two.api.finish_upload(status.location, digest_of(winner)).status == 201
    assert one.api.blob("two/race", digest_of(winner)).body == winner


def test_a_range_is_streamed_and_a_redirect_leads_to_the_bucket(
    s3: S3Server, servers: list[Server], tmp_path: Path
) -> None:
    content = random.Random(1).randbytes(3 * MIB)
    digest = servers[0].api.push_blob("one/blob", content)
    target = f"/v2/one/blob/blobs/{digest}"

    part = servers[1].api.get(target, Range="bytes=100-299")
    assert (part.status, part.body) == (206, content[100:300])

    redirecting = Server(ours(), tmp_path, tmp_path, storage={"s3aws": s3.parameters(tmp_path.name)}).start()
    try:
        answer = redirecting.api.get(target)
        assert answer.status == 307
        assert answer.headers["Location"].startswith(f"{s3.endpoint}/")
        assert redirecting.api.head(target).status == 200
    finally:
        redirecting.stop_cleanly()


@pytest.mark.parametrize(
    "middleware",
    [
        {"redirect": {"baseurl": "https://cdn.example/images/"}},
        {"rewrite": {"scheme": "https", "host": "cdn.example", "trimpathprefix": "/images"}},
        {"cloudfront": {"baseurl": "cdn.example/a", "keypairid": "K"}},
        {
            "redirect": {"baseurl": "https://cdn.example/images"},
            "rewrite": {"trimpathprefix": "/images/docker/", "scheme": "http"},
        },
    ],
    ids="+".join,
)
def test_middleware_sends_clients_where_the_go_registry_sends_them(
    s3: S3Server, tmp_path: Path, middleware: dict[str, dict[str, str]]
) -> None:
    if distribution_v3() is None:
        missing("DISTRIBUTION_V3")
    key = {"privatekey": key_file(tmp_path)}  # the others pass it over
    entries = [{"name": name, "options": options | key} for name, options in middleware.items()]
    locations = []
    for flavour in (ours(), distribution_v3()):
        assert flavour
        server = Server(flavour, tmp_path / "none", tmp_path, storage={"s3": s3.parameters(tmp_path.name)})
        server.settings = {"middleware": {"storage": entries}}
        server.start()
        try:
            digest = server.api.push_blob("one/blob", b"content")
            answer = server.api.get(f"/v2/one/blob/blobs/{digest}")
        finally:
            server.stop()
        assert answer.status == 307, answer
        locations.append(re.sub(TIMELY, r"\1", answer.headers["Location"]))

    assert locations[0] == locations[1]


def test_a_wrong_bucket_stops_the_start_with_one_line(s3: S3Server, tmp_path: Path) -> None:
    server = Server(ours(), tmp_path, tmp_path, storage={"s3": s3.parameters(bucket="absent")})

    with pytest.raises(AssertionError, match="ended at its start"):
        server.start()

    assert re.search(r"^.*storage\.s3: s3: ListObjectsV2 of bucket absent: NoSuchBucket.*$", server.log, re.MULTILINE)
    assert "Traceback" not in server.log


@pytest.mark.parametrize("chunk_bytes", [LARGE_BYTES, MIB])
def test_a_large_push_and_pull_need_no_more_memory_than_a_small_one(servers: list[Server], chunk_bytes: int) -> None:
    server = servers[0]
    for number in range(20):
        server.api.push_blob("memory/small", random.Random(number).randbytes(100_000))
    before = peak_bytes(server)
    known, count = hashlib.sha256(), LARGE_BYTES // MIB
    for block in blocks(count):
        known.update(block)

    location = server.api.begin_upload("memory/large").location
    if chunk_bytes == LARGE_BYTES:
        location = patiently(server, "PATCH", location, blocks(count)).location
    else:
        for number, block in enumerate(blocks(count)):
            answer = server.api.send_chunk(location, number * MIB, block)
            assert answer.status == 202, answer
            location = answer.location
    digest = f"sha256:{known.hexdigest()}"
    assert patiently(server, "PUT", with_digest(location, digest)).status == 201
    pushed = peak_bytes(server)
    assert pulled_size(server, f"/v2/memory/large/blobs/{digest}") == LARGE_BYTES
    pulled = peak_bytes(server)

    print(f"peak MiB: {before / MIB:.0f} small, {pushed / MIB:.0f} after {LARGE_BYTES / MIB:.0f} MiB pushed, "
          f"{pulled / MIB:.0f} pulled")  # fmt: skip
    assert pulled - before < BOUND_BYTES


def patiently(server: Server, method: str, target: str, body: Iterable[bytes] = ()) -> Answer:
    """Send a request whose answer may take minutes: SeaweedFS copies at the speed of the disk."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=900)
    headers = {"Content-Type": OCTET_STREAM} | ({} if body else {"Content-Length": "0"})
    connection.request(method, target, body or None, headers)
    response = connection.getresponse()
    answer = Answer(response.status, response.headers, response.read())
    connection.close()
    return answer


def blocks(count: int) -> Iterator[bytes]:
    block = random.Random(7).randbytes(MIB - 8)
    for number in range(count):
        yield number.to_bytes(8, "big") + block


def pulled_size(server: Server, target: str) -> int:
    size = 0
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    connection.request("GET", target)
    response = connection.getresponse()
    while piece := response.read(MIB):
        size += len(piece)
    connection.close()
    return size


def peak_bytes(server: Server) -> int:
    """Give the largest resident size that any process of the server has had."""
    peaks = [
        int(found[1]) * 1024
        for pid in server.processes()
        if (found := re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text()))
    ]
    return max(peaks)
