"""A server whose disk fails, and one that has no more descriptors, threads or processes."""

from __future__ import annotations

import errno
import http.client
import json
import os
import resource
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from registry.oci.digest import Digest
from tests.faults import Faults
from tests.serving import Serving, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYER: Final = bytes(range(256)) * 40_000
"""More than is hashed without a thread."""
CONFIG: Final = b"{}" * 100
UPLOADS: Final = "/v2/a/blobs/uploads/"
ONE_WORKER: Final = {"http": {"workers": 1}}
MANY: Final = 60
THREADS: Final = 17
"""The main thread and those of ``http.threads``, at least."""


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Faults:
    return Faults.build(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory, faults: Faults) -> Iterator[tuple[Serving, str]]:
    """A server, and where the one blob is that it has."""
    with serving(tmp_path_factory.mktemp("reading"), environ=faults.environ) as running:
        yield running, push(running)


@pytest.fixture
def server(tmp_path: Path, faults: Faults) -> Iterator[Serving]:
    with serving(tmp_path, environ=faults.environ) as running:
        yield running


def push(server: Serving, content: bytes = LAYER) -> str:
    """Push a blob and return where it is served."""
    digest = Digest.of(content)
    answer = server.request("POST", f"{UPLOADS}?digest={digest}", content)
    assert answer.status == 201, answer.body
    return f"/v2/a/blobs/{digest}"


def count_of(pid: int, what: str) -> int:
    """Count a process's threads ("task") or its descriptors ("fd")."""
    return sum(1 for _ in Path(f"/proc/{pid}/{what}").iterdir())


def told(server: Serving, text: str, *, after: int = 0) -> list[str]:
    """Return the lines of the log with `text`, without those of requests and the first `after` characters."""
    return [line for line in server.log()[after:].splitlines() if text in line and "response completed" not in line]


@pytest.mark.parametrize(
    ("call", "number", "status", "code"),
    [
        ("open", errno.EIO, 503, "UNAVAILABLE"),
        ("open", errno.ESTALE, 503, "UNAVAILABLE"),
        ("open", errno.ENOTCONN, 503, "UNAVAILABLE"),
        ("open", errno.EMFILE, 503, "UNAVAILABLE"),
        ("open", errno.EACCES, 503, "UNAVAILABLE"),
        ("open", errno.EPERM, 503, "UNAVAILABLE"),
        ("open", errno.ELOOP, 500, "UNKNOWN"),
        ("open", errno.ENOENT, 404, "BLOB_UNKNOWN"),
    ],
)
def test_a_blob_whose_file_cannot_be_opened_is_answered_and_told_in_one_line(
    reading: tuple[Serving, str], faults: Faults, call: str, number: int, status: int, code: str
) -> None:
    server, blob = reading
    before = len(server.log())
    with faults.raising(call, number, f"/blobs/sha256/{blob.rpartition(':')[2][:2]}/"):
        answers = [server.get(blob) for _ in range(MANY)]

    assert {answer.status for answer in answers} == {status}
    assert json.loads(answers[0].body)["errors"][0]["code"] == code
    assert ("Retry-After" in answers[0].headers) == (status == 503)
    assert "Traceback" not in server.log()
    # Of each of the two workers.
    assert len(told(server, f"GET {blob}: ", after=before)) <= (2 if status >= 500 else 0)
    wait_until("all are logged", lambda: server.log()[before:].count("response completed with error") == MANY)
    assert server.get(blob).body == LAYER


@pytest.mark.parametrize(
    ("call", "number", "status"),
    [
        ("write", errno.ENOSPC, 507),
        ("write", errno.EDQUOT, 507),
        ("write", errno.EIO, 503),
        ("fsync", errno.EIO, 503),
        ("rename", errno.EIO, 503),
        ("mkdir", errno.EROFS, 507),
        ("open", errno.EACCES, 507),
        ("mkdir", errno.EPERM, 507),
        ("rename", errno.EACCES, 507),
        ("open", errno.ENFILE, 503),
        ("close", errno.EIO, 503),
    ],
)
def test_a_push_that_the_disk_does_not_take_is_answered_and_can_be_repeated(
    server: Serving, faults: Faults, call: str, number: int, status: int
) -> None:
    digest = Digest.of(CONFIG)
    with faults.raising(call, number, "/root/docker"):
        answer = server.request("POST", f"{UPLOADS}?digest={digest}", CONFIG)

    assert answer.status == status
    assert json.loads(answer.body)["errors"][0]["code"] == "UNAVAILABLE"
    assert ("Retry-After" in answer.headers) == (status in {503, 507})
    assert "Traceback" not in server.log()
    assert server.get(push(server, CONFIG)).body == CONFIG


