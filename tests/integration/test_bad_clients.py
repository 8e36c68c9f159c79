"""Clients that hang up, stall or send junk: the server answers the others and nothing stored changes."""

from __future__ import annotations

import json
import random
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.integration.api import OCTET_STREAM, digest_of, with_digest
from tests.integration.raw_socket import RawSocket, head
from tests.integration.storage_tree import faults, stored
from tests.integration.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.servers import Server

pytestmark = pytest.mark.timeout(120)

REPOSITORY = "bad/clients"
WHOLE = bytes(range(256)) * 4096
PART = 300_000
SLOW_CLIENTS = 100
LARGE_BYTES = 32 << 20


@pytest.fixture(scope="module")
def good_content(server: Server) -> str:
    config = server.api.push_blob(REPOSITORY, b"{}")
    server.api.push_blob(REPOSITORY, bytes(LARGE_BYTES))
    descriptor = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor,
        "layers": [],
    }
    answer = server.api.put_manifest(REPOSITORY, "good", json.dumps(manifest).encode())
    assert answer.status == 201
    return config


@pytest.fixture(autouse=True)
def server_and_storage_are_unharmed(server: Server, good_content: str) -> Iterator[None]:
    before, processes = stored(server.root), server.processes()
    yield
    assert server.api.blob(REPOSITORY, good_content).body == b"{}"
    assert server.api.manifest(REPOSITORY, "good").status == 200
    after = stored(server.root)
    assert {path: after.get(path) for path in before} == before
    assert faults(server.root) == []
    assert server.processes() == processes, "a worker died"
    assert "Traceback" not in server.log, server.log[-6000:]


def begin(server: Server) -> str:
    return server.api.begin_upload(REPOSITORY).location


def received(server: Server, location: str) -> int:
    """Give how many bytes of the upload the server has."""
    answer = server.api.get(location)
    assert answer.status == 204, answer
    last = int(answer.headers["Range"].removeprefix("0-"))
    return last + 1 if last else 0


def resume(server: Server, location: str, content: bytes) -> None:
    """Send what is missing of a cut-short upload and finish it."""
    answer = server.api.get(location)
    start = received(server, location)
    assert start <= PART
    answer = server.api.send_chunk(answer.location, start, content[start:])
    assert answer.status == 202, answer
    answer = server.api.finish_upload(answer.location, digest_of(content))
    assert answer.status == 201, answer
    assert server.api.blob(REPOSITORY, digest_of(content)).body == content


