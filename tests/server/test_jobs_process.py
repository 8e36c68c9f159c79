"""The process that does periodic work where there are endpoints or an audit log, beside the workers that serve."""

from __future__ import annotations

import os
import re
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.integration.api import Api
from tests.notifications.receiver import Answering, Received, Receiver, receiving
from tests.serving import Serving, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
LISTENS = "0A"
READ_ONLY = {"storage": {"maintenance": {"readonly": {"enabled": True}}}}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def telling(receiver: Receiver, **keys: Any) -> dict[str, Any]:
    endpoint = {"name": "ci", "url": receiver.url(), "backoff": "50ms", "maxbackoff": "100ms", **keys}
    return {"notifications": {"endpoints": [endpoint]}}


def push(server: Serving, tag: str) -> None:
    assert Api("127.0.0.1", server.port).put_manifest("team/app", tag, MANIFEST, INDEX_TYPE).status == 201


def announced(server: Serving) -> list[int]:
    """Return the pids of the processes for jobs that there were, in their order."""
    return [int(pid) for pid in re.findall(r"periodic work has a process of its own: (\d+)", server.log())]


def jobs_process(server: Serving) -> int:
    """Return the one process for jobs that there is."""
    wait_until("it runs", lambda: announced(server) and announced(server)[-1] in server.workers())
    (pid,) = set(announced(server)) & server.workers()
    return pid


def listens(pid: int) -> bool:
    """Tell whether a process has a socket that listens."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    listening = {f"socket:[{row[9]}]" for row in rows if row[3] == LISTENS}
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it has been closed by now
            if str(each.readlink()) in listening:
                return True
    return False


def reload(server: Serving, directory: Path, overlay: dict[str, Any]) -> None:
    path = directory / "config.yml"
    configuration = yaml.safe_load(path.read_text())
    configuration.pop("notifications", None)
    path.write_text(yaml.safe_dump(configuration | overlay))
    before = server.workers()
    server.process.send_signal(signal.SIGHUP)
    wait_until("all processes are new", lambda: server.workers() and not before & server.workers())


@pytest.mark.parametrize("audit", [False, True])
def test_periodic_work_has_a_process_of_its_own_that_serves_nothing(
    tmp_path: Path, receiver: Receiver, audit: bool
) -> None:
    overlay = {"audit": {"enabled": True}} if audit else telling(receiver)
    with serving(tmp_path, overlay) as server:
        pid = jobs_process(server)
        wait_until("two serve beside it", lambda: len(server.workers()) == 3)
        assert [listens(each) for each in sorted(server.workers(), key=lambda each: each != pid)] == [False, True, True]
        wait_until("two are counted", lambda: b"registry_workers 2.0" in server.debug("/metrics").body)
        wait_until("others can be asked how jobs stand", lambda: b'"purge"' in server.debug("/debug/jobs").body)


@pytest.mark.parametrize(
    ("disabled", "overlay", "environ", "workers"),
    [(True, {}, {}, 2), (False, READ_ONLY, {}, 2), (False, {}, {"REGISTRY_STORAGE": "inmemory"}, 1)],
    ids=["disabled", "read-only", "inmemory"],
)
def test_there_is_none_where_nothing_is_delivered_or_no_other_process_could(
    tmp_path: Path, receiver: Receiver, disabled: bool, overlay: dict[str, Any], environ: dict[str, str], workers: int
) -> None:
    (tmp_path / "root").mkdir()
    with serving(tmp_path, telling(receiver, disabled=disabled) | overlay, environ) as server:
        wait_until("jobs are done", lambda: len(server.debug("/debug/jobs").body) > len("{}\n"))
        assert len(server.workers()) == workers
        assert not announced(server)


def test_it_is_started_again_however_often_it_is_killed_and_goes_on(tmp_path: Path, receiver: Receiver) -> None:
    with serving(tmp_path, telling(receiver)) as server:
        workers = server.workers() - {jobs_process(server)}
        for n in range(4):
            os.kill(jobs_process(server), signal.SIGKILL)
            push(server, f"v{n}")
            wait_until("there is another one", lambda: len(announced(server)) == n + 2)  # noqa: B023
        wait_until("all are told", lambda: set(receiver.tags) == {"v0", "v1", "v2", "v3"})
        assert server.workers() - {jobs_process(server)} == workers, "who serves is not disturbed"


def test_it_comes_and_goes_with_the_endpoints(tmp_path: Path, receiver: Receiver) -> None:
    with serving(tmp_path) as server:
        reload(server, tmp_path, telling(receiver))
        first = jobs_process(server)
        push(server, "v1")
        wait_until("it delivers", lambda: receiver.tags == ["v1"])

        reload(server, tmp_path, telling(receiver))
        assert jobs_process(server) != first
        push(server, "v2")
        wait_until("the next one goes on", lambda: receiver.tags == ["v1", "v2"])

        reload(server, tmp_path, {})
        wait_until("two serve", lambda: len(server.workers()) == 2)
        assert not set(announced(server)) & server.workers()


def test_it_stays_where_the_configuration_that_is_read_again_is_wrong(tmp_path: Path, receiver: Receiver) -> None:
    with serving(tmp_path, telling(receiver)) as server:
        before = jobs_process(server)
        reload(server, tmp_path, {"version": 7.0})
        assert "the old configuration stays in force" in server.log()
        assert jobs_process(server) != before
        wait_until("two serve beside it", lambda: len(server.workers()) == 3)
        push(server, "v1")
        wait_until("it delivers", lambda: receiver.tags == ["v1"])


def test_one_serves_and_one_delivers_whatever_workers_are_taken_away(tmp_path: Path, receiver: Receiver) -> None:
    with serving(tmp_path, telling(receiver)) as server:
        jobs_process(server)
        for number in (2, 2):
            server.process.send_signal(signal.SIGTTOU)
            wait_until("one less serves", lambda: len(server.workers()) == number)  # noqa: B023
            wait_until("one delivers", lambda: set(announced(server)) & server.workers())
            push(server, "v1")
        server.process.send_signal(signal.SIGTTIN)
        wait_until("one more serves", lambda: len(server.workers()) == 3)
        assert jobs_process(server)
        wait_until("it delivers", lambda: receiver.tags == ["v1", "v1"])


def test_the_stop_does_not_wait_for_an_endpoint_that_hangs(tmp_path: Path, receiver: Receiver) -> None:
    asked, over = threading.Event(), threading.Event()

    def hang(_: Received) -> Answering:
        asked.set()
        over.wait(60)
        return Answering(500)

    receiver.answer = hang
    try:
        with serving(tmp_path, telling(receiver, timeout="60s") | {"http": {"draintimeout": "60s"}}) as server:
            push(server, "v1")
            assert asked.wait(60)
            pid = jobs_process(server)
            server.process.terminate()
            wait_until("it ends", lambda: not Path(f"/proc/{pid}").exists(), seconds=30)
            assert server.process.wait(30) == 0
    finally:
        over.set()
