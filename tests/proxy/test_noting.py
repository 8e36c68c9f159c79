"""That a manifest was fetched is noted, and never of one that was pushed, whatever happens at the same time."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from drivers.inmemory import InMemoryDriver
from registry.config.cached import Cached
from registry.config.upstreams import Upstream
from registry.oci.digest import Digest
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.proxy.fetched import note_pushed
from registry.proxy.noting import NotedCaching
from registry.storage import paths
from registry.storage.passage import Passage
from registry.storage.repository import Repositories
from registry.storage.runs import Runs
from tests.content import image
from tests.drivers.interleaving import InterleavingDriver

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver

NAME = "hub/app"
MANIFEST = parse_manifest(image(b"{}"))
DIGEST = Digest.of(MANIFEST.content)
PUSHABLE = Cached((Upstream(name="hub", prefix="hub", push="allow"),))


def fetch(driver: StorageDriver) -> None:
    NotedCaching(Passage(Runs(driver)), driver, PUSHABLE).put_manifest(
        Repositories(driver).open(NAME), MANIFEST, DIGEST
    )


def push(driver: StorageDriver) -> None:
    Repositories(driver).open(NAME).manifests.put(MANIFEST, DIGEST, [Tag("v1")])
    note_pushed(driver, NAME, DIGEST)


def is_fetched(driver: StorageDriver) -> bool:
    try:
        driver.stat(paths.fetched_manifest(NAME, DIGEST))
    except PathNotFoundError:
        return False
    return True


def marked_at_each_moment(work: Callable[[StorageDriver], None], rival: Callable[[StorageDriver], None]) -> set[bool]:
    """Tell what is noted where `rival` works as a whole between any two calls of `work`."""
    marked: set[bool] = set()
    for moment in count(1):
        medium = InMemoryDriver()
        between = InterleavingDriver(medium, moment, lambda: rival(medium))  # noqa: B023 - called now
        work(between)
        if between.calls < moment:
            assert moment > 3
            return marked
        marked.add(is_fetched(medium))
    raise AssertionError


def test_what_was_pushed_at_the_same_time_is_not_taken_for_fetched() -> None:
    assert marked_at_each_moment(fetch, push) == {False}
    assert marked_at_each_moment(push, fetch) == {False}


def test_what_several_hosts_fetch_at_the_same_time_is_not_taken_for_pushed() -> None:
    moments = []
    for moment in count(1):
        medium = InMemoryDriver()
        between = InterleavingDriver(medium, moment, lambda: fetch(medium))  # noqa: B023 - called now
        fetch(between)
        if between.calls < moment:
            break
        moments.append(is_fetched(medium))

    # Only right after the mark was made may another host have stored the manifest; then it stays, as a pushed one does.
    assert moments.count(False) <= 1
    assert moments.count(True) > 3