def statuses_in(said: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", said)]


def wait_for_part(server: Server, location: str) -> None:
    wait_until("the server keeps what arrived", lambda: received(server, location) == PART)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"GET",
        b"GET /v2/ HTTP/1.1\r\nHost: reg",
        b"\r\n\r\n\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"\x00" * 4096,
        bytes(range(256)) * 64,
        b"GET /v2/\x00 HTTP/1.1\r\n\r\n",
        b"GET /v2/ HTTP/9.9\r\n\r\n",
        b"GET /v2/\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n",
        b"POST /v2/bad/clients/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /v2/bad/clients/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
        b"POST /v2/bad/clients/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /v2/bad/clients/blobs/uploads/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
def test_junk_is_refused_or_hung_up_on(server: Server, junk: bytes) -> None:
    with RawSocket(server) as client:
        status = client.send(junk).finish_sending().receive_status()
    assert status in {0, *range(200, 500), 501, 505}


def test_good_request_before_pipelined_junk_is_answered(server: Server) -> None:
    with RawSocket(server) as client:
        said = client.send(head("GET", "/v2/") + "\x01\x02junk\r\n\r\n").finish_sending().receive()
    assert statuses_in(said)[0] == 200
    assert 200 not in statuses_in(said)[1:]


def test_pipelined_requests_are_answered_in_their_order(server: Server, good_content: str) -> None:
    requests = head("GET", "/v2/") + head("GET", f"/v2/{REPOSITORY}/blobs/{good_content}")
    with RawSocket(server) as client:
        said = client.send(requests + head("GET", "/v2/none/tags/list", "Connection: close")).receive()
    assert statuses_in(said) == [200, 200, 404]


@pytest.mark.parametrize(
    "fields",
    [
        ["X-Long: " + "a" * (2 << 20)],
        [f"X-Many-{number}: {'b' * 100}" for number in range(10_000)],
        ["Cookie: " + "c" * 60_000] * 20,
    ],
    ids=["one-of-two-mebibytes", "ten-thousand", "twenty-large-cookies"],
)
def test_flood_of_headers_is_refused(server: Server, fields: list[str]) -> None:
    with RawSocket(server) as client:
        status = client.send(head("GET", "/v2/", *fields)).finish_sending().receive_status()
    assert status == 0 or 400 <= status < 500


def test_endless_request_line_is_refused(server: Server) -> None:
    with RawSocket(server) as client:
        status = client.send("GET /v2/" + "a" * (2 << 20)).finish_sending().receive_status()
    assert status == 0 or 400 <= status < 500


def test_request_with_length_and_chunked_encoding_smuggles_nothing(server: Server) -> None:
    smuggled = head("DELETE", f"/v2/{REPOSITORY}/manifests/good")
    fields = (f"Content-Length: {len(smuggled) + 5}", "Transfer-Encoding: chunked")
    with RawSocket(server) as client:
        client.send(head("POST", f"/v2/{REPOSITORY}/blobs/uploads/", *fields) + "0\r\n\r\n" + smuggled)
        said = client.finish_sending().receive()
    assert b"202 Accepted" not in said.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("framing", ["length", "chunked", "inside-a-chunk", "broken-chunk"])
def test_chunk_cut_short_is_kept_and_resumed(server: Server, framing: str) -> None:
    location = begin(server)
    content = WHOLE + framing.encode()
    target = head("PATCH", location, f"Content-Type: {OCTET_STREAM}", FRAMING_FIELD[framing])
    with RawSocket(server) as client:
        client.send(target, framed(framing, content[:PART]))
    wait_for_part(server, location)
    resume(server, location, content)


FRAMING_FIELD = {
    "length": f"Content-Length: {len(WHOLE)}",
    "chunked": "Transfer-Encoding: chunked",
    "inside-a-chunk": "Transfer-Encoding: chunked",
    "broken-chunk": "Transfer-Encoding: chunked",
}


def framed(framing: str, part: bytes) -> bytes:
    match framing:
        case "length":
            return part
        case "chunked":
            return b"%x\r\n%b\r\n" % (len(part), part)
        case "inside-a-chunk":
            return b"%x\r\n%b" % (len(part) + 1000, part)
        case _:
            return b"%x\r\n%b\r\nthis is no length\r\n" % (len(part), part)


@pytest.mark.parametrize("part", [(5 << 20) + 1, 12 << 20], ids=["in-the-middle", "all-but-one"])
def test_long_chunk_cut_short_is_kept_and_resumed(server: Server, part: int) -> None:
    location, content = begin(server), random.Random(part).randbytes((12 << 20) + 1)
    target = head("PATCH", location, f"Content-Type: {OCTET_STREAM}", f"Content-Length: {len(content)}")
    with RawSocket(server) as client:
        client.send(target, content[:part])
    wait_until("the server keeps what arrived", lambda: received(server, location) == part)
    answer = server.api.send_chunk(location, part, content[part:])
    assert answer.status == 416, "the client was told of nothing yet"
    answer = server.api.send_chunk(answer.location, part, content[part:])
    assert answer.status == 202, answer
    assert server.api.finish_upload(answer.location, digest_of(content)).status == 201
    assert server.api.blob(REPOSITORY, digest_of(content)).body == content


def test_other_bytes_than_their_digest_are_refused_however_long(server: Server) -> None:
    content = random.Random(1).randbytes(9 << 20)
    location = begin(server)
    answer = server.api.finish_upload(location, digest_of(content), content[:-1] + b"?")
    assert answer.status == 400
    assert server.api.blob(REPOSITORY, digest_of(content)).status == 404


@pytest.mark.parametrize("framing", ["length", "chunked", "inside-a-chunk"])
def test_final_put_cut_short_publishes_nothing_and_is_resumed(server: Server, framing: str) -> None:
    location = begin(server)
    content = WHOLE + b"put" + framing.encode()
    target = with_digest(location, digest_of(content))
    request = head("PUT", target, f"Content-Type: {OCTET_STREAM}", FRAMING_FIELD[framing])
    with RawSocket(server) as client:
        client.send(request, framed(framing, content[:PART]))
    wait_for_part(server, location)
    assert server.api.blob(REPOSITORY, digest_of(content)).status == 404
    resume(server, location, content)


def test_put_cut_short_exactly_where_the_digest_matches_is_not_complete(server: Server) -> None:
    content = WHOLE[:PART] + b"exactly"
    fields = (f"Content-Type: {OCTET_STREAM}", f"Content-Length: {len(content) + 1}")
    location = begin(server)
    with RawSocket(server) as client:
        client.send(head("PUT", with_digest(location, digest_of(content)), *fields), content)
    wait_until("the upload has the part", lambda: received(server, location) == len(content))
    assert server.api.blob(REPOSITORY, digest_of(content)).status == 404


def test_manifest_cut_short_is_not_stored(server: Server) -> None:
    manifest = server.api.manifest(REPOSITORY, "good").body
    fields = ("Content-Type: application/vnd.oci.image.manifest.v1+json", f"Content-Length: {len(manifest) + 1}")
    with RawSocket(server) as client:
        status = (
            client.send(head("PUT", f"/v2/{REPOSITORY}/manifests/cut", *fields), manifest)
            .finish_sending()
            .receive_status()
        )
    assert status == 0 or 400 <= status < 500
    assert server.api.manifest(REPOSITORY, "cut").status == 404


def test_many_clients_hanging_up_at_once_leave_their_uploads_resumable(server: Server) -> None:
    contents = [WHOLE + str(number).encode() for number in range(24)]
    locations = [begin(server) for _ in contents]

    def hang_up(number: int) -> None:
        fields = (f"Content-Type: {OCTET_STREAM}", f"Content-Length: {len(contents[number])}")
        with RawSocket(server) as client:
            client.send(head("PATCH", locations[number], *fields), contents[number][:PART])

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(hang_up, range(len(contents))))
    for location, content in zip(locations, contents, strict=True):
        wait_for_part(server, location)
        resume(server, location, content)


