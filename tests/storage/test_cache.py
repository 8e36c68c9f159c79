from __future__ import annotations

import random
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from registry.oci.digest import Digest
from registry.storage.cache import ManifestCache, ServedManifest

ENTRY = ServedManifest(b"?", "application/x").footprint


def manifest(content: bytes) -> tuple[Digest, ServedManifest]:
    return Digest.of(content), ServedManifest(content, "application/x")


def held(cache: ManifestCache, contents: list[bytes]) -> list[bytes]:
    return [content for content in contents if cache.get(Digest.of(content))]


@given(st.lists(st.binary(max_size=40)))
def test_it_never_holds_more_than_it_may(contents: list[bytes]) -> None:
    cache = ManifestCache(max_bytes=3 * ENTRY)

    for content in contents:
        cache.put(*manifest(content))

        footprints = [manifest(each)[1].footprint for each in held(cache, sorted({*contents}))]
        assert sum(footprints) <= 3 * ENTRY


def test_bound_is_one_of_memory_and_not_of_text() -> None:
    seed, bound = random.Random(1), 2 * 1024 * 1024
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        cache = ManifestCache(max_bytes=bound)
        for number in range(4000):
            cache.put(*manifest(b"%d" % number + seed.randbytes(seed.choice((10, 400, 1500, 7000)))))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert bound / 2 < after - before <= bound


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    cache = ManifestCache(max_bytes=3 * ENTRY)
    for content in (b"a", b"b", b"c"):
        cache.put(*manifest(content))

    cache.get(Digest.of(b"a"))
    cache.put(*manifest(b"d"))

    assert held(cache, [b"a", b"b", b"c", b"d"]) == [b"a", b"c", b"d"]


def test_what_is_put_twice_counts_once() -> None:
    cache = ManifestCache(max_bytes=2 * ENTRY)
    for content in (b"a", b"a", b"a", b"b"):
        cache.put(*manifest(content))

    assert held(cache, [b"a", b"b"]) == [b"a", b"b"]


def test_one_large_manifest_does_not_drive_out_the_others() -> None:
    cache = ManifestCache(max_bytes=2 * ENTRY, max_entry_bytes=ENTRY + 10)
    cache.put(*manifest(b"small"))

    cache.put(*manifest(b"x" * 50))

    assert held(cache, [b"small", b"x" * 50]) == [b"small"]
    assert cache.type_of_large(Digest.of(b"x" * 50)) == "application/x"
    assert cache.type_of_large(Digest.of(b"small")) is None


def test_threads_do_not_spoil_its_accounts() -> None:
    largest = manifest(b"996")[1].footprint
    cache = ManifestCache(max_bytes=100 * largest)

    def churn(seed: int) -> None:
        for number in range(500):
            cache.put(*manifest(b"%d" % (seed * number % 997)))
            cache.get(Digest.of(b"%d" % number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(churn, range(1, 9)))

    assert len(held(cache, [b"%d" % number for number in range(997)])) == 100
