"""Crowds of slow clients stop nobody else, cost little memory, and are ended by their deadlines.

Three hundred of each kind come; SLOW_CLIENTS=2000 has as many come, through every front, and waits for those who are
ended only because they are too slow. What others have is compared with what they have without slow clients.
"""

from __future__ import annotations

import math
import os
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.integration.api import OCTET_STREAM, digest_of, with_digest
from tests.integration.raw_socket import head
from tests.integration.servers import ours
from tests.integration.slow_clients import AUTHORIZED, KINDS, REPOSITORY, allow_descriptors
from tests.integration.slow_trial import (
    FRONTS,
    MANIFEST_BYTES,
    TAGS_BYTES,
    deadline_seconds,
    kinds_of,
    make_content,
    standing,
    try_out,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.slow_clients import Kind
    from tests.integration.slow_trial import Content, Figures, Stand

pytestmark = pytest.mark.timeout(600)

CLIENTS = int(os.environ.get("SLOW_CLIENTS", "300"))
THOROUGH = "SLOW_CLIENTS" in os.environ
# The fronts differ in who collects heads, bodies and answers: through the others than the first, one kind for each.
BRIEF = {"tls": {"half a handshake", "body", "blob"}, "nginx": {"body", "manifest"}, "haproxy": {"body", "blob"}}
TRIED = [
    pytest.param(front, kind, id=f"{front}, {kind.name}")
    for front in FRONTS
    for kind in kinds_of(front)
    if THOROUGH or kind.name in BRIEF.get(front, KINDS)
]
WORST_SECONDS = 1.0
# On a busy machine others wait for longer, also without slow clients.
TIMES_WORSE = 3
# A connection may have a thread with a stack, TLS and a few buffers, but not what it sends and asks for, which has
# megabytes. Only an answer that is made in memory may be there, once for each.
MOST_BYTES_EACH = 256 * 1024
ANSWER_BYTES = {"manifest": MANIFEST_BYTES, "tags": TAGS_BYTES}
NOISE_BYTES = 24 << 20
DEADLINE_SECONDS = deadline_seconds(CLIENTS)
PIECES = 6
PIECE = b"x" * 1000
PAUSE_SECONDS = DEADLINE_SECONDS / 3
PULLED_BYTES = 32 << 20


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    allow_descriptors(CLIENTS)
    return make_content(tmp_path_factory.mktemp("slow"))


@pytest.fixture(scope="module")
def stand(
    request: pytest.FixtureRequest, content: Content, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stand]:
    directory = tmp_path_factory.mktemp(request.param)
    with standing(ours(), request.param, content, directory, DEADLINE_SECONDS) as made:
        yield made
        assert "Traceback" not in made.server.log, made.server.log[-6000:]


def others_wait(figures: Figures) -> bool:
    return figures.worst_seconds >= max(WORST_SECONDS, TIMES_WORSE * figures.control_seconds)


@pytest.mark.parametrize(("stand", "kind"), TRIED, indirect=["stand"])
def test_a_crowd_of_slow_clients_stops_nobody_and_is_ended(stand: Stand, kind: Kind) -> None:
    figures = try_out(stand, kind, CLIENTS, patient=THOROUGH)
    if others_wait(figures):
        # Once it may have been something else on this machine that held up an answer for a moment.
        figures = try_out(stand, kind, CLIENTS, patient=THOROUGH)

    print(f"{figures}, {figures.bytes_each / 1024:.0f} KiB for each")
    assert figures.most_held > figures.clients / 4 or kind.at_once, "they have not been slow"
    assert figures.failures == ()
    assert not others_wait(figures)
    assert figures.memory_bytes < NOISE_BYTES + (MOST_BYTES_EACH + ANSWER_BYTES.get(kind.name, 0)) * figures.clients
    assert figures.ended_seconds < math.inf or not kind.ends


@pytest.mark.parametrize("stand", ["plain", "nginx", "haproxy"], indirect=True)
def test_a_push_that_moves_may_take_longer_than_every_deadline(stand: Stand) -> None:
    body = PIECE * PIECES
    target = with_digest(stand.begin_upload(), digest_of(body))

    with ExitStack() as opened:
        client = connected(stand, opened)
        fields = (AUTHORIZED, f"Content-Type: {OCTET_STREAM}", f"Content-Length: {len(body)}")
        client.sendall(head("PUT", target, *fields).encode())
        for _ in range(PIECES):
            time.sleep(PAUSE_SECONDS)
            client.sendall(PIECE)
        assert client.recv(4096).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("stand", ["plain", "nginx", "haproxy"], indirect=True)
def test_a_pull_that_moves_may_take_longer_than_every_deadline(stand: Stand) -> None:
    target = f"/v2/{REPOSITORY}/blobs/{stand.content.large}"
    with ExitStack() as opened:
        client = connected(stand, opened)
        client.sendall(head("GET", target, AUTHORIZED, f"Range: bytes=0-{PULLED_BYTES - 1}").encode())
        received = b""
        for _ in range(PIECES):
            time.sleep(PAUSE_SECONDS)
            # As much as is buffered on the way, so that the server can go on.
            received += some_of(client, PULLED_BYTES // PIECES)
        first, _, body = received.partition(b"\r\n\r\n")
        body += some_of(client, PULLED_BYTES - len(body))
    assert first.startswith(b"HTTP/1.1 206 ")
    stored = stand.content.root / "docker/registry/v2/blobs/sha256"
    digest = stand.content.large.removeprefix("sha256:")
    with (stored / digest[:2] / digest / "data").open("rb") as file:
        assert body == file.read(PULLED_BYTES)


def connected(stand: Stand, opened: ExitStack) -> socket.socket:
    """Give a connection, through TLS where the stand has that."""
    client: socket.socket = opened.enter_context(socket.create_connection(("127.0.0.1", stand.port), 60))
    if stand.tls:
        client = opened.enter_context(stand.tls.wrap_socket(client, server_hostname="localhost"))
    return client


def some_of(client: socket.socket, size: int) -> bytes:
    """Give `size` bytes, or what came before the end."""
    pieces, missing = [], size
    while missing and (piece := client.recv(min(missing, 65536))):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
