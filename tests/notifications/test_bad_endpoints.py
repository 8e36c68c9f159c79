"""Endpoints of every bad kind, each of which holds up nobody but itself."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import trustme

from registry.notifications.events import events_of
from registry.notifications.sending import Sender
from tests.notifications.journals import POLL, Journal, endpoint, push
from tests.notifications.receiver import Answering, receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from drivers.inmemory import InMemoryDriver
    from registry.notifications.sending import Outcome

TIMEOUT = 0.3


@contextmanager
def raw_server(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Run a server that does with each connection what `serve` does; give its URL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener, ExitStack() as accepted:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                accepted.enter_context(closing(connection))
                threading.Thread(target=quietly, args=(connection,), daemon=True).start()

        def quietly(connection: socket.socket) -> None:
            with suppress(OSError):
                serve(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        listener.shutdown(socket.SHUT_RDWR)


def send(url: str, **keys: object) -> Outcome:
    with closing(Sender(endpoint(url, timeout_seconds=TIMEOUT, **keys))) as sender:
        return sender.send(list(events_of(push(), time.time_ns())))


def hang(connection: socket.socket) -> None:
    connection.recv(65536)
    time.sleep(60)


def drip(connection: socket.socket) -> None:
    connection.recv(65536)
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def flood(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
    for _ in range(100):
        connection.sendall(bytes(1024 * 1024))


def garble(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"\x00garbage\r\n\r\n")
    connection.close()


def hang_up(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.close()


@pytest.mark.parametrize(
    ("serve", "error"),
    [
        (hang, "timed out after 0.3 s"),
        (drip, "timed out after 0.3 s"),
        (garble, "not HTTP"),
        (hang_up, "closed the connection without an answer"),
    ],
)
def test_an_endpoint_that_does_not_answer_is_given_up_on_by_its_timeout_in_one_line(
    serve: Callable[[socket.socket], None], error: str
) -> None:
    with raw_server(serve) as url:
        began = time.monotonic()
        outcome = send(url)
    assert time.monotonic() - began < 30
    assert not outcome.delivered
    assert not outcome.status
    assert error in outcome.error
    assert "\n" not in outcome.error


def test_of_an_answer_of_100_mb_little_is_read() -> None:
    with raw_server(flood) as url:
        outcome = send(url)
    assert outcome.delivered
    assert len(outcome.excerpt) <= 65536


def test_nobody_listens_or_has_that_name() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    assert "refused" in send(f"http://127.0.0.1:{port}/").error
    assert send("http://nobody.invalid/").error


def test_a_certificate_has_to_be_known_and_cafile_makes_it_so(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    pem = tmp_path / "ca.pem"
    pem.write_bytes(authority.cert_pem.bytes())
    with receiving(context) as receiver:
        url = receiver.url(scheme="https")
        assert "certificate verify failed" in send(url).error
        assert not receiver.requests
        assert send(url, cafile=str(pem)).delivered
        assert not send(receiver.url()).delivered


def test_a_redirect_to_another_host_does_not_take_secrets_along() -> None:
    with receiving() as other, receiving() as first:
        first.answer = lambda _: Answering(307, {"Location": other.url()})
        headers = {"Authorization": ("Bearer hunter2hunter2",), "X-Key": ("hunter3",)}
        assert send(first.url(), headers=headers).delivered
        (request,) = other.requests
    assert request.events[0]["target"]["tag"] == "v1"
    assert not {"authorization", "x-key"} & request.headers.keys()


def test_a_redirect_to_the_metadata_of_a_cloud_is_not_followed() -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: Answering(302, {"Location": "http://169.254.169.254/latest/meta-data"})
        outcome = send(receiver.url())
    assert not outcome.delivered
    assert "169.254.169.254" in outcome.error


def test_redirects_without_end_are_a_failure() -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: Answering(307, {"Location": receiver.url()})
        assert "redirects" in send(receiver.url()).error


def test_a_bad_endpoint_does_not_hold_up_a_good_one(driver: InMemoryDriver) -> None:
    with closing(Journal(driver)) as journal, receiving() as good, raw_server(hang) as url:
        journal.add(*(push(f"v{n}", consumers=["good", "bad"]) for n in range(5)))
        bad = journal.delivery(endpoint(url, name="bad", timeout_seconds=TIMEOUT, threshold=1))
        assert bad.run() < POLL
        delivery = journal.delivery(endpoint(good.url(), name="good"))
        while delivery.run() != POLL:
            pass
    assert good.tags == [f"v{n}" for n in range(5)]


def test_an_event_arrives_in_one_piece() -> None:
    pieces = []

    def take(connection: socket.socket) -> None:
        pieces.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with raw_server(take) as url:
        assert send(url).delivered
    head, _, body = pieces[0].partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.endswith(b"}")
