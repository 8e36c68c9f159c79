"""Upstreams that break off, lie, or say too little: clients get the right bytes, or are told that they do not."""

from __future__ import annotations

import collections
import random
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.errors import (
    RegistryError,
    UpstreamFailedError,
    UpstreamLimitedError,
    UpstreamRefusedError,
    UpstreamSilentError,
)
from registry.ports import Blob
from registry.storage import paths
from tests.proxy.cache import Cache, at_once
from tests.upstreams import faults, registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.proxy.conftest import Start
    from tests.upstreams import Answer, Registry
    from tests.upstreams.faults import Fault

CONTENT = random.Random(8).randbytes(2 * 1024 * 1024 + 11)


def flipped(at: int) -> Fault:
    """Change one byte of what is sent."""

    def change(answer: Answer) -> Answer:
        content = bytearray(answer.content)
        if content:
            content[at % len(content)] ^= 1
        return replace(answer, content=bytes(content))

    return faults.changed(change)


def got_before_the_break(cache: Cache, digest: Digest) -> bytes:
    """Give what a client gets of a blob that does not come whole."""
    got = bytearray()
    with pytest.raises(RegistryError):
        collections.deque(map(got.extend, cache.pieces(digest)), maxlen=0)
    return bytes(got)


def ranges(remote: Registry) -> list[str | None]:
    return [each.headers.get("range") for each in remote.asked if each.method == "GET"]


@pytest.mark.parametrize("fault", [faults.short(100), faults.reset(1_500_000), faults.short(len(CONTENT))])
def test_an_upstream_that_breaks_off_is_asked_for_the_rest(cache: Cache, remote: Registry, fault: Fault) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(fault, times=1)

    assert cache.get(digest) == CONTENT

    first, *rest = ranges(remote)
    assert first is None
    assert len(rest) == 1


def test_an_upstream_that_breaks_off_and_sends_all_again_is_read_up_to_where_it_stood(
    cache: Cache, remote: Registry
) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.short(1_000_000), times=1)
    remote.misbehave(faults.rangeless, times=1)

    assert cache.get(digest) == CONTENT
    assert len(ranges(remote)) == 2


def test_an_upstream_that_breaks_off_without_progress_is_given_up_after_five_tries_and_taken_up_again_later(
    cache: Cache, remote: Registry
) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.short(1_900_000), method="GET", times=1)
    remote.misbehave(faults.status(503), method="GET", times=4)

    assert CONTENT.startswith(got_before_the_break(cache, digest))
    cache.wait_until_idle()
    assert len(ranges(remote)) == 5

    remote.behave()
    assert cache.get(digest) == CONTENT
    assert str(ranges(remote)[-1]).startswith("bytes=")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.status(401), UpstreamRefusedError),
        (faults.status(403), UpstreamRefusedError),
        (faults.limited("7"), UpstreamLimitedError),
        (faults.status(500), UpstreamFailedError),
        (faults.html, UpstreamFailedError),
        (faults.gzip, UpstreamFailedError),
        (faults.reset(), UpstreamFailedError),
    ],
)
def test_what_is_known_before_the_first_byte_is_an_error_of_its_own(
    cache: Cache, remote: Registry, fault: Fault, error: type[Exception]
) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(fault)

    with pytest.raises(error):
        next(cache.pieces(digest))
    cache.wait_until_idle()
    assert list(cache.driver.walk(paths.FILLS)) == []


def test_an_upstream_that_does_not_answer_is_silent(start: Start, remote: Registry) -> None:
    cache = start(answertimeout_seconds=0.1)
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.hang)

    with pytest.raises(UpstreamSilentError):
        cache.get(digest)


@pytest.mark.parametrize("content", [CONTENT, b"small"], ids=len)
def test_what_has_another_digest_is_not_kept_and_not_asked_for_again_soon(
    cache: Cache, remote: Registry, content: bytes
) -> None:
    digest = remote.put_blob("a", content)
    remote.misbehave(faults.wrong)

    got = at_once(8, lambda _: got_before_the_break(cache, digest))

    assert all(isinstance(each, bytes) and len(each) < max(len(content) - 256 * 1024 + 1, 1) for each in got), got
    cache.wait_until_idle()
    assert not cache.local().blobs.has(digest)
    assert list(cache.driver.walk(paths.FILLS)) == []
    asked = remote.count("GET")
    with pytest.raises(UpstreamFailedError, match="other content"):
        cache.get(digest)
    assert remote.count("GET") == asked


