"""Clients that are slow with a body or an answer, or are too many, keep nobody else waiting and are ended."""

from __future__ import annotations

import hashlib
import os
import resource
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from registry.server.turns import MOST_HELD_UP, MOST_WORKING
from tests.serving import SECONDS, Serving, serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW = 200
"""More clients than threads of a worker may work."""
EVERY = MOST_WORKING + MOST_HELD_UP
LARGE = 6 * 1024 * 1024
OPEN_FILES = 400
ATTEMPTS = 10
"""How often it is tried to be on time on a machine that is busy."""

Connect = Callable[[Serving], socket.socket]


def one_worker(**http: Any) -> dict[str, Any]:
    return {"http": {"workers": 1, **http}}


@pytest.fixture
def connected() -> Iterator[Connect]:
    """Connect clients, whose system buffers are small, and which are closed at the end."""
    with ExitStack() as clients:

        def connect(server: Serving) -> socket.socket:
            client = clients.enter_context(socket.socket())
            client.settimeout(SECONDS)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            client.connect(("127.0.0.1", server.port))
            return client

        yield connect


def begin_upload(server: Serving, name: str = "a/b") -> str:
    location = server.request("POST", f"/v2/{name}/blobs/uploads/").headers["Location"]
    return location.removeprefix(server.url)


def push(server: Serving, content: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    location = begin_upload(server)
    assert server.request("PUT", f"{location}&digest={digest}", content).status == 201
    return f"/v2/a/b/blobs/{digest}"


def threads(server: Serving) -> int:
    """Return how many threads the workers have."""
    return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in server.workers())


