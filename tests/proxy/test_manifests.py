"""Manifests of an upstream are fetched by digest once, verified, and served from here from then on."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from registry.oci import media_types
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError, UpstreamFailedError
from registry.oci.reference import Tag
from registry.storage import paths
from tests.content import image, index
from tests.proxy.caching_host import NAME, REMOTE, Cache, asked
from tests.upstreams import faults

if TYPE_CHECKING:
    from drivers.filesystem.driver import FilesystemDriver
    from drivers.inmemory import InMemoryDriver
    from tests.upstreams import Registry

ONE = image(b"{}", b"a layer that is not cached")
DIGEST = Digest.of(ONE)
INDEX = index(ONE)


@pytest.fixture
def cache(upstream: Registry, driver: InMemoryDriver) -> Cache:
    return Cache(upstream, driver)


@pytest.mark.parametrize("content", [ONE, INDEX], ids=["image", "index"])
def test_a_manifest_is_fetched_once_without_what_it_names_and_never_asked_for_again(
    upstream: Registry, cache: Cache, content: bytes
) -> None:
    digest = upstream.put_manifest(REMOTE, content)

    for _ in range(2):
        served = cache.open().manifests.serve(digest)
        assert served.content == content
        cache.wait(1e6)
    assert asked(upstream) == [("GET", str(digest))]
    upstream.remove(REMOTE, digest)

    assert cache.another().open().manifests.serve(digest).content == content
    assert asked(upstream) == []
    assert cache.open().local.manifests.get(digest).content == content


def test_manifests_are_cached_on_a_file_system_as_well(upstream: Registry, filesystem: FilesystemDriver) -> None:
    upstream.put_manifest(REMOTE, ONE)
    cache = Cache(upstream, filesystem)

    assert cache.open().manifests.serve(DIGEST).content == ONE
    assert cache.open().local.manifests.get(DIGEST).content == ONE


@pytest.mark.parametrize("damage", [b"", b"torn", None])
def test_a_manifest_whose_bytes_are_gone_or_damaged_heals(
    upstream: Registry, cache: Cache, driver: InMemoryDriver, damage: bytes | None
) -> None:
    upstream.put_manifest(REMOTE, ONE, "v1")
    cache.open().manifests.serve(DIGEST)
    path = paths.blob_data(DIGEST)
    if damage is None:
        driver.delete(path)
    else:
        driver.put(path, damage)

    assert cache.another().open().manifests.serve(DIGEST).content == ONE
    assert driver.get(path, limit=9999) == ONE


@pytest.mark.parametrize("fault", [faults.wrong, faults.html, faults.short(1)])
def test_other_content_is_neither_served_nor_stored(
    upstream: Registry, cache: Cache, driver: InMemoryDriver, fault: faults.Fault
) -> None:
    upstream.put_manifest(REMOTE, ONE)
    upstream.misbehave(fault)

    with pytest.raises(UpstreamFailedError):
        cache.open().manifests.serve(DIGEST)

    assert driver.list(paths.REPOSITORIES, limit=1) == driver.list(paths.BLOBS, limit=1) == []


def test_a_manifest_that_the_repository_has_not_upstream_is_unknown_whoever_else_has_it(
    upstream: Registry, cache: Cache
) -> None:
    upstream.put_manifest("other/app", ONE)
    cache.open("hub/other/app").manifests.serve(DIGEST)
    asked(upstream)

    for _ in range(2):
        with pytest.raises(ManifestUnknownError):
            cache.open().manifests.serve(DIGEST)
    assert asked(upstream) == [("GET", str(DIGEST))]
    cache.wait(30)
    upstream.put_manifest(REMOTE, ONE)
    assert cache.open().manifests.serve(DIGEST).content == ONE


def test_a_manifest_of_schema_1_is_unknown(upstream: Registry, cache: Cache) -> None:
    content = b'{"schemaVersion":1,"name":"app","fsLayers":[]}'
    [signed, *_] = sorted(media_types.SCHEMA1)
    digest = upstream.put_manifest(REMOTE, content, "v1", media_type=signed)

    with pytest.raises(ManifestUnknownError):
        cache.open().manifests.serve(digest)


def test_of_many_clients_at_once_one_fetches_a_manifest_for_all(upstream: Registry, cache: Cache) -> None:
    upstream.put_manifest(REMOTE, ONE)
    released = threading.Event()

    def hold(handler: object, answer: object) -> None:
        assert released.wait(10)
        handler.send(answer)  # type: ignore[attr-defined]

    upstream.misbehave(hold)
    with ThreadPoolExecutor(16) as clients:
        pulls = [clients.submit(lambda: cache.open().manifests.serve(DIGEST).content) for _ in range(16)]
        while not upstream.asked:
            pass
        released.set()
        assert {pull.result() for pull in pulls} == {ONE}

    assert upstream.count("GET") == 1


def test_what_is_here_is_told_of_without_a_question(upstream: Registry, cache: Cache) -> None:
    upstream.put_manifest(REMOTE, ONE)
    manifests = cache.open().manifests

    assert not manifests.has(DIGEST)
    assert manifests.peek(DIGEST) is None
    with pytest.raises(ManifestUnknownError):
        manifests.get(DIGEST)
    assert list(manifests.digests()) == []
    assert asked(upstream) == []


def test_no_credentials_or_names_of_this_registry_are_sent_but_the_way_that_the_request_has_come(
    upstream: Registry, cache: Cache
) -> None:
    upstream.put_manifest(REMOTE, ONE)

    cache.open().manifests.serve(DIGEST)

    [request] = upstream.asked
    assert "1.1 somewhere" in request.headers["via"]
    assert NAME not in request.path


@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_served_and_what_was_fetched_for_it_is_counted(
    upstream: Registry, driver: InMemoryDriver, *, read_only: bool
) -> None:
    cache = Cache(upstream, driver, read_only=read_only)
    other = image(b"other")
    upstream.put_manifest(REMOTE, ONE, "v1")
    upstream.put_manifest(REMOTE, other, "v2")

    sums = cache.meter.sums

    cache.pull(Tag("v1"))
    assert (sums["manifest hits"], sums["manifest misses"]) == (0, 1)
    cache.open().manifests.serve(Digest.of(other))
    assert (sums["manifest hits"], sums["manifest misses"]) == (0, 2)
    cache.pull(Tag("v1"))
    cache.open().manifests.serve(Digest.of(other))
    assert (sums["manifest hits"], sums["manifest misses"]) == ((0, 4) if read_only else (2, 2))
    assert sums["manifest bytes served"] == 2 * len(ONE + other)
    assert sums["manifest bytes pulled"] == len(ONE + other) * (2 if read_only else 1)


def test_an_answer_that_the_upstream_has_not_confirmed_is_counted(upstream: Registry, cache: Cache) -> None:
    upstream.put_manifest(REMOTE, ONE, "v1")
    cache.pull(Tag("v1"))
    cache.open().referrers.page(DIGEST, limit=9)
    cache.wait(61)
    upstream.misbehave(faults.status(500))

    cache.pull(Tag("v1"))
    cache.open().tags.page(limit=9)
    cache.open().referrers.page(DIGEST, limit=9)

    assert cache.meter.sums["hub stale"] == 3
