"""What clients of a cache see of manifests, tags and referrers, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.app import create_app
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.services import build_services
from tests.config.forms import configure
from tests.content import descriptor, image
from tests.upstreams import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

    from tests.upstreams import Registry
    from tests.upstreams.faults import Fault

ONE, TWO = image(b"{}"), image(b"{}", annotations={"number": "2"})
DIGEST = Digest.of(ONE)
SIGNATURE = image(b"1", subject=descriptor(ONE, media_types.OCI_MANIFEST))
TAG, LIST, REFERRERS = "/v2/up/app/manifests/v1", "/v2/up/app/tags/list", f"/v2/up/app/referrers/{DIGEST}"
NETWORK = "network: {httpproxy: none, private: allow, answertimeout: 2s}"
ALWAYS = "cache: {freshness: 0s, negative: 0s}"


class Front:
    """A registry that caches `remote` below ``up``, and is asked where a tag points at each request."""

    def __init__(self, remote: Registry, entry: str = ALWAYS, more: str = "") -> None:
        text = f"proxies: [{{name: up, remoteurl: '{remote.url}', {NETWORK}, {entry}}}]{more}"
        self.services = build_services(configure(text), driver=InMemoryDriver())
        self.client: FlaskClient = create_app(self.services).test_client()


@pytest.fixture
def front(remote: Registry) -> Iterator[Front]:
    made = Front(remote)
    yield made
    made.services.close()


@pytest.fixture
def overlay(remote: Registry) -> Iterator[Front]:
    """One to which may be pushed."""
    made = Front(remote, f"push: allow, {ALWAYS}", "\nstorage: {inmemory: {}, delete: {enabled: true}}")
    yield made
    made.services.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_manifest_that_is_not_here_costs_one_get_whether_a_client_wants_it_or_asks_what_it_is(
    remote: Registry, front: Front, method: str
) -> None:
    remote.put_manifest("app", ONE, "v1")

    answer = front.client.open(TAG, method=method)

    assert answer.status_code == 200
    assert answer.headers["Docker-Content-Digest"] == str(DIGEST)
    assert answer.headers["Content-Type"] == media_types.OCI_MANIFEST
    assert answer.headers["Content-Length"] == str(len(ONE))
    assert [each.method for each in remote.asked] == ["GET"]
    assert front.client.get(TAG).data == ONE
    assert front.client.get(TAG, headers={"If-None-Match": f'"{DIGEST}"'}).status_code == 304
    assert [each.method for each in remote.asked] == ["GET", "HEAD", "HEAD"]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (faults.status(401), 403, "DENIED"),
        (faults.limited("17"), 429, "TOOMANYREQUESTS"),
        (faults.status(500), 502, "UNAVAILABLE"),
        (faults.wrong, 502, "UNAVAILABLE"),
        (faults.hang, 504, "UNAVAILABLE"),
    ],
)
def test_a_failure_has_a_status_of_its_own_where_nothing_is_cached_and_is_a_warning_where_something_is(
    remote: Registry, front: Front, fault: Fault, status: int, code: str
) -> None:
    remote.put_manifest("app", ONE, "v1")
    remote.put_manifest("app", TWO, "v2")
    assert front.client.get(TAG).status_code == 200
    remote.put_manifest("app", TWO, "v1")
    remote.misbehave(fault)

    refused = front.client.get("/v2/up/app/manifests/v2")
    assert (refused.status_code, refused.json and refused.json["errors"][0]["code"]) == (status, code)
    assert (refused.headers.get("Retry-After") is not None) == (status == 429)
    if fault is faults.wrong:
        assert front.client.get(f"/v2/up/app/manifests/{Digest.of(TWO)}").status_code == 502
        return
    stale = front.client.get(TAG)
    assert (stale.status_code, stale.data) == (200, ONE)
    assert stale.headers["Warning"].startswith('299 - "up: tag v1 is what it was')


def test_the_list_of_tags_is_relayed_page_by_page(remote: Registry, front: Front) -> None:
    remote.page_size = 2
    for number in range(5):
        remote.put_manifest("app", ONE, f"v{number}")

    assert front.client.get(LIST).json == {"name": "up/app", "tags": [f"v{number}" for number in range(5)]}
    first = front.client.get(f"{LIST}?n=3")
    assert first.json == {"name": "up/app", "tags": ["v0", "v1", "v2"]}
    link = first.headers["Link"]
    assert link == f'<{LIST}?last=v2&n=3>; rel="next"'
    last = front.client.get(link[1 : link.index(">")])
    assert last.json == {"name": "up/app", "tags": ["v3", "v4"]}
    assert "Link" not in last.headers
    assert front.client.get("/v2/up/none/tags/list").status_code == 404


def test_the_tags_that_are_cached_are_listed_with_a_warning_while_the_upstream_fails(
    remote: Registry, front: Front
) -> None:
    remote.put_manifest("app", ONE, "v1", "v2")
    front.client.get(TAG)
    remote.misbehave(faults.status(500))

    answer = front.client.get(LIST)

    assert answer.json == {"name": "up/app", "tags": ["v1"]}
    assert "cached" in answer.headers["Warning"]
    assert front.client.get("/v2/up/other/tags/list").status_code == 502


def test_referrers_are_those_of_the_upstream_and_never_an_empty_list_for_want_of_an_answer(
    remote: Registry, front: Front
) -> None:
    assert front.client.get(REFERRERS).json["manifests"] == []  # type: ignore[index]
    remote.put_manifest("app", SIGNATURE)
    listed = front.client.get(f"{REFERRERS}?artifactType=none")
    assert (listed.json["manifests"], listed.headers["OCI-Filters-Applied"]) == ([], "artifactType")  # type: ignore[index]
    [found] = front.client.get(REFERRERS).json["manifests"]  # type: ignore[index]
    assert found["digest"] == str(Digest.of(SIGNATURE))

    remote.misbehave(faults.status(500))
    stale = front.client.get(REFERRERS)
    assert stale.json["manifests"] == [found]  # type: ignore[index]
    assert "list of referrers" in stale.headers["Warning"]
    assert front.client.get(f"/v2/up/app/referrers/{Digest.of(TWO)}").status_code == 502
    remote.behave()
    remote.misbehave(faults.status(404))
    assert front.client.get(REFERRERS).status_code == 404


def test_a_tag_that_is_pushed_over_that_of_the_upstream_wins_until_it_is_deleted(
    remote: Registry, overlay: Front
) -> None:
    client = overlay.client
    remote.put_blob("app", b"{}")
    remote.put_manifest("app", ONE, "v1", "v2")
    assert client.get(TAG).data == ONE

    assert client.put(TAG, data=TWO, content_type=media_types.OCI_MANIFEST).status_code == 201
    remote.asked.clear()
    assert client.get(TAG).data == TWO
    assert remote.asked == []
    assert client.put(f"{TAG}.1", data=TWO, content_type=media_types.OCI_MANIFEST).status_code == 201
    assert client.get(LIST).json == {"name": "up/app", "tags": ["v1", "v1.1", "v2"]}

    assert client.delete(TAG).status_code == 202
    assert client.get(TAG).data == ONE
    assert client.delete(f"/v2/up/app/manifests/{DIGEST}").status_code == 202
    assert client.get(TAG).data == ONE
    assert client.get(LIST).json == {"name": "up/app", "tags": ["v1", "v1.1", "v2"]}
