"""One upload through our registry and the Go registry, with one root and one http.secret."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.integration.api import OCTET_STREAM, digest_of
from tests.integration.raw_socket import RawSocket, head
from tests.integration.servers import ours
from tests.integration.storage_tree import faults, uploads
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import StartServer
    from tests.integration.servers import Flavour, Server

pytestmark = pytest.mark.timeout(120)

REPOSITORY = "shared/upload"
CHUNK = 100_000
CONTENT = random.Random(7).randbytes(11 * CHUNK)

Pair = tuple["Server", "Server"]


@pytest.fixture(params=["ours-first", "go-first"])
def servers(request: pytest.FixtureRequest, start_server: StartServer, go_registry: Flavour, tmp_path: Path) -> Pair:
    """Ours and a Go registry in either order."""
    flavours = (ours(), go_registry) if request.param == "ours-first" else (go_registry, ours())
    one, two = (start_server(flavour, root=tmp_path / "shared") for flavour in flavours)
    return one, two


def pulled(server: Server) -> bytes:
    return server.api.blob(REPOSITORY, digest_of(CONTENT)).body


def test_upload_begun_on_one_is_finished_on_the_other(servers: Pair, tmp_path: Path) -> None:
    one, two = servers
    location = one.api.begin_upload(REPOSITORY).location
    answer = two.api.finish_upload(location, digest_of(CONTENT), CONTENT)
    assert answer.status == 201
    assert pulled(one) == pulled(two) == CONTENT
    assert faults(tmp_path / "shared") == []


def test_first_half_on_one_and_second_half_on_the_other(servers: Pair) -> None:
    one, two = servers
    half = len(CONTENT) // 2
    answer = one.api.send_chunk(one.api.begin_upload(REPOSITORY).location, 0, CONTENT[:half])
    assert answer.status == 202
    answer = two.api.send_chunk(answer.location, half, CONTENT[half:])
    assert answer.status == 202
    assert two.api.finish_upload(answer.location, digest_of(CONTENT)).status == 201
    assert pulled(one) == pulled(two) == CONTENT


def test_chunks_alternate_and_either_knows_where_the_upload_stands(servers: Pair, tmp_path: Path) -> None:
    location = servers[0].api.begin_upload(REPOSITORY).location
    for number, start in enumerate(range(0, len(CONTENT), CHUNK)):
        answer = servers[number % 2].api.send_chunk(location, start, CONTENT[start : start + CHUNK])
        assert answer.status == 202, (number, answer)
        location = answer.location
        for server in servers:
            assert server.api.get(location).headers["Range"] == f"0-{start + CHUNK - 1}"
    assert servers[0].api.finish_upload(location, digest_of(CONTENT)).status == 201
    assert pulled(servers[1]) == CONTENT
    assert faults(tmp_path / "shared") == []


def test_chunk_cut_short_on_one_is_resumed_on_the_other(servers: Pair, tmp_path: Path) -> None:
    one, two = servers
    location = one.api.begin_upload(REPOSITORY).location
    fields = (f"Content-Type: {OCTET_STREAM}", f"Content-Length: {len(CONTENT)}")
    with RawSocket(one) as client:
        client.send(head("PATCH", location, *fields), CONTENT[: 3 * CHUNK])
    # Asking the Go registry while it still writes disturbs it, so look at the file.
    (upload,) = uploads(tmp_path / "shared")
    wait_until("the part is stored", lambda: (upload / "data").stat().st_size == 3 * CHUNK)

    # 2.8 does not answer a status request with an older token, so the other registry is asked.
    asked = two if one.flavour.name == "debian" else one
    answer = asked.api.get(location)
    assert answer.headers["Range"] == f"0-{3 * CHUNK - 1}"
    answer = two.api.send_chunk(answer.location, 3 * CHUNK, CONTENT[3 * CHUNK :])
    assert answer.status == 202
    assert one.api.finish_upload(answer.location, digest_of(CONTENT)).status == 201
    assert pulled(two) == CONTENT


def test_upload_cancelled_on_one_is_gone_on_the_other(servers: Pair) -> None:
    one, two = servers
    answer = one.api.send_chunk(one.api.begin_upload(REPOSITORY).location, 0, CONTENT[:CHUNK])
    assert two.api.delete(answer.location).status == 204
    assert one.api.get(answer.location).status == 404


def test_token_of_another_secret_is_refused_by_both(
    start_server: StartServer, go_registry: Flavour, tmp_path: Path
) -> None:
    for flavour, other in ((ours(), go_registry), (go_registry, ours())):
        server = start_server(flavour, root=tmp_path / "shared")
        stranger = start_server(other, root=tmp_path / "shared", secret="another")
        answer = server.api.send_chunk(stranger.api.begin_upload(REPOSITORY).location, 0, CONTENT[:CHUNK])
        assert answer.status == 404
        assert answer.json()["errors"][0]["code"] == "BLOB_UPLOAD_INVALID"
