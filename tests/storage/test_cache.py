from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from registry.oci.digest import Digest
from registry.oci.manifest import Manifest
from registry.storage.cache import ManifestCache


def manifest(content: bytes) -> tuple[Digest, Manifest]:
    return Digest.of(content), Manifest(content, "application/x")


def held(cache: ManifestCache, contents: list[bytes]) -> list[bytes]:
    return [content for content in contents if cache.get(Digest.of(content))]


@given(st.lists(st.binary(max_size=40)))
def test_it_never_holds_more_than_it_may(contents: list[bytes]) -> None:
    cache = ManifestCache(max_bytes=100, max_entry_bytes=30)

    for content in contents:
        cache.put(*manifest(content))

        assert sum(map(len, held(cache, sorted({*contents})))) <= 100


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    cache = ManifestCache(max_bytes=3)
    for content in (b"a", b"b", b"c"):
        cache.put(*manifest(content))

    cache.get(Digest.of(b"a"))
    cache.put(*manifest(b"d"))

    assert held(cache, [b"a", b"b", b"c", b"d"]) == [b"a", b"c", b"d"]


def test_what_is_put_twice_counts_once() -> None:
    cache = ManifestCache(max_bytes=2)
    for content in (b"a", b"a", b"a", b"b"):
        cache.put(*manifest(content))

    assert held(cache, [b"a", b"b"]) == [b"a", b"b"]


def test_one_large_manifest_does_not_drive_out_the_others() -> None:
    cache = ManifestCache(max_bytes=100, max_entry_bytes=10)
    cache.put(*manifest(b"small"))

    cache.put(*manifest(b"x" * 50))

    assert held(cache, [b"small", b"x" * 50]) == [b"small"]


def test_threads_do_not_spoil_its_accounts() -> None:
    cache = ManifestCache(max_bytes=500, max_entry_bytes=10)

    def churn(seed: int) -> None:
        for number in range(500):
            cache.put(*manifest(b"%d" % (seed * number % 997)))
            cache.get(Digest.of(b"%d" % number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(churn, range(1, 9)))

    assert 400 < sum(map(len, held(cache, [b"%d" % number for number in range(997)]))) <= 500
