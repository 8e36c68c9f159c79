"""A poller with sockets of our own."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from gunicorn.config import Config

from registry.server import poller as polling
from registry.server.connection import ConnectionLimits, Phase
from registry.server.gunicorn_internals import Settings
from registry.server.listening import ListeningLimits
from registry.server.pace import PaceLimits
from registry.server.poller import Poller

if TYPE_CHECKING:
    from registry.server.connection import Connection

LIMITS = ConnectionLimits(
    head_size=65_536, head_seconds=10, idle_seconds=60, pace=PaceLimits(stall_seconds=60, rate=1024)
)
MOST = 4
Connecting = Callable[[], socket.socket]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def poller(listener: socket.socket) -> Iterator[Poller]:
    made = Poller([listener], Settings(Config()), LIMITS, ListeningLimits(MOST))
    yield made
    for connection in made._connections.values():
        connection.sock.close()
    made._epoll.close()


@pytest.fixture
def connect(listener: socket.socket) -> Iterator[Connecting]:
    """Give what connects a client, which is closed at the end."""
    with ExitStack() as clients:
        yield lambda: clients.enter_context(socket.create_connection(listener.getsockname()))


def accept(poller: Poller) -> None:
    """Let the poller accept the next client."""
    before = len(poller)
    while len(poller) == before:
        poller.add_ready(poller.wait())
        assert poller.next_ready() is None


def served(poller: Poller) -> Connection:
    """Return the next connection that has something to read."""
    if not poller.has_ready:
        poller.add_ready(poller.wait())
    connection = poller.next_ready()
    assert connection
    connection.phase = Phase.SERVED
    return connection


def test_a_client_is_accepted_and_given_out_once_until_it_is_kept(poller: Poller, connect: Connecting) -> None:
    client = connect()
    accept(poller)
    client.sendall(b"one")
    connection = served(poller)
    assert connection.sock.recv(10) == b"one"
    assert not poller.has_ready

    client.sendall(b"two")
    assert poller._epoll.poll(0.1) == [], "it is served"
    poller.keep(connection)
    assert served(poller) is connection
    poller.close(connection)
    assert client.recv(10) == b""
    client.close()
    poller.close(served(poller))
    assert len(poller) == 0


def test_what_is_given_back_is_told_of_again_and_a_listener_anyway(poller: Poller, connect: Connecting) -> None:
    client = connect()
    accept(poller)
    client.sendall(b"request")
    connect()

    def told() -> set[int]:
        """Return what is told of in some looks, each of which finds the listener at least."""
        return {fd for _ in range(10) for fd in poller.wait()}

    found = told()
    assert len(found) == 2
    assert len(told()) == 1, "the connection is given out"

    poller.give_back(list(found))

    assert told() == found


def test_when_there_is_no_room_the_client_that_was_idle_longest_makes_some(poller: Poller, connect: Connecting) -> None:
    clients = [connect() for _ in range(MOST)]
    for _ in clients:
        accept(poller)
    clients[0].sendall(b"request")
    served(poller)

    connect()
    accept(poller)

    assert clients[1].recv(10) == b""
    for client in (clients[0], *clients[2:]):
        client.settimeout(0)
        with pytest.raises(BlockingIOError):
            client.recv(10)
    poller.close(served(poller))
    assert len(poller) == MOST


def test_clients_wait_while_all_others_are_served_and_there_is_no_room(poller: Poller, connect: Connecting) -> None:
    busy = []
    for _ in range(MOST + 1):
        connect().sendall(b"request")
        accept(poller)
        busy.append(served(poller))
    connect()
    assert poller._epoll.poll(0.1) == [], "it waits"

    busy[0].end()
    poller.close(busy[0])
    accept(poller)

    assert len(poller) == MOST + 1


def test_an_idle_connection_is_ended_and_one_that_is_served_is_not(poller: Poller, connect: Connecting) -> None:
    clients = [connect() for _ in range(2)]
    accept(poller)
    accept(poller)
    clients[0].sendall(b"request")
    served(poller)
    for connection in poller._connections.values():
        connection.since = time.monotonic() - 61
    poller.watch()

    assert clients[1].recv(10) == b""
    clients[0].settimeout(0)
    with pytest.raises(BlockingIOError):
        clients[0].recv(10)


def test_what_a_client_still_sends_is_thrown_away_until_it_has_read_the_answer(
    poller: Poller, connect: Connecting
) -> None:
    client = connect()
    accept(poller)
    client.sendall(b"request")
    connection = served(poller)
    connection.channel.send(b"answer")

    poller.close(connection)
    client.sendall(b"more")
    poller.add_ready(poller.wait())
    assert poller.next_ready() is connection
    poller.close(connection)

    assert client.recv(10) == b"answer"
    assert client.recv(10) == b""
    assert len(poller) == 1, "the client has not closed it"
    client.close()
    poller.add_ready(poller.wait())
    assert poller.next_ready() is connection
    poller.close(connection)
    assert len(poller) == 0


def test_a_poller_that_stops_takes_the_clients_that_wait_and_ends_the_idle_ones_soon(
    poller: Poller, connect: Connecting, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "_LINGER_SECONDS", 0.1)
    monkeypatch.setattr(polling, "_LOOK_SECONDS", 0)
    address = listener.getsockname()
    client = connect()

    poller.stop_listening()

    assert len(poller) == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    poller.watch()
    time.sleep(0.15)
    poller.watch()
    assert client.recv(10) == b""
    poller.close(served(poller))
    assert len(poller) == 0
