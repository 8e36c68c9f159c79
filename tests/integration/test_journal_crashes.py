"""Two hosts under load whose processes are killed again and again: no change that was acknowledged is missing.

``JOURNAL_SECONDS=300 make integration`` goes on for longer than the usual few seconds and prints the figures.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from registry.journal.reader import Reader
from registry.lease import TERM_SECONDS
from registry.plugins import load_driver
from registry.storage import paths
from tests.integration.api import OCI_INDEX
from tests.integration.clusters import shared_bucket, shared_directory
from tests.integration.event_receiver import EventReceiver
from tests.integration.servers import Server, ours
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.drivers.s3.servers import S3Server
    from tests.integration.clusters import SharedStorage

pytestmark = pytest.mark.timeout(900)

SECONDS = float(os.environ.get("JOURNAL_SECONDS", "12"))
KILL_SECONDS = 1.5
CLIENTS = 4
PATIENCE_SECONDS = 180
"""What was killed last may have held the lease, and only another host be there to go on."""
DELETED = 5
"""Every so many pushes one is deleted again."""

Told = tuple[str, str]
"""What happened, and to what: the tag that was pushed, or that of the manifest or tag that was deleted."""


def index(number: str) -> bytes:
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"number": number}}
    return json.dumps(document).encode()


@dataclass
class Client:
    """Pushes to a repository of its own and deletes from it, through either host, one request after the other."""

    repository: str
    servers: list[Server]
    acknowledged: list[Told] = field(default_factory=list)
    refused: int = 0

    def work(self, over: threading.Event) -> None:
        chance, number = random.Random(self.repository), 0
        while not over.is_set():
            number += 1
            tag = f"t{number}"
            if self.does("PUT", tag, chance.choice(self.servers)) and number % DELETED == 0:
                self.does("DELETE", tag, chance.choice(self.servers))

    def does(self, method: str, tag: str, server: Server) -> bool:
        """Send a request, and tell whether it was acknowledged."""
        body, headers = (index(tag), {"Content-Type": OCI_INDEX}) if method == "PUT" else (None, {})
        try:
            answer = server.api.request(method, f"/v2/{self.repository}/manifests/{tag}", body, headers)
        except (OSError, http.client.HTTPException):
            self.refused += 1
            time.sleep(0.05)  # the host is down
            return False
        if answer.status not in {201, 202}:
            self.refused += 1
            return False
        self.acknowledged.append(("push" if method == "PUT" else "delete", tag))
        return True


def kill_again_and_again(servers: list[Server], over: threading.Event) -> int:
    """Kill a whole server, its master alone, or one of its workers, at random, and start what has ended again."""
    chance, times = random.Random(1), 0
    while not over.wait(KILL_SECONDS):
        server = chance.choice(servers)
        kind = chance.choice(["server", "master", "worker", "worker"])
        if kind == "worker":
            with suppress(ProcessLookupError):
                os.kill(chance.choice(server.processes()[1:] or [server.pid]), signal.SIGKILL)
        elif kind == "master":
            orphans = server.processes()[1:]
            os.kill(server.pid, signal.SIGKILL)
            wait_until("its workers have ended", lambda: not any(map(is_alive, orphans)))  # noqa: B023
            server.kill()
            server.start()
        else:
            server.kill()
            server.start()
        times += 1
    return times


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def firsts(told: list[Told], of: list[Told]) -> list[Told]:
    """Return those of `told` that are in `of`, each where it was told first."""
    wanted = set(of)
    return [each for each in dict.fromkeys(told) if each in wanted]


def in_journal(shared: SharedStorage) -> dict[str, list[Told]]:
    """Return what a reader finds, by repository."""
    section: dict[str, Any] = {"filesystem": {"rootdirectory": str(shared.root)}, **(shared.storage or {})}
    name = "s3" if "s3" in section else "filesystem"
    reader = Reader(load_driver(name, section[name]).log(paths.JOURNAL), "ci", hold_seconds=lambda: 0.0)
    found, position, full = defaultdict(list), "", True
    while full:
        page = reader.page(position, limit=1000)
        position, full = page.position, page.full
        for _, entry in page.entries:
            found[entry.repository].append((entry.action, entry.tags[0]))
    return found


@pytest.fixture(params=["directory", "bucket"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> SharedStorage:
    root = tmp_path / tmp_path.name
    if request.param == "directory":
        return shared_directory(root)
    s3: S3Server = request.getfixturevalue("s3")
    return shared_bucket(s3, root)


@pytest.fixture
def receiver() -> Iterator[EventReceiver]:
    with EventReceiver() as running:
        yield running


@pytest.fixture
def servers(shared: SharedStorage, receiver: EventReceiver, tmp_path: Path) -> Iterator[list[Server]]:
    endpoint = {"name": "ci", "url": f"{receiver.url}/hook", "backoff": "100ms", "maxbackoff": "1s", "timeout": "5s"}
    settings = {"http": {"workers": 2}, "notifications": {"endpoints": [endpoint]}}
    running = [Server(ours(), shared.root, tmp_path, settings=settings, storage=shared.storage) for _ in range(2)]
    try:
        for server in running:
            server.start()
        yield running
    finally:
        for server in running:
            if server.is_running():
                server.kill()


def received(receiver: EventReceiver) -> Iterator[dict[str, Any]]:
    """Yield the events of each request that was not cut off by the end of who has sent it."""
    for request in receiver.requests:
        with suppress(json.JSONDecodeError):
            yield from request.events()


def delivered(receiver: EventReceiver) -> dict[str, list[Told]]:
    found = defaultdict(list)
    for event in received(receiver):
        if "tag" in event["target"]:
            found[event["target"]["repository"]].append((event["action"], event["target"]["tag"]))
    return found


def test_what_was_acknowledged_is_in_the_journal_and_delivered_in_order_whatever_is_killed(
    shared: SharedStorage, receiver: EventReceiver, servers: list[Server]
) -> None:
    clients = [Client(f"team/app{number}", servers) for number in range(CLIENTS)]
    over = threading.Event()
    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        working = [pool.submit(client.work, over) for client in clients]
        killing = pool.submit(kill_again_and_again, servers, over)
        time.sleep(SECONDS)
        over.set()
        for each in working:
            each.result()
        kills = killing.result()
    stopped = time.monotonic()

    journaled = in_journal(shared)
    for client in clients:
        assert client.acknowledged
        assert firsts(journaled[client.repository], client.acknowledged) == client.acknowledged

    def is_delivered() -> bool:
        told = delivered(receiver)
        return all(set(client.acknowledged) <= set(told[client.repository]) for client in clients)

    wait_until("all is delivered", is_delivered, seconds=PATIENCE_SECONDS)
    told = delivered(receiver)
    for client in clients:
        assert firsts(told[client.repository], client.acknowledged) == client.acknowledged
    ids = [event["id"] for event in received(receiver)]
    acknowledged, refused = sum(len(each.acknowledged) for each in clients), sum(each.refused for each in clients)
    seconds = time.monotonic() - stopped
    print(
        f"{kills} kills in {SECONDS:.0f} s: {acknowledged} changes acknowledged, {refused} not; {len(ids)} events "
        f"received, {len(ids) - len(set(ids))} of them again; the last {seconds:.0f} s after the end"
    )


def test_a_host_that_stops_hands_on_at_once_and_one_that_is_frozen_is_replaced(
    receiver: EventReceiver, servers: list[Server]
) -> None:
    client = Client("team/app", servers)

    def is_told(tag: str) -> bool:
        return ("push", tag) in delivered(receiver)["team/app"]

    def holder() -> Server:
        [found] = [each for each in servers if f"held by this process, in term {term()}" in each.log]
        return found

    def term() -> int:
        return max(int(line.rpartition("in term ")[2].split('"')[0]) for each in servers for line in lines(each))

    def lines(server: Server) -> list[str]:
        return [line for line in server.log.splitlines() if "the lease journal is held" in line]

    assert client.does("PUT", "v1", servers[0])
    wait_until("one delivers", lambda: is_told("v1"))
    first = holder()
    [second] = [each for each in servers if each is not first]
    first.stop_cleanly()
    stopped = time.monotonic()
    assert client.does("PUT", "v2", second)
    wait_until("the other one delivers", lambda: is_told("v2"))
    assert time.monotonic() - stopped < TERM_SECONDS, "the lease was let go of"

    first.start()
    assert holder() is second
    frozen = second.processes()
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        assert client.does("PUT", "v3", first)
        wait_until("the frozen one is replaced", lambda: is_told("v3"))
        assert holder() is first
    finally:
        for pid in reversed(frozen):
            os.kill(pid, signal.SIGCONT)
    # Its workers were silent for so long that its master may replace them.
    wait_until("it is back", lambda: client.does("PUT", "v4", second))
    wait_until("the new one goes on", lambda: is_told("v4"))

    assert firsts(delivered(receiver)["team/app"], client.acknowledged) == client.acknowledged
    assert holder() is first
