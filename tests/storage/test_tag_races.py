"""A push that pauses between any two storage calls, and goes on between any two of a deletion, keeps its tag."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.errors import ManifestUnknownError
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.storage.repository import Repositories
from tests.content import image
from tests.drivers.backwards import BackwardsDriver
from tests.drivers.interleaving import InterleavingDriver
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.base import StorageDriver

CONTENT = image()
DIGEST = Digest.of(CONTENT)
V1 = Tag("v1")


def push(driver: StorageDriver) -> None:
    manifests = Repositories(driver).open("a").manifests
    manifests.put(parse_manifest(CONTENT), DIGEST, [V1])
    manifests.keep(parse_manifest(CONTENT), DIGEST, [V1])


def delete(driver: StorageDriver) -> None:
    with suppress(ManifestUnknownError):
        Repositories(driver).open("a").manifests.delete(DIGEST)


def assert_whole_or_gone(medium: InMemoryDriver) -> None:
    assert_nothing_dangles(medium, "a")
    repository = Repositories(medium).open("a")
    assert repository.tags.has(V1) == repository.manifests.has(DIGEST)


class Paused:
    """Something that pauses before its storage call number `moment`, in a thread, until it is told to end."""

    def __init__(self, medium: StorageDriver, moment: int, does: Callable[[StorageDriver], None]) -> None:
        self._paused = Event()
        self._resumed = Event()
        self._does = does
        self.driver = InterleavingDriver(medium, moment, self._pause)
        self._thread = Thread(target=self._run)
        self._thread.start()
        assert self._paused.wait(timeout=60)

    def end(self) -> None:
        self._resumed.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._does(self.driver)
        finally:
            self._paused.set()

    def _pause(self) -> None:
        self._paused.set()
        self._resumed.wait()


@pytest.mark.parametrize("kind", [InMemoryDriver, BackwardsDriver])
@pytest.mark.parametrize("tagged_before", [True, False])
@pytest.mark.parametrize(("slow", "other"), [(push, delete), (delete, push)])
def test_of_a_push_and_a_deletion_that_take_turns_the_manifest_and_its_tag_stay_or_both_go(
    kind: type[InMemoryDriver],
    tagged_before: bool,
    slow: Callable[[StorageDriver], None],
    other: Callable[[StorageDriver], None],
) -> None:
    for first in count(1):
        for second in count(1):
            medium = kind()
            Repositories(medium).open("a").manifests.put(parse_manifest(CONTENT), DIGEST, [V1] if tagged_before else [])
            paused = Paused(medium, first, slow)
            between = InterleavingDriver(medium, second, paused.end)
            other(between)
            paused.end()

            assert_whole_or_gone(medium)
            if between.calls < second:
                break
        if paused.driver.calls < first:
            break
    assert first > 2


@pytest.mark.parametrize("kind", [InMemoryDriver, BackwardsDriver])
@pytest.mark.parametrize(("slow", "other"), [(push, delete), (delete, push)])
def test_another_deletion_in_the_middle_leaves_no_tag_that_leads_nowhere(
    kind: type[InMemoryDriver], slow: Callable[[StorageDriver], None], other: Callable[[StorageDriver], None]
) -> None:
    for first in count(1):
        for second in count(1):
            for third in count(second):
                medium = kind()
                push(medium)
                paused = Paused(medium, first, slow)
                inner = InterleavingDriver(medium, second, paused.end)
                between = InterleavingDriver(inner, third, lambda: delete(medium))  # noqa: B023  called in this very round
                other(between)
                paused.end()

                assert_whole_or_gone(medium)
                if between.calls < third:
                    break
            if third == second:
                break
        if paused.driver.calls < first:
            break
    assert first > 2
