"""Quotas where several processes serve."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from registry.oci.digest import Digest
from tests.serving import serving, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.serving import Answer, Serving

SIZE = 100_000
LIMIT = 10 * SIZE
SETTINGS: dict[str, Any] = {
    "storage": {"maintenance": {"quotas": [{"repositories": "team/**", "limit": LIMIT}]}},
    "http": {"workers": 3},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serving]:
    """Three workers and a quota for team/**."""
    with serving(tmp_path, SETTINGS) as running:
        yield running


def push(server: Serving, content: bytes, name: str = "team/app") -> Answer:
    return server.request("POST", f"/v2/{name}/blobs/uploads/?digest={Digest.of(content)}", content)


def metric(server: Serving, name: str) -> float:
    found = re.search(rf'^{name}{{quota="team/\*\*"}} (\S+)$', server.debug("/metrics").body.decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def location(answer: Answer) -> str:
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.path}?{parts.query}"


def chunked(content: bytes) -> bytes:
    """Return a body in two chunks (RFC 9112 section 7.1)."""
    half = len(content) // 2
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in (content[:half], content[half:], b""))


def test_workers_together_stop_at_the_limit_and_tell(server: Serving) -> None:
    statuses: list[int] = []

    def push_ten() -> set[int]:
        ten = [push(server, bytes([len(statuses) + number]) * SIZE).status for number in range(10)]
        statuses.extend(ten)
        return set(ten)

    wait_until("all of them refuse", lambda: push_ten() == {403})
    pushed = statuses.count(201)

    assert pushed >= LIMIT // SIZE
    assert push(server, b"x" * SIZE, "other/app").status == 201
    wait_until("metrics tell", lambda: metric(server, "registry_quota_used_bytes") == pushed * SIZE)
    assert metric(server, "registry_quota_limit_bytes") == LIMIT
    assert metric(server, "registry_quota_refused_total") == statuses.count(403)
    assert "the quota of team/** is used to" in server.log()


@pytest.mark.parametrize("streams", [False, True], ids=["length", "chunked"])
def test_an_upload_over_several_workers_is_stopped_where_it_is_too_long(server: Serving, streams: bool) -> None:
    where, taken = location(server.request("POST", "/v2/team/app/blobs/uploads/")), 0
    content = b"z" * SIZE
    body, headers = (chunked(content), {"Transfer-Encoding": "chunked"}) if streams else (content, {})
    answer = server.request("PATCH", where, body, headers)
    while answer.status == 202:
        taken += 1
        # A connection of its own for each, so that any worker may get it.
        where = location(answer)
        answer = server.request("PATCH", where, body, headers)

    assert (answer.status, taken) == (403, LIMIT // SIZE)
    assert server.get(where).status == 404


def test_a_server_that_is_stopped_leaves_what_it_has_counted(tmp_path: Path) -> None:
    with serving(tmp_path, SETTINGS) as first:
        for number in range(10):
            assert push(first, bytes([number]) * SIZE).status == 201
    with serving(tmp_path, SETTINGS) as second:
        assert push(second, b"x").status == 403
