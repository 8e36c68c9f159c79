"""Threads that wait for what others do keep nobody else waiting, however many they are."""

from __future__ import annotations

import re
import select
import socket
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from registry.oci.errors import UpstreamBusyError
from registry.server.gate import MOST_PARKED, Gate
from tests.server import parking_application
from tests.serving import SECONDS, Serving, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 600
FEW = 200
"""More than threads of a worker may work."""
PROGRAM = parking_application.__file__
KIBIBYTES_EACH = 64
"""How much memory a client may cost whose thread is parked."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    before = (sys.executable, PROGRAM)
    environ = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with serving(tmp_path, {"http": {"workers": 1, "draintimeout": "2s"}}, environ, before) as running:
        yield running


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def asking(server: Serving, path: str, clients: ExitStack) -> socket.socket:
    client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def status(client: socket.socket) -> int:
    return int(client.recv(4096).split()[1])


def answered(clients: list[socket.socket]) -> int:
    """Return how many have something to read."""
    readable, _, _ = select.select(clients, [], [], 0)
    return len(readable)


def threads(server: Serving) -> int:
    return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in server.workers())


def resident(server: Serving) -> int:
    """Return KiB of memory of the workers."""
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in server.workers()]
    return sum(int(found[1]) for text in texts if (found := re.search(r"VmRSS:\s+(\d+)", text)))


def test_hundreds_of_parked_threads_hold_up_nobody_and_more_are_told_to_come_back(
    server: Serving, clients: ExitStack
) -> None:
    before = resident(server)
    waiting = [asking(server, "/parked", clients) for _ in range(MANY)]
    wait_until("all that may not be parked are refused", lambda: answered(waiting) >= MANY - MOST_PARKED)

    answers = [server.get("/").status for _ in range(50)]

    assert answers == [200] * 50
    assert resident(server) - before < MANY * KIBIBYTES_EACH
    server.get("/release")
    statuses = [status(each) for each in waiting]
    assert sorted(set(statuses)) == [200, 503]
    assert statuses.count(200) >= MOST_PARKED


def test_a_thread_may_be_parked_between_two_pieces_of_a_body(server: Serving, clients: ExitStack) -> None:
    waiting = [asking(server, "/streamed", clients) for _ in range(FEW)]
    wait_until("all are parked", lambda: threads(server) > FEW)
    assert server.get("/").status == 200
    first = waiting[0].recv(4096)
    assert first.endswith(parking_application.PIECE)

    server.get("/release")

    assert waiting[0].recv(4096) == parking_application.PIECE


def test_a_client_that_has_gone_costs_its_thread_no_longer_than_the_wait(server: Serving, clients: ExitStack) -> None:
    waiting = [asking(server, "/streamed", clients) for _ in range(FEW)]
    wait_until("all are parked", lambda: threads(server) > FEW)
    for each in waiting:
        each.close()

    server.get("/release")

    wait_until("the threads have gone", lambda: threads(server) < FEW / 2)
    assert server.get("/").status == 200


def test_a_server_that_stops_waits_for_parked_threads_no_longer_than_for_others(tmp_path: Path) -> None:
    environ = {"PYTHONPATH": str(Path(__file__).parents[2])}
    overlay = {"http": {"workers": 1, "draintimeout": "1s"}}
    with ExitStack() as clients, serving(tmp_path, overlay, environ, (sys.executable, PROGRAM)) as server:
        for _ in range(FEW):
            asking(server, "/parked", clients)
        wait_until("all are parked", lambda: threads(server) > FEW)
        server.process.terminate()
        assert server.process.wait(SECONDS / 3) == 0
        assert f"waits for requests in progress: {FEW}" in server.log()


def test_who_is_one_too_many_is_refused_and_others_may_follow_when_one_has_left() -> None:
    gate = Gate(most_parked=1)
    handed: list[str] = []
    first, second = gate.ticket(), gate.ticket()
    queued = []
    with first.parked(lambda: handed.append("first")):
        queued.append(first.queues)
        with pytest.raises(UpstreamBusyError) as caught, second.parked(lambda: handed.append("second")):
            pass
        assert caught.value.retry_seconds
    queued.append(first.queues)
    with second.parked(lambda: handed.append("second")):
        pass
    assert handed == ["first", "second"]
    assert queued == [True, False]


def test_who_was_parked_before_is_parked_again_whoever_has_come_since() -> None:
    gate = Gate(most_parked=1)
    first, second = gate.ticket(), gate.ticket()
    with first.parked(lambda: None):
        pass
    with second.parked(lambda: None), first.parked(lambda: None):
        pass
    first.end()
    with second.parked(lambda: None), pytest.raises(UpstreamBusyError), first.parked(lambda: None):
        pass


def test_those_that_were_parked_go_on_a_few_at_a_time() -> None:
    gate, going, most = Gate(most=2), threading.Semaphore(0), 3
    released = threading.Event()
    tickets = [gate.ticket() for _ in range(most)]

    def wait(index: int) -> None:
        with tickets[index].parked(lambda: None):
            released.wait()
            time.sleep(0.01)
        going.release()

    each = [threading.Thread(target=wait, args=(index,)) for index in range(most)]
    for thread in each:
        thread.start()
    released.set()
    assert going.acquire(timeout=SECONDS)
    assert going.acquire(timeout=SECONDS)
    assert not going.acquire(timeout=0.1)
    (queuing,) = (ticket for ticket in tickets if ticket.queues)
    next(ticket for ticket in tickets if ticket is not queuing).leave()
    assert going.acquire(timeout=SECONDS)
    for thread in each:
        thread.join()