def is_ended(client: socket.socket, seconds: float = SECONDS) -> bool:
    """Tell whether the server closes the connection, while nothing is sent."""
    client.settimeout(seconds)
    try:
        while client.recv(65536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        pass
    return True


def head(method: str, path: str, *fields: str) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: a", *fields, "", "")).encode()


@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_others_are_served_while_many_send_a_body_slowly(tmp_path: Path, connected: Connect, framing: str) -> None:
    with serving(tmp_path, one_worker()) as server:
        for _ in range(SLOW):
            client = connected(server)
            client.sendall(head("PATCH", begin_upload(server), framing, "Content-Type: application/octet-stream"))
            client.sendall(b"1\r\nx\r\n")
        wait_until("each has a thread", lambda: threads(server) > SLOW)

        assert server.get("/healthz").status == 200
        assert server.get(push(server, b"content")).body == b"content"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(12) == b"HTTP/1.1 400"


def test_a_client_that_takes_a_file_slowly_has_no_thread_and_gets_all_of_it(tmp_path: Path, connected: Connect) -> None:
    content = os.urandom(LARGE)
    with serving(tmp_path, one_worker()) as server:
        blob = push(server, content)
        before = threads(server)
        clients = [connected(server) for _ in range(SLOW)]
        for client in clients:
            client.sendall(head("GET", blob))
            assert client.recv(1) == b"H"
        wait_until("they have no thread", lambda: threads(server) <= before + 1)

        assert server.get("/v2/").status == 200
        received = b""
        while len(received.partition(b"\r\n\r\n")[2]) < LARGE:
            received += clients[0].recv(65536)
        assert received.partition(b"\r\n\r\n")[2] == content
        clients[0].sendall(head("GET", "/v2/"))
        assert clients[0].recv(12) == b"HTTP/1.1 200"
        for client in clients:
            client.close()
        wait_until("each is logged", lambda: server.stdout.read_text().count(blob) == SLOW)


def upload_in_drops(client: socket.socket, upload: str) -> tuple[bytes, float]:
    """Send twelve bytes in three seconds; return the answer's beginning, and the longest pause of a busy machine."""
    client.sendall(head("PATCH", upload, "Content-Length: 12"))
    longest, before = 0.0, time.monotonic()
    with suppress(OSError):
        for _ in range(12):
            client.sendall(b"x")
            longest, before = max(longest, time.monotonic() - before), time.monotonic()
            time.sleep(0.25)
        return client.recv(12), longest
    return b"", longest


@pytest.mark.parametrize("limits", [{"stalltimeout": "1s", "minimumrate": 0}], ids=["stall"])
def test_a_client_that_stalls_in_a_body_or_an_answer_is_ended(
    tmp_path: Path, connected: Connect, limits: dict[str, Any]
) -> None:
    with serving(tmp_path, one_worker(**limits)) as server:
        blob = push(server, bytes(LARGE))
        sending, taking = connected(server), connected(server)
        sending.sendall(head("PATCH", begin_upload(server), "Content-Length: 12"))
        taking.sendall(head("GET", blob))
        assert taking.recv(1) == b"H"
        for _ in range(ATTEMPTS):
            answer, longest = upload_in_drops(connected(server), begin_upload(server))
            if longest < 0.5:
                break
        assert answer == b"HTTP/1.1 202", "three times as long as the limit, and never still"
        assert is_ended(sending)
        wait_until("the download is noted as ended", lambda: "GET /v2/a/b/blobs" in server.stdout.read_text())


@pytest.mark.parametrize("window", [16_384, 262_144])
def test_a_client_that_reads_slowly_and_steadily_is_not_ended(tmp_path: Path, window: int) -> None:
    with serving(tmp_path, one_worker(stalltimeout="2s", minimumrate=0)) as server, socket.socket() as client:
        blob = push(server, bytes(4 * LARGE))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        client.settimeout(SECONDS)
        client.connect(("127.0.0.1", server.port))
        client.sendall(head("GET", blob))
        began, received = time.monotonic(), 0
        while time.monotonic() < began + 4:
            # The kernel of the server keeps more than this for a client.
            received += len(client.recv(20_000))
            time.sleep(0.1)
        while received < 4 * LARGE and (piece := client.recv(1_000_000)):
            received += len(piece)
        assert received >= 4 * LARGE


@contextmanager
def hanging(root: Path, server: Serving, connected: Connect, count: int) -> Iterator[None]:
    """Have so many clients ask for tags whose links cannot be read until the end."""
    links = root / "docker/registry/v2/repositories/hangs/_manifests/tags"
    for number in range(count):
        (links / f"t{number}/current").mkdir(parents=True)
        os.mkfifo(links / f"t{number}/current/link")
        connected(server).sendall(head("GET", f"/v2/hangs/manifests/t{number}"))
    yield
    for number in range(count):
        with suppress(OSError), Path(links / f"t{number}/current/link").open("wb") as fifo:
            fifo.write(b"sha256:0")


def test_others_are_served_while_the_storage_holds_up_more_threads_than_may_work(
    tmp_path: Path, connected: Connect
) -> None:
    with serving(tmp_path, one_worker()) as server, hanging(tmp_path / "root", server, connected, SLOW):
        for _ in range(20):
            assert server.get("/v2/").status == 200
        assert server.get(push(server, b"content")).body == b"content"
        assert threads(server) > SLOW


def test_probes_are_answered_while_every_thread_hangs(tmp_path: Path, connected: Connect) -> None:
    with serving(tmp_path, one_worker(maxconnections=2000)) as server:
        waiting = connected(server)
        with hanging(tmp_path / "root", server, connected, EVERY):
            wait_until("every thread hangs", lambda: threads(server) > EVERY)
            waiting.sendall(head("GET", "/v2/"))
            for _ in range(20):
                assert server.get("/healthz").status == 200
                assert server.get("/readyz").status in {200, 503}
            assert not select.select([waiting], [], [], 0)[0]
        assert waiting.recv(12) == b"HTTP/1.1 200"


def test_a_client_that_was_idle_longest_makes_room_for_a_new_one(tmp_path: Path, connected: Connect) -> None:
    with serving(tmp_path, one_worker(maxconnections=20)) as server:
        clients = [connected(server) for _ in range(50)]
        for client in clients:
            client.sendall(head("GET", "/v2/"))
            assert client.recv(12) == b"HTTP/1.1 200"
        # Each was ended before the last one was answered.
        ended = [is_ended(client, seconds=0.02) for client in clients]
        assert ended[0]
        assert not ended[-1]
        assert 25 <= sum(ended) <= 45


def test_one_address_has_as_many_connections_as_it_may(tmp_path: Path) -> None:
    settings = one_worker(maxconnectionsperclient=3, trustedproxies=["127.0.0.9"])
    with serving(tmp_path, settings) as server:
        wait_until("the first is gone", lambda: server.get("/v2/").status == 200)
        clients = []

        def asks(address: str = "127.0.0.1") -> bytes:
            client = socket.create_connection(("127.0.0.1", server.port), SECONDS, (address, 0))
            clients.append(client)
            client.sendall(head("GET", "/v2/"))
            return client.recv(12)

        def is_refused() -> bool:
            return asks() == b"HTTP/1.1 429"

        wait_until("too many", is_refused)
        assert asks("127.0.0.2") == b"HTTP/1.1 200"
        assert [asks("127.0.0.9") for _ in range(5)] == [b"HTTP/1.1 200"] * 5
        for client in clients:
            client.close()
        wait_until("there is room again", lambda: asks() == b"HTTP/1.1 200")
        for client in clients:
            client.close()


def test_a_server_without_file_descriptors_says_so_once_and_goes_on(tmp_path: Path, connected: Connect) -> None:
    with serving(tmp_path, one_worker(maxconnections=10_000)) as server:
        (worker,) = server.workers()
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
        clients = [connected(server) for _ in range(OPEN_FILES)]
        for client in clients:
            with suppress(OSError):
                client.sendall(head("GET", "/v2/"))
        wait_until("it says so", lambda: "clients have to wait" in server.log())
        time.sleep(2)
        for client in clients:
            client.close()
        wait_until("it answers", lambda: server.get("/v2/").status == 200)
        assert "Traceback" not in server.log()
        assert server.log().count("clients have to wait") < 20


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /v2/ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /v2/ HTTP/1.1\r\nHost: a b\r\n\r\n", b"400"),
        (b"GET /v2/ HTTP/1.1\r\nHost: a/b\r\n\r\n", b"400"),
        (b"GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", b"400"),
        (b"GET  /v2/ HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET /v2/  HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET /v2/ HTTP/1.1 \r\nHost: a\r\n\r\n", b"400"),
        (b"GET\t/v2/ HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET /v2/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"501"),
        (b"GET /v2/#x HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET //v2/ HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"GET ///v2/_catalog HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"GET /%2fv2/ HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"GET /v2// HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"GET /v2/ HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /v2/?" + b"x" * 60_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"200"),
        (b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 60_000 + b"\r\n\r\n", b"200"),
        (b"GET /v2/ HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 250 + b"\r\n", b"200"),
        (b"\r\nGET /v2/ HTTP/1.1\r\nHost:\r\n\r\n", b"200"),
        (b"GET /v2/ HTTP/1.1\r\nHost: [::1]:5000\r\n\r\n", b"200"),
        (b"GET http://a/v2/ HTTP/1.1\r\nHost: a\r\n\r\n", b"200"),
    ],
)
def test_what_is_not_http_is_refused(server: Serving, request_head: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as client:
        client.sendall(request_head)
        assert client.recv(4096).split(b" ", 2)[1] == status


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("slow"), one_worker()) as made:
        yield made


def answer(client: socket.socket) -> bytes:
    """Return the head of an answer, whose body is read as well."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = client.recv(1)
        if not piece:
            return received
        received += piece
    lengths = [line for line in received.lower().splitlines() if line.startswith(b"content-length:")]
    left = int(lengths[0].split(b":")[1]) if lengths else 0
    while left:
        left -= len(client.recv(left))
    return received


def test_a_client_is_told_to_continue_only_if_its_body_is_wanted(server: Serving, connected: Connect) -> None:
    fields = ("Expect: 100-continue", "Content-Length: 4")
    refused, taken = connected(server), connected(server)
    refused.sendall(head("PATCH", "/v2/a/b/blobs/uploads/unknown", *fields))
    first = answer(refused)
    assert first.startswith(b"HTTP/1.1 404")
    assert b"Connection: close" in first

    taken.sendall(head("PATCH", begin_upload(server), *fields, "Content-Type: application/octet-stream"))
    assert answer(taken) == b"HTTP/1.1 100 Continue\r\n\r\n"
    taken.sendall(b"body")
    assert answer(taken).startswith(b"HTTP/1.1 202")


@pytest.mark.parametrize(("length", "kept"), [(1000, True), (1_000_000, False)])
def test_a_little_of_a_body_that_nobody_reads_is_passed_over_and_more_ends_the_connection(
    server: Serving, connected: Connect, length: int, kept: bool
) -> None:
    client = connected(server)
    client.sendall(head("PATCH", "/v2/a/b/blobs/uploads/unknown", f"Content-Length: {length}"))
    first = answer(client)
    assert first.startswith(b"HTTP/1.1 404")
    assert (b"Connection: keep-alive" in first) is kept
    with suppress(ConnectionError):
        for _ in range(length // 100):
            client.sendall(b"x" * 100)
        client.sendall(head("GET", "/v2/"))
    second = b""
    with suppress(ConnectionError):
        second = answer(client)
    assert second.startswith(b"HTTP/1.1 200") is kept


def test_chunks_that_break_http_behind_an_answer_are_not_answered(server: Serving, connected: Connect) -> None:
    client = connected(server)
    client.sendall(head("PATCH", "/v2/a/b/blobs/uploads/unknown", "Transfer-Encoding: chunked") + b"zz\r\n")
    assert answer(client).startswith(b"HTTP/1.1 404")
    assert answer(client) == b""


def test_a_client_that_still_sends_has_the_time_to_read_its_answer(server: Serving, connected: Connect) -> None:
    client = connected(server)
    client.sendall(head("PATCH", "/v2/a/b/blobs/uploads/unknown", "Content-Length: 100000000"))

    def send() -> None:
        with suppress(OSError):
            client.sendall(bytes(10_000_000))

    threading.Thread(target=send, daemon=True).start()
    time.sleep(0.3)
    assert answer(client).startswith(b"HTTP/1.1 404")
