"""Blobs of an upstream as clients get them, over HTTP."""

from __future__ import annotations

import collections
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from registry.app import create_app
from registry.services import build_services
from tests.config.forms import configure
from tests.content import ABSENT
from tests.upstreams import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

    from drivers.base import StorageDriver
    from registry.oci.digest import Digest
    from tests.upstreams import Registry
    from tests.upstreams.faults import Fault

CONTENT = random.Random(13).randbytes(1_500_000)


@pytest.fixture
def client(remote: Registry, medium: StorageDriver) -> Iterator[FlaskClient]:
    with serving_from(remote, medium) as client:
        yield client


@contextmanager
def serving_from(remote: Registry, medium: StorageDriver, *, read_only: bool = False) -> Iterator[FlaskClient]:
    """Give a client of a registry that caches `remote` in `medium`."""
    network = "{answertimeout: 500ms, stalltimeout: 5s}"
    entry = f"proxies: [{{name: hub, remoteurl: '{remote.url}', network: {network}}}]"
    more = ", maintenance: {readonly: {enabled: true}}" if read_only else ""
    base = f"version: 0.1\nstorage: {{inmemory: , delete: {{enabled: true}}, redirect: {{disable: true}}{more}}}\n"
    services = build_services(configure(entry, base=base), driver=medium)
    app = create_app(services)
    app.testing = False
    yield app.test_client()
    services.close()


def url(digest: Digest) -> str:
    return f"/v2/hub/a/blobs/{digest}"


def test_a_blob_is_answered_as_one_that_is_here_the_first_time_too(client: FlaskClient, remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)

    first, second = client.get(url(digest)), client.get(url(digest))

    assert first.data == second.data == CONTENT
    assert first.status_code == second.status_code == 200
    for name in ("Content-Length", "Content-Type", "Docker-Content-Digest", "Etag", "Accept-Ranges", "Cache-Control"):
        assert first.headers[name] == second.headers[name]
    assert remote.count("GET", "/blobs/") == 1


def test_a_head_fetches_nothing(client: FlaskClient, remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)

    answer = client.head(url(digest))

    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(CONTENT)))
    assert answer.headers["Docker-Content-Digest"] == str(digest)
    assert remote.count("GET", "/blobs/") == 0


def test_ranges_of_a_blob_that_is_not_here(client: FlaskClient, remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)

    one = client.get(url(digest), headers={"Range": "bytes=1000-1999"})
    last = client.get(url(digest), headers={"Range": "bytes=-5"})
    beyond = client.get(url(digest), headers={"Range": "bytes=9999999-"})
    several = client.get(url(digest), headers={"Range": "bytes=0-9,1499990-"})

    assert (one.status_code, one.data) == (206, CONTENT[1000:2000])
    assert (last.status_code, last.data) == (206, CONTENT[-5:])
    assert beyond.status_code == 416
    assert several.status_code in {200, 206}  # 206 from when it is here
    assert CONTENT[:10] in several.data
    assert CONTENT[-10:] in several.data


def test_several_ranges_of_a_blob_that_is_only_passed_on_are_answered_with_all_of_it_and_so_verified(
    remote: Registry, medium: StorageDriver
) -> None:
    digest = remote.put_blob("a", CONTENT)
    with serving_from(remote, medium, read_only=True) as client:
        for header in ("bytes=0-0,1-", "bytes=0-9,1499990-"):
            answer = client.get(url(digest), headers={"Range": header})
            assert (answer.status_code, answer.data) == (200, CONTENT)
            assert "Content-Range" not in answer.headers
        remote.misbehave(faults.wrong, method="GET")
        answer = client.get(url(digest), headers={"Range": "bytes=0-0,1-"}, buffered=False)
        got = bytearray()
        with pytest.raises(ConnectionAbortedError):
            collections.deque(map(got.extend, answer.iter_encoded()), maxlen=0)
    assert len(got) <= len(CONTENT) - 256 * 1024


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (faults.status(401), 403, "DENIED"),
        (faults.status(403), 403, "DENIED"),
        (faults.limited("7"), 429, "TOOMANYREQUESTS"),
        (faults.status(500), 502, "UNAVAILABLE"),
        (faults.html, 502, "UNAVAILABLE"),
        (faults.hang, 504, "UNAVAILABLE"),
        (faults.status(404), 404, "BLOB_UNKNOWN"),
    ],
)
def test_what_the_upstream_fails_with_is_a_status_as_long_as_nothing_was_sent(
    client: FlaskClient, remote: Registry, fault: Fault, status: int, code: str
) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(fault, path="/blobs/")

    answer = client.get(url(digest))

    assert answer.status_code == status
    assert answer.json
    assert answer.json["errors"][0]["code"] == code
    assert client.head(url(digest)).status_code == status


def test_a_small_blob_with_another_digest_is_an_error(client: FlaskClient, remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT[:1000])
    remote.misbehave(faults.wrong, method="GET")

    assert client.get(url(digest)).status_code == 502


def test_a_large_blob_with_another_digest_ends_before_its_length(client: FlaskClient, remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.wrong, method="GET")

    answer = client.get(url(digest), buffered=False)

    # Where all of it has come before this client is told of the first bytes, there still is a status to say so.
    assert answer.status_code in {200, 502}
    if answer.status_code != 200:
        return
    got = bytearray()
    with pytest.raises(ConnectionAbortedError):
        collections.deque(map(got.extend, answer.iter_encoded()), maxlen=0)
    assert len(got) <= len(CONTENT) - 256 * 1024


def test_what_nobody_has_is_unknown(client: FlaskClient) -> None:
    assert client.get(url(ABSENT)).status_code == 404
    assert client.head(url(ABSENT)).status_code == 404


def test_a_blob_that_is_here_is_served_while_the_upstream_is_down(client: FlaskClient, remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)
    assert client.get(url(digest)).data == CONTENT
    remote.misbehave(faults.status(500))

    assert client.get(url(digest)).data == CONTENT
    assert client.get(url(digest), headers={"If-None-Match": f'"{digest}"'}).status_code == 304


def test_a_blob_that_was_deleted_here_comes_again(client: FlaskClient, remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)
    assert client.get(url(digest)).data == CONTENT

    assert client.delete(url(digest)).status_code == 202

    assert client.get(url(digest)).data == CONTENT