def test_client_that_stops_reading_a_blob_and_hangs_up_disturbs_nobody(server: Server) -> None:
    target = f"/v2/{REPOSITORY}/blobs/{digest_of(bytes(LARGE_BYTES))}"
    with ExitStack() as stack:
        for _ in range(8):
            client = stack.enter_context(RawSocket(server))
            assert client.send(head("GET", target)).receive(limit=100_000)
    assert server.api.get("/v2/").status == 200


@pytest.mark.parametrize(
    "beginning",
    [
        "",
        "GET /v2/ HTT",
        "GET /v2/ HTTP/1.1\r\nHost: slow\r\nX-Slow: ",
        f"POST /v2/{REPOSITORY}/blobs/uploads/ HTTP/1.1\r\nHost: slow\r\nContent-Length: 1000000\r\n\r\n",
    ],
    ids=["silent", "request-line", "header", "body"],
)
def test_slow_clients_do_not_keep_a_quick_one_waiting(server: Server, beginning: str) -> None:
    with ExitStack() as stack:
        for _ in range(SLOW_CLIENTS):
            stack.enter_context(RawSocket(server)).send(beginning)
        with RawSocket(server, timeout_seconds=20) as quick:
            assert quick.send(head("GET", "/v2/")).receive_status() == 200


def test_client_that_waits_for_100_continue_is_told_to_go_on(server: Server) -> None:
    location = begin(server)
    fields = (f"Content-Type: {OCTET_STREAM}", "Content-Length: 5", "Expect: 100-continue", "Connection: close")
    with RawSocket(server) as client:
        assert client.send(head("PATCH", location, *fields)).receive(limit=20).startswith(b"HTTP/1.1 100")
        assert b"HTTP/1.1 202" in client.send(b"12345").receive()
    assert received(server, location) == 5
