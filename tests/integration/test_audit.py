"""The audit log of real servers: nothing acknowledged is missing, whatever is killed, and nothing is there twice."""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
import yaml

from tests.commands.stores import run
from tests.drivers.stores import storage_of
from tests.integration.api import OCI_MANIFEST, digest_of
from tests.integration.clients import missing
from tests.integration.servers import Server, ours
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import StartServer


pytestmark = pytest.mark.timeout(600)

BROKEN = (OSError, http.client.HTTPException)
CONFIG = b"{}"
SHORT_LEASE = Path(__file__).parents[1] / "audit/short_lease.py"
AUDIT = {"audit": {"enabled": True, "stdout": True}}


def manifest(note: str) -> bytes:
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(CONFIG), "size": len(CONFIG)}
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": []}
    return json.dumps(document | {"annotations": {"note": note}}).encode()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    root = tmp_path / "disk"
    root.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(root)], capture_output=True, check=False
    )
    if done.returncode:
        missing("the right to mount a file system")
    try:
        yield root
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


@dataclass
class Load:
    """Clients that push and delete through some servers until told to stop, and what was acknowledged to them."""

    servers: list[Server]
    pushed: list[tuple[str, str]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    ending: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, clients: int) -> None:
        for number in range(clients):
            self.threads.append(threading.Thread(target=self._work, args=(number,)))
            self.threads[-1].start()

    def wait_for(self, more: int) -> None:
        """Return when so many more pushes were acknowledged."""
        goal = len(self.pushed) + more
        wait_until(f"{more} more pushes", lambda: len(self.pushed) >= goal)

    def end(self) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def _work(self, number: int) -> None:
        name = f"team/{number}"
        sequence = 0
        while not self.ending.is_set():
            sequence += 1
            server = self.servers[(number + sequence) % len(self.servers)]
            try:
                self._push(server, name, f"{number}-{sequence}")
            except BROKEN:
                self.ending.wait(0.2)

    def _push(self, server: Server, name: str, note: str) -> None:
        blob = server.api.request("POST", f"/v2/{name}/blobs/uploads/?digest={digest_of(CONFIG)}", body=CONFIG)
        if blob.status != 201:
            self.refused[blob.status] += 1
            return
        content, headers = manifest(note), {"Content-Type": OCI_MANIFEST}
        put = server.api.request("PUT", f"/v2/{name}/manifests/v{note}", body=content, headers=headers)
        if put.status == 201:
            self.pushed.append((f"{name}:v{note}", digest_of(content)))
            if note.endswith("0") and server.api.request("DELETE", f"/v2/{name}/manifests/v{note}").status == 202:
                self.deleted.append(f"{name}:v{note}")


def audit(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    config = str(server.directory / f"{server.flavour.name}-{server.port}.yml")
    return run("audit", *arguments, "--config", config)


def records(server: Server) -> list[dict[str, Any]]:
    done = audit(server, "list", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def check(server: Server, load: Load) -> None:
    """Assert that all that was acknowledged to the clients is in the log, and nothing twice, in an unbroken chain."""
    wait_until("all entries are in the log", lambda: all("seq" in each for each in records(server)), seconds=120)
    found = records(server)
    assert [each["seq"] for each in found] == sorted(each["seq"] for each in found)
    assert max(Counter(each["id"] for each in found).values()) == 1
    pushes = {
        (f"{each['repository']}:{tag}", each["digest"]) for each in found if _is_push(each) for tag in each["tags"]
    }
    assert set(load.pushed) <= pushes
    deletions = {f"{each['repository']}:{tag}" for each in found if each["kind"] == "tag" for tag in each["tags"]}
    assert set(load.deleted) <= deletions
    verdict = json.loads(audit(server, "verify", "--json").stdout)
    assert verdict["intact"], verdict


def _names(record: dict[str, Any]) -> list[str]:
    return [f"{record['repository']}:{tag}" for tag in record["tags"]]


def _is_push(record: dict[str, Any]) -> bool:
    return record["outcome"] == "ok" and (record["action"], record["kind"]) == ("push", "manifest")


def told(server: Server) -> list[int]:
    """Return the numbers of the lines that standard output was told."""
    return [json.loads(line)["seq"] for line in server.log.splitlines() if line.startswith('{"action"')]


def test_workers_and_servers_that_are_killed_lose_and_repeat_nothing(start_server: StartServer) -> None:
    server = start_server(ours(), settings=AUDIT)
    choose = random.Random(14)
    load = Load([server])
    load.begin(4)
    for number in range(12):
        load.wait_for(15)
        if number % 3 == 2:
            server.kill()
            server.start()
        else:
            os.kill(choose.choice(server.processes()[1:]), signal.SIGKILL)
    load.end()
    check(server, load)
    last = records(server)[-1]["seq"]
    wait_until("standard output was told all", lambda: last in told(server))
    assert [*dict.fromkeys(told(server))] == list(range(1, max(told(server)) + 1))


@pytest.fixture(params=["directory", pytest.param("bucket", marks=pytest.mark.s3)])
def hosts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Server]]:
    """Two hosts that share a storage."""
    root, storage = tmp_path / "shared", None
    if request.param == "bucket":
        storage = storage_of(request.getfixturevalue("s3"), "audited")
    hasty = replace(ours(), command=(sys.executable, str(SHORT_LEASE), "serve"))
    servers = [Server(hasty, root, tmp_path, settings=AUDIT, storage=storage).start() for _ in range(2)]
    yield servers
    for server in servers:
        server.stop_cleanly()


