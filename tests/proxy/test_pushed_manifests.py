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
from registry.proxy.pushed_manifests import NotedCaching, unmark_fetched
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
    unmark_fetched(driver, NAME, DIGEST)


def is_fetched(driver: StorageDriver) -> bool:
    try:
        driver.stat(paths.fetched_manifest(NAME, DIGEST))
    except PathNotFoundError:
        return False
    return True


def marked_at_each_moment(work: Callable[[StorageDriver], None], rival: Callable[[StorageDriver], None]) -> list[bool]:
    """Tell what is noted where `rival` works as a whole between two calls of `work`, for each two."""
    marked: list[bool] = []
    for moment in count(1):
        medium = InMemoryDriver()
        between = InterleavingDriver(medium, moment, lambda: rival(medium))  # noqa: B023 - called now
        work(between)
        if between.calls < moment:
            break
        marked.append(is_fetched(medium))
    assert len(marked) > 3
    return marked


def test_what_was_pushed_at_the_same_time_is_not_taken_for_fetched() -> None:
    assert not any(marked_at_each_moment(fetch, push))
    assert not any(marked_at_each_moment(push, fetch))


def test_what_two_hosts_fetch_at_the_same_time_is_not_taken_for_pushed() -> None:
    marked = marked_at_each_moment(fetch, fetch)

    # Right after it has marked the manifest, a host that finds it stored cannot tell by whom.
    assert marked.count(False) <= 1
