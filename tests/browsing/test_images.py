from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from registry.browsing.images import Images
from registry.inventory.local import StorageReader
from registry.oci import media_types
from registry.oci.digest import Digest
from tests.archive.images import blob, image, manifest

if TYPE_CHECKING:
    from registry.storage.repository import Repositories, Repository
    from tests.archive.images import Descriptor


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def images(repositories: Repositories, clock: Clock) -> Images:
    return Images(StorageReader(repositories), clock)


@pytest.fixture
def app(repositories: Repositories) -> Repository:
    return repositories.open("app")


def index(repository: Repository, *entries: Descriptor) -> Descriptor:
    return manifest(repository, {"mediaType": media_types.OCI_INDEX, "manifests": entries})


def size_of(images: Images, described: Descriptor) -> int | None:
    found = images.look_at("app", Digest.parse(described["digest"]))
    assert found
    return found.size


def test_what_the_images_of_an_index_share_counts_once(images: Images, app: Repository) -> None:
    shared = blob(app, b"shared" * 100)
    first, second = image(app, shared, blob(app, b"1")), image(app, shared, blob(app, b"22"))
    # Their configs are the same two bytes.
    expected = first["size"] + second["size"] + 600 + 1 + 2 + 2
    both = index(app, first, second)
    assert size_of(images, both) == both["size"] + expected
    nested = index(app, both, first)
    assert size_of(images, nested) == nested["size"] + both["size"] + expected


def test_an_image_that_comes_later_is_counted_a_minute_later(images: Images, app: Repository, clock: Clock) -> None:
    later = image(app, blob(app, b"later"))
    digest = Digest.parse(later["digest"])
    pushed = app.manifests.get(digest)
    app.manifests.forget(digest)
    of_one = index(app, later)
    assert size_of(images, of_one) == of_one["size"]

    app.manifests.put(pushed, digest)

    assert size_of(images, of_one) == of_one["size"]
    clock.now += 61
    assert size_of(images, of_one) == of_one["size"] + later["size"] + len(b"later") + len(b"{}")


def test_an_index_of_very_many_manifests_has_no_size(images: Images, app: Repository) -> None:
    entry = {"mediaType": media_types.OCI_MANIFEST, "size": 1}
    entries = [entry | {"digest": str(Digest.of(b"%d" % number))} for number in range(501)]
    assert size_of(images, index(app, *entries)) is None
    assert size_of(images, index(app, *entries[:400])) is not None