def test_another_host_goes_on_where_one_was_killed(hosts: list[Server]) -> None:
    servers = list(hosts)
    load = Load(list(servers))
    load.begin(4)
    for _ in range(3):
        load.wait_for(30)
        servers[0].kill()
        wait_until("the other one writes", partial(_has_written, servers[1], written(servers[1]) + 20), seconds=120)
        servers[0].start()
        servers.reverse()
    load.end()
    check(servers[0], load)


def written(server: Server) -> int:
    """Return the number of the last line of the log."""
    return max((each.get("seq", 0) for each in records(server)), default=0)


def _has_written(server: Server, number: int) -> bool:
    return written(server) > number


def test_a_clean_stop_records_what_was_noted_last_and_a_reload_what_has_changed(
    start_server: StartServer, tmp_path: Path
) -> None:
    htpasswd = tmp_path / "htpasswd"
    htpasswd.write_text("alice:" + bcrypt.hashpw(b"wonderland", bcrypt.gensalt(4)).decode() + "\n")
    settings = {**AUDIT, "auth": {"htpasswd": {"realm": "r", "path": str(htpasswd)}}}
    server = start_server(ours(), settings=settings)
    wrong = {"Authorization": "Basic " + base64.b64encode(b"alice:guess").decode()}
    right = {"Authorization": "Basic " + base64.b64encode(b"alice:wonderland").decode()}
    upload = f"/v2/a/blobs/uploads/?digest={digest_of(CONFIG)}"
    assert server.api.request("POST", upload, body=CONFIG, headers=right).status == 201
    wait_until("the start is recorded", lambda: "start" in [each["action"] for each in records(server)])
    config = server.directory / f"{server.flavour.name}-{server.port}.yml"
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"catalog": {"maxentries": 77}}))
    os.kill(server.pid, signal.SIGHUP)
    wait_until("the change is recorded", lambda: "configure" in [each["action"] for each in records(server)])
    for _ in range(3):
        assert server.api.request("GET", "/v2/", headers=wrong).status == 401
    server.stop_cleanly()
    found = records(server)
    assert sum(each["count"] for each in found if (each["action"], each["outcome"]) == ("login", "failed")) == 3
    (change,) = [each["details"] for each in found if each["action"] == "configure"]
    assert change == {"changed": "catalog.maxentries"}
    assert "guess" not in json.dumps(found)


def test_on_a_full_disk_nothing_is_acknowledged_that_is_not_recorded(start_server: StartServer, disk: Path) -> None:
    server = start_server(ours(), settings=AUDIT, root=disk)
    load = Load([server])
    load.begin(2)
    load.wait_for(10)
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    wait_until("pushes are refused", lambda: load.refused[507] > 20)
    filler.unlink()
    load.wait_for(10)
    load.end()
    check(server, load)
