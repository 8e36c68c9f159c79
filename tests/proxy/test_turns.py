"""Clients that take what is passed on as slowly as they like hold up nobody else."""

from __future__ import annotations

import random
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from registry.config.upstreams import Network
from registry.proxy.fills.turns import shares
from tests.proxy.cache import Cache
from tests.upstreams import faults

if TYPE_CHECKING:
    from collections.abc import Generator

    from drivers.base import StorageDriver
    from registry.oci.digest import Digest
    from tests.proxy.conftest import Start
    from tests.upstreams import Registry

CONTENT = random.Random(5).randbytes(3 * 1024 * 1024 + 7)
OTHER = random.Random(6).randbytes(1024 * 1024)


def begun(cache: Cache, digest: Digest, start: int = 0) -> tuple[bytes, Generator[bytes]]:
    """Give the first piece that a client takes, and what gives it the others when it goes on."""
    pieces = cache.pieces(digest, start=start)
    return next(pieces), pieces  # type: ignore[return-value]


def test_a_client_that_takes_nothing_loses_its_connection_to_who_waits_and_gets_all_when_it_goes_on(
    medium: StorageDriver, remote: Registry
) -> None:
    digest, other = remote.put_blob("a", CONTENT), remote.put_blob("a", OTHER)
    cache = Cache(medium, remote.url, read_only=True, network={"connections": 1, "answertimeout_seconds": 10})
    first, rest = begun(cache, digest)

    assert cache.get(other) == OTHER
    assert first + b"".join(rest) == CONTENT

    cache.close()
    ranges = [each.headers.get("range", "") for each in remote.asked if each.method == "GET"]
    assert [bool(each) for each in ranges] == [False, False, True]


def test_who_hangs_up_while_another_waits_leaves_the_connection_to_it(medium: StorageDriver, remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)
    cache = Cache(medium, remote.url, read_only=True, network={"connections": 1, "answertimeout_seconds": 10})
    for _ in range(3):
        _, pieces = begun(cache, digest)
        pieces.close()
    first, slow = begun(cache, digest)
    assert cache.get(digest) == CONTENT
    slow.close()
    assert cache.get(digest) == CONTENT
    assert CONTENT.startswith(first)
    cache.close()


def test_a_blob_is_fetched_whatever_clients_of_ranges_do(start: Start, remote: Registry) -> None:
    digest, other = remote.put_blob("a", CONTENT), remote.put_blob("a", OTHER)
    cache = start(connections=3, fills=2, answertimeout_seconds=5)
    remote.misbehave(faults.stall(1), method="GET", times=1)
    blobs = cache.blobs()
    blob = blobs.serve(digest)
    with (
        closing(blobs.read(blob, 1_500_000, blob.size)) as one,  # type: ignore[type-var]
        closing(blobs.read(blob, 1_500_000, blob.size)) as two,  # type: ignore[type-var]
    ):
        assert next(one)[:9] == next(two)[:9] == CONTENT[1_500_000:1_500_009]

        assert cache.get(other) == OTHER

        assert remote.count("GET") == 4


@pytest.mark.parametrize(
    ("connections", "fills", "expected"), [(16, 8, (8, 8)), (4, 8, (3, 1)), (1, 8, (1, 1)), (16, 16, (15, 1))]
)
def test_there_is_always_a_connection_for_what_is_kept_and_one_for_what_is_not(
    connections: int, fills: int, expected: tuple[int, int]
) -> None:
    assert shares(Network(connections=connections, fills=fills)) == expected
