"""Repositories over a storage driver: the stores of each name, put together (registry.ports)."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from drivers.base import PathNotFoundError
from registry.oci.errors import ManifestUnknownError, NameUnknownError
from registry.storage import paths
from registry.storage.at_once import each
from registry.storage.blobs import BlobStore, stat_target
from registry.storage.cache import ManifestCache
from registry.storage.catalog import Catalog
from registry.storage.descriptors import NoDescriptors
from registry.storage.listed import SeenLinks
from registry.storage.manifests import ManifestStore
from registry.storage.referrer_index import ReferrerIndex
from registry.storage.referrers import ReferrerStore
from registry.storage.tags import TagStore
from registry.storage.uploads import UploadStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from drivers.base import StorageDriver
    from registry.oci.digest import Digest
    from registry.ports import Blob, Given, Seen
    from registry.storage.descriptors import DescriptorCache


class Repository:
    """Everything that is kept under one name. It need not exist yet: the first push makes it."""

    __slots__ = ("_driver", "blobs", "manifests", "name", "referrers", "tags", "uploads")

    def __init__(  # noqa: PLR0913 - what all repositories share
        self,
        driver: StorageDriver,
        name: str,
        cache: ManifestCache,
        descriptors: DescriptorCache,
        linked: SeenLinks,
        *,
        read_only: bool = False,
    ) -> None:
        self._driver = driver
        self.name = name
        self.blobs = BlobStore(driver, name, descriptors, linked)
        self.uploads = UploadStore(driver, name, self.blobs)
        self.tags = TagStore(driver, name)
        index = ReferrerIndex(driver, name)
        self.manifests = ManifestStore(driver, name, cache, self.tags, index)
        self.referrers = ReferrerStore(driver, name, index, self.manifests, read_only=read_only)

    def delete(self) -> None:
        """Delete all that is kept under this name; repositories nested in the name stay.

        Tags and referrers go before manifests, manifests before blobs. The driver chooses the order within each of
        these, so a part of a tag may be left, or an index without its images. What a garbage collection has condemned
        goes, too. Bytes of blobs and manifests are for that: other repositories may link them.

        Raises:
            NameUnknownError: there is nothing under this name.
        """
        found = False
        for path in (
            paths.tags(self.name),
            paths.all_referrers(self.name),
            paths.proxy(self.name),
            paths.manifests(self.name),
            paths.all_layers(self.name),
            paths.condemned(self.name),
            paths.uploads(self.name),
        ):
            with suppress(PathNotFoundError):
                self._driver.delete(path)
                found = True
        if not found:
            raise NameUnknownError("repository name not known to registry", {"name": self.name})


class Repositories:
    """All repositories over one driver, with a `cache` of their manifests and one of the `descriptors` of blobs.

    If `read_only`, readers write nothing, not even what would save work the next time. Writers are not kept from it.
    """

    def __init__(
        self,
        driver: StorageDriver,
        cache: ManifestCache | None = None,
        descriptors: DescriptorCache | None = None,
        *,
        read_only: bool = False,
    ) -> None:
        self.catalog = Catalog(driver)
        self._read_only = read_only
        self._driver = driver
        self._cache = cache or ManifestCache()
        self._descriptors = descriptors or NoDescriptors()
        self._linked = SeenLinks()

    def open(self, name: str) -> Repository:
        """Return the repository called `name`, which the caller has parsed and authorized."""
        return Repository(self._driver, name, self._cache, self._descriptors, self._linked, read_only=self._read_only)

    def each(self, look: Callable[[Given], Seen], given: Iterable[Given]) -> Iterator[Seen]:
        """Yield what `look` returns for each of `given`, in order; some are looked at at a time."""
        return each(self._driver, look, given)

    def stat_blob(self, digest: Digest) -> Blob:
        """Return a blob that any repository may have, for callers who may read all of them.

        Raises:
            BlobUnknownError: its bytes are not stored.
        """
        return stat_target(self._driver, digest, digest)

    def purge_leftovers(self, *, before: datetime) -> int:
        """Delete what work that broke off before `before` has left where no path shows it; return how much."""
        return self._driver.purge(before.timestamp())

    def abandoned_uploads(
        self, *, before: datetime, undated: Callable[[str, str], object] = lambda *_: None
    ) -> Iterator[tuple[str, str]]:
        """Yield repository name and id of every upload session that was started before `before`.

        `undated` is called with those of each that does not say when it was started.
        """
        for name in self.catalog.uploading():
            for upload_id in self.open(name).uploads.started_before(before, partial(undated, name)):
                yield name, upload_id

    def rebuild_referrers(self) -> Iterator[tuple[str, int]]:
        """Write the index of referrers anew from the manifests; yield each repository and how many it has.

        For a store that another registry has written to: pushes through this one keep the index themselves.
        """
        for name in self.catalog.names():
            manifests, index, found = self.open(name).manifests, ReferrerIndex(self._driver, name), 0
            for digest in manifests.digests():
                with suppress(ManifestUnknownError):
                    found += index.add(manifests.get(digest), digest)
            yield name, found
