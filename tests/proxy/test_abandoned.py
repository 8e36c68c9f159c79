"""What is left of blobs that were being fetched goes after a day, and not while anybody works on it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from drivers.base import PathNotFoundError
from registry.proxy.fills import abandoned
from registry.storage import paths
from tests.proxy.test_broken_upstreams import got_before_the_break
from tests.upstreams import faults

if TYPE_CHECKING:
    from registry.oci.digest import Digest
    from tests.proxy.cache import Cache
    from tests.upstreams import Registry

CONTENT = random.Random(10).randbytes(2 * 1024 * 1024)


@pytest.fixture
def left(cache: Cache, remote: Registry) -> Digest:
    """The digest of a blob of which the first half has come."""
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.short(len(CONTENT) // 2), method="GET", times=1)
    remote.misbehave(faults.status(503), method="GET", times=4)
    got_before_the_break(cache, digest)
    cache.wait_until_idle()
    return digest


def test_what_is_older_than_a_day_is_purged(cache: Cache, remote: Registry, left: Digest) -> None:
    assert abandoned.purge(cache.driver) == 0
    assert cache.driver.upload_size(paths.fill_data("hub", left)) == len(CONTENT) // 2

    assert abandoned.purge(cache.driver, age_seconds=-1) == 1

    assert list(cache.driver.walk(paths.FILLS)) == []
    with pytest.raises(PathNotFoundError):
        cache.driver.upload_size(paths.fill_data("hub", left))
    assert cache.get(left) == CONTENT
    assert [each.headers.get("range") for each in remote.asked][-1] is None


def test_what_somebody_works_on_stays(cache: Cache, remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.slow(64 * 1024, 0.01), method="GET")
    pieces = cache.pieces(digest)
    got = next(pieces)

    assert abandoned.purge(cache.driver, age_seconds=-1) == 0

    assert got + b"".join(pieces) == CONTENT


@pytest.mark.parametrize("path_of", [paths.fill_data, paths.fill_about])
def test_what_is_left_alone_of_a_fill_goes_too(cache: Cache, left: Digest, path_of: object) -> None:
    assert callable(path_of)
    cache.driver.delete(path_of("hub", left))

    abandoned.purge(cache.driver, age_seconds=-1)

    assert list(cache.driver.walk(paths.FILLS)) == []


def test_an_upload_of_which_nobody_knows_what_it_is_of_is_begun_anew(
    cache: Cache, remote: Registry, left: Digest
) -> None:
    cache.driver.put(paths.fill_about("hub", left), b"no JSON")

    assert cache.get(left) == CONTENT
    assert [each.headers.get("range") for each in remote.asked][-1] is None
