"""Real registries over one bucket or container in common: run with ``make test-gcs`` and ``make test-azure``."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import os
import random
import re
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.drivers.proxy import Answer
from tests.integration.api import OCI_MANIFEST, OCTET_STREAM, digest_of, with_digest
from tests.integration.clients import require_program
from tests.integration.servers import Server, clean_environment, ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.drivers.proxy import Proxy

MIB = 1 << 20
LARGE_BYTES = int(os.environ.get("CLOUD_LARGE_BYTES", 256 * MIB))
BOUND_BYTES = 64 * MIB
"""Five parts of 8 MiB for an upload, the SDK's connections and threads, and what the allocator keeps of them."""

TOTAL_OF_A_LISTING = 300


@dataclass(frozen=True, slots=True)
class Cloud:
    """An emulator: the section of a configuration that leads to it, and what counts its calls."""

    name: str
    proxy: Proxy
    parameters: Callable[[str], dict[str, object]]
    direct: Mapping[str, object]

    def storage(self, root: str, **more: object) -> dict[str, object]:
        return {self.name: self.parameters(root) | more, "redirect": {"disable": True}}


@pytest.fixture(
    scope="module",
    params=[pytest.param("gcs", marks=pytest.mark.gcs), pytest.param("azure", marks=pytest.mark.azure)],
)
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    directory = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        if request.param == "gcs":
            from tests.drivers.gcs_server import fake_gcs  # noqa: PLC0415 - its SDK may not be installed

            gcs = stack.enter_context(fake_gcs(directory))
            yield Cloud("gcs", gcs.proxy, gcs.parameters, {"endpoint": f"http://{gcs.proxy.upstream}"})
        else:
            from tests.drivers.azure_server import ACCOUNT, azurite  # noqa: PLC0415 - the same

            azure = stack.enter_context(azurite(directory))
            direct = {"serviceurl": f"http://{azure.proxy.upstream}/{ACCOUNT}"}
            yield Cloud("azure", azure.proxy, azure.parameters, direct)


def started(stack: ExitStack, directory: Path, storage: dict[str, object]) -> Server:
    server = Server(ours(), directory / "none", directory, storage=storage).start()
    stack.callback(server.stop_cleanly)
    return server


@pytest.fixture
def servers(cloud: Cloud, tmp_path: Path) -> Iterator[list[Server]]:
    """Two registries, as if on two hosts."""
    with ExitStack() as stack:
        yield [started(stack, tmp_path, cloud.storage(tmp_path.name)) for _ in range(2)]


@pytest.mark.parametrize("seed", range(4))
def test_chunks_that_alternate_between_two_servers_become_one_blob(servers: list[Server], seed: int) -> None:
    dice = random.Random(seed)
    sizes = [dice.choice([1, 2, 1000, 65_537, MIB, 9 * MIB]) for _ in range(20)]
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


def test_a_token_of_before_does_not_publish_what_came_after(servers: list[Server]) -> None:
    one, two = servers
    begun = one.api.begin_upload("two/replay").location
    first = one.api.send_chunk(begun, 0, b"first")
    second = two.api.send_chunk(first.location, 5, b"second")

    for token in (begun, first.location):
        answer = one.api.finish_upload(token, digest_of(b"first"))
        assert answer.status == 416, answer
    assert two.api.finish_upload(second.location, digest_of(b"firstsecond")).status == 201
    assert one.api.blob("two/replay", digest_of(b"first")).status == 404


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
        sent = pool.map(lambda pair: pair[0].api.send_chunk(start, 0, pair[1]), zip(servers, halves, strict=True))
        answers = list(sent)
    statuses = sorted(answer.status for answer in answers)
    assert statuses[0] == 202
    assert statuses[1] in {416, 503}

    (winner,) = (half for half, answer in zip(halves, answers, strict=True) if answer.status == 202)
    status = one.api.get(start)
    assert status.headers["Range"] == f"0-{len(winner) - 1}"
    assert two.api.finish_upload(status.location, digest_of(winner)).status == 201
    assert one.api.blob("two/race", digest_of(winner)).body == winner


