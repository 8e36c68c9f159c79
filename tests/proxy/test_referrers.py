"""A list of referrers is what the upstream has said, or an error: what happens to be cached is never taken for one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from registry.config.upstreams import UpstreamCache
from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError, UpstreamError
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.storage import paths
from tests.content import ABSENT, descriptor, image
from tests.proxy.caching_host import NAME, REMOTE, Cache, asked
from tests.upstreams import faults

if TYPE_CHECKING:
    from drivers.inmemory import InMemoryDriver
    from registry.ports import ReferrersPage
    from tests.proxy.caching_host import Opened
    from tests.upstreams import Registry

SUBJECT = image(b"{}")
DIGEST = Digest.of(SUBJECT)
NO_LIST = faults.status(404)


def signature(number: int) -> bytes:
    return image(b"%d" % number, subject=descriptor(SUBJECT, media_types.OCI_MANIFEST))


def put_signatures(upstream: Registry, *numbers: int) -> list[Digest]:
    return sorted(upstream.put_manifest(REMOTE, signature(number)) for number in numbers)


def push_signatures(cache: Cache, *numbers: int) -> list[Digest]:
    digests = []
    for number in numbers:
        digests.append(Digest.of(signature(number)))
        cache.open().manifests.put(parse_manifest(signature(number)), digests[-1])
    return sorted(digests)


def listed(page: ReferrersPage) -> list[Digest]:
    return [each.digest for each in page.referrers]


def all_of(opened: Opened, subject: Digest = DIGEST, limit: int = 100) -> list[Digest]:
    page = opened.referrers.page(subject, limit=limit)
    found = listed(page)
    while page.last:
        assert len(page.referrers) <= limit
        page = opened.referrers.page(subject, after=page.last, limit=limit)
        found += listed(page)
    return found


@pytest.fixture
def cache(upstream: Registry, driver: InMemoryDriver) -> Cache:
    return Cache(upstream, driver)


def test_the_list_of_the_upstream_is_given_and_asked_for_again_when_it_is_old(upstream: Registry, cache: Cache) -> None:
    digests = put_signatures(upstream, 1, 2, 3)

    assert all_of(cache.open()) == all_of(cache.another().open(), limit=1) == digests
    assert asked(upstream) == [("GET", str(DIGEST))]
    more = put_signatures(upstream, 1, 2, 3, 4)
    assert all_of(cache.open()) == digests
    cache.wait(61)

    assert all_of(cache.open(), limit=2) == more
    assert asked(upstream) == [("GET", str(DIGEST))]


def test_descriptors_are_those_of_the_upstream_and_listed_by_their_type(upstream: Registry, cache: Cache) -> None:
    described = {
        "mediaType": media_types.OCI_MANIFEST,
        "digest": str(ABSENT),
        "size": 7,
        "artifactType": "x/y",
        "annotations": {"name": "Zoë"},
    }
    untyped = {**described, "digest": str(DIGEST), "artifactType": 7}
    index = json.dumps({"schemaVersion": 2, "manifests": [described, untyped, described]}).encode()
    upstream.misbehave(faults.status(200, index))

    for types, digests in ((None, {ABSENT, DIGEST}), ({"x/y", "z"}, {ABSENT}), ({"z"}, set()), ({""}, {DIGEST})):
        page = cache.another().open().referrers.page(DIGEST, artifact_types=types, limit=9)
        assert set(listed(page)) == digests
    [first, _] = cache.open().referrers.page(DIGEST, limit=9).referrers
    assert json.loads(first.descriptor) == described
    assert first.descriptor.isascii()


def test_an_empty_list_is_given_where_the_upstream_says_so_and_is_not_stored(
    upstream: Registry, cache: Cache, driver: InMemoryDriver
) -> None:
    assert all_of(cache.open()) == all_of(cache.open()) == []
    assert asked(upstream) == [("GET", str(DIGEST))]
    assert driver.list(paths.REPOSITORIES, limit=1) == []

    put_signatures(upstream, 1)
    cache.wait(61)
    assert len(all_of(cache.open())) == 1
    upstream.remove(REMOTE, Digest.of(signature(1)))
    cache.wait(61)
    assert all_of(cache.open()) == []
    assert driver.list(paths.REPOSITORIES, limit=1) == []


def test_an_upstream_without_lists_is_told_by_404_though_a_signature_is_cached(
    upstream: Registry, cache: Cache
) -> None:
    [digest] = put_signatures(upstream, 1)
    cache.open().manifests.serve(digest)
    upstream.misbehave(NO_LIST, path="/referrers/")

    for _ in range(2):
        with pytest.raises(ManifestUnknownError):
            cache.open().referrers.page(DIGEST, limit=9)
    assert upstream.count("GET", "/referrers/") == 1


@pytest.mark.parametrize(
    "fault", [faults.status(401), faults.limited(), faults.status(500), faults.reset(), faults.html]
)
def test_a_list_is_never_empty_because_the_upstream_fails(
    upstream: Registry, driver: InMemoryDriver, fault: faults.Fault
) -> None:
    cache = Cache(upstream, driver, settings=UpstreamCache(maxstale_seconds=3600.0))
    digests = put_signatures(upstream, 1, 2)
    upstream.misbehave(fault)
    with pytest.raises(UpstreamError):
        cache.open().referrers.page(DIGEST, limit=9)
    upstream.behave()
    cache = cache.another()
    all_of(cache.open())
    upstream.misbehave(fault)
    cache.wait(3600)

    for process in (cache, cache.another()):
        opened = process.open()
        assert all_of(opened) == digests
        assert opened.guest.warnings[0].startswith("hub: the list of referrers is what it was")
    cache.wait(1)
    with pytest.raises(UpstreamError):
        cache.open().referrers.page(DIGEST, limit=9)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_what_was_pushed_here_is_listed_with_what_the_upstream_lists(
    upstream: Registry, driver: InMemoryDriver, limit: int
) -> None:
    cache = Cache(upstream, driver, push=True)
    expected = {*put_signatures(upstream, *range(5)), *push_signatures(cache, *range(3, 9))}

    assert all_of(cache.open(), limit=limit) == sorted(expected)


@pytest.mark.parametrize("freshness", [0.0, 10.0, 3600.0])
def test_where_the_upstream_has_no_lists_those_pushed_here_are_listed_with_those_under_its_tag(
    upstream: Registry, driver: InMemoryDriver, freshness: float
) -> None:
    cache = Cache(upstream, driver, push=True, settings=UpstreamCache(freshness_seconds=freshness))
    upstream.misbehave(NO_LIST, path="/referrers/")
    with pytest.raises(ManifestUnknownError):
        cache.open().referrers.page(DIGEST, limit=9)

    pushed = push_signatures(cache, 1)
    assert all_of(cache.open()) == pushed
    theirs = signature(2)
    document = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [descriptor(theirs)]}
    upstream.put_manifest(
        REMOTE, json.dumps(document).encode(), f"sha256-{DIGEST.hex}", media_type=media_types.OCI_INDEX
    )
    cache.wait(31)
    for _ in range(3):
        assert all_of(cache.open()) == sorted([*pushed, Digest.of(theirs)])
        cache.wait(11)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"checked":1e9,"manifests":[{}]}', b'{"checked":null}'])
def test_a_stored_list_that_cannot_be_read_is_asked_for_anew(
    upstream: Registry, cache: Cache, driver: InMemoryDriver, content: bytes
) -> None:
    digests = put_signatures(upstream, 1)
    driver.put(paths.proxied_referrers(NAME, DIGEST), content)

    assert all_of(cache.open()) == digests
    assert all_of(cache.another().open()) == digests
    assert asked(upstream) == [("GET", str(DIGEST))]


def test_long_lists_come_in_pages_below_what_clients_take(upstream: Registry, cache: Cache) -> None:
    described = [
        {**descriptor(b"%d" % number, media_types.OCI_MANIFEST), "annotations": {"text": "x" * 100_000}}
        for number in range(30)
    ]
    upstream.misbehave(faults.status(200, json.dumps({"schemaVersion": 2, "manifests": described}).encode()))

    page = cache.open().referrers.page(DIGEST, limit=1000)
    assert page.last
    assert sum(len(each.descriptor) for each in page.referrers) <= 1024 * 1024
    assert len(all_of(cache.open())) == 30


def test_a_read_only_registry_lists_and_stores_nothing(upstream: Registry, driver: InMemoryDriver) -> None:
    cache = Cache(upstream, driver, read_only=True)
    digests = put_signatures(upstream, 1)

    assert all_of(cache.open()) == all_of(cache.open()) == digests
    assert asked(upstream) == [("GET", str(DIGEST))]
    assert driver.list("/docker", limit=1) == []
    with pytest.raises(ManifestUnknownError):
        cache.open().tags.serve(Tag("v1"))
