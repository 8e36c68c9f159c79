"""Where a tag of an upstream points is asked there as often as it is configured, and served when nobody answers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING

import pytest

from drivers.base import DriverError, NoSpaceError
from drivers.delegating import DelegatingDriver
from drivers.inmemory import InMemoryDriver
from registry.config.upstreams import UpstreamCache
from registry.oci.digest import Digest
from registry.oci.errors import (
    ManifestUnknownError,
    UpstreamError,
    UpstreamFailedError,
    UpstreamLimitedError,
    UpstreamRefusedError,
    UpstreamSilentError,
)
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.storage import paths
from tests.content import image
from tests.drivers.failing import FailingDriver
from tests.drivers.interleaving import InterleavingDriver
from tests.proxy.caching_host import NAME, REMOTE, Cache, asked
from tests.upstreams import faults

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.upstreams import Registry
    from tests.upstreams.faults import Fault

ONE, TWO, THREE = (image(b"{}", annotations={"number": str(number)}) for number in range(3))
V1 = Tag("v1")
FAULTS: list[tuple[Fault, type[UpstreamError]]] = [
    (faults.status(401), UpstreamRefusedError),
    (faults.status(403), UpstreamRefusedError),
    (faults.limited("7"), UpstreamLimitedError),
    (faults.status(500), UpstreamFailedError),
    (faults.html, UpstreamFailedError),
    (faults.hang, UpstreamSilentError),
]


@pytest.fixture
def cache(upstream: Registry, driver: InMemoryDriver) -> Cache:
    return Cache(upstream, driver)


def test_a_tag_that_is_not_cached_costs_one_get_and_nothing_while_it_is_fresh(upstream: Registry, cache: Cache) -> None:
    digest = upstream.put_manifest(REMOTE, ONE, "v1")

    for _ in range(3):
        assert cache.pull(V1) == (digest, ONE)
    cache.wait(59)
    assert cache.pull(V1) == (digest, ONE)

    assert asked(upstream) == [("GET", "v1")]
    assert cache.open().local.tags.resolve(V1) == digest


def test_another_process_knows_what_this_one_has_asked(upstream: Registry, cache: Cache) -> None:
    digest = upstream.put_manifest(REMOTE, ONE, "v1")
    cache.pull(V1)
    asked(upstream)

    cache.wait(59)
    assert cache.another().pull(V1) == (digest, ONE)
    cache.wait(60)
    assert cache.pull(V1) == (digest, ONE)
    assert asked(upstream) == [("HEAD", "v1")]
    cache.wait(59)
    for process in (cache, cache.another()):
        assert process.pull(V1) == (digest, ONE)

    assert asked(upstream) == []


def test_a_tag_that_has_moved_is_fetched_by_its_digest_and_the_old_manifest_stays(
    upstream: Registry, cache: Cache
) -> None:
    first = upstream.put_manifest(REMOTE, ONE, "v1")
    cache.pull(V1)
    second = upstream.put_manifest(REMOTE, TWO, "v1")
    assert cache.pull(V1) == (first, ONE)
    asked(upstream)

    cache.wait(60)
    assert cache.pull(V1) == cache.pull(V1) == (second, TWO)

    assert asked(upstream) == [("HEAD", "v1"), ("GET", str(second))]
    assert cache.open().local.tags.resolve(V1) == second
    assert cache.open().manifests.serve(first).content == ONE
    assert asked(upstream) == []


def test_a_tag_that_has_moved_to_what_is_here_is_not_fetched(upstream: Registry, cache: Cache) -> None:
    first, second = upstream.put_manifest(REMOTE, ONE, "v1"), upstream.put_manifest(REMOTE, TWO, "v2")
    cache.pull(V1)
    assert cache.pull(Tag("v2")) == (second, TWO)
    upstream.put_manifest(REMOTE, ONE, "v2")
    asked(upstream)

    cache.wait(60)
    assert cache.pull(Tag("v2")) == (first, ONE)

    assert asked(upstream) == [("HEAD", "v2")]


def test_what_is_remembered_of_a_tag_is_void_where_its_link_says_otherwise(upstream: Registry, cache: Cache) -> None:
    digest, other = upstream.put_manifest(REMOTE, ONE, "v1"), upstream.put_manifest(REMOTE, TWO, "other")
    cache.pull(V1)
    cache.pull(Tag("other"))
    asked(upstream)

    cache.driver.put(paths.tag_link(NAME, "v1"), str(other).encode())  # as the Go registry would on the same volume

    assert cache.pull(V1) == (digest, ONE)
    assert asked(upstream) == [("HEAD", "v1")]


@pytest.mark.parametrize("state", [None, b"", b"\xff", b"[]", b'{"digest":"sha256:1","checked":1}', b"x" * 9999])
@pytest.mark.parametrize("push", [False, True])
def test_a_tag_of_which_nothing_is_known_is_looked_for_unless_it_may_have_been_pushed(
    upstream: Registry, driver: InMemoryDriver, state: bytes | None, *, push: bool
) -> None:
    cache = Cache(upstream, driver, push=push)
    upstream.put_manifest(REMOTE, ONE, "v1")
    cache.pull(V1)
    second = upstream.put_manifest(REMOTE, TWO, "v1")
    asked(upstream)
    path = paths.proxied_tag(NAME, "v1")
    if state is None:
        driver.delete(path)
    else:
        driver.put(path, state)

    process = cache.another()
    assert process.pull(V1)[1] == process.pull(V1)[1] == (ONE if push else TWO)
    assert asked(upstream) == ([] if push else [("HEAD", "v1"), ("GET", str(second))])


def test_with_no_freshness_each_request_asks_once(upstream: Registry, driver: InMemoryDriver) -> None:
    cache = Cache(upstream, driver, settings=UpstreamCache(freshness_seconds=0.0, negative_seconds=0.0))
    with pytest.raises(ManifestUnknownError):
        cache.pull(V1)
    for content in (ONE, TWO):
        digest = upstream.put_manifest(REMOTE, content, "v1")
        for _ in range(2):
            assert cache.pull(V1) == (digest, content)

    assert asked(upstream) == [
        *[("GET", "v1"), ("GET", "v1"), ("HEAD", "v1")],
        *[("HEAD", "v1"), ("GET", str(Digest.of(TWO))), ("HEAD", "v1")],
    ]


def test_of_a_tag_that_is_looked_for_each_time_it_is_not_written_down_each_time(
    upstream: Registry, driver: InMemoryDriver
) -> None:
    cache = Cache(upstream, driver, settings=UpstreamCache(freshness_seconds=0.0))
    upstream.put_manifest(REMOTE, ONE, "v1")
    cache.pull(V1)
    path = paths.proxied_tag(NAME, "v1")
    written = driver.get(path, limit=999)

    cache.wait(59)
    cache.pull(V1)
    assert driver.get(path, limit=999) == written
    cache.wait(1)
    cache.pull(V1)
    assert driver.get(path, limit=999) != written


def test_a_clock_that_is_ahead_is_not_believed(upstream: Registry, cache: Cache) -> None:
    upstream.put_manifest(REMOTE, ONE, "v1")
    cache.wait(3600)
    cache.pull(V1)
    upstream.put_manifest(REMOTE, TWO, "v1")

    cache.wait(-3600)

    assert cache.another().pull(V1)[1] == cache.pull(V1)[1] == TWO


@pytest.mark.parametrize("freshness", [0.0, 60.0])
def test_of_many_clients_at_once_one_asks_for_all(upstream: Registry, driver: InMemoryDriver, freshness: float) -> None:
    cache = Cache(upstream, driver, settings=UpstreamCache(freshness_seconds=freshness))
    upstream.put_manifest(REMOTE, ONE, "v1")
    released = threading.Event()

    def hold(handler: object, answer: object) -> None:
        assert released.wait(10)
        handler.send(answer)  # type: ignore[attr-defined]

    upstream.misbehave(hold, times=1)
    with ThreadPoolExecutor(16) as clients:
        pulls = [clients.submit(cache.pull, V1) for _ in range(16)]
        while not upstream.asked:
            pass
        released.set()
        assert {pull.result() for pull in pulls} == {(Digest.of(ONE), ONE)}

    assert upstream.count("GET") == 1
    # Where each request is to see what is true when it comes, those that came later ask once more.
    assert upstream.count("HEAD") <= (15 if freshness == 0 else 0)


@pytest.mark.parametrize("fault", [fault for fault, _ in FAULTS])
def test_a_tag_is_served_as_it_was_while_its_upstream_fails_and_the_client_is_warned(
    upstream: Registry, driver: InMemoryDriver, fault: Fault
) -> None:
    cache = Cache(upstream, driver, settings=UpstreamCache(maxstale_seconds=3600.0))
    digest = upstream.put_manifest(REMOTE, ONE, "v1")
    cache.pull(V1)
    upstream.misbehave(fault)
    opened = cache.open()
    assert opened.pull(V1) == (digest, ONE)
    assert opened.guest.warnings == []

    cache.wait(3600)
    opened = cache.open()
    assert opened.pull(V1) == (digest, ONE)
    [warning] = opened.guest.warnings
    assert warning.startswith("hub: tag v1 is what it was when it was looked for last: ")
    cache.wait(1)
    with pytest.raises(UpstreamError):
        cache.pull(V1)


@pytest.mark.parametrize(("fault", "error"), FAULTS)
def test_the_failure_of_an_upstream_is_told_where_nothing_is_cached(
    upstream: Registry, cache: Cache, fault: Fault, error: type[UpstreamError]
) -> None:
    upstream.put_manifest(REMOTE, ONE, "v1")
    upstream.misbehave(fault)

    with pytest.raises(error):
        cache.pull(V1)

    assert cache.driver.list(paths.REPOSITORIES, limit=1) == []


def test_a_tag_without_a_state_is_as_old_as_its_link_where_the_upstream_fails(
    upstream: Registry, driver: InMemoryDriver
) -> None:
    cache = Cache(upstream, driver, settings=UpstreamCache(maxstale_seconds=3600.0))
    upstream.put_manifest(REMOTE, ONE, "v1")
    cache.pull(V1)
    driver.delete(paths.proxied_tag(NAME, "v1"))
    upstream.misbehave(faults.status(500))
    process = cache.another()
    process.clock.now = driver.stat(paths.tag_link(NAME, "v1")).modified + 3600

    assert process.pull(V1)[1] == ONE
    process.wait(1)
    with pytest.raises(UpstreamFailedError):
        process.pull(V1)


def test_a_tag_that_its_upstream_has_deleted_is_hidden_and_comes_back_with_it(upstream: Registry, cache: Cache) -> None:
    upstream.put_manifest(REMOTE, ONE, "v1")
    cache.pull(V1)
    upstream.remove(REMOTE, "v1")
    cache.wait(60)

    for _ in range(3):
        with pytest.raises(ManifestUnknownError):
            cache.pull(V1)
    assert asked(upstream) == [("GET", "v1"), ("HEAD", "v1")]
    upstream.put_manifest(REMOTE, ONE, "v1")
    cache.wait(30)

    assert cache.pull(V1)[1] == ONE
    assert asked(upstream) == [("HEAD", "v1")]


def test_a_tag_that_its_upstream_has_deleted_is_served_where_that_is_wanted(
    upstream: Registry, driver: InMemoryDriver
) -> None:
    cache = Cache(upstream, driver, settings=UpstreamCache(deleted="serve"))
    upstream.put_manifest(REMOTE, ONE, "v1")
    cache.pull(V1)
    upstream.remove(REMOTE, "v1")
    cache.wait(60)

    for _ in range(2):
        opened = cache.open()
        assert opened.pull(V1)[1] == ONE
        assert opened.guest.warnings == ["hub: tag v1 is cached, and is not there any more"]
    with pytest.raises(ManifestUnknownError):
        cache.pull(Tag("v2"))


def test_a_tag_that_is_nowhere_is_asked_for_once_in_a_while(upstream: Registry, cache: Cache) -> None:
    for _ in range(3):
        with pytest.raises(ManifestUnknownError):
            cache.pull(V1)
    cache.wait(30)
    upstream.put_manifest(REMOTE, ONE, "v1")

    assert cache.pull(V1)[1] == ONE
    assert asked(upstream) == [("GET", "v1"), ("GET", "v1")]


class Full(DelegatingDriver):
    """A storage that has no room for what a test does not allow."""

    def put(self, path: str, content: bytes) -> None:
        del content
        raise NoSpaceError(path)

    def create(self, path: str, content: bytes) -> None:
        self.put(path, content)

    def put_in_order(self, *args: object, **more: object) -> None:
        del args, more
        raise NoSpaceError("full")


@pytest.mark.parametrize("read_only", [False, True], ids=["full", "read-only"])
@pytest.mark.parametrize("push", [False, True])
def test_what_cannot_be_stored_is_served_all_the_same(
    upstream: Registry, driver: InMemoryDriver, *, read_only: bool, push: bool
) -> None:
    cache = Cache(upstream, driver if read_only else Full(driver), read_only=read_only, push=push)
    digest = upstream.put_manifest(REMOTE, ONE, "v1")

    for _ in range(2):
        assert cache.pull(V1) == (digest, ONE)

    assert driver.list(paths.REPOSITORIES, limit=1) == []
    assert asked(upstream) == [("GET", "v1"), ("GET", "v1")]


# Tags that are pushed beside those of the upstream


def push_tag(cache: Cache, content: bytes, tag: Tag = V1) -> Digest:
    digest = Digest.of(content)
    cache.open().manifests.put(parse_manifest(content), digest, [tag])
    return digest


def test_a_pushed_tag_wins_over_that_of_the_upstream_until_it_is_deleted(
    upstream: Registry, driver: InMemoryDriver
) -> None:
    cache = Cache(upstream, driver, push=True)
    upstream.put_manifest(REMOTE, ONE, "v1")
    pushed = push_tag(cache, TWO)

    for process in (cache, cache.another()):
        assert process.pull(V1) == (pushed, TWO)
        cache.wait(3600)
        assert process.pull(V1) == (pushed, TWO)
    assert asked(upstream) == []

    cache.open().tags.delete(V1)
    assert cache.pull(V1)[1] == ONE
    upstream.put_manifest(REMOTE, THREE, "v1")
    cache.wait(60)
    assert cache.pull(V1)[1] == THREE


@pytest.mark.parametrize("content", [ONE, TWO])
@pytest.mark.parametrize("way", ["put", "point", "claim", "move"])
def test_a_cached_tag_that_is_pushed_wins_from_then_on(
    upstream: Registry, driver: InMemoryDriver, content: bytes, way: str
) -> None:
    cache = Cache(upstream, driver, push=True)
    first = upstream.put_manifest(REMOTE, ONE, "v1")
    cache.pull(V1)
    opened, digest = cache.open(), Digest.of(content)
    if way == "put" or (way == "claim" and digest != first):
        opened.manifests.put(parse_manifest(content), digest, [V1])
    else:
        opened.manifests.put(parse_manifest(content), digest)
        {
            "point": lambda: opened.tags.point(V1, digest),
            "claim": lambda: opened.tags.claim(V1, digest),
            "move": lambda: opened.tags.move(V1, digest, first),
        }[way]()
    upstream.put_manifest(REMOTE, THREE, "v1")

    for process in (cache, cache.another()):
        cache.wait(3600)
        assert process.pull(V1) == (digest, content)
    opened.tags.delete_from(V1, digest)
    assert cache.pull(V1)[1] == THREE
    cache.open().manifests.delete(Digest.of(THREE))
    assert driver.list(paths.proxied_tags(NAME), limit=9) == []


@pytest.mark.parametrize("cached", [True, False], ids=["cached", "new"])
@pytest.mark.parametrize("content", [ONE, TWO, THREE], ids=["same", "new", "other"])
def test_a_push_at_the_same_time_as_a_tag_is_cached_is_not_lost(
    upstream: Registry, content: bytes, *, cached: bool
) -> None:
    for moment in count(1):
        medium = InMemoryDriver()
        upstream.put_manifest(REMOTE, ONE, "v1")
        plain = Cache(upstream, medium, push=True)
        if cached:
            plain.pull(V1)
            plain.wait(60)
        upstream.put_manifest(REMOTE, TWO, "v1")
        between = InterleavingDriver(medium, moment, lambda: push_tag(plain, content))  # noqa: B023 - called now

        plain.another(between).pull(V1)

        if between.calls < moment:
            break
        upstream.put_manifest(REMOTE, image(b"later"), "v1")
        for _ in range(2):
            plain.wait(3600)
            assert plain.another().pull(V1) == (Digest.of(content), content), moment
    assert moment > 10


@pytest.mark.parametrize("content", [ONE, TWO, THREE], ids=["same", "new", "other"])
def test_a_tag_that_is_cached_at_the_same_time_as_a_push_does_not_replace_it(
    upstream: Registry, content: bytes
) -> None:
    for moment in count(1):
        medium = InMemoryDriver()
        upstream.put_manifest(REMOTE, ONE, "v1")
        plain = Cache(upstream, medium, push=True)
        plain.pull(V1)
        plain.wait(60)
        upstream.put_manifest(REMOTE, TWO, "v1")
        between = InterleavingDriver(medium, moment, lambda: plain.pull(V1))  # noqa: B023 - called now

        push_tag(plain.another(between), content)

        if between.calls < moment:
            break
        upstream.put_manifest(REMOTE, image(b"later"), "v1")
        plain.wait(3600)
        assert plain.another().pull(V1) == (Digest.of(content), content), moment
    assert moment > 5


def beside_a_moved_tag(upstream: Registry, medium: InMemoryDriver, *, push: bool, cached: bool) -> Cache:
    """Give a cache in `medium`, which has the tag if it is `cached`; the upstream has moved that from ONE to TWO."""
    upstream.put_manifest(REMOTE, ONE, "v1")
    cache = Cache(upstream, medium, push=push)
    if cached:
        cache.pull(V1)
        cache.wait(60)
    upstream.put_manifest(REMOTE, TWO, "v1")
    return cache


@pytest.mark.parametrize("push", [False, True])
@pytest.mark.parametrize("cached", [False, True])
def test_a_tag_that_two_hosts_cache_at_the_same_time_goes_on_to_follow_its_upstream(
    upstream: Registry, *, push: bool, cached: bool
) -> None:
    for moment in count(1):
        medium = InMemoryDriver()
        plain = beside_a_moved_tag(upstream, medium, push=push, cached=cached)
        between = InterleavingDriver(medium, moment, lambda: plain.another().pull(V1))  # noqa: B023 - called now

        assert plain.another(between).pull(V1)[1] == TWO

        if between.calls < moment:
            break
        assert plain.another().pull(V1)[1] == TWO
        assert plain.open().local.tags.resolve(V1) == Digest.of(TWO)
        upstream.put_manifest(REMOTE, THREE, "v1")
        plain.wait(3600)
        assert plain.another().pull(V1)[1] == THREE, moment
    assert moment > 5


def test_a_tag_that_two_hosts_cache_with_their_steps_mixed_goes_on_to_follow_its_upstream(upstream: Registry) -> None:
    for first in range(6, 18):
        for second in range(4, 16):
            medium = InMemoryDriver()
            upstream.put_manifest(REMOTE, TWO, "v1")
            plain = Cache(upstream, medium, push=True)
            pull_in_turns(plain, first, second)

            upstream.put_manifest(REMOTE, THREE, "v1")
            plain.wait(3600)
            assert plain.another().pull(V1)[1] == THREE, (first, second)


def pull_in_turns(cache: Cache, first: int, second: int) -> None:
    """Let one host pull until its call `first`, another until its `second`, then the first to its end, then that."""
    paused, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        paused.set()
        assert go_on.wait(10)

    def pull() -> None:
        cache.another(InterleavingDriver(cache.driver, first, pause)).pull(V1)
        paused.set()

    def finish() -> None:
        go_on.set()
        puller.join(10)

    puller = threading.Thread(target=pull)
    puller.start()
    assert paused.wait(10)
    cache.another(InterleavingDriver(cache.driver, second, finish)).pull(V1)
    finish()


@pytest.mark.parametrize("push", [False, True])
@pytest.mark.parametrize("cached", [False, True])
def test_a_tag_whose_caching_breaks_off_anywhere_goes_on_to_follow_its_upstream(
    upstream: Registry, *, push: bool, cached: bool
) -> None:
    for moment in count(1):
        medium = InMemoryDriver()
        plain = beside_a_moved_tag(upstream, medium, push=push, cached=cached)
        failing = FailingDriver(medium, fail_at=moment)

        try:
            plain.another(failing).pull(V1)
        except DriverError:
            assert failing.power_is_gone

        upstream.put_manifest(REMOTE, THREE, "v1")
        plain.wait(3600)
        assert plain.another().pull(V1)[1] == THREE, moment
        if not failing.power_is_gone:
            break
    assert moment > 5


@pytest.mark.parametrize("push", [False, True])
def test_a_cached_tag_that_is_deleted_is_fetched_again(
    upstream: Registry, driver: InMemoryDriver, *, push: bool
) -> None:
    cache = Cache(upstream, driver, push=push)
    digest = upstream.put_manifest(REMOTE, ONE, "v1", "v2")
    for remove in (
        lambda: cache.open().tags.delete(V1),
        lambda: cache.open().tags.delete_from(V1, digest),
        lambda: cache.open().manifests.delete(digest),
    ):
        cache.pull(V1)
        remove()
        with pytest.raises(ManifestUnknownError):
            cache.open().tags.resolve(V1)
        assert driver.list(paths.proxied_tags(NAME), limit=9) == []
        asked(upstream)
        assert cache.pull(V1) == (digest, ONE)
        assert asked(upstream)[0] == ("GET", "v1")


# Lists


def pages(cache: Cache, limit: int) -> Iterable[str]:
    page = cache.open().tags.page(limit=limit)
    while page:
        assert len(page) <= limit
        yield from page
        page = cache.open().tags.page(after=page[-1], limit=limit)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_the_tags_are_those_of_the_upstream_and_those_that_were_pushed(
    upstream: Registry, driver: InMemoryDriver, limit: int
) -> None:
    upstream.page_size = 2
    upstream.put_manifest(REMOTE, ONE, "a", "b", "d", "e", "gone")
    cache = Cache(upstream, driver, push=True)
    for tag in ("a", "e", "gone"):
        cache.pull(Tag(tag))
    for tag in ("b", "c", "e", "f"):
        push_tag(cache, TWO, Tag(tag))
    upstream.remove(REMOTE, "gone")

    assert list(pages(cache, limit)) == ["a", "b", "c", "d", "e", "f"]
    cache.push = False
    assert list(pages(cache, limit)) == ["a", "b", "d", "e"]
