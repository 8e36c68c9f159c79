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
from registry.server.gunicorn_internals import Settings
from registry.server.poller import Poller

if TYPE_CHECKING:
    from registry.server.connection import Connection

HEAD_SECONDS = 10.0
Connecting = Callable[[], socket.socket]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def poller(listener: socket.socket) -> Iterator[Poller]:
    configuration = Config()
    configuration.set("keepalive", 60)
    configuration.set("worker_connections", 2)
    made = Poller([listener], Settings(configuration), HEAD_SECONDS)
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
    connection.idle_since = float("inf")
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
    assert len(poller) == 0
    assert client.recv(10) == b""


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


def test_no_more_clients_are_accepted_than_are_configured_until_one_has_gone(
    poller: Poller, connect: Connecting
) -> None:
    clients = [connect() for _ in range(3)]
    accept(poller)
    accept(poller)
    clients[0].sendall(b"request")

    connection = served(poller)
    assert poller._epoll.poll(0.1) == [], "the third one waits"
    poller.close(connection)
    accept(poller)

    assert len(poller) == 2


def test_an_idle_connection_is_ended_and_one_that_is_served_is_not(poller: Poller, connect: Connecting) -> None:
    clients = [connect() for _ in range(2)]
    accept(poller)
    accept(poller)
    clients[0].sendall(b"request")
    busy = served(poller)
    for connection in poller._connections.values():
        connection.idle_since = min(connection.idle_since, time.monotonic() - 61) if connection is not busy else 1e300
    poller.end_idle()

    assert clients[1].recv(10) == b""
    clients[0].settimeout(0)
    with pytest.raises(BlockingIOError):
        clients[0].recv(10)


def test_a_poller_that_stops_takes_the_clients_that_wait_and_ends_the_idle_ones_soon(
    poller: Poller, connect: Connecting, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "_LINGER_SECONDS", 0.1)
    monkeypatch.setattr(polling, "_IDLE_LOOK_SECONDS", 0)
    address = listener.getsockname()
    client = connect()

    poller.stop_listening()

    assert len(poller) == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    poller.end_idle()
    time.sleep(0.15)
    poller.end_idle()
    assert client.recv(10) == b""
    poller.close(served(poller))
    assert len(poller) == 0
