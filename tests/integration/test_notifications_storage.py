"""Notifications where the storage fails and comes back, and where two servers share it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.clients import missing
from tests.integration.event_load import Pushes, pushed
from tests.integration.event_receiver import EventReceiver
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(300)

DISK_BYTES = 4 << 20
CLIENTS = 3
KILLED_SECONDS = 60
"""Twice as long as a server waits before it takes the place of one that has died."""


@pytest.fixture
def receiver() -> Iterator[EventReceiver]:
    with EventReceiver() as running:
        yield running


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system at the storage root."""
    root = tmp_path / "root"
    root.mkdir()
    if not succeeds("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(root)):
        missing("the right to mount")
    yield root
    succeeds("umount", "--lazy", str(root))


def succeeds(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def settings(receiver: EventReceiver) -> dict[str, Any]:
    endpoint = {"name": "ci", "url": receiver.url, "backoff": "100ms", "maxbackoff": "500ms"}
    return {"http": {"workers": 2}, "notifications": {"endpoints": [endpoint]}}


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Leave no byte on the disk."""
    filling = disk / "filling"
    with filling.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    yield
    filling.unlink()


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    # Busy while a file is open to be written, as the journal is: the kernel then refuses a remount, and not a bind.
    assert succeeds("mount", "--bind", str(disk), str(disk))
    assert succeeds("mount", "-o", "remount,bind,ro", str(disk))
    yield
    assert succeeds("umount", "--lazy", str(disk))


@contextmanager
def gone(disk: Path) -> Iterator[None]:
    """Have nothing mounted at the storage root; what was there comes back."""
    held = disk.parent / "held"
    held.mkdir()
    assert succeeds("mount", "--bind", str(disk), str(held))
    assert succeeds("umount", "--lazy", str(disk))
    yield
    assert succeeds("mount", "--bind", str(held), str(disk))
    assert succeeds("umount", "--lazy", str(held))


@pytest.mark.parametrize(("failing", "status"), [(full, 507), (read_only, 507), (gone, 503)])
def test_while_the_storage_fails_pushes_are_refused_and_all_that_were_acknowledged_are_told_of_afterwards(
    start_server: StartServer, receiver: EventReceiver, disk: Path, failing: Callable[[Path], Any], status: int
) -> None:
    pushes, server = Pushes(), start_server(settings=settings(receiver))
    pushes.many(server.api, CLIENTS, pushes=10)
    receiver.stop()
    pushes.many(server.api, CLIENTS, pushes=10)
    with failing(disk):
        receiver.start()
        for client in range(CLIENTS * 4):
            answer = pushes.one(server.api, f"team/app{client % CLIENTS}")
            assert answer.status == status, answer
            (error,) = answer.json()["errors"]
            assert "\n" not in error["message"]
    wait_until("pushes succeed", lambda: pushes.one(server.api, "team/app0").status == 201)
    pushes.many(server.api, CLIENTS, pushes=10)
    wait_until("all are delivered", lambda: pushes.delivered_in(receiver.events()))
    told = pushed(receiver.events())
    assert {name: [tag for tag in told[name] if tag in tags] for name, tags in pushes.acknowledged.items()} == (
        pushes.acknowledged
    )


@pytest.mark.parametrize("options", ["ro", "nr_inodes=1"])
def test_a_push_is_refused_in_one_line_where_only_the_journal_cannot_be_written(
    start_server: StartServer, receiver: EventReceiver, disk: Path, options: str
) -> None:
    server, pushes = start_server(settings=settings(receiver)), Pushes()
    pushes.many(server.api, CLIENTS, pushes=3)
    wait_until("all are delivered", lambda: pushes.delivered_in(receiver.events()))
    (journal,) = {path.parent for path in disk.glob("registry/journal/log/*")}
    killed = server.workers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_until("others serve", lambda: len(set(server.workers()) - set(killed)) == 3)
    assert succeeds("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(journal))
    wait_until("the server answers", lambda: server.api.get("/v2/").status == 200)
    answer = pushes.one(server.api, "team/app0")
    assert answer.status == 507, answer
    (error,) = answer.json()["errors"]
    assert "\n" not in error["message"]

    assert succeeds("umount", "--lazy", str(journal))
    pushes.many(server.api, CLIENTS, pushes=3)
    wait_until("all are delivered", lambda: pushes.delivered_in(receiver.events()))


def stop(server: Server) -> None:
    server.stop_cleanly()


def kill(server: Server) -> None:
    server.kill()


@pytest.mark.parametrize(("end", "seconds"), [(stop, 10), (kill, KILLED_SECONDS)])
def test_of_two_servers_with_one_directory_one_delivers_and_the_other_goes_on_where_it_ends(
    start_server: StartServer, tmp_path: Path, receiver: EventReceiver, end: Callable[[Server], None], seconds: float
) -> None:
    pushes, shared = Pushes(), tmp_path / "shared"
    first, second = (start_server(settings=settings(receiver), root=shared) for _ in range(2))
    pushes.many(first.api, CLIENTS, pushes=5)
    pushes.many(second.api, CLIENTS, pushes=5)
    wait_until("all are delivered", lambda: pushes.delivered_in(receiver.events()))
    assert len(receiver.requests) == sum(map(len, pushes.acknowledged.values()))

    end(first)
    began = time.monotonic()
    pushes.many(second.api, CLIENTS, pushes=5)
    wait_until("the other one delivers", lambda: pushes.delivered_in(receiver.events()), seconds=seconds)
    print(f"{end.__name__}: the other one has delivered {time.monotonic() - began:.1f} s later")
    assert pushed(receiver.events()) == pushes.acknowledged
