"""Real registries over one bucket or container: ``make test-s3``, ``make test-gcs`` and ``make test-azure``."""

from __future__ import annotations

import itertools
import json
import random
import re
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.drivers.proxy import Answer
from tests.drivers.stores import storage_of
from tests.integration.api import digest_of
from tests.integration.clients import require_program
from tests.integration.servers import Server, clean_environment, ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.drivers.stores import Store

pytestmark = pytest.mark.timeout(600)

MIB = 1 << 20


@pytest.fixture
def servers(store: Store, tmp_path: Path) -> Iterator[list[Server]]:
    """Two registries, as if on two hosts."""
    with ExitStack() as stack:
        yield [started(stack, tmp_path, storage_of(store, tmp_path.name)) for _ in range(2)]


def started(stack: ExitStack, directory: Path, storage: dict[str, object]) -> Server:
    server = Server(ours(), directory / "none", directory, storage=storage).start()
    stack.callback(server.stop_cleanly)
    return server


def test_chunks_that_alternate_between_two_servers_become_one_blob(servers: list[Server]) -> None:
    turns = itertools.cycle(servers)
    for seed in range(4):
        dice = random.Random(seed)
        sizes = [dice.choice([1, 2, 1000, 65_537, MIB, 9 * MIB]) for _ in range(20)]
        content = dice.randbytes(sum(sizes))
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


def test_a_range_is_streamed_and_a_redirect_leads_to_the_store(store: Store, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(3 * MIB)
    with ExitStack() as stack:
        plain = started(stack, tmp_path, storage_of(store, tmp_path.name))
        target = f"/v2/one/blob/blobs/{plain.api.push_blob('one/blob', content)}"
        part = plain.api.get(target, Range="bytes=100-299")
        assert (part.status, part.body) == (206, content[100:300])

        redirecting = started(stack, tmp_path, {store.name: signing(stack, store, tmp_path.name)})
        answer = redirecting.api.get(target)
        assert answer.status == 307
        with urllib.request.urlopen(answer.headers["Location"]) as blob:
            assert blob.read() == content
        assert redirecting.api.head(target).status == 200


def signing(stack: ExitStack, store: Store, root: str) -> dict[str, object]:
    """Give parameters with which the driver signs URLs; on Google's that needs a service account."""
    if store.name != "gcs":
        return store.parameters(root)
    from tests.drivers.gcs.server import GcsServer, key_of_account  # noqa: PLC0415 - its SDK may not be installed

    assert isinstance(store, GcsServer)
    stack.enter_context(store.proxy.intercepting(lend_token))
    return store.parameters(root, credentials=key_of_account(f"{store.endpoint}/token"))


def lend_token(method: str, target: str, passed: Callable[[], Answer]) -> Answer | None:
    """Answer as the service that issues tokens to a service account."""
    del method, passed
    if target != "/token":
        return None
    token = {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}
    return Answer(200, [("Content-Type", "application/json")], json.dumps(token).encode())


def test_a_wrong_bucket_stops_the_start_with_one_line(store: Store, tmp_path: Path) -> None:
    absent = {"container" if store.name == "azure" else "bucket": "absent"}
    server = Server(ours(), tmp_path, tmp_path, storage=storage_of(store, **absent) | {"starttimeout": "1s"})

    with pytest.raises(AssertionError, match="ended at its start"):
        server.start()

    call = "ListObjectsV2 of bucket" if store.name == "s3" else r"list the \w+"
    assert re.search(rf"^.*storage\.{store.name}: {store.name}: {call} absent: .*$", server.log, re.MULTILINE)
    assert "Traceback" not in server.log


def test_the_oci_conformance_program_passes(store: Store, tmp_path: Path) -> None:
    require_program("go")
    script = Path(__file__).with_name("conformance.sh")
    storage = storage_of(store, tmp_path.name, **store.direct())
    environment = clean_environment() | {
        "STORAGE": "\n  ".join(f"{name}: {json.dumps(section)}" for name, section in storage.items()),
        "VENV": str(Path(sys.executable).parents[1]),
    }

    done = subprocess.run([str(script), str(tmp_path)], env=environment, capture_output=True, text=True, check=False)

    print(done.stdout[-2000:])
    assert done.returncode == 0, done.stdout + done.stderr
