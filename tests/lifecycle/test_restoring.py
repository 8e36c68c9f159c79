"""What belongs to an image that was pushed again while a garbage collection takes it away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from registry.lifecycle.findings import Findings
from registry.lifecycle.garbage import GarbageCollection
from registry.lifecycle.online import Surroundings
from registry.lifecycle.scan import scan
from registry.oci.digest import Digest
from registry.oci.reference import Tag
from registry.publishing import Operator, Publishing
from registry.storage import paths
from registry.storage.repository import Repositories, Repository
from registry.storage.runs import Notice, Runs
from registry.storage.validation import ValidationPolicy
from tests.archive.images import blob, fill, image
from tests.lifecycle.runs import UNTAGGED, collect
from tests.storage.consistency import assert_nothing_dangles

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.inmemory import InMemoryDriver

pytestmark = pytest.mark.usefixtures("pace")

NAME = "team/app"


@dataclass(frozen=True)
class Signed:
    """An image without a tag in `repository`, its signature, and what has signed that."""

    repository: Repository
    image: Digest
    signatures: tuple[Digest, Digest]
    layers: tuple[Digest, Digest]

    def assert_complete(self) -> None:
        for digest in (self.image, *self.signatures):
            assert self.repository.manifests.has(digest)
        for layer in self.layers:
            assert self.repository.blobs.has(layer)


@pytest.fixture
def signed(driver: InMemoryDriver) -> Signed:
    repository = Repositories(driver).open(NAME)
    fill(repository, layer_bytes=600)
    signed = image(repository, blob(repository, b"of the image"))
    layers = [blob(repository, content) for content in (b"first", b"second")]
    signature = image(repository, layers[0], subject=signed)
    second = image(repository, layers[1], subject=signature)
    digests = [Digest.parse(each["digest"]) for each in (signed, signature, second, *layers)]
    return Signed(repository, digests[0], (digests[1], digests[2]), (digests[3], digests[4]))


def noticing(driver: InMemoryDriver, *digests: Digest) -> Callable[[str], None]:
    """Return what puts one notice, once it is told what a scan looks at."""
    waiting = [Notice(NAME, tuple(map(str, digests)))]

    def notify(_: str) -> None:
        while waiting:
            Runs(driver).notify(waiting.pop())

    return notify


def push_again(repository: Repository, digest: Digest, driver: InMemoryDriver) -> None:
    """Do what a push does of an image that was condemned: have it again, with its layer, and a tag."""
    found = repository.manifests.peek(digest)
    assert found
    for _, each in found.references():
        repository.blobs.revive(each.digest, lambda: 0.0)
    repository.manifests.put(found, digest)
    repository.tags.point(Tag("again"), digest)
    driver.delete(paths.condemned_revision_link(NAME, digest))


def test_a_notice_of_an_image_saves_its_signatures_and_what_they_name(driver: InMemoryDriver, signed: Signed) -> None:
    report = collect(driver, surroundings=Surroundings("test", progress=noticing(driver, signed.image)))

    assert report.notices == 1
    for digest in signed.signatures:
        assert signed.repository.manifests.has(digest)
    for layer in signed.layers:
        assert signed.repository.blobs.has(layer)
    collect(driver)
    assert not signed.repository.manifests.has(signed.signatures[0])


def test_a_notice_saves_the_bytes_of_signatures_that_were_condemned(driver: InMemoryDriver, signed: Signed) -> None:
    collect(driver)

    report = collect(driver, surroundings=Surroundings("test", progress=noticing(driver, signed.image)))

    assert report.deleted_blobs == 0
    left = {found.path for found in driver.walk(paths.BLOBS)}
    assert {paths.blob_data(digest) for digest in (*signed.signatures, *signed.layers)} <= left


def test_signatures_of_an_image_that_was_pushed_again_are_put_back(driver: InMemoryDriver, signed: Signed) -> None:
    collect(driver)
    push_again(signed.repository, signed.image, driver)
    assert not signed.repository.manifests.has(signed.signatures[0])

    report = collect(driver)

    assert (report.restored, report.deleted_blobs) == (4, 0)
    signed.assert_complete()
    assert not list(driver.walk(paths.condemned(NAME)))
    assert collect(driver).restored == 0
    signed.assert_complete()
    assert_nothing_dangles(driver, NAME)


def test_a_collection_while_nobody_pushes_puts_them_back_as_well(driver: InMemoryDriver, signed: Signed) -> None:
    collect(driver)
    push_again(signed.repository, signed.image, driver)

    publishing = Publishing(ValidationPolicy(), Operator())
    GarbageCollection(driver, Repositories(driver), publishing, None, cutoff=2**40).run(only_tagged=True)

    signed.assert_complete()


def test_a_condemned_layer_that_a_manifest_names_is_put_back(driver: InMemoryDriver, signed: Signed) -> None:
    layer = blob(signed.repository, b"layer")
    digest = Digest.parse(layer["digest"])
    collect(driver)
    # As where manifests may be sparse: nobody looks whether the layer is there.
    signed.repository.tags.point(Tag("sparse"), Digest.parse(image(signed.repository, layer)["digest"]))
    assert not signed.repository.blobs.has(digest)

    collect(driver)

    assert signed.repository.blobs.has(digest)


def test_what_was_condemned_and_has_no_bytes_any_more_is_not_put_back(driver: InMemoryDriver, signed: Signed) -> None:
    collect(driver)
    push_again(signed.repository, signed.image, driver)
    driver.delete(paths.blob_data(signed.layers[0]))

    collect(driver)

    assert not list(driver.walk(paths.layer_link(NAME, signed.layers[0])))


@pytest.mark.usefixtures("signed")
def test_what_was_condemned_keeps_nothing_by_itself(driver: InMemoryDriver) -> None:
    collect(driver)

    with Findings() as findings:
        scan(driver, findings, UNTAGGED.policy(2**40))
        assert not list(findings.restorable())
        assert findings.counts().condemned_blobs == 6
