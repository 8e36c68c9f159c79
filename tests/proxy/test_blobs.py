"""Blobs that come when somebody asks for them: what one process does while its upstream answers well."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError, UpstreamBusyError, UpstreamFailedError
from registry.ports import Blob
from registry.proxy.fills import tail
from registry.proxy.fills.remote_blob import RemoteBlob
from registry.storage import paths
from tests.content import ABSENT
from tests.proxy.cache import Cache, Client, at_once
from tests.upstreams import faults

if TYPE_CHECKING:
    from drivers.base import StorageDriver
    from tests.proxy.conftest import Start
    from tests.upstreams import Registry

LARGE = random.Random(7).randbytes(5 * 1024 * 1024 + 7)
SMALL = b"a small layer"


def assert_nothing_is_left(cache: Cache) -> None:
    """Nothing is kept of fills that have ended."""
    cache.wait_until_idle()
    assert list(cache.driver.walk(paths.FILLS)) == []
    assert not cache.fills._fills


@pytest.mark.parametrize("content", [SMALL, LARGE, b"", b"x" * 256 * 1024, b"x" * (256 * 1024 + 1)], ids=len)
def test_a_blob_that_is_not_here_is_fetched_once_and_kept(cache: Cache, remote: Registry, content: bytes) -> None:
    digest = remote.put_blob("a", content)

    assert cache.get(digest) == content
    cache.wait_until_idle()
    assert cache.get(digest) == content

    assert remote.count("GET") == 1
    assert remote.count("HEAD") == 0
    assert b"".join(cache.local().blobs.read(cache.local().blobs.stat(digest), 0, len(content))) == content
    assert_nothing_is_left(cache)


@pytest.mark.parametrize("algorithm", ["sha512", "sha384"])
def test_a_blob_is_kept_under_the_digest_it_is_asked_for_by(cache: Cache, remote: Registry, algorithm: str) -> None:
    digest = Digest.of(SMALL, algorithm)
    remote._blobs["a", str(digest)] = SMALL

    assert cache.get(digest) == SMALL
    cache.wait_until_idle()

    assert cache.local().blobs.stat(digest) == Blob(digest, digest, len(SMALL))


def test_many_clients_of_one_blob_have_it_fetched_once(cache: Cache, remote: Registry) -> None:
    digest = remote.put_blob("a", LARGE)

    got = at_once(64, lambda _: cache.get(digest))

    assert got == [LARGE] * 64
    assert remote.count("GET") == 1
    assert remote.count("HEAD") == 0


def test_clients_get_what_has_come_while_the_rest_is_on_its_way(cache: Cache, remote: Registry) -> None:
    digest = remote.put_blob("a", LARGE)
    remote.misbehave(faults.stall(3 * 1024 * 1024))

    pieces = cache.pieces(digest)
    got = b""
    while len(got) < 2 * 1024 * 1024:
        got += next(pieces)

    assert LARGE.startswith(got)


def test_a_client_that_leaves_changes_nothing(cache: Cache, remote: Registry) -> None:
    digest = remote.put_blob("a", LARGE)
    remote.misbehave(faults.slow(256 * 1024, 0.002))
    pieces = cache.pieces(digest)
    next(pieces)

    del pieces
    cache.wait_until_idle()

    assert cache.local().blobs.has(digest)
    assert remote.count("GET") == 1


def test_what_the_upstream_does_not_have_is_unknown(cache: Cache, remote: Registry) -> None:
    with pytest.raises(BlobUnknownError):
        cache.get(ABSENT)
    with pytest.raises(BlobUnknownError):
        cache.blobs().describe(ABSENT)
    assert not cache.blobs().has(ABSENT)
    assert remote.count("GET") == 1
    assert_nothing_is_left(cache)


def test_to_ask_what_a_blob_is_fetches_nothing(cache: Cache, remote: Registry) -> None:
    digest = remote.put_blob("a", SMALL)

    assert cache.blobs().describe(digest) == Blob(digest, digest, len(SMALL))

    assert remote.count("GET") == 0
    with pytest.raises(BlobUnknownError):
        cache.blobs().stat(digest)


def test_what_a_push_may_name_is_here_before_it_is_acknowledged(cache: Cache, remote: Registry) -> None:
    digest = remote.put_blob("a", LARGE)

    assert cache.blobs().has(digest)

    assert cache.local().blobs.has(digest)
    assert cache.blobs().has(digest)
    assert remote.count("GET") == 1


def test_a_push_that_names_what_the_upstream_does_not_give_is_told_so(cache: Cache, remote: Registry) -> None:
    digest = remote.put_blob("a", LARGE)
    remote.misbehave(faults.wrong)

    with pytest.raises(UpstreamFailedError):
        cache.blobs().has(digest)

    assert not cache.local().blobs.has(digest)


def test_a_blob_that_is_linked_without_bytes_comes_again(cache: Cache, remote: Registry) -> None:
    digest = remote.put_blob("a", SMALL)
    cache.local().blobs.link(digest)

    assert cache.get(digest) == SMALL
    cache.wait_until_idle()

    assert cache.local().blobs.has(digest)


def test_bytes_that_go_after_the_client_was_told_of_them_come_again(
    cache: Cache, remote: Registry, medium: StorageDriver
) -> None:
    digest = remote.put_blob("a", SMALL)
    cache.get(digest)
    cache.wait_until_idle()
    for opens in (False, True):
        blobs = cache.blobs()
        blob = blobs.serve(digest)
        medium.delete(paths.blob_data(digest))

        file = blobs.open_local(blob) if opens else None

        assert file is None
        assert b"".join(blobs.read(blob, 0, blob.size)) == SMALL
        cache.wait_until_idle()


def test_while_a_blob_comes_there_is_no_place_to_send_clients_to(cache: Cache, remote: Registry) -> None:
    digest = remote.put_blob("a", LARGE)
    remote.misbehave(faults.stall(1024 * 1024))
    blobs = cache.blobs()
    blob = blobs.serve(digest)

    assert blobs.local_name(blob) is None
    assert blobs.redirect_url(blob) is None
    assert blobs.open_local(blob) is None


class TestSeveralRepositories:
    def test_bytes_of_another_repository_are_given_only_if_the_upstream_has_them_here_too(
        self, cache: Cache, remote: Registry
    ) -> None:
        digest = remote.put_blob("secret", SMALL)
        assert cache.get(digest, "secret") == SMALL
        cache.wait_until_idle()

        with pytest.raises(BlobUnknownError):
            cache.get(digest, "public")
        assert not cache.local("public").blobs.has(digest)

        remote.put_blob("public", SMALL)
        assert cache.get(digest, "public") == SMALL
        assert cache.local("public").blobs.has(digest)
        assert remote.count("GET", "/public/") == 0

    def test_who_follows_shows_that_its_repository_has_the_blob(self, cache: Cache, remote: Registry) -> None:
        digest = remote.put_blob("secret", LARGE)
        remote.put_blob("shared", LARGE)
        remote.misbehave(faults.slow(256 * 1024, 0.02), method="GET")
        first = cache.pieces(digest, "secret")
        got = next(first)

        with pytest.raises(BlobUnknownError):
            cache.get(digest, "public")
        shared = cache.get(digest, "shared")

        assert shared == got + b"".join(first) == LARGE
        cache.wait_until_idle()
        assert remote.count("GET", str(digest)) == 1
        assert cache.local("shared").blobs.has(digest)
        assert not cache.local("public").blobs.has(digest)

    def test_who_has_a_blob_is_not_hurt_by_who_has_not(self, cache: Cache, remote: Registry) -> None:
        digest = remote.put_blob("a", SMALL)

        def get(number: int) -> bytes:
            with suppress(BlobUnknownError):
                return cache.get(digest, "a" if number % 2 else f"none{number}")
            return b"unknown"

        got = at_once(16, get)

        assert got == [b"unknown", SMALL] * 8


class TestRanges:
    def test_a_range_of_what_is_not_here_is_given_at_once(self, cache: Cache, remote: Registry) -> None:
        digest = remote.put_blob("a", LARGE)
        remote.misbehave(faults.stall(1024), times=1)

        assert cache.get(digest, start=4_000_000, stop=4_000_100) == LARGE[4_000_000:4_000_100]
        assert cache.get(digest, start=len(LARGE) - 9) == LARGE[-9:]

        assert remote.count("GET") == 3

    def test_a_range_that_comes_soon_is_waited_for(
        self, cache: Cache, remote: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tail, "_PATIENCE_SECONDS", 60)  # this machine may be slow
        digest = remote.put_blob("a", LARGE)
        remote.misbehave(faults.slow(512 * 1024, 0.01), times=1)
        pieces, got = cache.pieces(digest), 0
        while got < 2_000_000:
            got += len(next(pieces))

        assert cache.get(digest, start=3_000_000, stop=3_500_000) == LARGE[3_000_000:3_500_000]
        assert cache.get(digest, start=len(LARGE) - 9) == LARGE[-9:]

        assert remote.count("GET") == 1

    def test_a_range_is_given_though_the_upstream_ignores_ranges(self, cache: Cache, remote: Registry) -> None:
        digest = remote.put_blob("a", LARGE)
        remote.misbehave(faults.stall(1024), times=1)
        remote.misbehave(faults.rangeless)

        assert cache.get(digest, start=4_000_000, stop=4_000_100) == LARGE[4_000_000:4_000_100]


def test_no_more_blobs_are_fetched_at_a_time_than_there_are_slots(start: Start, remote: Registry) -> None:
    cache = start(fills=2, answertimeout_seconds=0.2)
    digests = [remote.put_blob("a", LARGE[:-number]) for number in range(1, 4)]
    remote.misbehave(faults.stall(1024), times=2)
    for digest in digests[:2]:
        cache.blobs().serve(digest)
    visitor = Client()

    with pytest.raises(UpstreamBusyError):
        cache.blobs(visitor=visitor).has(digests[2])

    assert visitor.waits == 1
    assert remote.count("GET", str(digests[2])) == 0


def test_who_gets_no_slot_has_the_blob_passed_on_and_the_next_one_has_it_kept(start: Start, remote: Registry) -> None:
    cache = start(connections=3, fills=1, answertimeout_seconds=0.2)
    slow, digest = remote.put_blob("a", LARGE[:-1]), remote.put_blob("a", LARGE)
    remote.misbehave(faults.stall(1024), method="GET", times=1)
    cache.blobs().serve(slow)

    assert at_once(2, lambda _: cache.get(digest)) == [LARGE, LARGE]
    assert cache.get(digest, start=5, stop=10) == LARGE[5:10]
    assert not cache.local().blobs.has(digest)

    remote.ended.set()
    cache.wait_until_idle()
    assert cache.get(digest) == LARGE
    cache.wait_until_idle()
    assert cache.local().blobs.has(digest)


def test_who_gets_neither_a_slot_nor_a_turn_is_told_to_come_back(start: Start, remote: Registry) -> None:
    cache = start(connections=2, fills=1, answertimeout_seconds=0.2)
    slow, digest = remote.put_blob("a", LARGE[:-1]), remote.put_blob("a", LARGE)
    remote.misbehave(faults.stall(1024), method="GET", times=1)
    cache.blobs().serve(slow)

    with cache.fills.turns(RemoteBlob(cache.upstream, "a", digest, "")).take(0), pytest.raises(UpstreamBusyError):
        cache.get(digest)

    assert cache.get(digest) == LARGE


def test_who_waits_for_a_slot_gets_one_when_it_is_free(start: Start, remote: Registry) -> None:
    cache = start(fills=1)
    digests = [remote.put_blob("a", LARGE[:-number]) for number in range(1, 5)]

    got = at_once(4, lambda number: cache.get(digests[number]))

    assert got == [LARGE[:-number] for number in range(1, 5)]


def test_when_the_process_ends_its_uploads_are_let_go(start: Start, remote: Registry) -> None:
    first, second = start(), start()
    digest = remote.put_blob("a", LARGE)
    remote.misbehave(faults.slow(128 * 1024, 0.01), times=1)
    next(first.pieces(digest))

    first.fills.close()

    assert not first.fills._threads
    assert second.get(digest) == LARGE
    assert [each.headers.get("range") is not None for each in remote.asked if each.method == "GET"] == [False, True]


def test_an_empty_answer_is_not_taken_for_a_blob(cache: Cache, remote: Registry) -> None:
    digest = remote.put_blob("a", SMALL)
    remote.misbehave(faults.empty)

    with pytest.raises(UpstreamFailedError):
        cache.get(digest)
    assert not cache.local().blobs.has(digest)


def test_a_blob_that_has_come_by_the_time_it_is_read_is_a_file_like_any_other(
    start: Start, remote: Registry, filesystem: StorageDriver
) -> None:
    cache = start(filesystem)
    digest = remote.put_blob("a", LARGE)
    blobs = cache.blobs()
    blob = blobs.serve(digest)
    cache.wait_until_idle()

    file = blobs.open_local(blob)

    assert file
    with file:
        assert file.read() == LARGE


def test_what_the_upstream_has_not_had_is_not_asked_for_again_soon_unless_it_turns_out_to_have_it(
    cache: Cache, remote: Registry
) -> None:
    digest = Digest.of(SMALL)
    for _ in range(3):
        with pytest.raises(BlobUnknownError):
            cache.get(digest)
        cache.wait_until_idle()
    assert remote.count("GET") == 1

    remote.put_blob("a", SMALL)
    with pytest.raises(BlobUnknownError):
        cache.get(digest)
    assert cache.blobs().describe(digest).size == len(SMALL)

    assert cache.get(digest) == SMALL


def test_what_is_fetched_and_served_is_counted(cache: Cache, remote: Registry) -> None:
    digest = remote.put_blob("a", LARGE)

    at_once(3, lambda _: cache.get(digest))
    cache.wait_until_idle()
    cache.get(digest)
    with pytest.raises(BlobUnknownError):
        cache.get(ABSENT)
    cache.wait_until_idle()

    size = len(LARGE)
    assert {name: number for name, number in cache.meter.sums.items() if number} == {
        "blob misses": 3,
        "blob hits": 1,
        "blob bytes served": 4 * size,
        "blob bytes pulled": size,
        "hub stored": 1,
        "hub failed": 1,
    }
