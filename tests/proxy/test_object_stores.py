"""Hosts that share an object store: one of them fetches a blob, the others read along, part by part."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from registry.oci.errors import RegistryError
from registry.ports import Blob
from registry.storage import paths
from tests.proxy.cache import Cache, at_once
from tests.upstreams import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.drivers.stores import Store
    from tests.upstreams import Registry

CONTENT = random.Random(12).randbytes(20 * 1024 * 1024 + 19)


@pytest.fixture
def hosts(store: Store, remote: Registry) -> Iterator[list[Cache]]:
    """Two hosts that have nothing in common but the store."""
    medium = store.medium()
    caches = [Cache(medium.driver(), remote.url) for _ in range(2)]
    yield caches
    for each in caches:
        each.close()


def ranges(remote: Registry) -> list[str | None]:
    return [each.headers.get("range") for each in remote.asked if each.method == "GET"]


def test_clients_of_two_hosts_have_a_blob_fetched_once(hosts: list[Cache], remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.slow(1024 * 1024, 0.02), method="GET")

    got = at_once(8, lambda number: hosts[number % 2].get(digest))

    assert [len(each) if isinstance(each, bytes) else each for each in got] == [len(CONTENT)] * 8
    assert got == [CONTENT] * 8
    assert ranges(remote) == [None]
    for host in hosts:
        host.wait_until_idle()
    assert hosts[1].local().blobs.stat(digest) == Blob(digest, digest, len(CONTENT))
    assert [each.path for each in hosts[0].driver.walk(paths.FILLS)] == []


def test_what_a_host_has_left_another_goes_on_with(hosts: list[Cache], remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.short(5_000_000), method="GET", times=1)
    remote.misbehave(faults.status(503), method="GET", times=4)
    with pytest.raises(RegistryError):
        hosts[0].get(digest)
    hosts[0].close()
    remote.behave()

    assert hosts[1].get(digest) == CONTENT

    assert ranges(remote)[-1] == f"bytes={len(CONTENT) - 5_000_000}-"
    hosts[1].wait_until_idle()
    assert hosts[1].local().blobs.has(digest)
