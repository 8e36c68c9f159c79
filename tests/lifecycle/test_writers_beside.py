"""Each kind of push, stopped at any call to the storage by any part of a run: what was acknowledged stays.

test_model.py tries all orders of steps of what stands for them; here are the real writers and the real storage.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, islice
from typing import TYPE_CHECKING

import pytest

from drivers.base import UnavailableError
from drivers.filesystem.driver import FilesystemDriver
from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError
from registry.oci.manifest import parse_manifest
from registry.oci.reference import Tag
from registry.publishing import Operator, Publishing
from registry.storage import paths, runs
from registry.storage.passage import Passage
from registry.storage.repository import Repositories
from registry.storage.runs import Pace, Run, Runs
from registry.storage.validation import ValidationPolicy
from tests.content import chunk, image, index
from tests.drivers.aging import AgingDriver
from tests.drivers.interleaving import InterleavingDriver
from tests.lifecycle.by_hand import CollectionByHand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from drivers.base import StorageDriver

GRACE, LONG = 3600.0, 7200.0
CONFIG, LAYER, OTHER = b"{}", b"a layer", b"another layer"
V1 = Tag("v1")
WHOLE = 1000
"""More steps than a run has."""
STRIDE = 1 if "MODEL" in os.environ else 4


@pytest.fixture(autouse=True)
def pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a writer ask each time, and wait for nothing."""
    monkeypatch.setattr(runs, "PACE", Pace(cached=0, closed=0))


@dataclass
class Registry:
    """A process over `driver`, and what it has acknowledged: tags and blobs by their repositories."""

    driver: StorageDriver
    tags: list[tuple[str, Digest]] = field(default_factory=list)
    blobs: list[tuple[str, Digest]] = field(default_factory=list)

    def __post_init__(self) -> None:
        passage = Passage(Runs(self.driver), GRACE)
        self.publishing = Publishing(ValidationPolicy(), Operator(), passage=passage)
        self.repositories = Repositories(self.driver)

    def upload(self, name: str, content: bytes) -> None:
        repository, digest = self.repositories.open(name), Digest.of(content)
        self.publishing.finish_upload(repository, repository.uploads.start(), chunk(content), digest)
        self.blobs.append((name, digest))

    def mount(self, name: str, content: bytes, source: str = "") -> None:
        digest = Digest.of(content)
        if source:
            blobs = self.repositories.open(source).blobs
            self.publishing.mount_blob(self.repositories.open(name), digest, lambda: blobs.stat(digest), source)
        else:
            self.publishing.mount_blob(
                self.repositories.open(name), digest, lambda: self.repositories.stat_blob(digest)
            )
        self.blobs.append((name, digest))

    def put(self, name: str, content: bytes, *tags: Tag) -> None:
        digest = Digest.of(content)
        self.publishing.push_manifest(self.repositories.open(name), parse_manifest(content), digest, tags)
        self.tags += [(name, digest) for _ in tags]

    def tag(self, name: str, content: bytes) -> None:
        digest = Digest.of(content)
        self.publishing.move_tag(self.repositories.open(name), V1, parse_manifest(content), digest)
        self.tags.append((name, digest))

    def assert_pulls(self) -> None:
        for name, digest in self.tags:
            repository = self.repositories.open(name)
            assert repository.tags.resolve(V1) == digest
            self._pull(name, digest)

    def assert_has_blobs(self) -> None:
        for name, digest in self.blobs:
            blobs = self.repositories.open(name).blobs
            blob = blobs.stat(digest)
            assert b"".join(blobs.read(blob, 0, blob.size))

    def _pull(self, name: str, digest: Digest) -> None:
        repository = self.repositories.open(name)
        for kind, each in repository.manifests.get(digest).references():
            if kind == "manifest":
                self._pull(name, each.digest)
            else:
                repository.blobs.stat(each.digest)


def condemn(driver: StorageDriver, *contents: bytes) -> None:
    """Condemn blobs, or manifests, of the repository a."""
    for content in contents:
        digest = Digest.of(content)
        path, moved = paths.layer_link("a", digest), paths.condemned_layer_link("a", digest)
        if content.startswith(b'{"schema'):
            path, moved = paths.revision_link("a", digest), paths.condemned_revision_link("a", digest)
        driver.put(moved, driver.get(path, limit=1000))
        driver.delete(path)


# Each case: what is there for long, what has happened since, and what a client does.
IMAGE, INDEX = image(CONFIG, LAYER), index(image(CONFIG, LAYER))
Happening = tuple["Callable[[Registry], None]", "Callable[[StorageDriver], None]", "Callable[[Registry], None]"]


def blobs_there(registry: Registry) -> None:
    registry.upload("a", CONFIG)
    registry.upload("a", LAYER)


def image_there(registry: Registry) -> None:
    blobs_there(registry)
    registry.put("a", IMAGE)


def bytes_there(registry: Registry) -> None:
    blobs_there(registry)
    for content in (CONFIG, LAYER):
        registry.repositories.open("a").blobs.delete(Digest.of(content))