def test_a_server_starts_on_a_disk_that_is_full_says_so_and_serves_what_is_there(
    tmp_path: Path, faults: Faults
) -> None:
    with faults.raising("write", errno.ENOSPC, "/root/"), serving(tmp_path, environ=faults.environ) as server:
        assert len(told(server, "No space left on device")) == 1
        assert "pushes are refused" in server.log()
        assert server.get("/v2/").status == 200


def test_without_threads_requests_and_checks_are_served_and_threads_come_back(tmp_path: Path, faults: Faults) -> None:
    health = {"health": {"storagedriver": {"enabled": True, "interval": "50ms"}}}
    with serving(tmp_path, ONE_WORKER | health, faults.environ) as server:
        (worker,) = server.workers()
        wait_until("it has its threads", lambda: count_of(worker, "task") > THREADS)
        with faults.raising("thread", errno.EAGAIN, ""):
            assert server.get(push(server)).body == LAYER
            wait_until("checks find no thread", lambda: faults.count > 3)
            with pytest.raises(http.client.HTTPException):
                server.debug("/debug/health")
            assert server.get("/readyz").status == 200

        wait_until("the debug server answers", lambda: server.debug("/debug/health").status == 200)
        assert server.debug("/debug/health").body == b"{}"
        jobs = json.loads(server.debug("/debug/jobs").body)
        assert jobs["health_storagedriver_filesystem"]["error"] == ""
        assert "Traceback" not in server.log()


def test_without_processes_a_server_goes_on_and_has_all_its_workers_back_later(server: Serving, faults: Faults) -> None:
    # The first of them answers before the second one has been forked.
    wait_until("both workers are there", lambda: len(server.workers()) == 2)
    ended, stays = sorted(server.workers())
    with faults.raising("fork", errno.EAGAIN, ""):
        os.kill(ended, signal.SIGKILL)
        wait_until("it tries in vain", lambda: faults.count >= 2)
        assert server.workers() == {stays}
        assert {server.get("/v2/").status for _ in range(5)} == {200}

    wait_until("there are two", lambda: len(server.workers() - {ended}) == 2)
    assert len(told(server, "no worker can be started: [Errno 11]")) == 1
    assert "Traceback" not in server.log()


def test_without_descriptors_the_log_stays_short_and_the_server_serves_again(tmp_path: Path) -> None:
    with serving(tmp_path, ONE_WORKER) as server:
        (worker,) = server.workers()
        used = count_of(worker, "fd")
        limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (used + 3, limits[1]))
        with ExitStack() as clients:
            for _ in range(20):
                clients.enter_context(socket.create_connection(("127.0.0.1", server.port))).sendall(b"GET /v2/ ")
            time.sleep(2)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)

        wait_until("it serves", lambda: server.get("/v2/").status == 200)
        assert server.log().count("Traceback") <= 1
        assert len(server.log().splitlines()) < 30


def test_a_reload_for_which_there_are_no_descriptors_leaves_the_server_as_it_was(tmp_path: Path) -> None:
    with serving(tmp_path, ONE_WORKER) as server:
        pid = server.process.pid
        before = server.workers()
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        for spare in range(8):
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (count_of(pid, "fd") + spare, limits[1]))
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.5)
            assert server.process.poll() is None, server.log()
        assert server.get("/v2/").status == 200
        wait_until("it says so", lambda: told(server, "the old configuration stays in force"))

        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        server.process.send_signal(signal.SIGHUP)
        wait_until("there is a new worker", lambda: server.workers() and not server.workers() & before)
        wait_until("it serves", lambda: server.get("/v2/").status == 200)


def test_requests_that_are_not_http_do_not_fill_the_log(tmp_path: Path) -> None:
    with serving(tmp_path, ONE_WORKER) as server:
        for number in range(300):
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(b"\x16\x03\x01 nonsense\r\n\r\n" if number % 2 else b"GET / HTTP/9.9\r\n\r\n")
                client.settimeout(60)
                assert client.recv(12) == b"HTTP/1.1 400"
        assert 0 < len(told(server, "refused a request of 127.0.0.1")) < 5
    counted = [line.rpartition("repeated=")[2] for line in told(server, "more in the last")]
    assert sum(int(each.split()[0]) for each in counted) >= 290


@pytest.mark.parametrize("after", [0, 3])
def test_a_disk_that_fails_while_a_blob_is_sent_ends_the_connection_and_is_told_in_one_line(
    server: Serving, faults: Faults, after: int
) -> None:
    blob = push(server)
    with faults.raising("read", errno.EIO, f"/blobs/sha256/{blob.rpartition(':')[2][:2]}/", after=after):
        if after:
            with pytest.raises(http.client.IncompleteRead):
                server.get(blob)
        else:
            assert server.get(blob).status == 503

    assert len(told(server, "Input/output error")) == 1
    assert "Traceback" not in server.log()
    assert server.get(blob).body == LAYER