def test_another_repository_of_the_upstream_may_have_what_one_has_wrong(cache: Cache, remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.put_blob("b", CONTENT)
    remote.misbehave(faults.wrong, path="/a/")
    got_before_the_break(cache, digest)
    cache.wait_until_idle()

    assert cache.get(digest, "b") == CONTENT


def test_an_old_part_that_was_wrong_is_fetched_once_more(start: Start, remote: Registry) -> None:
    digest = remote.put_blob("a", CONTENT)
    first, second = start(), start()
    remote.misbehave(lambda handler, answer: faults.short(9)(handler, _flipped(answer)), method="GET", times=1)
    remote.misbehave(faults.status(503), method="GET", times=4)
    got_before_the_break(first, digest)
    first.close()
    remote.behave()

    got = at_once(4, lambda _: b"".join(second.pieces(digest)))

    second.wait_until_idle()
    assert second.local().blobs.has(digest)
    assert all(each == CONTENT or isinstance(each, Exception) for each in got)
    assert second.get(digest) == CONTENT
    assert ranges(remote)[-2:] == [f"bytes={len(CONTENT) - 9}-", None]


def _flipped(answer: Answer) -> Answer:
    return replace(answer, content=bytes([answer.content[0] ^ 1]) + answer.content[1:])


@pytest.mark.parametrize("fault", [faults.chunked, faults.unsized])
def test_a_blob_of_which_only_a_head_tells_the_size_is_given_as_it_comes(
    cache: Cache, remote: Registry, fault: Fault
) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(fault, method="GET")

    assert cache.get(digest) == CONTENT

    cache.wait_until_idle()
    assert cache.local().blobs.stat(digest) == Blob(digest, digest, len(CONTENT))


@pytest.mark.parametrize("fault", [faults.chunked, faults.unsized])
def test_a_blob_whose_size_nobody_tells_is_given_when_all_of_it_is_here(
    cache: Cache, remote: Registry, fault: Fault
) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(fault, method="GET")
    remote.misbehave(faults.status(500), method="HEAD")

    assert cache.get(digest) == CONTENT
    assert remote.count("GET") == 1


@pytest.mark.parametrize("told", [len(CONTENT) - 100, len(CONTENT) + 100])
def test_a_blob_that_a_head_tells_another_size_of_is_not_given_as_a_whole(
    cache: Cache, remote: Registry, told: int
) -> None:
    digest = remote.put_blob("a", CONTENT)
    remote.misbehave(faults.chunked, method="GET")
    remote.misbehave(faults.changed(lambda answer: answer.having(Content_Length=str(told))), method="HEAD")

    assert len(got_before_the_break(cache, digest)) < min(told, len(CONTENT))


FAULTS: list[Callable[[int], Fault]] = [
    faults.short,
    faults.reset,
    flipped,
    lambda at: faults.status(500 + at % 4),
    lambda _: faults.rangeless,
    lambda _: faults.extra,
    lambda _: faults.chunked,
    lambda _: faults.unsized,
    lambda _: faults.html,
    lambda _: faults.empty,
    lambda _: faults.wrong,
    lambda _: faults.gzip,
    lambda _: lambda handler, answer: handler.send(answer),
]
SMALLER = CONTENT[:700_000]
broken = st.builds(lambda fault, at: fault(at), st.sampled_from(FAULTS), st.integers(0, len(SMALLER)))


@given(misbehaviours=st.lists(broken, max_size=7), processes=st.integers(1, 3), on_files=st.booleans())
def test_nobody_gets_a_whole_blob_that_is_wrong_and_nothing_wrong_is_kept(
    *, misbehaviours: list[Fault], processes: int, on_files: bool
) -> None:
    with registry() as remote, TemporaryDirectory() as directory:
        digest = remote.put_blob("a", SMALLER)
        for each in misbehaviours:
            remote.misbehave(each, method="GET", times=1)
        driver = FilesystemDriver(directory) if on_files else InMemoryDriver()
        caches = [Cache(driver, remote.url) for _ in range(processes)]

        got = at_once(4, lambda number: caches[number % len(caches)].get(digest))

        for cache in caches:
            cache.close()
        assert all(each == SMALLER or isinstance(each, Exception) for each in got)
        assert all(isinstance(each, RegistryError) for each in got if not isinstance(each, bytes)), got
        stored = caches[0].local().blobs.stored_size(digest)
        if stored is not None:
            kept = b"".join(driver.read(paths.blob_data(digest)))
            assert Digest.of(kept) == digest
