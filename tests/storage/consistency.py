"""What must hold of a storage tree at every moment, also when the power has just gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from registry.oci.digest import ALGORITHMS, Digest
from registry.storage import paths
from registry.storage.links import read_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drivers.base import StorageDriver

_EVERYTHING = 1_000_000


def assert_nothing_dangles(driver: StorageDriver, name: str) -> None:
    """Fail if a link or a tag of the repository `name` leads nowhere, or a blob is not what its digest says."""
    for blob in _digests(driver, paths.BLOBS, depth=2):
        assert Digest.of_pieces(driver.read(paths.blob_data(blob)), blob.algorithm) == blob
    for layer in _digests(driver, f"{paths.repository(name)}/_layers"):
        assert read_link(driver, paths.layer_link(name, layer)) == layer
        assert _exists(driver, paths.blob_data(layer)), f"the link of blob {layer} leads nowhere"
    for revision in _digests(driver, f"{paths.manifests(name)}/revisions"):
        assert read_link(driver, paths.revision_link(name, revision)) == revision
        assert _exists(driver, paths.blob_data(revision)), f"the link of manifest {revision} leads nowhere"
    for tag in driver.list(paths.tags(name), limit=_EVERYTHING):
        target = read_link(driver, paths.tag_link(name, tag))
        assert target, f"the tag {tag} is listed and points nowhere"
        assert _exists(driver, paths.revision_link(name, target)), f"the tag {tag} points to what is not there"


def _digests(driver: StorageDriver, path: str, *, depth: int = 1) -> Iterator[Digest]:
    for algorithm in ALGORITHMS:
        parents = [f"{path}/{algorithm}"]
        for _ in range(depth - 1):
            parents = [f"{parent}/{name}" for parent in parents for name in driver.list(parent, limit=_EVERYTHING)]
        for parent in parents:
            for name in driver.list(parent, limit=_EVERYTHING):
                yield Digest(algorithm, name)


def _exists(driver: StorageDriver, path: str) -> bool:
    try:
        driver.stat(path)
    except PathNotFoundError:
        return False
    return True
