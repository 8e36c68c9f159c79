"""An object store that does not answer: whoever does not need it is served, the others are told to come back."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from drivers.flat import READS_AT_ONCE, STEPS_AT_ONCE
from tests.drivers import line as lines
from tests.drivers.line import Line, line_to
from tests.integration import over_store
from tests.integration.api import Api, digest_of
from tests.integration.over_store import assert_unavailable
from tests.serving import SECONDS, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.drivers.s3.servers import S3Server
    from tests.integration.servers import Server

pytestmark = [pytest.mark.s3, pytest.mark.timeout(600)]

CLIENTS = 300
CONTENT = b"there before and after" * 1000
INDEX = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
WORKERS = 2
KEPT = 64
"""Connections to the store that a worker keeps when all is well, besides the threads of its pools."""
LEFT_OVER = 20
"""Threads and descriptors that may be more afterwards, besides those."""


@contextmanager
def line_of(store: S3Server) -> Iterator[Line]:
    """Give a line to the store."""
    port = urlsplit(store.endpoint).port
    assert port
    with line_to(port) as line:
        yield line


@contextmanager
def registry_over(store: S3Server, line: Line, directory: Path) -> Iterator[tuple[Server, Api]]:
    """Run a registry at the other end of `line`, and give its debug server too."""
    settings, debug = {"http": {"workers": WORKERS}}, {"prometheus": {"enabled": True}}
    there = {"regionendpoint": f"http://127.0.0.1:{line.port}", "calltimeout": "4s"}
    with over_store.registry_over(store, directory, settings, debug, **there) as started:
        yield started


def used(server: Server) -> tuple[int, int]:
    """Return how many threads and descriptors the server has, with all its processes."""
    pids = server.processes()
    return sum(count(f"/proc/{pid}/task") for pid in pids), sum(count(f"/proc/{pid}/fd") for pid in pids)


def count(directory: str) -> int:
    return len(list(Path(directory).iterdir()))


def left_over(server: Server, before: tuple[int, int]) -> bool:
    threads, descriptors = used(server)
    most_threads = before[0] + WORKERS * (READS_AT_ONCE + STEPS_AT_ONCE) + LEFT_OVER
    most_descriptors = before[1] + WORKERS * KEPT + LEFT_OVER
    return threads > most_threads or descriptors > most_descriptors


def ask(server: Server, path: str, stack: ExitStack) -> socket.socket:
    client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return client


def readable(clients: list[socket.socket]) -> list[int]:
    poll = select.poll()
    for client in clients:
        poll.register(client, select.POLLIN)
    return [fd for fd, _ in poll.poll(0)]


def waiting(clients: list[socket.socket]) -> int:
    return len(clients) - len(readable(clients))


def status(client: socket.socket) -> int:
    head = client.makefile("rb").read()
    assert b"Retry-After: " in head
    return int(head.split()[1])


def assert_others_are_served(server: Server, debug: Api) -> None:
    for _ in range(20):
        assert server.api.get("/v2/").status == 200
        assert server.api.get("/healthz").status == 200
        assert server.api.get("/readyz").status in {200, 503}
        assert debug.get("/metrics").status == 200


def open_circuits(debug: Api) -> float:
    texts = debug.get("/metrics").body.decode().splitlines()
    return sum(float(text.split()[-1]) for text in texts if text.startswith("registry_storage_circuit_open{"))


@pytest.mark.parametrize("fault", lines.FAULTS, ids=lambda fault: fault.__name__)
def test_a_store_that_does_not_answer_costs_nothing_but_what_needs_it(
    s3: S3Server, tmp_path: Path, fault: lines.Fault
) -> None:
    with line_of(s3) as line, registry_over(s3, line, tmp_path) as (server, debug), ExitStack() as stack:
        digest = server.api.push_blob("a", CONTENT)
        server.api.put_manifest("a", "latest", INDEX, INDEX_TYPE)
        before = used(server)
        line.broken(fault)

        clients = [ask(server, f"/v2/a/blobs/{digest}", stack) for _ in range(CLIENTS)]
        assert_others_are_served(server, debug)
        assert waiting(clients)
        assert {status(client) for client in clients} == {503}

        wait_until("readiness knows", lambda: server.api.get("/readyz").status == 503)
        assert b"does not answer since 20" in server.api.get("/readyz").body
        wait_until("so do metrics", lambda: open_circuits(debug))
        assert "the storage does not answer" in server.log
        asked = line.requests
        for method, path in (
            ("GET", f"/v2/a/blobs/{digest}"),
            ("GET", "/v2/a/manifests/latest"),
            ("POST", "/v2/a/blobs/uploads/"),
            ("GET", "/v2/_catalog"),
            ("GET", "/v2/a/tags/list"),
        ):
            assert_unavailable(server.api.request(method, path))
        assert line.requests - asked < CLIENTS / 2, "it is hardly asked any more"

        line.mended()
        assert_back(server, debug, digest)
        assert "the storage answers again" in server.log
        wait_until("nothing is left over", lambda: not left_over(server, before))


def ask_all(server: Server, digest: str) -> bool:
    """Ask each worker for a blob: one alone takes what comes one after the other."""
    with ExitStack() as stack:
        clients = [ask(server, f"/v2/a/blobs/{digest}", stack) for _ in range(20 * WORKERS)]
        return all(client.recv(1) for client in clients)


def assert_back(server: Server, debug: Api, digest: str) -> None:
    """Check that all works again, without a restart."""
    wait_until("blobs are served", lambda: server.api.blob("a", digest).body == CONTENT)
    wait_until("no worker leaves it alone", lambda: ask_all(server, digest) and not open_circuits(debug))
    wait_until("it is ready", lambda: server.api.get("/readyz").status == 200)
    assert server.api.push_blob("a", b"pushed after")
    assert server.api.get("/v2/a/manifests/latest").status in {200, 404}


def test_a_store_that_refuses_connections_is_left_alone_until_it_takes_them(s3: S3Server, tmp_path: Path) -> None:
    with line_of(s3) as line, registry_over(s3, line, tmp_path) as (server, debug), ExitStack() as stack:
        digest = server.api.push_blob("a", CONTENT)
        line.refused()
        clients = [ask(server, f"/v2/a/blobs/{digest}", stack) for _ in range(CLIENTS)]
        assert_others_are_served(server, debug)
        assert {status(client) for client in clients} == {503}
        wait_until("readiness knows", lambda: server.api.get("/readyz").status == 503)
        line.mended()
        assert_back(server, debug, digest)


def test_a_push_in_progress_is_told_that_the_store_does_not_answer_and_goes_on_when_it_does(
    s3: S3Server, tmp_path: Path
) -> None:
    with line_of(s3) as line, registry_over(s3, line, tmp_path) as (server, debug):
        location = server.api.request("POST", "/v2/a/blobs/uploads/").headers["Location"]
        first = server.api.request("PATCH", location, CONTENT)
        assert first.status == 202
        line.broken(lines.hang)
        assert_unavailable(server.api.request("PATCH", first.headers["Location"], CONTENT))
        line.mended()
        wait_until("the store is asked", lambda: server.api.get("/v2/a/tags/list").status != 503)
        kept = server.api.get(first.headers["Location"])
        assert kept.headers["Range"] == f"0-{len(CONTENT) - 1}"
        digest = digest_of(CONTENT)
        assert server.api.finish_upload(kept.location, digest, b"").status == 201
        assert_back(server, debug, digest)