def nothing(driver: StorageDriver) -> None:
    del driver


def push(registry: Registry) -> None:
    registry.upload("a", CONFIG)
    registry.upload("a", LAYER)
    registry.put("a", IMAGE, V1)


def mount_and_push(registry: Registry, source: str = "a") -> None:
    for content in (CONFIG, LAYER):
        try:
            registry.mount("b", content, source)
        except BlobUnknownError:
            registry.upload("b", content)
    registry.put("b", IMAGE, V1)


def mount_from_anywhere_and_push(registry: Registry) -> None:
    mount_and_push(registry, "")


CASES: dict[str, Happening] = {
    "a push of what is there": (blobs_there, nothing, lambda each: each.put("a", IMAGE, V1)),
    "a push of what was condemned": (
        blobs_there,
        lambda driver: condemn(driver, CONFIG, LAYER),
        lambda each: each.put("a", IMAGE, V1),
    ),
    "an upload of bytes without a link": (bytes_there, nothing, push),
    "an upload of what was condemned": (blobs_there, lambda driver: condemn(driver, LAYER), push),
    "a mount": (blobs_there, nothing, mount_and_push),
    "a mount of bytes without a link": (bytes_there, nothing, mount_from_anywhere_and_push),
    "an index of what is there": (image_there, nothing, lambda each: each.put("a", INDEX, V1)),
    "an index of what was condemned": (
        image_there,
        lambda driver: condemn(driver, IMAGE, LAYER),
        lambda each: each.put("a", INDEX, V1),
    ),
    "an index of what was condemned in part": (
        image_there,
        lambda driver: condemn(driver, IMAGE),
        lambda each: each.put("a", INDEX, V1),
    ),
    "a push of the same again": (image_there, nothing, lambda each: each.put("a", IMAGE, V1)),
    "a tag": (image_there, nothing, lambda each: each.tag("a", IMAGE)),
    "a tag of what was condemned": (
        image_there,
        lambda driver: condemn(driver, IMAGE, LAYER),
        lambda each: each.tag("a", IMAGE),
    ),
}


def prepared(
    inner: StorageDriver, before: Callable[[Registry], None], since: Callable[[StorageDriver], None]
) -> AgingDriver:
    medium = AgingDriver(inner)
    before(Registry(medium))
    medium.pass_time(LONG)
    since(medium)
    Runs(medium).write(Run(2))
    return medium


def collection(medium: AgingDriver) -> Iterator[None]:
    return CollectionByHand(medium, ("a", "b"), GRACE).steps()


def exhaust(run: Iterator[None]) -> int:
    """Let a run go on to its end; return how many steps that takes."""
    return sum(1 for _ in run)


def happens(medium: AgingDriver, push: Callable[[Registry], None], moment: int, steps: int) -> bool:
    """Let a run do so many steps before the call of that number of a push, and the rest behind; tell if there was one.

    Nothing is refused but what the run has closed; it stands still meanwhile, so that nobody can wait for it.
    """
    run = collection(medium)
    between = InterleavingDriver(medium, moment, lambda: exhaust(islice(run, steps)))
    registry = Registry(between)
    with suppress(UnavailableError):
        push(registry)
    exhaust(run)
    beside = Registry(medium, registry.tags, registry.blobs)
    beside.assert_has_blobs()
    for _ in range(2):
        beside.assert_pulls()
        medium.pass_time(LONG)
        exhaust(collection(medium))
    beside.assert_pulls()
    return between.calls >= moment


@pytest.mark.parametrize("case", CASES)
def test_any_part_of_a_run_before_any_call_of_a_push_takes_nothing_that_was_acknowledged(case: str) -> None:
    before, since, push = CASES[case]
    steps = exhaust(collection(prepared(InMemoryDriver(), before, since)))
    for moment in count(1):
        # The parts of a run come in turn: `make model` tries all with each call.
        for part in (*range(moment % STRIDE, steps, STRIDE), steps):
            goes_on = happens(prepared(InMemoryDriver(), before, since), push, moment, part)
        if not goes_on:
            break
    assert moment > 5


@pytest.mark.parametrize("case", CASES)
def test_a_whole_run_before_any_call_of_a_push_to_a_directory_takes_nothing(case: str, tmp_path: Path) -> None:
    before, since, push = CASES[case]
    for moment in count(1):
        medium = prepared(FilesystemDriver(str(tmp_path / str(moment))), before, since)
        if not happens(medium, push, moment, WHOLE):
            break
    assert moment > 5


def test_a_run_by_hand_takes_what_nobody_pushes() -> None:
    medium = prepared(InMemoryDriver(), image_there, nothing)

    exhaust(collection(medium))
    assert not Registry(medium).repositories.open("a").blobs.has(Digest.of(LAYER))
    medium.pass_time(LONG)
    exhaust(collection(medium))

    assert medium.list(paths.BLOBS, limit=1) == []
