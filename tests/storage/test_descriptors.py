from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry.oci.digest import Digest
from registry.storage.descriptors import LIFETIME_SECONDS, InMemoryDescriptors

DIGESTS = [Digest.of(b"%d" % number) for number in range(5)]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def held(cache: InMemoryDescriptors) -> list[int | None]:
    return [cache.get(digest) for digest in DIGESTS]


def test_what_was_put_last_is_given_until_it_is_dropped() -> None:
    cache = InMemoryDescriptors(10)
    assert cache.get(DIGESTS[0]) is None
    cache.put(DIGESTS[0], 1)
    cache.put(DIGESTS[0], 0)
    assert cache.get(DIGESTS[0]) == 0
    cache.drop(DIGESTS[0])
    cache.drop(DIGESTS[0])
    assert cache.get(DIGESTS[0]) is None


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    cache = InMemoryDescriptors(3)
    for size, digest in enumerate(DIGESTS[:3]):
        cache.put(digest, size)
    cache.get(DIGESTS[0])
    cache.put(DIGESTS[1], 1)
    cache.put(DIGESTS[3], 3)
    assert held(cache) == [0, 1, None, 3, None]


@pytest.mark.parametrize("limit", [0, -1])
def test_size_of_zero_or_less_is_no_limit(limit: int) -> None:
    cache = InMemoryDescriptors(limit)
    for size, digest in enumerate(DIGESTS):
        cache.put(digest, size)
    assert held(cache) == [0, 1, 2, 3, 4]


def test_entry_ends_however_often_it_is_used_and_begins_anew_when_it_is_seen_again() -> None:
    clock = Clock()
    cache = InMemoryDescriptors(10, clock)
    cache.put(DIGESTS[0], 7)
    clock.now += LIFETIME_SECONDS - 1
    assert cache.get(DIGESTS[0]) == 7
    clock.now += 1
    assert cache.get(DIGESTS[0]) is None
    cache.put(DIGESTS[0], 7)
    clock.now += LIFETIME_SECONDS - 1
    assert cache.get(DIGESTS[0]) == 7


def test_default_number_of_entries_takes_a_few_megabytes() -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        cache = InMemoryDescriptors(10_000)
        for number in range(30_000):
            cache.put(Digest.parse(str(Digest.of(b"%d" % number))), 10**9 + number)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"{(after - before) / 10_000:.0f} bytes an entry")
    assert after - before < 7_000_000


def test_threads_do_not_spoil_it() -> None:
    cache = InMemoryDescriptors(50)

    def churn(seed: int) -> None:
        for number in range(2000):
            digest = Digest("sha256", f"{seed * number % 97:064x}")
            cache.put(digest, number)
            cache.get(digest)
            cache.drop(Digest("sha256", f"{number % 89:064x}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(churn, range(1, 9)))
    held_at_last = [n for n in range(97) if cache.get(Digest("sha256", f"{n:064x}")) is not None]
    assert len(held_at_last) <= 50
