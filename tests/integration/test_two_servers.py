"""Two servers with one storage root and one secret, as two hosts with a shared volume are."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.integration.api import OCI_MANIFEST, digest_of
from tests.integration.servers import ours
from tests.integration.storage_tree import faults
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.api import Answer
    from tests.integration.conftest import StartServer
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(300)

UPLOADS = 64
CHUNKS = 12
CHUNK_BYTES = 96 * 1024
CLIENTS = 8
ATTEMPTS = 200
BACKOFF_SECONDS = 0.1
BROKEN = (OSError, http.client.HTTPException)


@dataclass(slots=True)
class Progress:
    """What all clients together have done."""

    chunks: int = 0
    resumed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_chunk(self) -> None:
        with self._lock:
            self.chunks += 1

    def count_resumption(self) -> None:
        with self._lock:
            self.resumed += 1


@dataclass(slots=True)
class Client:
    """Pushes one blob, a chunk to one server and the next chunk to the other."""

    servers: list[Server]
    repository: str
    content: bytes
    progress: Progress
    turns: Iterator[int]
    location: str = ""
    offset: int = 0

    def push(self) -> str:
        digest = digest_of(self.content)
        self.location = self._begin()
        for _ in range(ATTEMPTS):
            try:
                if self.offset < len(self.content):
                    self._send_chunk()
                elif self._finish(digest):
                    return digest
            except BROKEN:
                if self._is_published(digest):
                    return digest
                time.sleep(BACKOFF_SECONDS)  # clients wait before they try again
                self._resume()
        raise AssertionError(f"{self.repository}: gave up at {self.offset} of {len(self.content)} bytes")

    def _server(self) -> Server:
        return self.servers[next(self.turns) % len(self.servers)]

    def _begin(self) -> str:
        while True:
            try:
                return self._server().api.begin_upload(self.repository).location
            except BROKEN:
                continue

    def _send_chunk(self) -> None:
        chunk = self.content[self.offset : self.offset + CHUNK_BYTES]
        answer = self._server().api.send_chunk(self.location, self.offset, chunk)
        if answer.status == 202:
            self.location = answer.location
            self.offset += len(chunk)
            self.progress.count_chunk()
        else:
            self._refused(answer)

    def _finish(self, digest: str) -> bool:
        answer = self._server().api.finish_upload(self.location, digest)
        if answer.status == 201:
            assert answer.digest == digest
            return True
        self._refused(answer)
        return False

    def _refused(self, answer: Answer) -> None:
        """Only a server that stored more or less than it could acknowledge may refuse."""
        assert answer.status == 416, f"{self.repository} at {self.offset}: {answer}"
        self._resume()

    def _resume(self) -> None:
        """Ask either server where the upload stands."""
        self.progress.count_resumption()
        while True:
            try:
                answer = self._server().api.get(self.location)
            except BROKEN:
                continue
            assert answer.status == 204, f"{self.repository} at {self.offset}: {answer}"
            last = int(answer.headers["Range"].removeprefix("0-"))
            self.offset = last + 1 if last else 0
            self.location = answer.location
            return

    def _is_published(self, digest: str) -> bool:
        for server in self.servers:
            try:
                return server.api.head(f"/v2/{self.repository}/blobs/{digest}").status == 200
            except BROKEN:
                continue
        return False


def turns(first: int) -> Iterator[int]:
    while True:
        yield first
        first += 1


def kill_server(server: Server) -> None:
    server.kill()
    server.start()


def kill_worker(server: Server) -> None:
    workers = server.processes()[1:]
    if not workers:
        pytest.skip("this server has no workers of its own")
    os.kill(workers[0], signal.SIGKILL)


@pytest.mark.parametrize("accident", [None, kill_worker, kill_server])
def test_uploads_alternating_between_two_servers_complete_or_resume(
    start_server: StartServer, tmp_path: Path, accident: object
) -> None:
    servers = [start_server(ours(), root=tmp_path / "shared") for _ in range(2)]
    seed = random.Random(2)
    progress = Progress()
    clients = [
        Client(
            servers,
            f"two/{number}",
            seed.randbytes(CHUNK_BYTES * seed.randint(CHUNKS // 2, CHUNKS)),
            progress,
            turns(number),
        )
        for number in range(UPLOADS)
    ]
    with ThreadPoolExecutor(CLIENTS) as pool:
        pushes = [pool.submit(client.push) for client in clients]
        if callable(accident):
            third = UPLOADS * CHUNKS // 4
            wait_until("a third of the chunks is stored", lambda: progress.chunks > third, seconds=120)
            accident(servers[1])
        digests = [push.result() for push in pushes]
    print(f"{progress.chunks} chunks, {progress.resumed} resumptions")

    assert accident is not None or progress.resumed == 0
    for client, digest in zip(clients, digests, strict=True):
        for server in servers:
            assert server.api.blob(client.repository, digest).body == client.content
    assert faults(tmp_path / "shared") == []
    assert "Traceback" not in servers[0].log + servers[1].log


def test_two_servers_writing_one_upload_at_once_never_mix_their_bytes(
    start_server: StartServer, tmp_path: Path
) -> None:
    one, two = (start_server(ours(), root=tmp_path / "shared") for _ in range(2))
    halves = [bytes([number]) * (4 << 20) for number in (1, 2)]
    start = one.api.begin_upload("two/race").location
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda pair: pair[0].api.send_chunk(start, 0, pair[1]), zip((one, two), halves, strict=True))
        )
    statuses = sorted(answer.status for answer in answers)
    assert statuses == [202, 416], "one of two chunks for the same place is refused"

    (winner,) = (half for half, answer in zip(halves, answers, strict=True) if answer.status == 202)
    status = one.api.get(start)
    assert status.headers["Range"] == f"0-{len(winner) - 1}"
    assert two.api.finish_upload(status.location, digest_of(winner)).status == 201
    assert one.api.blob("two/race", digest_of(winner)).body == winner


def test_tags_and_deletions_on_one_server_are_seen_by_the_other(start_server: StartServer, tmp_path: Path) -> None:
    one, two = (start_server(ours(), root=tmp_path / "shared") for _ in range(2))
    config = one.api.push_blob("two/tags", b"{}")
    descriptor = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2}
    for number in range(20):
        content = manifest(descriptor, str(number))
        assert one.api.put_manifest("two/tags", "moving", content).status == 201
        assert two.api.manifest("two/tags", "moving").body == content
    assert two.api.delete(f"/v2/two/tags/manifests/{digest_of(content)}").status == 202
    assert one.api.manifest("two/tags", "moving").status == 404
    assert two.api.delete(f"/v2/two/tags/blobs/{config}").status == 202
    assert one.api.blob("two/tags", config).status == 404


def test_a_tag_that_many_move_from_what_they_have_seen_loses_no_move(start_server: StartServer, tmp_path: Path) -> None:
    servers = [start_server(ours(), root=tmp_path / "shared") for _ in range(2)]
    config = servers[0].api.push_blob("two/counter", b"{}")
    descriptor = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2}
    target, created = "/v2/two/counter/manifests/count", {"If-None-Match": "*", "Content-Type": OCI_MANIFEST}
    assert servers[0].api.request("PUT", target, manifest(descriptor, "0 -"), created).status == 201
    assert servers[1].api.request("PUT", target, manifest(descriptor, "1 -"), created).status == 412

    def moves(client: int) -> int:
        """Count on from what is there, again and again, under a name of the client's own; return how often it went."""
        went = 0
        for turn in range(ATTEMPTS // 4):
            api = servers[(client + turn) % 2].api
            seen = api.manifest("two/counter", "count")
            count = int(seen.json()["annotations"]["note"].split()[0])
            headers = {"If-Match": seen.headers["ETag"], "Content-Type": OCI_MANIFEST}
            answer = api.request("PUT", target, manifest(descriptor, f"{count + 1} {client}"), headers)
            assert answer.status in {201, 412}
            went += answer.status == 201
        return went

    with ThreadPoolExecutor(CLIENTS) as pool:
        went = sum(pool.map(moves, range(CLIENTS)))
    assert servers[0].api.manifest("two/counter", "count").json()["annotations"]["note"].split()[0] == str(went)
    assert went > 0


def manifest(config: dict[str, object], note: str) -> bytes:
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [],
        "annotations": {"note": note},
    }
    return json.dumps(document).encode()
