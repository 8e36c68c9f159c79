"""What a user deletes while a garbage collection condemns the same: nothing brings it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drivers.inmemory import InMemoryDriver
from registry.oci.digest import Digest
from registry.oci.errors import BlobUnknownError, ManifestUnknownError
from registry.storage import paths
from registry.storage.repository import Repositories, Repository
from tests.archive.images import blob, fill, image
from tests.lifecycle.runs import collect
from tests.lifecycle.world import Interleaving

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("pace")

NAME = "team/app"


def build(driver: InMemoryDriver) -> tuple[Repository, Digest, Digest]:
    """Return a repository, and a layer and a manifest of it to which nothing leads."""
    repository = Repositories(driver).open(NAME)
    fill(repository, layer_bytes=600)
    layer = Digest.parse(blob(repository, b"loose")["digest"])
    return repository, layer, Digest.parse(image(repository, blob(repository, b"of the image"))["digest"])


def delete(repository: Repository, layer: Digest, manifest: Digest) -> Callable[[], None]:
    """Return what deletes both, unless the run was first."""

    def both() -> None:
        for remove in (lambda: repository.blobs.delete(layer), lambda: repository.manifests.delete(manifest)):
            try:
                remove()
            except (BlobUnknownError, ManifestUnknownError):
                continue

    return both


def test_what_a_user_deletes_between_any_two_calls_of_a_run_is_not_condemned_either() -> None:
    moment, calls = 0, 1
    while moment < calls:
        moment += 1
        driver = InMemoryDriver()
        repository, layer, manifest = build(driver)
        between = Interleaving(driver, moment, delete(repository, layer, manifest))
        collect(between)
        calls = between.calls
        left = {found.path for found in driver.walk(paths.condemned(NAME))}
        assert paths.condemned_layer_link(NAME, layer) not in left, moment
        assert paths.condemned_revision_link(NAME, manifest) not in left, moment
        assert not repository.blobs.has(layer)
        assert not repository.manifests.has(manifest)
    assert calls > 20
