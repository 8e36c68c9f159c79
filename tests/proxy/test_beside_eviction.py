"""An eviction beside requests: whatever comes between which of its calls, nothing that was acknowledged is lost."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from registry.config.cached import Cached
from registry.oci.digest import Digest
from registry.oci.errors import RegistryError
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.proxy.caching import Caching
from registry.proxy.eviction.evicting import Eviction
from registry.proxy.eviction.last_use import LastUse
from registry.publishing import Operator, Publishing
from registry.storage import paths
from registry.storage.parts import Kind
from registry.storage.passage import Passage
from registry.storage.repository import Repositories
from registry.storage.runs import Runs
from registry.storage.validation import ValidationPolicy
from tests.content import image, index
from tests.drivers.interleaving import InterleavingDriver
from tests.lifecycle.world import Interleaving
from tests.proxy.caches import CONFIG, DAY, Stored, upstream

if TYPE_CHECKING:
    from drivers.base import StorageDriver

HUB = upstream(push="allow")
FETCHED = image(CONFIG, b"base", b"fetched")
PUSHED = image(CONFIG, b"base", b"pushed")
OLD = 8 * DAY

Request = Callable[["StorageDriver"], bool]
"""A request, which tells whether it was acknowledged."""


def world() -> Stored:
    """Return a cache in which all is old: a fetched image with a tag, and a layer that a client has pushed long ago."""
    stored = Stored()
    stored.image("hub/app", "fetched", layers=(b"base", b"fetched"), age=OLD, mixed=True)
    stored.blob("hub/app", b"pushed", age=OLD)
    return stored


def publishing(driver: StorageDriver) -> Publishing:
    return Publishing(ValidationPolicy(), Operator(), passage=Passage(Runs(driver)))


def push(driver: StorageDriver, content: bytes, tag: str) -> bool:
    repository = Repositories(driver).open("hub/app")
    try:
        publishing(driver).push_manifest(repository, parse_manifest(content), Digest.of(content), [Tag(tag)])
    except RegistryError:
        return False
    return True


def push_an_image(driver: StorageDriver) -> bool:
    return push(driver, PUSHED, "pushed")


def push_what_was_fetched(driver: StorageDriver) -> bool:
    return push(driver, FETCHED, "fetched")


def push_an_index_of_what_was_fetched(driver: StorageDriver) -> bool:
    return push(driver, index(FETCHED), "pushed")


def fetch(driver: StorageDriver) -> bool:
    repository = Repositories(driver).open("hub/app")
    Caching(Passage(Runs(driver))).put_manifest(repository, parse_manifest(FETCHED), Digest.of(FETCHED))
    return True


def mount(driver: StorageDriver) -> bool:
    repositories = Repositories(driver)
    digest = Digest.of(b"base")
    try:
        publishing(driver).mount_blob(
            repositories.open("team/app"), digest, lambda: repositories.open("hub/app").blobs.stat(digest)
        )
    except RegistryError:
        return False
    return True


def pull(driver: StorageDriver) -> bool:
    uses = LastUse(driver, Cached((HUB,)))
    repository = Repositories(driver).open("hub/app")
    try:
        repository.manifests.get(Digest.of(FETCHED))
    except RegistryError:
        return False
    uses.used("hub/app", Digest.of(FETCHED), Kind.REVISION)
    return repository.manifests.has(Digest.of(FETCHED))


def holds_image(stored: Stored, content: bytes, *layers: bytes) -> None:
    assert stored.has_manifest("hub/app", Digest.of(content))
    for layer in (CONFIG, *layers):
        assert stored.has_layer("hub/app", layer), layer
        assert stored.driver.stat(paths.blob_data(Digest.of(layer))).size


def resolves(stored: Stored, tag: str, content: bytes) -> None:
    assert stored.repositories.open("hub/app").tags.resolve(Tag(tag)) == Digest.of(content)


def check(stored: Stored, request: Request) -> None:
    """Assert that what was acknowledged is there."""
    if request is push_an_image:
        resolves(stored, "pushed", PUSHED)
        holds_image(stored, PUSHED, b"base", b"pushed")
    elif request is push_what_was_fetched:
        resolves(stored, "fetched", FETCHED)
        holds_image(stored, FETCHED, b"base", b"fetched")
    elif request is push_an_index_of_what_was_fetched:
        resolves(stored, "pushed", index(FETCHED))
        holds_image(stored, FETCHED, b"base", b"fetched")
    elif request is fetch:
        assert stored.has_manifest("hub/app", Digest.of(FETCHED))
    elif request is mount:
        assert stored.has_layer("team/app", b"base")
        assert stored.driver.stat(paths.blob_data(Digest.of(b"base"))).size
    for tag in stored.tags("hub/app"):
        digest = stored.repositories.open("hub/app").tags.resolve(Tag(tag))
        assert stored.has_manifest("hub/app", digest), tag


REQUESTS: list[Request] = [push_an_image, push_what_was_fetched, push_an_index_of_what_was_fetched, fetch, mount, pull]


@pytest.mark.parametrize("request_of", REQUESTS)
def test_a_request_between_any_two_calls_of_an_eviction_keeps_what_was_acknowledged(request_of: Request) -> None:
    acknowledged = 0
    for moment in itertools.count(1):
        stored = world()
        answers: list[bool] = []

        def ask(stored: Stored = stored, answers: list[bool] = answers) -> None:
            answers.append(request_of(stored.driver))

        driver = Interleaving(stored.driver, moment, ask)
        Eviction(driver, Repositories(driver), Cached((HUB,)), pause=lambda _: None).sweep()
        if not answers:
            break
        if answers[0]:
            acknowledged += 1
            check(stored, request_of)
    assert acknowledged


class Beside:
    """An eviction in a thread of its own, which stands still where it waits for pushes until finish() is called."""

    def __init__(self, stored: Stored) -> None:
        self._stands = threading.Event()
        self._goes_on = threading.Event()
        eviction = Eviction(stored.driver, stored.repositories, Cached((HUB,)), pause=self._pause)
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(eviction,))

    def begin(self) -> None:
        self._thread.start()
        assert self._stands.wait(30)

    def finish(self) -> None:
        self._goes_on.set()
        self._thread.join(30)
        assert not self._failures

    def _pause(self, seconds: float) -> None:
        del seconds
        self._stands.set()
        assert self._goes_on.wait(30)

    def _run(self, eviction: Eviction) -> None:
        try:
            eviction.sweep()
        except BaseException as error:  # noqa: BLE001  told by finish()
            self._failures.append(error)
        finally:
            self._stands.set()


@pytest.mark.parametrize("request_of", REQUESTS)
def test_an_eviction_between_any_two_calls_of_a_request_keeps_what_was_acknowledged(request_of: Request) -> None:
    acknowledged = 0
    for moment in itertools.count(1):
        stored = world()
        begun: list[Beside] = []

        def begin(stored: Stored = stored, begun: list[Beside] = begun) -> None:
            begun.append(Beside(stored))
            begun[0].begin()

        answer = request_of(InterleavingDriver(stored.driver, moment, begin))
        if not begun:
            break
        begun[0].finish()
        if answer:
            acknowledged += 1
            check(stored, request_of)
    assert acknowledged