def test_a_range_is_streamed_and_a_redirect_leads_to_the_store(cloud: Cloud, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(3 * MIB)
    parameters = cloud.parameters(tmp_path.name)
    if cloud.name == "gcs":
        from tests.drivers.gcs_server import key_of_account  # noqa: PLC0415 - its SDK may not be installed

        signing = parameters | {"credentials": key_of_account(f"http://127.0.0.1:{cloud.proxy.server_port}/token")}
    else:
        signing = parameters
    with ExitStack() as stack:
        plain = started(stack, tmp_path, cloud.storage(tmp_path.name))
        target = f"/v2/one/blob/blobs/{plain.api.push_blob('one/blob', content)}"
        part = plain.api.get(target, Range="bytes=100-299")
        assert (part.status, part.body) == (206, content[100:300])

        stack.enter_context(cloud.proxy.intercepting(lend_token))
        redirecting = started(stack, tmp_path, {cloud.name: signing})
        answer = redirecting.api.get(target)
        assert answer.status == 307
        with urllib.request.urlopen(answer.headers["Location"]) as blob:
            assert blob.read() == content
        assert redirecting.api.head(target).status == 200


def test_a_wrong_bucket_stops_the_start_with_one_line(cloud: Cloud, tmp_path: Path) -> None:
    absent = {"bucket": "absent"} if cloud.name == "gcs" else {"container": "absent"}
    server = Server(ours(), tmp_path, tmp_path, storage=cloud.storage("", **absent))

    with pytest.raises(AssertionError, match="ended at its start"):
        server.start()

    assert re.search(rf"^.*storage\.{cloud.name}: .*: list the \w+ absent: .*$", server.log, re.MULTILINE)
    assert "Traceback" not in server.log


@pytest.mark.parametrize("chunk_bytes", [LARGE_BYTES, MIB])
def test_a_large_push_and_pull_need_no_more_memory_than_a_small_one(
    cloud: Cloud, tmp_path: Path, chunk_bytes: int
) -> None:
    with ExitStack() as stack:
        server = started(stack, tmp_path, cloud.storage(tmp_path.name, **cloud.direct))
        for number in range(20):
            server.api.push_blob("memory/small", random.Random(number).randbytes(100_000))
        before = peak_bytes(server)
        count = LARGE_BYTES // MIB
        known = hashlib.sha256()
        for block in blocks(count):
            known.update(block)

        location = server.api.begin_upload("memory/large").location
        if chunk_bytes == LARGE_BYTES:
            location = server.api.request("PATCH", location, blocks(count), {"Content-Type": OCTET_STREAM}).location
        else:
            for number, block in enumerate(blocks(count)):
                answer = server.api.send_chunk(location, number * MIB, block)
                assert answer.status == 202, answer
                location = answer.location
        digest = f"sha256:{known.hexdigest()}"
        assert server.api.request("PUT", with_digest(location, digest), b"").status == 201
        pushed = peak_bytes(server)
        assert pulled_size(server, f"/v2/memory/large/blobs/{digest}") == LARGE_BYTES
        pulled = peak_bytes(server)

        steps = {"small": before, "pushed": pushed, "pulled": pulled}
        print(f"{cloud.name} {LARGE_BYTES >> 20} MiB:", {name: f"{peak / MIB:.0f} MiB" for name, peak in steps.items()})
        assert pulled - before < BOUND_BYTES


def test_the_oci_conformance_program_passes(cloud: Cloud, tmp_path: Path) -> None:
    require_program("go")
    script = Path(__file__).with_name("conformance.sh")
    storage = cloud.storage(tmp_path.name)
    environment = clean_environment() | {
        "STORAGE": "\n  ".join(f"{name}: {json.dumps(section)}" for name, section in storage.items()),
        "VENV": str(Path(sys.executable).parents[1]),
    }

    done = subprocess.run([str(script), str(tmp_path)], env=environment, capture_output=True, text=True, check=False)

    print(done.stdout[-2000:])
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_a_request_of_a_client_costs_at_the_store(cloud: Cloud, tmp_path: Path) -> None:
    """The figures of docs/storage-drivers.md."""
    costs: dict[str, tuple[dict[str, int], int, int]] = {}
    traffic = cloud.proxy.traffic

    def counted(what: str, call: Callable[[], Any]) -> Any:
        traffic.reset()
        answer = call()
        costs[what] = dict(traffic.calls), traffic.sent, traffic.received
        return answer

    with ExitStack() as stack:
        api = started(stack, tmp_path, cloud.storage(tmp_path.name)).api
        small, large = random.Random(1).randbytes(1000), random.Random(2).randbytes(20 * MIB)
        api.push_blob("cost/warm", b"warm")
        config = counted("blob of 1,000 bytes: POST, PUT", lambda: api.push_blob("cost/image", small))
        location = counted("blob of 20 MiB: POST", lambda: api.begin_upload("cost/image")).location
        headers = {"Content-Type": OCTET_STREAM}
        answer = counted("blob of 20 MiB: PATCH", lambda: api.request("PATCH", location, large, headers))
        layer = digest_of(large)
        counted("blob of 20 MiB: PUT", lambda: api.finish_upload(answer.location, layer))
        counted("HEAD of a blob", lambda: api.head(f"/v2/cost/image/blobs/{layer}"))
        counted("GET of a blob of 1,000 bytes", lambda: api.blob("cost/image", config))
        counted("GET of a blob of 20 MiB", lambda: api.blob("cost/image", layer))
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": {"mediaType": "application/vnd.example", "digest": config, "size": len(small)},
                "layers": [{"mediaType": "application/vnd.example", "digest": layer, "size": len(large)}],
            }
        ).encode()
        counted("PUT of a manifest by tag", lambda: api.put_manifest("cost/image", "latest", manifest))
        counted("HEAD of a manifest by tag", lambda: api.head("/v2/cost/image/manifests/latest"))
        counted("GET of a manifest by tag", lambda: api.manifest("cost/image", "latest"))
        with ThreadPoolExecutor(8) as pool:
            tags = [f"v1.{number:03}-rc" for number in range(TOTAL_OF_A_LISTING)]
            list(pool.map(lambda tag: api.put_manifest("cost/image", tag, manifest), tags))
        counted("tag page, n=100", lambda: api.get("/v2/cost/image/tags/list?n=100"))
        page = counted("tag page, n=100, the next", lambda: api.get("/v2/cost/image/tags/list?n=100&last=v1.098-rc"))
        assert page.json()["tags"] == [tag for tag in tags if tag > "v1.098-rc"][:100]

    for what, (calls, sent, received) in costs.items():
        print(f"| {what} | {sum(calls.values())} {calls} | {sent:,} | {received:,} |")
    assert sum(costs["HEAD of a blob"][0].values()) <= 2
    assert sum(costs["tag page, n=100"][0].values()) <= 6


def lend_token(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
    """Answer as the service that gives a service account its tokens."""
    del method, passed
    if target != "/token":
        return None
    token = {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}
    return Answer(200, [("Content-Type", "application/json")], json.dumps(token).encode())


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
